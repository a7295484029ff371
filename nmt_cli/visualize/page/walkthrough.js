"use strict";
// The page: a sentence is chosen, its figures are built, and the clock draws those that can be seen.

const FIGURES = [blackBox, embeddings, recurrentCell, encoderRun, unrolled, attentionStep, decoding, alignmentMatrix, beamSearch, whatIf];
const trace = JSON.parse(document.getElementById("trace").textContent);
const walks = trace.walks.map((packed) => ({ packed, get walk() { return (this.unpacked ??= unpackAll(packed)); } }));
const clock = new Clock();
let figures = [], refreshTransport = () => {}, chosen = 0;

/** What each kind of vector reaches, over the whole sentence, so that colours mean the same everywhere. */
function rangesOf(walk) {
  const read = walk.encoder.runs.map(({ cell }) => cell);
  const cells = [...read, ...walk.decoder.layers];
  return {
    embedding: rangeOf([...walk.encoder.embedded, ...walk.decoder.embedded]),
    read: rangeOf(read.flatMap(({ hidden }) => hidden)),
    written: rangeOf(walk.decoder.layers.flatMap(({ hidden }) => hidden)),
    initial: rangeOf([walk.decoder.initial.at(-1).hidden]),
    memory: rangeOf(cells.flatMap(({ memory }) => memory ?? [])),
    encoder: rangeOf(walk.encoder.annotations),
    attentional: rangeOf(walk.decoder.attentional),
  };
}

function head(walk) {
  const list = element("select", { id: "sentences", "aria-label": say("sentence"), onchange: () => open(Number(list.value)) },
    walks.map(({ packed }, index) => element("option", { value: index, selected: index === chosen }, `${packed.model}: ${packed.source_text}`)));
  const languages = element("select", { id: "language", "aria-label": say("language"), onchange: () => { language = languages.value; open(chosen, true); } },
    Object.keys(TEXTS).map((name) => element("option", { value: name, selected: name === language }, TEXTS[name].name)));
  const model = trace.models[walk.model];
  const sample = { float32: "form_exact", int16: "form_rounded", int8: walk.form.every > 1 ? "form_sampled" : "form_coarse" }[walk.form.type];
  document.getElementById("head").replaceChildren(
    element("div", { class: "masthead" }, element("strong", {}, "nmt"), walks.length > 1 ? list : "", languages),
    element("h1", {}, element("bdi", { class: "from" }, walk.source_text), element("span", { "aria-hidden": "true" }, " → "), element("bdi", { class: "to" }, walk.text)),
    ...paragraphs("introduction"),
    element("p", { class: "facts" }, say("facts", { ...model, model: walk.model, attention: say(isKnown(`attention_${model.attention}`) ? `attention_${model.attention}` : "attention_other", model),
      direction: say(model.bidirectional ? "both_directions" : "one_direction"), feeding: say(model.input_feeding ? "with_feeding" : "without_feeding") })),
    ...walk.flags.map((flag) => element("p", { class: "flag" }, say(`flag_${flag}`))),
    walk.forced ? element("p", { class: "flag" }, say("forced")) : "", doubts({ walk, clock }));
  document.getElementById("foot").replaceChildren(element("p", {}, say("keys")), element("p", {}, say(sample, walk.form)), element("p", {}, say("made_by")));
}

/** Builds the page for a sentence. */
function open(index, keepsTime = false) {
  const before = clock.index;
  chosen = index;
  const { walk } = walks[index];
  clock.begin(walk);
  document.documentElement.lang = language;
  const view = { walk, walks, clock, ranges: rangesOf(walk), model: trace.models[walk.model] };
  head(walk);
  refreshTransport = buildTransport(clock);
  figures = FIGURES.map((build) => ({ ...build(view), isVisible: true }));
  document.getElementById("figures").replaceChildren(...figures.map(({ node }) => node));
  watch();
  clock.seek(keepsTime ? before : 0);
}

/** Figures that cannot be seen are not drawn until they can. */
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const figure = figures.find(({ node }) => node === target);
    if (figure) figure.isVisible = isIntersecting;
    if (figure && isIntersecting) figure.draw(clock.now);
  }
}, { rootMargin: "150px" });

function watch() {
  watcher.disconnect();
  for (const { node } of figures) watcher.observe(node);
}

clock.listen(() => {
  refreshTransport();
  const { now } = clock;
  for (const figure of figures) if (figure.isVisible) figure.draw(now);
});
addEventListener("keydown", (event) => handleKey(clock, event));
addEventListener("beforeprint", () => { clock.pause(); clock.seek(clock.moments.length - 1); figures.forEach(({ draw }) => draw(clock.now)); });
open(0);
