"use strict";
// Figure 6. One decoder step in slow motion. Every number is the model's own, and they add up.

function attentionStep({ walk, clock, ranges, model }) {
  const hasAttention = walk.decoder.attentions.length > 0;
  const key = `energy_${model.attention}`;
  const { id, node, stage } = frame("attention", 6, clock, { phase: "decode" }, hasAttention ? "attention_text" : "attention_text_none",
    { energy: say(isKnown(key) ? key : "energy_other") }, hasAttention ? "attention_title" : "attention_title_none");
  const heads = walk.decoder.attentions;
  let head = 0, unit = 0, drawn = null;
  const tabs = heads.length < 2 ? [] : heads.map((_, index) =>
    element("button", { type: "button", onclick: () => { head = index; drawn = null; draw(clock.now); } }, say("head", { head: index + 1 })));
  const query = vectorRow("query", "decoder", ranges.written);
  const table = hasAttention ? energyTable() : null;
  const context = vectorRow("context", "context", ranges.encoder);
  const attentional = vectorRow("attentional", "decoder", ranges.attentional);
  const added = element("p", { class: "sum", id: "context-sum" });
  const top = element("div", { class: "choices", id: "choices" });
  const normalised = element("p", { class: "sum", id: "softmax-sum" });
  const heading = element("p", { class: "path", dir: "auto" });
  const kinds = { hidden: ["decoder", ranges.written], context: ["context", ranges.encoder], embedded: ["embedding", ranges.embedding] };
  const parts = Object.keys(walk.decoder.combined).map((name) => ({ name, row: vectorRow(name, ...kinds[name]) }));
  const layer = `operation_combine_${model.decoder}`;
  const combine = element("div", { class: "stage-part" },
    element("div", { class: "cell-row" }, element("span", { class: "name" }, `[${parts.map(({ name }) => say(`value_${name}`)).join("; ")}]`),
      element("div", { class: "parts" }, parts.map(({ row }) => row.node))),
    element("p", { class: "operation" }, say(isKnown(layer) ? layer : "operation_combine")), attentional.node);
  const output = element("div", { class: "stage-part" }, element("p", { class: "operation" }, say("operation_output")), top, normalised);
  stage.append(
    heading, element("div", { class: "tabs" }, tabs), query.node,
    ...(hasAttention ? [table.node, element("div", { class: "stage-part" }, context.node, added)] : []),
    parts.length ? combine : "", output);

  function vectorRow(name, kind, range) {
    const shown = { node: element("div", { class: "cell-row" }, element("span", { class: "name" }, say(`value_${name}`))) };
    shown.put = (vector) => {
      if (shown.strip) return fill(shown.strip, vector);
      shown.strip = strip(vector, { kind, range, name: say(`value_${name}`), focusable: true });
      if (name === "context") shown.strip.addEventListener("pointermove", (event) => pick(event, shown.strip));
      shown.node.append(shown.strip);
    };
    return shown;
  }

  function pick(event, shown) {
    const box = shown.getBoundingClientRect();
    unit = shown.units[clamp(Math.floor(((event.clientX - box.left) / box.width) * shown.units.length), 0, shown.units.length - 1)];
    writeSum(clock.now.t);
  }

  function energyTable() {
    const rows = walk.source.map((token, index) => {
      const bar = () => element("span", { class: "bar" }, element("i", {}));
      const cells = { energy: bar(), weight: bar(), energyText: element("output", {}), weightText: element("output", {}) };
      const annotation = strip(walk.encoder.annotations[index], { kind: "context", range: ranges.encoder, name: say("annotation_of", { token: shownPiece(token.piece) }) });
      const weighted = element("span", { class: "weighted" });
      weighted.style.backgroundImage = annotation.style.backgroundImage;
      const node = element("tr", {}, element("th", { scope: "row", class: "token" }, chip(walk.source, index, "source")), element("td", {}, annotation),
        element("td", { class: "number" }, cells.energy, cells.energyText), element("td", { class: "number" }, cells.weight, cells.weightText),
        element("td", {}, weighted));
      return { ...cells, node, weighted };
    });
    const total = element("output", { id: "weights-sum" });
    const names = ["token", "annotation", "energy", "weight", "weighted"];
    const node = element("div", { class: "energy-table", tabindex: 0, role: "region", "aria-label": say("energies_and_weights") }, element("table", {},
      element("thead", {}, element("tr", {}, names.map((name) => element("th", { scope: "col" }, say(`column_${name}`))))),
      element("tbody", {}, rows.map((row) => row.node)),
      element("tfoot", {}, element("tr", {}, element("td", {}), element("td", {}), element("td", {}), element("td", { class: "number" }, total), element("td", {})))));
    return { node, rows, total };
  }

  function writeTable(t) {
    const { energies, weights } = heads[head];
    const [low, high] = [Math.min(...energies[t]), Math.max(...energies[t])];
    table.rows.forEach((row, index) => {
      row.energyShare = 0.04 + (0.96 * (energies[t][index] - low)) / (high - low || 1);
      row.weightShare = weights[t][index];
      putText(row.energyText, decimal(energies[t][index], 2));
      putText(row.weightText, decimal(weights[t][index]));
      row.node.classList.toggle("strongest", index === bestIndex(Array.from(weights[t])));
    });
    putText(table.total, say("sum_is", { sum: decimal(sum(Array.from(weights[t]))) }));
    const { node } = table, best = table.rows[bestIndex(Array.from(weights[t]))].node;
    if (!node.matches(":hover, :focus")) node.scrollTop = best.offsetTop - node.clientHeight / 2;
  }

  /** One unit of the context, as the sum it is. */
  function writeSum(t) {
    const { weights, context: contexts } = heads[head];
    const order = Array.from(weights[t], (weight, index) => ({ weight, index })).sort((a, b) => b.weight - a.weight);
    const value = (index) => (heads[head].values ?? walk.encoder.annotations)[index][unit];
    const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);
    const terms = order.slice(0, 3).map(({ weight, index }) => `${decimal(weight)} × ${bracket(decimal(value(index)))}`);
    const rest = sum(order.slice(3).map(({ weight, index }) => weight * value(index)));
    const more = order.length > 3 ? ` + (${say("the_rest", { count: order.length - 3, value: decimal(rest) })})` : "";
    added.replaceChildren(`${say("unit_of_context", { unit: unit * contexts[t].every })} = ${terms.join(" + ")}${more} = `, element("b", {}, decimal(contexts[t][unit])));
  }

  function writeChoices(t) {
    const choice = walk.decoder.choices[t];
    const [low, high] = [Math.min(...choice.logits) - 1, Math.max(...choice.logits)];
    top.replaceChildren(...choice.pieces.map((piece, index) => {
      const share = Math.exp(choice.log_probs[index]);
      return element("div", { class: `choice ${index === choice.chosen ? "chosen" : ""}` },
        element("bdi", { class: "chip target" }, shownPiece(piece)),
        element("span", { class: "bar logit" }, element("i", { style: { "--share": (choice.logits[index] - low) / (high - low) } })),
        element("output", { class: "logit" }, decimal(choice.logits[index], 2)),
        element("span", { class: "bar probability" }, element("i", { style: { "--share": share } })),
        element("output", { class: "probability", dataset: { probability: share } }, percent(share)));
    }));
    const { logits, log_probs: logProbs, chosen, normalizer, rank } = choice;
    normalised.replaceChildren(`exp(${decimal(logits[chosen])} − ${decimal(normalizer)}) = `, element("b", {}, decimal(Math.exp(logProbs[chosen]))),
      ` · ${say("normalizer")}`, rank > 1 ? ` · ${say("rank", { rank })}` : "");
  }

  function write(t) {
    heading.replaceChildren(say("step_makes", { step: t + 1 }), " ", chip(walk.target, t, "target"));
    query.put(hasAttention ? heads[head].query[t] : walk.decoder.layers.at(-1).hidden[t]);
    tabs.forEach((tab, index) => put(tab, "aria-pressed", index === head));
    if (hasAttention) {
      context.put(heads[head].context[t]);
      unit = strongest(heads[head].context[t]);
      writeTable(t);
      writeSum(t);
    }
    if (parts.length) attentional.put(walk.decoder.attentional[t]);
    for (const { name, row } of parts) row.put(walk.decoder.combined[name][t]);
    writeChoices(t);
  }

  function draw(now) {
    const t = Math.max(now.t, 0);
    if (drawn !== `${t} ${head}`) write(t);
    drawn = `${t} ${head}`;
    const part = (name) => (now.t < 0 ? 0 : clock.partOf(now, name));
    putStyle(query.node, "opacity", 0.15 + 0.85 * part("recur"));
    if (hasAttention) {
      const [energies, weights, mixed] = ["energies", "weights", "context"].map(part);
      table.rows.forEach((row, index) => {
        const own = clamp(energies * 1.5 - (0.5 * index) / table.rows.length);
        putStyle(row.energy, "--share", (own * row.energyShare).toFixed(3));
        putStyle(row.energyText, "opacity", own.toFixed(2));
        putStyle(row.weight, "--share", (weights * row.weightShare).toFixed(3));
        putStyle(row.weightText, "opacity", weights.toFixed(2));
        putStyle(row.weighted, "opacity", (mixed * Math.sqrt(row.weightShare)).toFixed(3));
      });
      putStyle(table.total, "opacity", weights.toFixed(2));
      for (const node of [context.node, added]) putStyle(node, "opacity", clamp(mixed * 2 - 1).toFixed(2));
    }
    putStyle(combine, "opacity", (hasAttention ? part("combine") : part("logits")).toFixed(2));
    putStyle(output, "opacity", clamp(part("logits") * 2).toFixed(2));
    putStyle(output, "--logits", part("logits").toFixed(2));
    putStyle(output, "--chosen", part("choose").toFixed(2));
    mark(output, "decided", part("choose") > 0.5);
  }
  return { id, node, draw };
}
