"use strict";
// Figure 10. What if: the sentence without one of its words; and two sentences, or two models, side by side.

function whatIf({ walk, walks, clock }) {
  const { id, node, stage } = frame("whatif", 10, clock, { phase: "closed" });
  const words = walk.source_text.split(/\s+/).filter(Boolean);
  const answer = element("div", { class: "answer", "aria-live": "polite" });
  const buttons = walk.variants.map((variant) => element("button", {
    type: "button", class: "chip source", "aria-pressed": false, onclick: () => show(variant) }, element("bdi", {}, words[variant.without])));
  if (buttons.length) stage.append(element("p", { class: "prompt" }, say("take_away")), element("div", { class: "sentence", dir: "auto" }, buttons), answer);
  if (walks.length > 1) stage.append(sideBySide(walk, walks));

  function show(variant) {
    buttons.forEach((button, index) => {
      put(button, "aria-pressed", walk.variants[index] === variant);
      mark(button, "removed", walk.variants[index] === variant);
    });
    answer.replaceChildren(
      comparison(say("with_all"), walk.source_text, walk.text.split(" "), variant.text.split(" "), walk.score),
      comparison(say("without", { word: words[variant.without] }), variant.source, variant.text.split(" "), walk.text.split(" "), variant.score),
      element("p", {}, say(variant.text === walk.text ? "no_change" : "changed")));
  }

  /** A translation with those of its words marked that the other one does not have. */
  function comparison(title, source, own, other, score) {
    const kept = commonWords(own, other);
    return element("div", { class: "comparison" }, element("h3", {}, title), element("p", { class: "muted", dir: "auto" }, source),
      element("p", { class: "sentence", dir: "auto" }, own.map((word, index) => element("span", { class: kept.has(index) ? "" : "changed" }, `${word} `))),
      element("p", { class: "muted" }, `${say("column_score")} ${decimal(score)}`));
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
  for (let i = 0, j = 0; i < own.length && j < other.length; ) {
    if (own[i] === other[j]) kept.add(i++), j++;
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return kept;
}

/** Two walks next to each other: translations, how sure each is of its words, and matrices. */
function sideBySide(walk, walks) {
  const own = walks.findIndex(({ unpacked }) => unpacked === walk);
  const holder = element("div", { class: "side-by-side" });
  const choose = element("select", { id: "other", onchange: show }, walks.map(({ packed }, index) =>
    element("option", { value: index, disabled: index === own }, `${packed.model}: ${packed.source_text}`)));
  const others = walks.map((_, index) => index).filter((index) => index !== own);
  choose.value = others.find((index) => walks[index].packed.source_text === walk.source_text) ?? others[0];

  function show() {
    holder.replaceChildren(...[walk, walks[Number(choose.value)].walk].map((each) => element("div", { class: "comparison" },
      element("h3", {}, each.model), element("p", { class: "muted", dir: "auto" }, each.source_text),
      element("div", { class: "sentence", dir: "auto" }, each.target.map((_, index) => {
        const choice = each.decoder.choices[index];
        const share = Math.exp(choice.log_probs[choice.chosen]);
        return chip(each.target, index, "target", { title: percent(share), style: { "--sure": share.toFixed(2) }, class: "sureness" });
      })),
      element("p", { class: "muted" }, `${say("column_score")} ${decimal(each.score)}`),
      each.decoder.attentions.length ? element("div", { class: "wide" }, matrixPicture(each.target.map((_, t) => meanOverHeads(each, t)), each.source.map(({ piece }) => shownPiece(piece)),
        each.target.map(({ piece }) => shownPiece(piece)), cellSize(each.source.length, 300)).node) : "")));
  }
  show();
  return element("div", {}, element("label", { class: "prompt" }, say("compare_with"), " ", choose), holder);
}
