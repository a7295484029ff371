"use strict";
// Figure 3. One recurrent step: input and previous state -> gates -> new state, with the arithmetic of one unit.

const GATES = new Set(["input", "forget", "output", "reset", "update"]);

/** The rule by which a unit's new value comes from the gates: texts with the unit's own numbers, by kind of cell. */
const RULES = [
  { needs: ["input", "forget", "candidate", "output", "memory"], write: (v, before, names) => [
    ["memory", `${v("forget")} × ${before("memory")} + ${v("input")} × ${v("candidate")}`],
    ["hidden", `${v("output")} × tanh(${v("shown" in names ? "shown" : "memory").replace(/[()]/g, "")})`]] },
  { needs: ["reset", "update", "candidate"], write: (v, before) => [
    ["hidden", `(1 − ${v("update")}) × ${v("candidate")} + ${v("update")} × ${before("hidden")}`]] },
];

function recurrentCell({ walk, clock, ranges, model }) {
  const kind = model.cell.split("_")[0]; // variants of a cell share its text
  const { id, node, stage } = frame("cell", 3, clock, { phase: "encode" }, `cell_text_${isKnown(`cell_text_${kind}`) ? kind : "other"}`);
  const places = [
    ...walk.encoder.runs.map((run) => ({ ...run, side: "encoder", cells: run.cell })),
    ...walk.decoder.layers.map((cells, layer) => ({ side: "decoder", layer, cells, initial: walk.decoder.initial[layer] })),
  ];
  const chosen = { encoder: places.find(({ side }) => side === "encoder"), decoder: places.find(({ side }) => side === "decoder") };
  const tabs = places.map((place) => element("button", { type: "button", onclick: () => { choose(place); } }, nameOf(place)));
  const caption = element("p", { class: "path", dir: "auto" });
  const rows = element("div", { class: "cell-rows" });
  const rule = element("div", { class: "rule", id: "cell-rule" });
  stage.append(element("div", { class: "tabs", role: "group", "aria-label": say("which_cell") }, tabs), caption, rows, rule);
  let drawn = "", unit = 0;

  function nameOf(place) {
    const layer = say("layer", { layer: place.layer + 1 });
    return place.side === "decoder" ? `${say("decoder")}, ${layer}` : `${say("encoder")}, ${layer}, ${say(place.reverse ? "backward" : "forward")}`;
  }

  function choose(place) {
    chosen[place.side] = place;
    const now = clock.now;
    if (place.side === "encoder" && now.t >= 0) clock.seek(clock.find({ phase: "encode", step: 0 }));
    else if (place.side === "decoder" && now.t < 0) clock.seek(clock.find({ phase: "decode", step: 0 }));
    drawn = "";
    draw(clock.now);
  }

  /** What a place computed in a step: input, state before, values after. */
  function stepOf(place, step) {
    const neighbour = step + (place.reverse ? 1 : -1);
    const at = (index) => Object.fromEntries(Object.entries(place.cells).map(([name, rows]) => [name, rows[index]]));
    const isFirst = place.reverse ? neighbour >= walk.source.length : neighbour < 0;
    const zero = new Float32Array(place.cells.hidden[0].length);
    zero.every = place.cells.hidden[0].every;
    const before = !isFirst ? at(neighbour) : place.initial ?? { hidden: zero, memory: zero };
    return { before, after: at(step), input: place.inputs?.[step] ?? (place.layer === 0 ? walk.decoder.embedded[step] : walk.decoder.layers[place.layer - 1].hidden[step]) };
  }

  /** With input feeding: the attentional vector of the step before, zeros at first. */
  function attentionalBefore(step) {
    if (step > 0) return walk.decoder.attentional[step - 1];
    const zero = new Float32Array(walk.decoder.attentional[0].length);
    return Object.assign(zero, { every: walk.decoder.attentional[0].every });
  }

  function row(name, vector, kind, range, className = "") {
    const shown = strip(vector, { kind, range, name: say(`value_${name}`), focusable: true });
    shown.addEventListener("pointermove", (event) => pick(event, shown));
    return element("div", { class: `cell-row ${className}` }, element("span", { class: "name" }, say(`value_${name}`)), shown,
      element("span", { class: "mean", title: say("mean") }, decimal(sum(Array.from(vector)) / vector.length, 2)));
  }

  function pick(event, shown) {
    const box = shown.getBoundingClientRect();
    const place = clamp(Math.floor(((event.clientX - box.left) / box.width) * shown.units.length), 0, shown.units.length - 1);
    if (shown.vector.length === currentStep?.after.hidden.length && unit !== shown.units[place]) writeRule((unit = shown.units[place]));
  }

  let currentStep = null;
  function writeRule() {
    const { before, after } = currentStep;
    const known = RULES.find(({ needs }) => needs.every((name) => name in after));
    const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);
    const v = (name) => bracket(decimal(after[name][unit]));
    const old = (name) => bracket(decimal((before[name] ?? before.hidden)[unit]));
    const lines = known ? known.write(v, old, after) : [];
    rule.replaceChildren(
      element("p", {}, say("one_unit", { unit: unit * after.hidden.every })),
      ...lines.map(([name, right]) => element("p", { class: "sum" }, element("b", {}, say(`value_${name}`)), ` = ${right} = `, element("b", {}, decimal(after[name][unit])))));
  }

  function draw(now) {
    const place = chosen[now.t >= 0 ? "decoder" : "encoder"];
    const step = now.t >= 0 ? now.t : now.step ?? (now.phase === "hand" ? walk.source.length - 1 : 0);
    const at = now.phase === "encode" && place.reverse ? walk.source.length - 1 - step : step;
    const key = `${places.indexOf(place)} ${at}`;
    const share = now.phase === "encode" || now.part === "recur" ? now.progress : 1;
    putStyle(rows, "--progress", share.toFixed(2));
    if (key === drawn) return;
    drawn = key;
    tabs.forEach((tab, index) => put(tab, "aria-pressed", places[index] === place));
    currentStep = stepOf(place, at);
    const { before, after, input } = currentStep;
    const token = now.t >= 0 ? walk.decoder.fed[at] : walk.source[at];
    caption.replaceChildren(nameOf(place), " · ", element("bdi", { class: `chip ${now.t >= 0 ? "target" : "source"}` }, shownPiece(token.piece)));
    const state = place.side;
    const fed = state === "decoder" && place.layer === 0 && model.input_feeding ? attentionalBefore(at) : null;
    const stateRange = state === "encoder" ? ranges.read : ranges.written;
    const inner = Object.keys(after).filter((name) => name !== "hidden" && name !== "memory");
    rows.replaceChildren(
      row("x", input, place.layer === 0 ? "embedding" : state, place.layer === 0 ? ranges.embedding : stateRange, "first"),
      fed ? row("fed_back", fed, "context", ranges.attentional, "first") : "",
      row("hidden_before", before.hidden, state, stateRange, "first"),
      before.memory ? row("memory_before", before.memory, state, ranges.memory, "first") : "",
      ...inner.map((name) => row(name, after[name], "gate", GATES.has(name) ? [0, 1] : [-1, 1], "gate")),
      after.memory ? row("memory", after.memory, state, ranges.memory, "last") : "",
      row("hidden", after.hidden, state, stateRange, "last"));
    unit = strongest(after.hidden);
    writeRule();
  }
  return { id, node, draw };
}

/** The unit of the largest absolute value. */
const strongest = (vector) => bestIndex(Array.from(vector, Math.abs));
