"use strict";
// Figure 8. The alignment matrix: a row for each target token, a column for each source token.

/** Weights by words: what a word of the target gives to a word of the source, on average over its own pieces. */
function mergedToWords(weights, source, target) {
  return target.map(({ places: rows }) =>
    source.map(({ places }) => sum(rows.map((row) => sum(places.map((column) => weights[row][column])))) / rows.length),
  );
}

/** A matrix as SVG: labels, cells, numbers, and the course of the strongest cells, back where the order is turned. */
function matrixPicture(weights, sourceLabels, targetLabels, size) {
  const longest = (labels) => Math.min(170, 16 + 7.8 * Math.max(...labels.map((label) => Array.from(label).length)));
  const slope = size < 19 ? 90 : 48; // of the words above: narrow columns leave room for upright ones only
  const [up, aside] = slope === 90 ? [1, 0] : [0.75, 0.7];
  const [left, top] = [longest(targetLabels), longest(sourceLabels) * up + 16];
  const [width, height] = [
    left + size * sourceLabels.length + 8 + aside * longest(sourceLabels.slice(-1)),
    top + size * targetLabels.length + 8,
  ];
  const middle = (column, row) => [left + (column + 0.5) * size, top + (row + 0.5) * size];
  const rows = targetLabels.map((label, row) =>
    svg(
      "g",
      { class: "row" },
      svg("rect", {
        class: "frame",
        x: left - 2,
        y: top + row * size - 1,
        width: size * sourceLabels.length + 3,
        height: size + 1,
        rx: 3,
      }),
      svg("text", { class: "label", x: left - 8, y: middle(0, row)[1], "text-anchor": "end" }, label),
      weights[row].map((weight, column) => {
        const cell = svg("rect", {
          x: left + column * size,
          y: top + row * size,
          width: size - 1,
          height: size - 1,
          rx: 2,
          "fill-opacity": Math.sqrt(weight).toFixed(3),
        });
        cell.append(svg("title", {}, `${label} ← ${sourceLabels[column]}: ${decimal(weight)}`));
        return cell;
      }),
    ),
  );
  const best = weights.map((row) => bestIndex(Array.from(row)));
  const legs = best.slice(1).map((column, index) => {
    const [[fromX, fromY], [toX, toY]] = [middle(best[index], index), middle(column, index + 1)];
    return svg("line", { class: column < best[index] ? "leg back" : "leg", x1: fromX, y1: fromY, x2: toX, y2: toY });
  });
  const numbers = targetLabels.map((_, row) =>
    svg(
      "g",
      {},
      size < 30
        ? ""
        : weights[row].map((weight, column) =>
            weight < 0.1
              ? ""
              : svg(
                  "text",
                  {
                    class: `value ${weight > 0.35 ? "on" : ""}`,
                    x: left + (column + 1) * size - 5,
                    y: top + (row + 1) * size - 6,
                  },
                  shortWeight(weight),
                ),
          ),
    ),
  );
  const style = { "--label": `${Math.min(14, size - 1)}px`, "--leg": `${clamp(size / 12, 1.5, 4)}px` };
  const node = svg(
    "svg",
    {
      class: "matrix",
      style,
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": `${say("matrix_title")}: ${inWords(best, weights, sourceLabels, targetLabels)}`,
    },
    svg("rect", {
      class: "ground",
      x: left,
      y: top,
      width: size * sourceLabels.length,
      height: size * targetLabels.length,
    }),
    sourceLabels.map((label, column) =>
      svg(
        "text",
        {
          class: "label source",
          transform: `translate(${middle(column, 0)[0] + 0.15 * aside * size} ${top - 8}) rotate(${-slope})`,
        },
        label,
      ),
    ),
    rows,
    legs,
    numbers,
  );
  return { node, rows, numbers, legs };
}

/** The strongest of each row, as a sentence for those who do not see the picture. */
function inWords(best, weights, sourceLabels, targetLabels) {
  return targetLabels
    .map((label, row) => `${label} ← ${sourceLabels[best[row]]} ${percent(weights[row][best[row]])}`)
    .join("; ");
}

/** A weight in three characters: .73, or 1.0. */
const shortWeight = (weight) => (weight >= 0.995 ? "1.0" : decimal(weight, 2).slice(1));

/** The size of a cell, in pixels, that lets so many columns fit. */
const cellSize = (columns, width) => clamp(width / columns, 11, 54);

function alignmentMatrix({ walk, clock, model }) {
  const { id, node, stage } = frame(
    "matrix",
    8,
    clock,
    { phase: "decode", part: "weights" },
    !hasAttention(walk)
      ? "matrix_text_none"
      : ["matrix_text", model.attention === "multi_head" ? "matrix_text_heads" : null].filter(Boolean),
  );
  if (!hasAttention(walk)) {
    mark(node, "bare", true);
    return { id, node, draw() {} };
  }
  const [sourceWords, targetWords] = [wordsOf(walk.source), wordsOf(walk.target)];
  const pieces = walk.target.map((_, t) => weightsAt(walk, t));
  const merge = element("input", { type: "checkbox", id: "merge", onchange: build });
  const course = element("input", {
    type: "checkbox",
    id: "course",
    checked: true,
    onchange: () => mark(holder, "with-course", course.checked),
  });
  const holder = element("div", {
    class: "wide with-course",
    tabindex: 0,
    role: "region",
    "aria-label": say("matrix_title"),
  });
  let rowOf = [],
    picture;
  const width = isDense(walk) ? 1000 : clamp(innerWidth - 210, 200, 620);
  mark(node, "dense", isDense(walk));
  stage.append(
    element(
      "div",
      { class: "settings" },
      element("label", {}, merge, say("merge_words")),
      element("label", {}, course, say("show_course")),
    ),
    holder,
  );

  function build() {
    const label = (token) => shownPiece(token.piece);
    picture = merge.checked
      ? matrixPicture(
          mergedToWords(pieces, sourceWords, targetWords),
          sourceWords.map(({ text }) => text),
          targetWords.map(({ text }) => text),
          cellSize(sourceWords.length, width),
        )
      : matrixPicture(pieces, walk.source.map(label), walk.target.map(label), cellSize(walk.source.length, width));
    rowOf = merge.checked
      ? targetWords.flatMap(({ places }, word) => places.map(() => word))
      : walk.target.map((_, index) => index);
    picture.rows.forEach((row, index) =>
      row.addEventListener("click", () =>
        clock.scrub(clock.find({ phase: "decode", step: rowOf.indexOf(index), part: "choose" })),
      ),
    );
    holder.replaceChildren(picture.node);
    if (clock.walk === walk) draw(clock.now);
  }

  function draw(now) {
    const current = now.t < 0 ? -1 : rowOf[now.t];
    picture.rows.forEach((row, index) => {
      const share =
        index < current || now.isEnd ? 1 : index === current ? Math.max(0.12, clock.partOf(now, "weights")) : 0.12;
      putStyle(row, "opacity", share.toFixed(2));
      putStyle(picture.numbers[index], "opacity", index > current && !now.isEnd ? 0 : share.toFixed(2));
      mark(row, "active", index === current && !now.isEnd);
    });
    picture.legs.forEach((leg, index) => mark(leg, "hidden", index >= current && !now.isEnd));
  }
  build();
  return { id, node, draw };
}
