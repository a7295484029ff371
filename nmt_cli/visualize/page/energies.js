"use strict";
// The middle of figure 6: energies become weights, weights take their share of the annotations. And its end: logits
// become probabilities.

/** A row for each source token; columns as this attention computes them. */
function energyTable(walk, ranges, model) {
  const [first] = walk.decoder.attentions;
  const isGaussian = first.window?.some((row) => Array.from(row).some((factor) => factor > 0 && factor < 1)) ?? false;
  const columns = [
    "token",
    first.values ? "value" : "annotation",
    first.coverage ? "coverage" : null,
    "energy",
    isGaussian ? "softmax" : null,
    isGaussian ? "window" : null,
    "weight",
    "weighted",
  ].filter(Boolean);
  const rows = walk.source.map((token, index) => tableRow(walk, ranges, columns, index));
  const total = element("output", { id: "weights-sum" });
  const cell = (name) =>
    element("td", { class: name === "weight" ? "number" : `of-${name}` }, name === "weight" ? total : "");
  const node = element(
    "div",
    {
      class: `energy-table ${columns.length > 5 ? "crowded" : ""}`,
      tabindex: 0,
      role: "region",
      "aria-label": say("energies_and_weights"),
    },
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          columns.map((name) => element("th", { scope: "col", class: `of-${name}` }, say(`column_${name}`))),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map((row) => row.node),
      ),
      element("tfoot", {}, element("tr", {}, columns.map(cell))),
    ),
  );

  const softmax = element("p", { class: "sum", id: "weight-sum" });
  const place = element("p", { class: "sum", id: "place" });

  function write(attention, t) {
    const { energies, weights, window, position, coverage } = attention;
    const inReach = (index) => !window || window[t][index] > 0;
    const reached = Array.from(energies[t]).filter((_, index) => inReach(index));
    const [low, high] = [Math.min(...reached), Math.max(...reached)];
    const best = bestIndex(Array.from(weights[t]));
    rows.forEach((row, index) => {
      const weight = weights[t][index];
      const annotation = (attention.values ?? walk.encoder.annotations)[index];
      row.shares = {
        energy: inReach(index) ? 0.04 + (0.96 * (energies[t][index] - low)) / (high - low || 1) : 0,
        weight,
      };
      putText(row.texts.energy, inReach(index) ? decimal(energies[t][index], 2) : say("out_of_reach"));
      putText(row.texts.weight, decimal(weight));
      if (isGaussian) {
        putText(row.texts.softmax, inReach(index) ? decimal(weight / window[t][index]) : "");
        putText(row.texts.window, inReach(index) ? `× ${decimal(window[t][index])}` : "");
      }
      if (coverage) putText(row.texts.coverage, decimal(coverage[t][index], 2));
      fill(row.annotation, annotation);
      fill(
        row.weighted,
        combined(annotation, annotation, (value) => weight * value),
      );
      mark(row.node, "strongest", index === best);
      mark(row.node, "out-of-reach", !inReach(index));
    });
    const strongest = { energy: energies[t][best], weight: weights[t][best], factor: isGaussian ? window[t][best] : 1 };
    writeSoftmax(reached, strongest);
    if (position) writePlace(position[t], best, strongest.factor);
    putText(total, say("sum_is", { sum: decimal(sum(Array.from(weights[t]))) }));
    if (!node.matches(":hover, :focus")) node.scrollTop = rows[best].node.offsetTop - node.clientHeight / 2;
  }

  /** The arithmetic of the strongest row. energies: those in reach. */
  function writeSoftmax(energies, { energy, weight, factor }) {
    const most = Math.max(...energies);
    const normalizer = most + Math.log(sum(energies.map((each) => Math.exp(each - most))));
    softmax.replaceChildren(
      exponential(energy, normalizer),
      isGaussian ? ` × ${decimal(factor)}` : "",
      " = ",
      element("b", {}, decimal(weight)),
      element("span", { class: "muted" }, ` ${say(isGaussian ? "weight_is_near" : "weight_is")}`),
    );
  }

  /** Where local attention looks, and how near the strongest token is to that place. */
  function writePlace(position, best, factor) {
    const at = decimal(position, 2);
    place.replaceChildren(
      say("looks_around", { place: at }),
      isGaussian ? `; ${say("column_window")} = exp(−2 × ((${best + 1} − ${at}) / ${model.attention_window})²) = ` : "",
      isGaussian ? element("b", {}, decimal(factor)) : "",
    );
  }

  function draw(energies, weights, context) {
    rows.forEach(({ node: row, bars, texts, shares, weighted }, index) => {
      const own = clamp(energies * 1.5 - (0.5 * index) / rows.length);
      putStyle(bars.energy, "--share", (own * shares.energy).toFixed(3));
      putStyle(texts.energy, "opacity", own.toFixed(2));
      for (const name of ["coverage", "softmax", "window"])
        if (texts[name]) putStyle(texts[name], "opacity", (name === "coverage" ? own : weights).toFixed(2));
      putStyle(bars.weight, "--share", (weights * shares.weight).toFixed(3));
      putStyle(texts.weight, "opacity", weights.toFixed(2));
      putStyle(weighted, "opacity", context.toFixed(2));
      mark(row, "weighed", weights > 0.5);
    });
    for (const each of [total, softmax, place]) putStyle(each, "opacity", weights.toFixed(2));
  }
  return { nodes: [node, first.position ? place : "", softmax], write, draw };
}

