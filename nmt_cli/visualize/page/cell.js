"use strict";
// Figure 3. One recurrent step: what is read and the previous state -> gates -> new state, with one unit in numbers.

const GATES = new Set(["input", "forget", "output", "reset", "update"]);

/** How a unit's new values come from the gates, by family of cells: with the unit's own numbers, `of` and `before`. */
const RULES = {
  lstm: (of, before, names) => [
    ["memory", `${of("forget")} × ${before("memory")} + ${of("input")} × ${of("candidate")}`],
    ["hidden", `${of("output")} × tanh(${of("shown" in names ? "shown" : "memory").replace(/[()]/g, "")})`],
  ],
  gru: (of, before) => [
    ["hidden", `(1 − ${of("update")}) × ${of("candidate")} + ${of("update")} × ${before("hidden")}`],
  ],
};

function recurrentCell({ walk, clock, ranges, model }) {
  const family = model.cell.split("_")[0]; // variants of a cell share its text, and say what is their own
  const texts = [`cell_text_${family}`, `cell_text_${model.cell}`, "cell_text_unit"].filter(
    (key, index, all) => isKnown(key) && all.indexOf(key) === index,
  );
  const { id, node, stage } = frame("cell", 3, clock, { phase: "encode" }, texts);
  const places = [
    ...walk.encoder.runs.map((run) => ({ ...run, side: "encoder", values: run.cell })),
    ...walk.decoder.cells.map((cell, index) => ({ ...cell, side: "decoder", index })),
  ];
  const chosen = { reverse: false, cell: 0 };
  const tabs = places.map((place) =>
    element("button", { type: "button", onclick: () => choose(place) }, nameOf(place)),
  );
  const caption = element("p", { class: "path" });
  const unitName = element("span", { class: "unit-name" });
  const rows = element("div", { class: "cell-rows" });
  const rule = element("div", { class: "rule", id: "cell-rule" });
  stage.append(
    element("div", { class: "tabs", role: "group", "aria-label": say("which_cell") }, tabs),
    element("div", { class: "between" }, caption, unitName),
    rows,
    rule,
  );
  let drawn = "",
    unit = 0,
    step = null,
    shown = [];

  function nameOf({ side, layer, reverse, index }) {
    const which = say("layer", { layer: layer + 1 });
    if (side === "encoder") return `${say("encoder")}, ${which}, ${say(reverse ? "backward" : "forward")}`;
    return `${say("decoder")}, ${which}${model.decoder === "conditional" && layer === 0 ? `, ${say(index ? "second_cell" : "first_cell")}` : ""}`;
  }

  /** To a cell; the clock goes to where it works, if it is not there. */
  function choose(place) {
    const { now } = clock;
    if (place.side === "encoder") {
      chosen.reverse = place.reverse;
      if (now.layer !== place.layer) clock.scrub(clock.find({ phase: "encode", layer: place.layer }));
    } else {
      chosen.cell = place.index;
      if (now.t < 0) clock.scrub(clock.find({ phase: "decode", step: 0, part: "choose" }));
    }
    drawn = "";
    draw(clock.now);
  }

  /** The cell that is looked at: of the layer that reads, or the chosen one of the decoder; the last part has more. */
  function placeOf(now) {
    if (now.t >= 0)
      return places.find(
        ({ side, index }) => side === "decoder" && index === Math.max(chosen.cell, now.part === "climb" ? 1 : 0),
      );
    const layer = now.layer ?? (now.phase === "hand" ? walk.encoder.inputs.length - 1 : 0);
    const ofLayer = places.filter((place) => place.side === "encoder" && place.layer === layer);
    return ofLayer.find(({ reverse }) => reverse === chosen.reverse) ?? ofLayer[0];
  }

  /** What a place computed in a step: what it read, the state before, the values after. */
  function stepOf(place, at) {
    const valuesAt = (index) =>
      Object.fromEntries(Object.entries(place.values).map(([name, rows]) => [name, rows[index]]));
    const after = valuesAt(at);
    if (place.side === "decoder") {
      return {
        reads: readBy(walk, place.index, at),
        before: stateBefore(walk, place.index, at),
        after,
        up: place.handed_up?.[at],
      };
    }
    const neighbour = at + (place.reverse ? 1 : -1);
    const zeros = { hidden: zerosLike(after.hidden), memory: after.memory && zerosLike(after.memory) };
    const before = neighbour < 0 || neighbour >= walk.source.length ? zeros : valuesAt(neighbour);
    return {
      reads: [{ name: place.layer ? "below" : "embedded", vector: walk.encoder.inputs[place.layer][at] }],
      before,
      after,
    };
  }

  function write(place, at) {
    step = stepOf(place, at);
    const { reads, before, after, up } = step;
    const { side } = place;
    const inputKinds = {
      embedded: { kind: "embedding", range: ranges.embedding },
      below: { kind: side, range: ranges[side] },
      context: { kind: "context", range: ranges.context },
      context_before: { kind: "context", range: ranges.context },
      attentional_before: { kind: "decoder", range: ranges.attentional },
    };
    const state = { kind: side, range: ranges[side] },
      memory = { kind: side, range: ranges.memory };
    const inner = Object.keys(after).filter((name) => name !== "hidden" && name !== "memory");
    const row = (name, vector, options, className) => vectorRow(say(`value_${name}`), vector, options, className);
    const read = [
      ...reads.map(({ name, vector }) => row(name, vector, inputKinds[name], "first")),
      row("hidden_before", before.hidden, state, "first state"),
      before.memory && row("memory_before", before.memory, memory, "first state"),
    ].filter(Boolean);
    const gates = inner.map((name) =>
      row(name, after[name], { kind: "gate", range: GATES.has(name) ? [0, 1] : [-1, 1] }, "gate"),
    );
    const made = [
      after.memory && row("memory", after.memory, memory, "last"),
      row("hidden", after.hidden, state, "last"),
      up && row("handed_up", up, state, "last"),
    ].filter(Boolean);
    shown = [...read, ...gates, ...made];
    for (const { shown: node } of shown) {
      node.addEventListener(
        "pointermove",
        (event) => node.vector.length === after.hidden.length && pick(unitAt(event, node)),
      );
    }
    const nodes = (group) => group.map(({ node }) => node);
    const operation = (key) => element("p", { class: "operation" }, say(key));
    rows.replaceChildren(
      ...nodes(read),
      operation("operation_gates"),
      ...nodes(gates),
      operation(isKnown(`operation_state_${model.cell}`) ? `operation_state_${model.cell}` : `operation_state_${family}`),
      ...nodes(made),
    );
    pick(strongestUnit(after.hidden), true);
  }

  /** One unit in numbers: beside the strips, and in the rule. */
  function pick(picked, always = false) {
    if (picked === unit && !always) return;
    unit = picked;
    const { before, after } = step;
    putText(unitName, say("unit_name", { unit: unit * after.hidden.every }));
    shown.forEach(({ node, shown: own, number }, place) => {
      const isOfUnits = own.vector.length === after.hidden.length && place >= step.reads.length;
      putText(number, isOfUnits ? decimal(own.vector[unit]) : "");
      frameUnit(own, isOfUnits ? unit : -1);
    });
    const of = (name) => bracket(decimal(after[name][unit]));
    const old = (name) => bracket(decimal(before[name][unit]));
    rule.replaceChildren(
      ...(RULES[family]?.(of, old, after) ?? []).map(([name, right]) =>
        element(
          "p",
          { class: "sum" },
          element("b", {}, say(`value_${name}`)),
          ` = ${right} = `,
          element("b", {}, decimal(after[name][unit])),
        ),
      ),
    );
  }

  function draw(now) {
    const place = placeOf(now);
    const last = walk.source.length - 1;
    const read = now.step ?? (now.phase === "hand" ? last : 0);
    const at = now.t >= 0 ? now.t : place.reverse ? last - read : read;
    const isWorking = now.phase === "encode" || now.part === "recur" || now.part === "climb";
    putStyle(rows, "--progress", (isWorking ? now.progress : 1).toFixed(2));
    const key = `${places.indexOf(place)} ${at}`;
    if (key === drawn) return;
    drawn = key;
    tabs.forEach((tab, index) => put(tab, "aria-pressed", places[index] === place));
    const [tokens, side] = now.t >= 0 ? [walk.decoder.fed, "target"] : [walk.source, "source"];
    caption.replaceChildren(
      element("span", {}, say(now.t >= 0 ? "at_fed_token" : "at_token")),
      element("bdi", { class: `chip ${side}` }, shownPiece(tokens[at].piece)),
    );
    write(place, at);
  }
  return { id, node, draw };
}
