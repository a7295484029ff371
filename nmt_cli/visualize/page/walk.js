"use strict";
// What a walk holds, by the questions that figures ask of it.

const hasAttention = (walk) => walk.decoder.attentions.length > 0;

/** The parts of a decoder's step in the order in which it was heard to compute them. */
function partsOf({ decoder: { order } }) {
  const cells = (place) => (order.indexOf("state") < place ? "climb" : "recur");
  const parts = { attention: ["energies", "weights", "context"], combine: ["combine"], output: ["logits", "choose"] };
  return order.flatMap((kind, place) => parts[kind] ?? [cells(place)]);
}

/** Whether the decoder looks at the source before its cells read the word. */
const looksFirst = (parts) => parts[0] === "energies";

/** As long as another vector, and all zero. */
const zerosLike = (vector) => Object.assign(new Float32Array(vector.length), { every: vector.every });

/** Vectors one after the other. */
function joined(vectors) {
  if (vectors.length === 1) return vectors[0];
  return Object.assign(Float32Array.from(vectors.flatMap((vector) => Array.from(vector))), { every: vectors[0].every });
}

/** Two vectors, unit by unit. */
const combined = (first, second, combine) =>
  Object.assign(
    first.map((value, unit) => combine(value, second[unit])),
    { every: first.every },
  );

/** The context vector of a step: of several heads side by side; without attention Cho's, or none. */
function contextAt(walk, t) {
  const { attentions, combined: parts } = walk.decoder;
  return attentions.length ? joined(attentions.map(({ context }) => context[t])) : parts.context?.[t];
}

/** The weights of a step; of several heads, their mean. */
function weightsAt(walk, t) {
  const heads = walk.decoder.attentions.map(({ weights }) => weights[t]);
  return Array.from(heads[0], (_, index) => sum(heads.map((weights) => weights[index])) / heads.length);
}

/** What a decoder cell hands to the layer above. */
const handedUp = (cell, t) => (cell.handed_up ?? cell.values.hidden)[t];

/** The hidden state of the decoder's top cell after step t; before the first, -1. */
const topState = (walk, t) =>
  (t < 0 ? walk.decoder.initial.at(-1) : { hidden: walk.decoder.cells.at(-1).values.hidden[t] }).hidden;

/** The state that a decoder cell begins step t with, by name. */
function stateBefore(walk, place, t) {
  const { cells, initial } = walk.decoder;
  const { layer } = cells[place];
  const at = (cell, step) => Object.fromEntries(Object.entries(cell.values).map(([name, rows]) => [name, rows[step]]));
  if (place > 0 && cells[place - 1].layer === layer) return at(cells[place - 1], t);
  return t > 0
    ? at(
        cells.findLast((cell) => cell.layer === layer),
        t - 1,
      )
    : initial[layer];
}

/** What a decoder cell reads in step t besides its state: name and vector of each. */
function readBy(walk, place, t) {
  const { cells, embedded, attentional } = walk.decoder;
  const before = (rowAt) => (t > 0 ? rowAt(t - 1) : zerosLike(rowAt(0)));
  const found = {
    embedded: () => embedded[t],
    below: () => handedUp(cells[place - 1], t),
    context: () => contextAt(walk, t),
    context_before: () => before((step) => contextAt(walk, step)),
    attentional_before: () => before((step) => attentional[step]),
  };
  return cells[place].reads.map((name) => ({ name, vector: found[name]() }));
}

/** How many of the encoder's layers read in both directions. */
const bothWays = ({ encoder: { runs, inputs } }) => runs.length - inputs.length;

/** The runs of the encoder's top layer, and the state that each of them ends in, side by side. */
const topRuns = (walk) => walk.encoder.runs.filter(({ layer }) => layer === walk.encoder.inputs.length - 1);
const finalState = (walk) => joined(topRuns(walk).map(({ reverse, cell }) => cell.hidden.at(reverse ? 0 : -1)));

/** All that the decoder gets to see of the source: every annotation, or one vector. */
function handedOver(walk) {
  if (hasAttention(walk)) return walk.encoder.annotations;
  return [walk.decoder.combined.context?.[0] ?? finalState(walk)];
}

/** How probable the model found the token that step t took. */
function shareOf(walk, t) {
  const choice = walk.decoder.choices[t];
  return Math.exp(choice.log_probs[choice.chosen]);
}

/** What each kind of vector reaches, over the whole sentence, so that colours mean the same everywhere. */
function rangesOf(walk) {
  const { encoder, decoder } = walk;
  const cells = [...encoder.runs.map(({ cell }) => cell), ...decoder.cells.map(({ values }) => values)];
  const read = hasAttention(walk)
    ? decoder.attentions.flatMap(({ values, context }) => [...(values ?? encoder.annotations), ...context])
    : handedOver(walk);
  return {
    embedding: rangeOf([...encoder.inputs[0], ...decoder.embedded]),
    encoder: rangeOf([...encoder.runs.flatMap(({ cell }) => cell.hidden), ...encoder.inputs.slice(1).flat()]),
    decoder: rangeOf([
      ...decoder.initial.map(({ hidden }) => hidden),
      ...decoder.cells.flatMap(({ values, handed_up: up }) => [...values.hidden, ...(up ?? [])]),
    ]),
    memory: rangeOf(cells.flatMap(({ memory }) => memory ?? [])),
    annotation: rangeOf(encoder.annotations),
    context: rangeOf(read),
    attentional: rangeOf(decoder.attentional),
  };
}
