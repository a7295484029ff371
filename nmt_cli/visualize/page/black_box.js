"use strict";
// Figure 1. A sentence in, a sentence out; then the box opens: encoder, context, decoder.

function blackBox({ walk, clock, ranges }) {
  const { id, node, stage } = frame("box", 1, clock, { phase: "closed" });
  const source = sentenceOf(walk.source, "source", say("source"));
  const target = sentenceOf(walk.target, "target", say("target"));
  const all = hasAttention(walk);
  const context = handedOver(walk).map((vector) =>
    strip(vector, {
      kind: "context",
      range: all ? ranges.annotation : ranges.context,
      name: say(all ? "annotation" : "value_context"),
      upright: true,
    }),
  );
  const runs = topRuns(walk);
  const read = runs.map(({ cell }) =>
    strip(cell.hidden[0], {
      kind: "encoder",
      range: ranges.encoder,
      upright: true,
      most: 12,
      name: say("value_hidden"),
    }),
  );
  const written = strip(topState(walk, -1), {
    kind: "decoder",
    range: ranges.decoder,
    upright: true,
    most: 12,
    name: say("value_hidden"),
  });
  const encoder = element("div", { class: "room encoder" }, say("encoder"), element("div", { class: "strips" }, read));
  const decoder = element(
    "div",
    { class: "room decoder" },
    say("decoder"),
    element("div", { class: "strips" }, written),
  );
  const handover = element(
    "div",
    { class: "room context" },
    element("span", {}, say("context")),
    element("div", { class: "strips" }, context),
  );
  const arrow = (sign, name = "") => element("span", { class: `arrow ${name}`, "aria-hidden": "true" }, sign);
  const box = element(
    "div",
    { class: "black-box" },
    element("span", { class: "lid", "aria-hidden": "true" }, say("translator")),
    element("div", { class: "rooms" }, encoder, arrow("→", "inner"), handover, arrow("→", "inner"), decoder),
  );
  stage.append(
    element("div", { class: "into" }, source.row, arrow("↓")),
    box,
    element("div", { class: "out-of" }, arrow("↓"), target.row),
  );

  function draw(now) {
    const isOpen = now.phase !== "closed";
    mark(box, "open", isOpen);
    mark(box, "busy", now.phase === "closed" && now.progress < DONE);
    mark(encoder, "active", now.phase === "encode");
    mark(decoder, "active", now.phase === "decode");
    mark(handover, "active", now.phase === "hand");
    source.nodes.forEach((node, index) => {
      mark(node, "active", now.phase === "encode" && now.token === index);
      mark(node, "done", isOpen && clock.readOf(now, walk.encoder.runs[0], index) >= DONE);
    });
    drawStates(now);
    context.forEach((node, index) => reveal(node, handedShare(now, index, context.length)));
    const made = isOpen ? now.emitted : now.progress > 0.75 ? target.nodes.length : 0;
    target.nodes.forEach((node, index) => {
      mark(node, "hidden", index >= made);
      mark(node, "active", now.t === index && index < made);
    });
  }

  /** The hidden states of now: where each direction has come to, and the decoder's. */
  function drawStates(now) {
    runs.forEach((run, place) => {
      const steps = Math.ceil(now.encoded - run.layer * walk.source.length);
      const step = clamp(steps, 1, walk.source.length) - 1;
      fill(read[place], run.cell.hidden.at(run.reverse ? -1 - step : step));
      putStyle(read[place], "opacity", steps > 0 ? 1 : 0.15);
    });
    fill(written, topState(walk, now.t));
    putStyle(written, "opacity", now.t >= 0 ? 1 : now.phase === "hand" ? now.progress : 0.15);
  }

  return { id, node, draw };
}

/** The steps at which the model was least sure, each a button that goes there. */
function doubts({ walk, clock }) {
  const steps = walk.target.map((_, step) => ({
    step,
    choice: walk.decoder.choices[step],
    share: shareOf(walk, step),
  }));
  const worst = steps
    .filter(({ share }) => share < 0.6)
    .sort((a, b) => a.share - b.share)
    .slice(0, 4);
  const others = ({ choice }) =>
    choice.pieces
      .map((piece, index) => ({ piece: shownPiece(piece), share: percent(Math.exp(choice.log_probs[index])), index }))
      .filter(({ index }) => index !== choice.chosen)
      .slice(0, 2)
      .map(({ piece, share }) => `${piece} ${share}`)
      .join(", ");
  return element(
    "aside",
    { class: "doubts", id: "doubts" },
    element("h2", {}, say(worst.length ? "doubts" : "no_doubts")),
    element(
      "ul",
      {},
      worst.map((each) =>
        element(
          "li",
          {},
          element(
            "button",
            {
              type: "button",
              onclick: () => clock.scrub(clock.find({ phase: "decode", step: each.step, part: "choose" })),
            },
            chip(walk.target, each.step, "target"),
            element("b", {}, percent(each.share)),
          ),
          element("span", { dir: "auto" }, ` ${say("instead_of")} `, element("bdi", {}, others(each))),
        ),
      ),
    ),
  );
}
