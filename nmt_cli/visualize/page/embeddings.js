"use strict";
// Figure 2. Text becomes pieces, pieces become ids, ids become vectors.

function embeddings({ walk, clock, ranges }) {
  const { id, node, stage } = frame("embedding", 2, clock, { phase: "encode" }, "embedding_text", {
    size: walk.encoder.embedded[0].length * walk.encoder.embedded[0].every,
    shown: sampledUnits(walk.encoder.embedded[0].length).length,
  });
  const columns = walk.source.map((token, index) =>
    element("div", { class: "column", onclick: () => clock.seek(clock.find({ phase: "encode", step: index })) },
      chip(walk.source, index, "source"), element("span", { class: "id" }, String(token.id)),
      strip(walk.encoder.embedded[index], embeddingOptions(token, true))));
  const title = element("p", { class: "path", dir: "auto" });
  const large = strip(walk.encoder.embedded[0], { ...embeddingOptions(walk.source[0]), focusable: true });
  const numbers = element("div", { class: "numbers", "aria-hidden": "true" });
  const wide = element("div", { class: "wide columns" }, columns);
  stage.append(wide, title, element("div", { class: "large" }, large, numbers));
  let shown = null;

  function embeddingOptions(token, upright = false) {
    return { kind: "embedding", range: ranges.embedding, name: say("embedding_of", { token: shownPiece(token.piece) }), upright };
  }

  function draw(now) {
    columns.forEach((column, index) => {
      mark(column, "active", now.phase === "encode" && now.step === index);
      mark(column, "waiting", now.encoded < index + 0.01);
    });
    if (now.phase === "encode") follow(wide, columns[now.step]);
    const isTarget = now.t >= 0;
    const token = isTarget ? walk.decoder.fed[now.t] : walk.source[now.step ?? 0];
    if (shown === token) return;
    shown = token;
    const vector = isTarget ? walk.decoder.embedded[now.t] : walk.encoder.embedded[now.step ?? 0];
    fill(large, vector, { ...embeddingOptions(token), focusable: true });
    title.replaceChildren(
      element("span", {}, say(isTarget ? "fed_token" : "source_token")), element("code", {}, token.piece), "→",
      element("span", { class: "id" }, String(token.id)), "→", element("span", {}, say("vector", { size: vector.length * vector.every })));
    numbers.replaceChildren(...large.units.map((unit) => element("span", {}, decimal(vector[unit], 2))));
  }
  return { id, node, draw };
}
