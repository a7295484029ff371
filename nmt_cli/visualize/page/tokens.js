"use strict";
// Tokens as readers see them, and the frame that every figure stands in.

const SPACE_MARK = "▁";
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const STRONG = /[\p{L}]/u;

/** Whether text runs from the right: by its first letter, as browsers decide. */
function directionOf(text) {
  const letter = text.match(STRONG)?.[0] ?? "";
  return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
}

/** The direction of a row of tokens. */
const directionOfTokens = (tokens) => directionOf(tokens.map(({ piece }) => (isSpecial(piece) ? "" : piece)).join(""));

/** Whether a piece is a sign of the model's and no text, such as the end of a sentence. */
const isSpecial = (piece) => /^<[^<>]+>$/.test(piece);

/** A piece without the sign for a space; special pieces in brackets of their own. */
function shownPiece(piece) {
  if (piece === "</s>") return say("end");
  if (piece === "<s>") return say("start");
  return piece.startsWith(SPACE_MARK) && piece.length > 1 ? piece.slice(1) : piece === SPACE_MARK ? "␣" : piece;
}

/** A token as a chip; pieces that continue a word are drawn against the one before. */
function chip(tokens, index, side, attributes = {}) {
  const token = tokens[index];
  const continues = index > 0 && tokens[index - 1].word === token.word;
  const classes = `chip ${side} ${continues ? "continues" : ""} ${isSpecial(token.piece) ? "special" : ""} ${attributes.class ?? ""}`;
  return element("bdi", { ...attributes, class: classes }, shownPiece(token.piece));
}

/** All tokens as chips in a row. */
function sentenceOf(tokens, side, label) {
  const nodes = tokens.map((_, index) => chip(tokens, index, side));
  return {
    nodes,
    row: element(
      "div",
      { class: "sentence", dir: directionOfTokens(tokens), role: "group", "aria-label": label },
      nodes,
    ),
  };
}

/** The text of each word, and the places of its pieces. */
function wordsOf(tokens) {
  const words = [];
  tokens.forEach((token, index) => {
    if (index === 0 || tokens[index - 1].word !== token.word) words.push({ text: "", places: [] });
    words.at(-1).text += shownPiece(token.piece);
    words.at(-1).places.push(index);
  });
  return words;
}

/** A figure's frame: heading, explanation and stage. `start` is the moment at which it begins to move, if it moves. */
function frame(id, number, clock, start, explanation = `${id}_text`, values = {}, title = `${id}_title`) {
  const stage = element("div", { class: "stage" });
  const first = start ? clock.find(start) : -1;
  const show = element(
    "button",
    {
      type: "button",
      class: "show",
      onclick: () => {
        clock.seek(first, 0);
        clock.play();
      },
    },
    say("show_this"),
  );
  const node = element(
    "section",
    { class: "figure", id, "aria-labelledby": `${id}-title` },
    element(
      "div",
      { class: "words" },
      element("h2", { id: `${id}-title` }, element("span", { class: "number" }, String(number)), say(title)),
      [explanation].flat().flatMap((key) => paragraphs(key, values)),
      first < 0 ? null : show,
    ),
    stage,
  );
  return { id, node, stage };
}

/** Whether a sentence is so long that words have to stand upright and figures need the page's whole width. */
const isDense = (walk) => Math.max(walk.source.length, walk.target.length) > 18;

/** Scrolls a wide stage so that a node in it can be seen, and nothing else. */
function follow(scroller, node) {
  if (scroller.matches(":hover, :focus-within") || scroller.scrollWidth <= scroller.clientWidth) return;
  const left = node.offsetLeft + node.offsetWidth / 2 - scroller.clientWidth / 2;
  if (Math.abs(scroller.scrollLeft - left) > scroller.clientWidth / 4) scroller.scrollLeft = left;
}
