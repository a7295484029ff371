"use strict";
// Figure 5. Every time step side by side: what goes in below, what comes out above.

function unrolled({ walk, clock, ranges }) {
  const { id, node, stage } = frame("unrolled", 5, clock, { phase: "encode" });
  const forward = walk.encoder.runs.findLast(({ reverse }) => !reverse) ?? walk.encoder.runs.at(-1);
  const hidden = walk.decoder.layers.at(-1).hidden;
  const contexts = walk.decoder.attentions.at(-1)?.context;
  const box = (side, out, state, label, input, name, context) => element("div", { class: `time-step ${side}` },
    element("div", { class: "out" }, out), element("span", { class: "up", "aria-hidden": "true" }, "↑"),
    element("div", { class: "unit-box" }, element("i", {}, label),
      strip(state, { kind: side, range: side === "encoder" ? ranges.read : ranges.written, name, most: 12 }),
      context ? strip(context, { kind: "context", range: ranges.encoder, name: say("value_context"), most: 12 }) : ""),
    element("span", { class: "up", "aria-hidden": "true" }, "↑"), element("div", { class: "in" }, input));
  const encoded = walk.source.map((token, index) => box("encoder", "", forward.cell.hidden[index], `h${index + 1}`,
    chip(walk.source, index, "source"), say("state_of", { token: shownPiece(token.piece), direction: say("forward") })));
  const decoded = walk.target.map((token, index) => box("decoder", chip(walk.target, index, "target"), hidden[index], `s${index + 1}`,
    chip(walk.decoder.fed, index, "target"), say("decoder_state", { step: index + 1 }), contexts?.[index]));
  const handed = element("div", { class: "time-step context" }, element("div", { class: "unit-box" }, element("i", {}, say("context")),
    strip(walk.decoder.initial.at(-1).hidden, { kind: "context", range: ranges.initial, name: say("first_state"), most: 12 })));
  const wide = element("div", { class: "wide time-steps" }, encoded, handed, decoded);
  stage.append(wide);

  function draw(now) {
    encoded.forEach((node, index) => {
      mark(node, "waiting", now.encoded < index + 0.01);
      mark(node, "active", now.phase === "encode" && now.step === index);
    });
    mark(handed, "waiting", now.phase !== "hand" && now.t < 0);
    mark(handed, "active", now.phase === "hand");
    decoded.forEach((node, index) => {
      mark(node, "waiting", now.t < index);
      mark(node, "active", now.t === index);
      mark(node.querySelector(".out"), "hidden", now.emitted <= index);
    });
    const current = now.t >= 0 ? decoded[now.t] : now.phase === "hand" ? handed : encoded[now.step ?? 0];
    follow(wide, current);
  }
  return { id, node, draw };
}
