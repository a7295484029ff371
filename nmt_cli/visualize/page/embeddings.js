"use strict";
// Figure 2. Text becomes pieces, pieces become ids, ids become vectors.

function embeddings({ walk, clock, ranges }) {
  const [first] = walk.encoder.inputs[0];
  const { id, node, stage } = frame("embedding", 2, clock, { phase: "encode" }, "embedding_text", {
    size: first.length * first.every,
    shown: sampledUnits(first.length).length,
  });
  const columns = walk.source.map((token, index) =>
    element(
      "div",
      { class: "column", onclick: () => clock.scrub(clock.find({ phase: "encode", token: index })) },
      chip(walk.source, index, "source"),
      element("span", { class: "id" }, String(token.id)),
      strip(walk.encoder.inputs[0][index], embeddingOptions(token, true)),
    ),
  );
  const title = element("p", { class: "path" });
  const large = strip(first, { ...embeddingOptions(walk.source[0]), focusable: true });
  const numbers = element("div", { class: "numbers", "aria-hidden": "true" });
  const wide = element("div", { class: "wide columns", dir: directionOfTokens(walk.source) }, columns);
  stage.append(wide, title, element("div", { class: "large" }, large, numbers));
  let shown = null;

  function embeddingOptions(token, upright = false) {
    return {
      kind: "embedding",
      range: ranges.embedding,
      name: say("embedding_of", { token: shownPiece(token.piece) }),
      upright,
    };
  }

  function draw(now) {
    columns.forEach((column, index) => mark(column, "active", now.phase === "encode" && now.token === index));
    if (now.phase === "encode") follow(wide, columns[now.token]);
    const isTarget = now.t >= 0;
    const index = isTarget ? now.t : (now.token ?? 0);
    const token = isTarget ? walk.decoder.fed[index] : walk.source[index];
    if (shown === token) return;
    shown = token;
    const vector = (isTarget ? walk.decoder.embedded : walk.encoder.inputs[0])[index];
    fill(large, vector, { ...embeddingOptions(token), focusable: true });
    title.replaceChildren(
      element("span", {}, say(isTarget ? "fed_token" : "source_token")),
      element("code", {}, element("bdi", {}, token.piece)),
      "→",
      element("span", { class: "id" }, String(token.id)),
      "→",
      element("span", {}, say("vector", { size: vector.length * vector.every })),
    );
    numbers.replaceChildren(...large.units.map((unit) => element("span", {}, decimal(vector[unit], 2))));
  }
  return { id, node, draw };
}
