"use strict";
// Figure 10. What if: the sentence without one of its words; and two sentences, or two models, side by side.

function whatIf({ walk, walks, clock }) {
  const { id, node, stage } = frame(
    "whatif",
    10,
    clock,
    null,
    walks.length > 1 ? ["whatif_text", "whatif_text_two"] : "whatif_text",
  );
  const words = walk.source_text.split(/\s+/).filter(Boolean);
  const answer = element("div", { class: "answer", "aria-live": "polite" });
  const buttons = walk.variants.map((variant) =>
    element(
      "button",
      {
        type: "button",
        class: "chip source",
        "aria-pressed": false,
        onclick: () => show(variant),
      },
      element("bdi", {}, words[variant.without]),
    ),
  );
  if (buttons.length)
    stage.append(
      element(
        "p",
        { class: "prompt" },
        say(buttons.length < words.length ? "take_away_first" : "take_away", { count: buttons.length }),
      ),
      element("div", { class: "sentence", dir: directionOf(walk.source_text) }, buttons),
      answer,
    );
  if (walks.length > 1) stage.append(sideBySide(walk, walks));

  function show(variant) {
    buttons.forEach((button, index) => {
      put(button, "aria-pressed", walk.variants[index] === variant);
      mark(button, "removed", walk.variants[index] === variant);
    });
    answer.replaceChildren(
      comparison(say("with_all"), walk.source_text, walk.text.split(" "), variant.text.split(" "), walk.score),
      comparison(
        say("without", { word: words[variant.without] }),
        variant.source,
        variant.text.split(" "),
        walk.text.split(" "),
        variant.score,
      ),
      element("p", {}, say(variant.text === walk.text ? "no_change" : "changed")),
    );
  }

  /** A translation with those of its words marked that the other one does not have. */
  function comparison(title, source, own, other, score) {
    const kept = commonWords(own, other);
    return element(
      "div",
      { class: "comparison" },
      element("h3", {}, title),
      element("p", { class: "muted", dir: "auto" }, source),
      element(
        "p",
        { class: "sentence", dir: "auto" },
        own.map((word, index) => element("span", { class: kept.has(index) ? "" : "changed" }, `${word} `)),
      ),
      element("p", { class: "muted" }, `${say("column_score")} ${decimal(score)}`),
    );
  }
  if (buttons.length) show(walk.variants.find(({ text }) => text !== walk.text) ?? walk.variants[0]);
  return { id, node, draw() {} };
}

/** Places of words in `own` that are in a longest common subsequence with `other`. */
function commonWords(own, other) {
  const lengths = Array.from({ length: own.length + 1 }, () => new Array(other.length + 1).fill(0));
  for (let i = own.length - 1; i >= 0; i--)
    for (let j = other.length - 1; j >= 0; j--)
      lengths[i][j] = own[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
  const kept = new Set();
  for (let i = 0, j = 0; i < own.length && j < other.length;) {
    if (own[i] === other[j]) (kept.add(i++), j++);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return kept;
}

/** Two walks next to each other: translations, how sure each is of its words, and matrices. */
function sideBySide(walk, walks) {
  const own = walks.findIndex(({ unpacked }) => unpacked === walk);
  const holder = element("div", { class: "side-by-side" });
  const choose = element(
    "select",
    { id: "other", onchange: show },
    walks.map(({ packed }, index) =>
      element("option", { value: index, disabled: index === own }, `${packed.model}: ${packed.source_text}`),
    ),
  );
  const others = walks.map((_, index) => index).filter((index) => index !== own);
  choose.value = others.find((index) => walks[index].packed.source_text === walk.source_text) ?? others[0];

  function show() {
    const pair = [walk, walks[Number(choose.value)].walk];
    holder.replaceChildren(...pair.map((each, place) => side(each, pair[1 - place])));
  }

  function side(each, other) {
    const words = each.source_text.split(/\s+/).filter(Boolean);
    const kept = commonWords(words, other.source_text.split(/\s+/).filter(Boolean));
    const labels = (tokens) => tokens.map(({ piece }) => shownPiece(piece));
    return element(
      "div",
      { class: "comparison" },
      element("h3", {}, each.model),
      element(
        "p",
        { class: "muted", dir: "auto" },
        words.map((word, index) => element("span", { class: kept.has(index) ? "" : "changed" }, `${word} `)),
      ),
      element(
        "div",
        { class: "sentence", dir: directionOfTokens(each.target) },
        each.target.map((_, t) =>
          chip(each.target, t, "target", {
            title: percent(shareOf(each, t)),
            style: { "--sure": shareOf(each, t).toFixed(2) },
            class: "sureness",
          }),
        ),
      ),
      element("p", { class: "muted" }, `${say("column_score")} ${decimal(each.score)}`),
      hasAttention(each)
        ? element(
            "div",
            { class: "wide with-course" },
            matrixPicture(
              each.target.map((_, t) => weightsAt(each, t)),
              labels(each.source),
              labels(each.target),
              cellSize(each.source.length, 300),
            ).node,
          )
        : element("p", { class: "muted" }, say("no_alignment")),
    );
  }
  show();
  return element(
    "div",
    { class: "compared" },
    element("label", { class: "prompt" }, say("compare_with"), " ", choose),
    holder,
  );
}
