"use strict";
// Vectors: from base64 to numbers, and from numbers to strips of cells, brighter for higher values.

const UNITS_IN_A_STRIP = 16;
const HUES = { embedding: 155, encoder: 250, decoder: 345, context: 75, gate: 300 };
const NUMBERS = { float32: Float32Array, int16: Int16Array, int8: Int8Array };

/** The numbers of a packed array: a row [units], or rows of rows. Rows know `every`, the distance of their units. */
function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (character) => character.charCodeAt(0));
  const numbers = new NUMBERS[packed.type](bytes.buffer);
  const width = packed.shape.at(-1);
  const rows = [];
  for (let start = 0; start < numbers.length; start += width) {
    const scale = packed.scale ? packed.scale[rows.length] : 1;
    const row = Float32Array.from(numbers.subarray(start, start + width), (number) => number * scale);
    row.every = packed.every;
    rows.push(row);
  }
  return packed.shape.length === 1 ? rows[0] : nest(rows, packed.shape.slice(0, -1));
}

function nest(rows, shape) {
  if (shape.length === 1) return rows;
  const size = rows.length / shape[0];
  return Array.from({ length: shape[0] }, (_, index) =>
    nest(rows.slice(index * size, (index + 1) * size), shape.slice(1)),
  );
}

/** The same tree with every packed array unpacked. */
function unpackAll(value) {
  if (Array.isArray(value)) return value.map(unpackAll);
  if (value === null || typeof value !== "object") return value;
  if ("data" in value && "shape" in value) return unpack(value);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unpackAll(item)]));
}

/** Places in a vector that a strip shows: all, or as many as fit, at equal distances. They are real units, not means. */
function sampledUnits(length, most = UNITS_IN_A_STRIP) {
  if (length <= most) return Array.from({ length }, (_, index) => index);
  return Array.from({ length: most }, (_, index) => Math.floor((index * length) / most));
}

/** The range that colours span: symmetric around zero, wide enough for all but the last hundredth of the values. */
function rangeOf(vectors) {
  const sizes = Float32Array.from(vectors.flatMap((vector) => Array.from(vector, Math.abs))).sort();
  const most = sizes.length ? sizes[Math.floor(0.99 * (sizes.length - 1))] : 1;
  return [-(most || 1), most || 1];
}

/** Dark for the low end of the range, bright for the high end. */
function shade(value, [low, high], kind) {
  const share = clamp((value - low) / (high - low));
  const chroma = 0.035 + 0.115 * Math.sin(Math.PI * (0.15 + 0.75 * share));
  return `oklch(${(0.22 + 0.74 * share).toFixed(3)} ${chroma.toFixed(3)} ${HUES[kind]})`;
}

/**
 * A vector as a strip of cells. options: kind (its colour), range, name, upright, most, focusable.
 * Hovering tells the number; a click shows every unit.
 */
function strip(vector, options) {
  const node = element(options.focusable ? "button" : "span", {
    class: `strip ${options.kind} ${options.upright ? "upright" : ""}`,
    role: options.focusable ? null : "img",
    type: options.focusable ? "button" : null,
  });
  node.addEventListener("pointermove", (event) => hover(event, node));
  node.addEventListener("pointerleave", hideTooltip);
  node.addEventListener("click", () => openUnits(node));
  fill(node, vector, options);
  return node;
}

/** Puts another vector into a strip. */
function fill(node, vector, options = node.options) {
  if (node.vector === vector) return;
  Object.assign(node, { vector, options, units: sampledUnits(vector.length, options.most) });
  const cells = node.units.map((unit) => shade(vector[unit], options.range, options.kind));
  const stops = cells.map(
    (colour, index) => `${colour} ${(100 * index) / cells.length}% ${(100 * (index + 1)) / cells.length}%`,
  );
  node.style.backgroundImage = `linear-gradient(${options.upright ? "to bottom" : "to right"},${stops.join(",")})`;
  node.style.setProperty("--cells", cells.length);
  node.setAttribute("aria-label", say("strip", { name: options.name, size: vector.length * vector.every }));
}

/** The unit of a strip's vector at which a pointer points. */
function unitAt(event, node) {
  const box = node.getBoundingClientRect();
  const share = node.options.upright ? (event.clientY - box.top) / box.height : (event.clientX - box.left) / box.width;
  return node.units[clamp(Math.floor(share * node.units.length), 0, node.units.length - 1)];
}

/** Frames the cell of one unit; none where the strip leaves it out. */
function frameUnit(node, unit) {
  mark(node, "framed", node.units.includes(unit));
  node.style.setProperty("--framed", node.units.indexOf(unit));
}

/** Of the units that a strip shows, the one of the largest absolute value. */
function strongestUnit(vector) {
  const units = sampledUnits(vector.length);
  return units[bestIndex(units.map((unit) => Math.abs(vector[unit])))];
}

/** A strip with its name before it, and room for the number of one unit behind it. */
function vectorRow(name, vector, options, className = "") {
  const shown = strip(vector, { ...options, name, focusable: true });
  const number = element("output", { class: "number" });
  const node = element(
    "div",
    { class: `vector-row ${className}` },
    element("span", { class: "name" }, name),
    shown,
    number,
  );
  return { node, shown, number };
}

function hover(event, node) {
  const unit = unitAt(event, node);
  const values = { name: node.options.name, unit: unit * node.vector.every, value: decimal(node.vector[unit], 4) };
  showTooltip(event, say("unit", values));
}

function showTooltip(event, text) {
  const tooltip = document.getElementById("tooltip");
  tooltip.hidden = false;
  tooltip.textContent = text;
  const left = clamp(event.clientX + 14, 4, innerWidth - tooltip.offsetWidth - 4);
  tooltip.style.transform = `translate(${left}px, ${Math.max(4, event.clientY - tooltip.offsetHeight - 12)}px)`;
}

function hideTooltip() {
  document.getElementById("tooltip").hidden = true;
}

/** Every unit of a strip's vector, with its number. */
function openUnits(node) {
  const { vector, options } = node;
  const dialog = document.getElementById("units");
  const cells = Array.from(vector, (value, unit) =>
    element(
      "span",
      { class: "unit", style: { "--shade": shade(value, options.range, options.kind) } },
      element("small", {}, String(unit * vector.every)),
      decimal(value),
    ),
  );
  const stored = vector.every > 1 ? say("sampled", { every: vector.every }) : say("all_units", { size: vector.length });
  dialog.replaceChildren(
    element(
      "form",
      { method: "dialog" },
      element("h3", { dir: "auto" }, options.name),
      element("button", {}, say("close")),
    ),
    element("p", {}, stored),
    element("div", { class: "all-units" }, cells),
  );
  dialog.showModal();
}
