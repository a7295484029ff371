"use strict";
// Elements, texts and numbers. User text only ever becomes a text node or an attribute, so it cannot be markup.

const TEXTS = JSON.parse(document.getElementById("texts").textContent);
let language = document.documentElement.lang;

/** The text of a key in the reader's language, {name} replaced by values.name. */
function say(key, values = {}) {
  const text = TEXTS[language][key] ?? TEXTS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether the tables have a text of this key. */
const isKnown = (key) => key in TEXTS.en;

/** An HTML element. Attributes by name: `on...` are listeners, `dataset` and `style` objects, null is left out. */
function element(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** An SVG element, in the same way. */
function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") for (const [key, item] of Object.entries(value)) node.style.setProperty(key, item);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** The paragraphs of a text. [words](address) is a link, the only markup there is. */
function paragraphs(key, values) {
  return say(key, values)
    .split("\n")
    .map((line) =>
      element(
        "p",
        {},
        line.split(/(\[[^\]]+\]\(https:[^)]+\))/).map((part) => {
          const link = part.match(/^\[([^\]]+)\]\((https:[^)]+)\)$/);
          return link ? element("a", { href: link[2], rel: "noreferrer noopener", target: "_blank" }, link[1]) : part;
        }),
      ),
    );
}

/** A number with so many decimals and a real minus sign. */
function decimal(value, digits = 3) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** A probability as a percentage, with a decimal where it is near 0 or 1, and never rounded to either. */
function percent(share) {
  if (share > 0 && share < 0.0005) return "<0.1 %";
  if (share < 1 && share >= 0.9995) return ">99.9 %";
  return `${(100 * share).toFixed(share < 0.0995 || share > 0.9905 ? 1 : 0)} %`;
}

/** In parentheses where it begins with a minus sign, as in a product. */
const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);

/** Whether the page is laid out for printing. */
const onPaper = () => document.documentElement.classList.contains("printing");

const clamp = (value, low = 0, high = 1) => Math.min(high, Math.max(low, value));
const sum = (values) => values.reduce((total, value) => total + value, 0);
const bestIndex = (values) => values.reduce((best, value, index) => (value > values[best] ? index : best), 0);

/** Sets an attribute or a property only where it changes: most of what a frame would write is there already. */
function put(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}
function putStyle(node, name, value) {
  const text = String(value);
  node.shown ??= {};
  if (node.shown[name] !== text) node.style.setProperty(name, (node.shown[name] = text));
}
/** Shows a node by a share of 0 to 1. Only those between cost the browser a layer of their own. */
function reveal(node, share) {
  putStyle(node, "visibility", share > 0 ? "visible" : "hidden");
  putStyle(node, "opacity", share > 0 && share < DONE ? share.toFixed(2) : 1);
}
function putText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
/** Switches a class on or off. */
function mark(node, name, on) {
  if (node.classList.contains(name) !== on) node.classList.toggle(name, on);
}
