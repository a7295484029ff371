"use strict";
// Figure 1. A sentence in, a sentence out; then the box opens: encoder, context, decoder.

function blackBox({ walk, clock, ranges }) {
  const { id, node, stage } = frame("box", 1, clock, { phase: "closed" });
  const source = walk.source.map((_, index) => chip(walk.source, index, "source"));
  const target = walk.target.map((_, index) => chip(walk.target, index, "target"));
  const hasAttention = walk.decoder.attentions.length > 0;
  const handed = hasAttention ? walk.encoder.annotations : [walk.decoder.initial.at(-1).hidden];
  const context = handed.map((vector) =>
    strip(vector, { kind: "context", range: hasAttention ? ranges.encoder : ranges.initial, name: say(hasAttention ? "annotation" : "context"), upright: true }));
  const encoder = element("div", { class: "room encoder" }, say("encoder"));
  const decoder = element("div", { class: "room decoder" }, say("decoder"));
  const handover = element("div", { class: "room context" },
    element("span", {}, say("context")), element("div", { class: "strips" }, context));
  const box = element("div", { class: "black-box" },
    element("span", { class: "lid", "aria-hidden": "true" }, say("translator")),
    element("div", { class: "rooms" }, encoder, handover, decoder));
  stage.append(
    element("div", { class: "sentence", dir: "auto", "aria-label": say("source") }, source),
    element("div", { class: "arrow", "aria-hidden": "true" }, "↓"),
    box,
    element("div", { class: "arrow", "aria-hidden": "true" }, "↓"),
    element("div", { class: "sentence", dir: "auto", "aria-label": say("target") }, target));

  function draw(now) {
    const isOpen = now.phase !== "closed";
    mark(box, "open", isOpen);
    mark(box, "busy", now.phase === "closed" && now.progress < DONE);
    mark(encoder, "active", now.phase === "encode");
    mark(decoder, "active", now.phase === "decode");
    mark(handover, "active", now.phase === "hand");
    source.forEach((node, index) => {
      mark(node, "active", now.phase === "encode" && now.step === index);
      mark(node, "done", isOpen && now.encoded >= index + 1);
    });
    context.forEach((node, index) => putStyle(node, "opacity", handedShare(now, index, context.length)));
    const made = isOpen ? now.emitted : now.progress > 0.75 ? target.length : 0;
    target.forEach((node, index) => {
      mark(node, "hidden", index >= made);
      mark(node, "active", now.t === index && index < made);
    });
  }

  function handedShare(now, index, count) {
    if (now.phase === "hand") return clamp(now.progress * count * 1.2 - index);
    return now.t >= 0 ? 1 : 0;
  }
  return { id, node, draw };
}

/** The steps at which the model was least sure, each a button that goes there. */
function doubts({ walk, clock }) {
  const steps = walk.decoder.choices.map((choice, step) => ({ step, choice, share: Math.exp(choice.log_probs[choice.chosen]) }));
  const worst = steps.filter(({ share }) => share < 0.6).sort((a, b) => a.share - b.share).slice(0, 4);
  const say_of = ({ step, choice }) => choice.pieces
    .map((piece, index) => ({ piece: shownPiece(piece), share: percent(Math.exp(choice.log_probs[index])), index }))
    .filter(({ index }) => index !== choice.chosen).slice(0, 2)
    .map(({ piece, share }) => `${piece} ${share}`).join(", ");
  return element("aside", { class: "doubts", id: "doubts" }, element("h3", {}, say(worst.length ? "doubts" : "no_doubts")),
    element("ul", {}, worst.map((each) => element("li", {},
      element("button", { type: "button", onclick: () => clock.seek(clock.find({ phase: "decode", step: each.step, part: "choose" })) },
        chip(walk.target, each.step, "target"), element("b", {}, percent(each.share))),
      element("span", { dir: "auto" }, ` ${say("instead_of")} `, element("bdi", {}, say_of(each)))))));
}
