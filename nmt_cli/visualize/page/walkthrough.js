"use strict";
// The page: a sentence is chosen, its figures are built, and the clock draws those that can be seen.

const FIGURES = [
  blackBox,
  embeddings,
  recurrentCell,
  encoderRun,
  unrolled,
  attentionStep,
  decoding,
  alignmentMatrix,
  beamSearch,
  whatIf,
];
const trace = JSON.parse(document.getElementById("trace").textContent);
const walks = trace.walks.map((packed) => ({
  packed,
  get walk() {
    return (this.unpacked ??= unpackAll(packed));
  },
}));
const clock = new Clock();
let figures = [],
  refreshTransport = () => {},
  chosen = 0;

/** What stands above the figures, and below them. */
function head(walk, model) {
  const list = element(
    "select",
    { id: "sentences", "aria-label": say("sentence"), onchange: () => open(Number(list.value)) },
    walks.map(({ packed }, index) =>
      element("option", { value: index, selected: index === chosen }, `${packed.model}: ${packed.source_text}`),
    ),
  );
  const languages = element(
    "select",
    {
      id: "language",
      "aria-label": say("language"),
      onchange: () => {
        language = languages.value;
        open(chosen, true);
      },
    },
    Object.keys(TEXTS).map((name) => element("option", { value: name, selected: name === language }, TEXTS[name].name)),
  );
  document
    .getElementById("head")
    .replaceChildren(
      element("div", { class: "masthead" }, element("strong", {}, "nmt"), walks.length > 1 ? list : "", languages),
      element(
        "h1",
        { class: walk.source_text.length > 90 ? "long" : null },
        element("bdi", { class: "from" }, walk.source_text),
        element("span", { "aria-hidden": "true" }, " → "),
        element("bdi", { class: "to" }, walk.text),
      ),
      ...paragraphs("introduction"),
      facts(walk, model),
      ...walk.flags.map((flag) => element("p", { class: "flag" }, say(`flag_${flag}`))),
      walk.forced ? element("p", { class: "flag" }, say("forced")) : "",
      doubts({ walk, clock }),
    );
  const form = {
    float32: "form_exact",
    int16: "form_rounded",
    int8: walk.form.every > 1 ? "form_sampled" : "form_coarse",
  }[walk.form.type];
  document
    .getElementById("foot")
    .replaceChildren(
      element("p", {}, say("keys")),
      element("p", {}, say(form, walk.form)),
      element("p", {}, say("made_by")),
    );
}

/** In which direction the encoder reads, as the key of a text. */
function directionOfReading(walk) {
  const { runs, inputs } = walk.encoder;
  if (bothWays(walk)) return bothWays(walk) < inputs.length ? "some_both_directions" : "both_directions";
  return runs[0].reverse ? "reversed" : "one_direction";
}

/** What kind of model this is. */
function facts(walk, model) {
  const cell = model.cell.split("_")[0].toUpperCase();
  const parts = [
    ["model", walk.model],
    ["cells", isKnown(`cell_${model.cell}`) ? say(`cell_${model.cell}`) : cell],
    [
      "encoder",
      say("fact_encoder", {
        layers: model.encoder_layers,
        units: model.encoder_units,
        direction: say(directionOfReading(walk), { count: bothWays(walk) }),
      }),
    ],
    [
      "decoder",
      say("fact_decoder", {
        layers: model.decoder_layers,
        units: model.decoder_units,
        kind: say(model.input_feeding ? "decoder_feeding" : `decoder_${model.decoder}`),
      }),
    ],
    [
      "attention",
      [
        say(`attention_${model.attention}`, { heads: model.attention_heads }),
        model.attention_span === "global"
          ? ""
          : say(`span_${model.attention_span}`, { window: model.attention_window }),
        model.coverage ? say("with_coverage") : "",
      ]
        .filter(Boolean)
        .join(", "),
    ],
  ];
  return element(
    "dl",
    { class: "facts" },
    parts.map(([name, text]) =>
      element("div", {}, element("dt", {}, say(`fact_name_${name}`)), element("dd", {}, text)),
    ),
  );
}

/** Builds the page for a sentence. */
function open(index, keepsTime = false) {
  const before = clock.index;
  chosen = index;
  const { walk } = walks[index];
  const model = trace.models[walk.model];
  clock.begin(walk, partsOf(walk));
  document.documentElement.lang = language;
  head(walk, model);
  refreshTransport = buildTransport(clock, model);
  const view = { walk, walks, clock, model, ranges: rangesOf(walk) };
  figures = FIGURES.map((build) => ({ ...build(view), isVisible: true }));
  document.getElementById("figures").replaceChildren(...figures.map(({ node }) => node));
  watch();
  clock.seek(keepsTime ? before : 0);
}

/** Figures that cannot be seen are not drawn until they can. */
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const figure = figures.find(({ node }) => node === target);
      if (figure) figure.isVisible = isIntersecting;
      if (figure && isIntersecting) figure.draw(clock.now);
    }
  },
  { rootMargin: "150px" },
);

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
addEventListener("beforeprint", () => {
  clock.pause();
  document.documentElement.classList.add("printing");
  clock.seek(clock.moments.length - 1);
  for (const { measure, draw } of figures) (measure?.(), draw(clock.now));
});
addEventListener("afterprint", () => document.documentElement.classList.remove("printing"));
addEventListener("hashchange", goToAddress);

/** An address may name a moment, a figure, or both: walk.html#23, walk.html#attention, walk.html#attention,23. */
function goToAddress() {
  for (const name of location.hash.slice(1).split(",")) {
    if (/^\d+$/.test(name)) clock.scrub(Number(name));
    else document.querySelector("#figures").children.namedItem(name)?.scrollIntoView({ behavior: "instant" });
  }
}
open(0);
goToAddress();
