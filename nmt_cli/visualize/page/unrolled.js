"use strict";
// Figure 5. Every time step side by side: what goes in below, what comes out above, layers on top of each other.

function unrolled({ walk, clock, ranges, model }) {
  const texts = [
    "unrolled_text",
    hasAttention(walk) || "context" in walk.decoder.combined ? "unrolled_text_context" : null,
    model.input_feeding ? "unrolled_text_feeding" : null,
  ];
  const { id, node, stage } = frame("unrolled", 5, clock, { phase: "encode" }, texts.filter(Boolean));
  mark(node, "stacked", true);
  const { runs } = walk.encoder;
  const goesBack = runs.some(({ reverse }) => reverse !== runs[0].reverse);
  const isReversed = !goesBack && runs[0].reverse; // then its first time step reads the last token

  /** One time step: its strips from the bottom layer up, what comes out above, what goes in below. */
  function timeStep(side, label, strips, { out = "", into = "", arrow = "→" } = {}) {
    return element(
      "div",
      { class: `time-step ${side}` },
      element("div", { class: "out" }, out),
      element("span", { class: "up", "aria-hidden": "true" }, "↑"),
      element("div", { class: "unit-box", dataset: { arrow } }, element("i", {}, label), [...strips].reverse()),
      element("span", { class: "up", "aria-hidden": "true" }, "↑"),
      element("div", { class: "in" }, into),
    );
  }

  const encoded = walk.source.map((token, index) => {
    const strips = runs.map(({ layer, reverse, cell }) =>
      strip(cell.hidden[index], {
        kind: "encoder",
        range: ranges.encoder,
        most: 12,
        name: `${say("layer", { layer: layer + 1 })}: ${say("state_of", { token: shownPiece(token.piece), direction: say(reverse ? "backward" : "forward") })}`,
      }),
    );
    const number = isReversed ? walk.source.length - index : index + 1;
    return timeStep("encoder", `h${number}`, strips, {
      into: chip(walk.source, index, "source"),
      arrow: goesBack && index < walk.source.length - 1 ? "⇄" : "→",
    });
  });
  const decoded = walk.target.map((_, step) => {
    const states = walk.decoder.cells.map(({ layer, values }) =>
      strip(values.hidden[step], {
        kind: "decoder",
        range: ranges.decoder,
        most: 12,
        name: `${say("layer", { layer: layer + 1 })}: ${say("decoder_state", { step: step + 1 })}`,
      }),
    );
    const context = contextAt(walk, step);
    if (context)
      states.splice(
        contextPlace(),
        0,
        strip(context, { kind: "context", range: ranges.context, most: 12, name: say("value_context") }),
      );
    if (Object.keys(walk.decoder.combined).length) states.push(attentional(step, "value_attentional"));
    return timeStep("decoder", `s${step + 1}`, states, {
      out: chip(walk.target, step, "target"),
      into: [
        chip(walk.decoder.fed, step, "target"),
        model.input_feeding ? attentional(step - 1, "value_attentional_before") : "",
      ],
    });
  });
  const firsts = walk.decoder.initial.map(({ hidden }, layer) =>
    strip(hidden, {
      kind: "decoder",
      range: ranges.decoder,
      most: 12,
      name: `${say("layer", { layer: layer + 1 })}: ${say("first_state")}`,
    }),
  );
  const handed = timeStep("context", "s0", firsts);
  const wide = element(
    "div",
    { class: "wide time-steps" },
    isReversed ? [...encoded].reverse() : encoded,
    handed,
    decoded,
  );
  mark(wide, "feeding", model.input_feeding);
  stage.append(wide);

  /** The attentional vector that a step makes; before the first it is zero. */
  function attentional(step, name) {
    const rows = walk.decoder.attentional;
    const vector = step < 0 ? zerosLike(rows[0]) : rows[step];
    return strip(vector, { kind: "decoder", range: ranges.attentional, most: 12, name: say(name) });
  }

  /** Over how many cells the context stands: below those that read it, above those that ask for it. */
  function contextPlace() {
    const reader = walk.decoder.cells.findIndex(({ reads }) => reads.includes("context"));
    return reader < 0 ? walk.decoder.cells.length : reader;
  }

  function draw(now) {
    encoded.forEach((node, index) => {
      const shares = runs.map((run) => clock.readOf(now, run, index));
      mark(node, "waiting", Math.max(...shares) < 0.01);
      mark(node, "active", now.phase === "encode" && now.token === index);
      node.querySelectorAll(".strip").forEach((each, place) => reveal(each, shares.at(-1 - place)));
    });
    mark(handed, "waiting", now.phase !== "hand" && now.t < 0);
    mark(handed, "active", now.phase === "hand");
    decoded.forEach((node, index) => {
      mark(node, "waiting", now.t < index);
      mark(node, "active", now.t === index);
      mark(node.querySelector(".out"), "hidden", now.emitted <= index);
    });
    const current = now.t >= 0 ? decoded[now.t] : now.phase === "hand" ? handed : encoded[now.token ?? 0];
    follow(wide, current);
  }
  return { id, node, draw };
}
