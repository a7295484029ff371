"use strict";
// Figure 6. One decoder step in slow motion, its parts in the order in which this decoder computes them. Every number
// is the model's own, and they add up.

function attentionStep({ walk, clock, ranges, model }) {
  const looks = hasAttention(walk);
  const { id, node, stage } = frame(
    "attention",
    6,
    clock,
    { phase: "decode" },
    stepTexts(walk, model),
    { energy: energyText(model), window: model.attention_window },
    looks ? "attention_title" : "attention_title_none",
  );
  const heads = walk.decoder.attentions;
  let head = 0,
    unit = 0,
    drawn = "";
  const tabs =
    heads.length < 2
      ? []
      : heads.map((_, index) =>
          element(
            "button",
            {
              type: "button",
              onclick: () => {
                head = index;
                drawn = "";
                draw(clock.now);
              },
            },
            say("head", { head: index + 1 }),
          ),
        );
  const heading = element("p", { class: "path" });
  const table = looks ? energyTable(walk, ranges, model) : null;
  const added = element("p", { class: "sum", id: "context-sum" });
  const output = outputTable();
  const blocks = clock.parts.map((part) => ({ part, ...(buildBlock(part) ?? {}) })).filter(({ node }) => node);
  stage.append(
    heading,
    tabs.length ? element("div", { class: "tabs", role: "group", "aria-label": say("heads") }, tabs) : "",
    ...blocks.map(({ node }) => node),
  );

  /** What a part of the step shows: its node, and a function that writes step t into it. */
  function buildBlock(part) {
    const state = { kind: "decoder", range: ranges.decoder };
    const top = walk.decoder.initial.length > 1 ? "value_top" : "value_hidden";
    const asking = `value_query_${model.decoder}`;
    const query = () => valueBlock(isKnown(asking) ? asking : top, state, (t) => heads[head].query[t]);
    // What the cells have made by the end of the step: it is combined, or goes to the output layer.
    const made = () => valueBlock(top, state, (t) => handedUp(walk.decoder.cells.at(-1), t));
    if (part === "recur")
      return looksFirst(clock.parts) ? operationBlock("operation_recur_late", made()) : looks ? query() : made();
    if (part === "climb") return operationBlock(`operation_climb_${model.decoder}`, made());
    if (part === "energies") {
      const asks = looksFirst(clock.parts) ? query() : null;
      return {
        node: element("div", { class: "stage-part" }, asks?.node ?? "", table.nodes),
        write: (t) => {
          asks?.write(t);
          table.write(heads[head], t);
        },
      };
    }
    if (part === "context") {
      const block = valueBlock(
        heads.length > 1 ? "value_context_head" : "value_context",
        { kind: "context", range: ranges.context },
        (t) => heads[head].context[t],
      );
      block.row.shown.addEventListener("pointermove", (event) => {
        unit = unitAt(event, block.row.shown);
        writeSum(clock.now.t);
      });
      block.node.append(added);
      return {
        ...block,
        write: (t) => {
          block.write(t);
          unit = strongestUnit(heads[head].context[t]);
          writeSum(Math.max(t, 0));
        },
      };
    }
    if (part === "combine") return combineBlock(walk, ranges, model);
    if (part === "logits") return { node: output.node, write: (t) => output.write(walk.decoder.choices[t]) };
    return null;
  }

  /** One unit of the context, as the sum it is. */
  function writeSum(t) {
    const { weights, context: contexts, values } = heads[head];
    const order = Array.from(weights[t], (weight, index) => ({ weight, index })).sort((a, b) => b.weight - a.weight);
    const value = (index) => (values ?? walk.encoder.annotations)[index][unit];
    const terms = order
      .slice(0, 3)
      .map(({ weight, index }) => `${decimal(weight)} × ${bracket(decimal(value(index)))}`);
    const rest = sum(order.slice(3).map(({ weight, index }) => weight * value(index)));
    const more = order.length > 3 ? ` + (${say("the_rest", { count: order.length - 3, value: decimal(rest) })})` : "";
    added.replaceChildren(
      `${say("unit_of_context", { unit: unit * contexts[t].every })} = ${terms.join(" + ")}${more} = `,
      element("b", {}, decimal(contexts[t][unit])),
    );
    frameUnit(blocks.find(({ part }) => part === "context").row.shown, unit);
  }

  function draw(now) {
    const t = Math.max(now.t, 0);
    if (drawn !== `${t} ${head}`) {
      heading.replaceChildren(
        element("span", {}, say("step_makes", { step: t + 1 })),
        " ",
        chip(walk.target, t, "target"),
      );
      tabs.forEach((tab, index) => put(tab, "aria-pressed", index === head));
      for (const { write } of blocks) write(t);
    }
    drawn = `${t} ${head}`;
    const share = (part) => (now.t < 0 ? 0 : clock.partOf(now, part));
    for (const { part, node } of blocks) putStyle(node, "opacity", (0.1 + 0.9 * clamp(2 * share(part))).toFixed(2));
    table?.draw(share("energies"), share("weights"), share("context"));
    putStyle(output.node, "--logits", share("logits").toFixed(2));
    putStyle(output.node, "--chosen", share("choose").toFixed(2));
    mark(output.node, "decided", share("choose") > 0.5);
  }
  return { id, node, draw };
}

