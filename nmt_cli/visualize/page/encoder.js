"use strict";
// Figure 4. The encoder reads token by token, layer by layer, in each of its directions; then it hands over its last
// state, or all of them.

function encoderRun({ walk, clock, ranges, model }) {
  const { runs, inputs } = walk.encoder;
  const goesBack = topRuns(walk).length > 1;
  const texts = [
    goesBack ? "encoder_text_both" : "encoder_text_one",
    inputs.length > 1 ? "encoder_text_layers" : null,
    bothWays(walk) && !goesBack ? "encoder_text_some_both" : null,
    runs[0].reverse ? "encoder_text_reversed" : null,
    model.residual_from > 0 && model.residual_from <= inputs.length ? "encoder_text_residual" : null,
    "encoder_text_handover",
  ];
  const { id, node, stage } = frame("encoder", 4, clock, { phase: "encode" }, texts.filter(Boolean), {
    from: model.residual_from,
    count: bothWays(walk),
  });
  const most = { embedding: 8, state: runs.length > 4 ? 5 : runs.length > 2 ? 8 : 12, annotation: goesBack ? 24 : 16 };
  const columns = walk.source.map((token, index) => {
    const name = shownPiece(token.piece);
    const states = runs.map((run) =>
      strip(run.cell.hidden[index], {
        kind: "encoder",
        range: ranges.encoder,
        upright: true,
        most: most.state,
        name: say("state_of", { token: name, direction: runName(run) }),
      }),
    );
    const annotation = strip(walk.encoder.annotations[index], {
      kind: "context",
      range: ranges.annotation,
      upright: true,
      most: most.annotation,
      name: say("annotation_of", { token: name }),
    });
    const input = strip(inputs[0][index], {
      kind: "embedding",
      range: ranges.embedding,
      upright: true,
      most: most.embedding,
      name: say("embedding_of", { token: name }),
    });
    const column = element("div", { class: "column" }, chip(walk.source, index, "source"), input, states, annotation);
    return { column, states, annotation };
  });
  const wide = element(
    "div",
    { class: "wide columns encoder-columns", dir: directionOfTokens(walk.source) },
    rowNames(),
    columns.map(({ column }) => column),
  );
  const options = [false, true].map(handover); // each with its strips
  mark(node, "dense", isDense(walk));
  stage.append(
    wide,
    element(
      "div",
      { class: "handovers" },
      options.map((option) => option.node),
    ),
  );

  /** Of one direction of one layer: "layer 2, backward ←". */
  function runName({ layer, reverse }) {
    const direction = say(reverse ? "backward" : "forward");
    return inputs.length > 1 ? `${say("layer", { layer: layer + 1 })}, ${direction}` : direction;
  }

  function rowNames() {
    const arrow = (reverse) => (reverse === (directionOfTokens(walk.source) === "rtl") ? "→" : "←");
    const name = (text, vector, most) =>
      element("span", { style: { "--cells": sampledUnits(vector.length, most).length } }, element("bdi", {}, text));
    return element(
      "div",
      { class: "row-names", "aria-hidden": "true" },
      element("span", { class: "chip" }, "\u00a0"),
      name(say("embedding"), inputs[0][0], most.embedding),
      runs.map((run) =>
        name(`${say("hidden_states")}, ${runName(run)} ${arrow(run.reverse)}`, run.cell.hidden[0], most.state),
      ),
      name(say(goesBack ? "annotations_both" : "annotations_one"), walk.encoder.annotations[0], most.annotation),
    );
  }

  function handover(all) {
    const isOurs = all === hasAttention(walk);
    const vectors = all ? walk.encoder.annotations : [isOurs ? handedOver(walk)[0] : finalState(walk)];
    const range = all ? ranges.annotation : isOurs ? ranges.context : ranges.encoder;
    const strips = vectors.map((vector, index) =>
      strip(vector, {
        kind: "context",
        range,
        upright: true,
        most: 12,
        name: all ? say("annotation_of", { token: shownPiece(walk.source[index].piece) }) : say("value_context"),
      }),
    );
    const bridge =
      model.decoder === "cho" ? "bridge_cho" : all ? `bridge_${model.bridge}` : `bridge_alone_${model.bridge}`;
    const begins =
      isOurs &&
      strip(topState(walk, -1), {
        kind: "decoder",
        range: ranges.decoder,
        upright: true,
        most: 12,
        name: say("first_state"),
      });
    const box = element(
      "div",
      { class: `handover ${isOurs ? "ours" : ""}` },
      element("h3", {}, say(all ? "hand_all" : "hand_last"), isOurs ? element("em", {}, say("your_model")) : ""),
      element(
        "div",
        { class: "given" },
        element("div", { class: "strips" }, strips),
        begins && element("p", { class: "muted" }, begins, element("span", {}, say(bridge))),
      ),
    );
    return { node: box, strips, isOurs };
  }

  function draw(now) {
    columns.forEach(({ column, states, annotation }, index) => {
      const shares = runs.map((run) => clock.readOf(now, run, index));
      mark(column, "active", now.phase === "encode" && shares.some((value) => value > 0 && value < 1));
      states.forEach((node, place) => {
        reveal(node, shares[place]);
        mark(node, "fresh", shares[place] > 0 && shares[place] < 1);
      });
      reveal(annotation, Math.min(...shares) >= DONE ? 1 : 0);
    });
    if (now.phase === "encode") follow(wide, columns[now.token].column);
    for (const { node: box, strips, isOurs } of options) {
      mark(box, "waiting", now.phase !== "hand" && now.t < 0);
      mark(box, "active", now.phase === "hand" && isOurs);
      strips.forEach((each, index) => reveal(each, now.phase === "hand" ? handedShare(now, index, strips.length) : 1));
    }
  }
  return { id, node, draw };
}