/** One value of a softmax in numbers, with digits enough that the result can be checked. */
const exponential = (value, normalizer) => `exp(${decimal(value, 4)} − ${bracket(decimal(normalizer, 4))})`;

/** One source token: its cells by column, and what is written into them. */
function tableRow(walk, ranges, columns, index) {
  const name = say("annotation_of", { token: shownPiece(walk.source[index].piece) });
  const vector = (walk.decoder.attentions[0].values ?? walk.encoder.annotations)[index];
  const annotation = strip(vector, { kind: "context", range: ranges.context, name });
  const weighted = strip(vector, { kind: "context", range: ranges.context, name: `${say("column_weight")} × ${name}` });
  const bars = {},
    texts = {};
  const content = {
    token: () => chip(walk.source, index, "source"),
    annotation: () => annotation,
    value: () => annotation,
    weighted: () => weighted,
  };
  const number = (column) => {
    if (column === "energy" || column === "weight") bars[column] = element("i", {});
    texts[column] = element("output", {});
    return [bars[column] ? element("span", { class: "bar" }, bars[column]) : "", texts[column]];
  };
  const cells = columns.map((column) =>
    column === "token"
      ? element("th", { scope: "row", class: "token" }, content.token())
      : element(
          "td",
          { class: `of-${column} ${column in content ? "" : "number"}` },
          content[column]?.() ?? number(column),
        ),
  );
  return { node: element("tr", {}, cells), annotation, weighted, bars, texts };
}

/** The likeliest tokens with logits and probabilities, and the arithmetic of the one that was taken. */
function outputTable() {
  const top = element("div", { class: "choices", id: "choices" });
  const normalised = element("p", { class: "sum", id: "softmax-sum" });
  const node = element(
    "div",
    { class: "stage-part" },
    element("p", { class: "operation" }, say("operation_output")),
    top,
    normalised,
  );

  function write(choice) {
    const [low, high] = [Math.min(...choice.logits) - 1, Math.max(...choice.logits)];
    top.replaceChildren(
      ...choice.pieces.map((piece, index) => {
        const share = Math.exp(choice.log_probs[index]);
        return element(
          "div",
          { class: `choice ${index === choice.chosen ? "chosen" : ""}` },
          element("bdi", { class: "chip target" }, shownPiece(piece)),
          element(
            "span",
            { class: "bar logit" },
            element("i", { style: { "--share": (choice.logits[index] - low) / (high - low) } }),
          ),
          element("output", { class: "logit" }, decimal(choice.logits[index], 2)),
          element("span", { class: "bar probability" }, element("i", { style: { "--share": share } })),
          element("output", { class: "probability", dataset: { probability: share } }, percent(share)),
        );
      }),
    );
    const { logits, log_probs: logProbs, chosen, normalizer, rank } = choice;
    normalised.replaceChildren(
      `${exponential(logits[chosen], normalizer)} = `,
      element("b", {}, decimal(Math.exp(logProbs[chosen]))),
      element("span", { class: "muted" }, ` ${say("normalizer")}${rank > 1 ? ` ${say("rank", { rank })}` : ""}`),
    );
  }
  return { node, write };
}