/** Which texts explain this decoder's step. */
function stepTexts(walk, model) {
  if (!hasAttention(walk))
    return [model.decoder === "cho" ? "attention_text_cho" : "attention_text_none", "attention_text_beam"];
  return [
    `attention_text_${model.decoder}`,
    model.attention_span === "global" ? null : `attention_text_${model.attention_span}`,
    model.attention === "multi_head" ? "attention_text_heads" : null,
    model.coverage ? "attention_text_coverage" : null,
    "attention_text_beam",
  ].filter(Boolean);
}

/** How energies come about, in words. */
const energyText = (model) => say(isKnown(`energy_${model.attention}`) ? `energy_${model.attention}` : "energy_other");

/** A vector by name, with a function that puts step t's in. */
function valueBlock(name, options, vectorAt) {
  const row = vectorRow(say(name), vectorAt(0), options);
  return { row, node: element("div", { class: "stage-part" }, row.node), write: (t) => fill(row.shown, vectorAt(t)) };
}

/** The same below the operation that makes the vector. */
function operationBlock(name, block) {
  block.node.prepend(element("p", { class: "operation" }, say(name)));
  return block;
}

/** What the attentional vector is made of, side by side, and the vector. */
function combineBlock(walk, ranges, model) {
  const kinds = {
    hidden: ["decoder", ranges.decoder],
    context: ["context", ranges.context],
    embedded: ["embedding", ranges.embedding],
  };
  const nameOf = (name) =>
    say(name === "hidden" && model.decoder === "bahdanau" ? "value_hidden_before" : `value_${name}`);
  const { combined: parts, attentional } = walk.decoder;
  const strips = Object.entries(parts).map(([name, rows]) => ({
    rows,
    node: strip(rows[0], { kind: kinds[name][0], range: kinds[name][1], name: nameOf(name), focusable: true }),
  }));
  const made = valueBlock("value_attentional", { kind: "decoder", range: ranges.attentional }, (t) => attentional[t]);
  const node = element(
    "div",
    { class: "stage-part" },
    element(
      "div",
      { class: "vector-row" },
      element("span", { class: "name" }, `[${Object.keys(parts).map(nameOf).join("; ")}]`),
      element(
        "div",
        { class: "parts" },
        strips.map(({ node: each }) => each),
      ),
    ),
    element(
      "p",
      { class: "operation" },
      say(isKnown(`operation_combine_${model.decoder}`) ? `operation_combine_${model.decoder}` : "operation_combine"),
    ),
    made.node,
  );
  return {
    node,
    write: (t) => {
      made.write(t);
      for (const { rows, node: each } of strips) fill(each, rows[t]);
    },
  };
}
