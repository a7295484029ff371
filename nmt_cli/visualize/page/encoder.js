"use strict";
// Figure 4. The encoder reads word by word, in each of its directions; then it hands over its last state, or all of them.

function encoderRun({ walk, clock, ranges }) {
  const hasAttention = walk.decoder.attentions.length > 0;
  const top = Math.max(...walk.encoder.runs.map(({ layer }) => layer));
  const runs = walk.encoder.runs.filter(({ layer }) => layer === top);
  const goesBack = runs.some(({ reverse }) => reverse);
  const { id, node, stage } = frame("encoder", 4, clock, { phase: "encode" }, goesBack ? "encoder_text_both" : "encoder_text_one");
  const last = walk.source.length - 1;
  const columns = walk.source.map((token, index) => {
    const name = shownPiece(token.piece);
    const states = runs.map((run) => strip(run.cell.hidden[index], {
      kind: "encoder", range: ranges.read, upright: true, most: 12,
      name: say("state_of", { token: name, direction: say(run.reverse ? "backward" : "forward") }) }));
    const annotation = strip(walk.encoder.annotations[index], {
      kind: "context", range: ranges.encoder, upright: true, most: 24, name: say("annotation_of", { token: name }) });
    const input = strip(walk.encoder.embedded[index], {
      kind: "embedding", range: ranges.embedding, upright: true, most: 8, name: say("embedding_of", { token: name }) });
    const column = element("div", { class: "column" }, chip(walk.source, index, "source"), input, states, annotation);
    return { column, states, annotation, input };
  });
  const wide = element("div", { class: "wide columns encoder-columns" }, rowNames(), columns.map(({ column }) => column));
  const options = [false, true].map((all) => handover(all));
  mark(node, "dense", isDense(walk));
  stage.append(wide, element("div", { class: "handovers" }, options));

  function rowNames() {
    const name = (key, vector, most) => element("span", { style: { "--cells": sampledUnits(vector.length, most).length } }, say(key));
    return element("div", { class: "row-names", "aria-hidden": "true" }, element("span", { class: "chip" }, " "),
      name("embedding", walk.encoder.embedded[0], 8),
      runs.map((run) => name(run.reverse ? "backward_states" : "forward_states", run.cell.hidden[0], 12)),
      name(goesBack ? "annotations_both" : "annotations_one", walk.encoder.annotations[0], 24));
  }

  function handover(all) {
    const isOurs = all === hasAttention;
    const vectors = all ? walk.encoder.annotations : [walk.decoder.initial.at(-1).hidden];
    return element("div", { class: `handover ${isOurs ? "ours" : ""}` },
      element("h3", {}, say(all ? "hand_all" : "hand_last"), isOurs ? element("em", {}, say("your_model")) : ""),
      element("div", { class: "strips" }, vectors.map((vector, index) => strip(vector, {
        kind: "context", range: all ? ranges.encoder : ranges.initial, upright: true, most: 12,
        name: all ? say("annotation_of", { token: shownPiece(walk.source[index].piece) }) : say("first_state") }))));
  }

  /** How far a run has come at a token: forward from the left, backward from the right, side by side. */
  const share = (now, run, index) => clamp(now.encoded - (run.reverse ? last - index : index));

  function draw(now) {
    columns.forEach(({ column, states, annotation, input }, index) => {
      const shares = runs.map((run) => share(now, run, index));
      mark(column, "active", now.phase === "encode" && shares.some((value) => value > 0 && value < 1));
      states.forEach((node, run) => {
        putStyle(node, "opacity", shares[run].toFixed(2));
        mark(node, "fresh", shares[run] > 0 && shares[run] < 1);
      });
      putStyle(input, "opacity", shares.some((value) => value > 0) ? 1 : 0.15);
      putStyle(annotation, "opacity", Math.min(...shares) >= DONE ? 1 : 0);
    });
    if (now.phase === "encode") follow(wide, columns[now.step].column);
    options.forEach((node) => mark(node, "waiting", now.phase !== "hand" && now.t < 0));
    options.forEach((node) => mark(node, "active", now.phase === "hand" && node.classList.contains("ours")));
  }
  return { id, node, draw };
}
