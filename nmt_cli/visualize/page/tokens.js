"use strict";
// Tokens as readers see them.

const SPACE_MARK = "▁";

/** A piece without the sign for a space; special pieces in brackets of their own. */
function shownPiece(piece) {
  if (piece === "</s>") return "⟨end⟩";
  if (piece === "<s>") return "⟨start⟩";
  return piece.startsWith(SPACE_MARK) && piece.length > 1 ? piece.slice(1) : piece === SPACE_MARK ? "␣" : piece;
}

/** A token as a chip; pieces that continue a word are drawn against the one before. */
function chip(tokens, index, side, attributes = {}) {
  const token = tokens[index];
  const continues = index > 0 && tokens[index - 1].word === token.word;
  const isSpecial = /^<.*>$/.test(token.piece) && token.piece.length > 2;
  const classes = `chip ${side} ${continues ? "continues" : ""} ${isSpecial ? "special" : ""} ${attributes.class ?? ""}`;
  return element("bdi", { ...attributes, class: classes }, shownPiece(token.piece));
}

/** All tokens as chips in a row. */
function chips(tokens, side) {
  return tokens.map((_, index) => chip(tokens, index, side));
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

/** A figure's frame: heading, explanation and stage. `start` finds the moment at which it begins to move. */
function frame(id, number, clock, start, explanation = `${id}_text`, values = {}, title = `${id}_title`) {
  const stage = element("div", { class: "stage" });
  const show = element("button", { type: "button", class: "show", onclick: () => {
    clock.seek(Math.max(0, clock.find(start)), 0);
    clock.play();
  } }, say("show_this"));
  const node = element("section", { class: "figure", id, "aria-labelledby": `${id}-title` },
    element("div", { class: "words" },
      element("h2", { id: `${id}-title` }, element("span", { class: "number" }, String(number)), say(title)),
      paragraphs(explanation, values), clock.find(start) < 0 ? null : show),
    stage);
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
