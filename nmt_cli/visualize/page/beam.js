"use strict";
// Figure 9. The search tree: what was taken, what was dropped, what finished, and why the winner won.

const COLUMN = 110,
  ROW = 42,
  HALF = 38;

function beamSearch({ walk, clock }) {
  const { beam } = walk.search;
  const { id, node, stage } = frame(
    "beam",
    9,
    clock,
    { phase: "decode" },
    beam > 1 ? "beam_text" : "beam_text_greedy",
    { beam },
  );
  const holder = element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": say("search_tree") });
  const trees = [walk.search, walk.greedy];
  const tabs = trees.map((tree, index) =>
    element(
      "button",
      { type: "button", onclick: () => show(index) },
      tree.beam === 1 ? say("greedy") : say("beam_of", { beam: tree.beam }),
    ),
  );
  let shown = 0,
    columns = [],
    followed = -1;
  const table = element("div", { class: "finished" });
  stage.append(
    element("div", { class: "tabs", role: "group", "aria-label": say("search_tree") }, beam > 1 ? tabs : []),
    holder,
    legend(),
    table,
  );

  function show(index) {
    shown = index;
    tabs.forEach((tab, place) => put(tab, "aria-pressed", place === index));
    const tree = trees[index];
    const picture = treePicture(tree);
    columns = picture.columns;
    holder.replaceChildren(picture.node);
    table.replaceChildren(finishedTable(tree, walk), whyItWon(tree), beam > 1 ? againstGreedy(walk) : "");
    if (clock.walk === walk) draw(clock.now);
  }

  function draw(now) {
    const reach = now.t < 0 ? -1 : now.emitted > now.t ? now.t : now.t - 1;
    columns.forEach((column, step) => putStyle(column, "opacity", step <= reach || now.isEnd ? 1 : 0.13));
    mark(table, "waiting", !now.isEnd);
    if (reach !== followed && columns[reach]) follow(holder, { offsetLeft: reach * COLUMN, offsetWidth: COLUMN });
    followed = reach;
  }
  show(0);
  return { id, node, draw };
}

/** What the outlines of nodes mean. */
function legend() {
  const entries = ["best", "live", "finished", "pruned"];
  return element(
    "p",
    { class: "legend" },
    entries.map((name) => element("span", {}, element("i", { class: `sign ${name}` }), say(`legend_${name}`))),
  );
}

/** Nodes that lead to one. */
function pathTo(tree, place) {
  const path = new Set();
  for (let at = place; at >= 0; at = tree.nodes[at].parent) path.add(at);
  return path;
}

function treePicture(tree) {
  const best = pathTo(tree, tree.finished[0].node);
  const length = Math.max(...tree.nodes.map(({ step }) => step)) + 1;
  const x = (step) => 46 + (step + 1) * COLUMN;
  const y = (slot) => 24 + slot * ROW;
  const spot = (place) => (place < 0 ? [46, y(0)] : [x(tree.nodes[place].step), y(tree.nodes[place].slot)]);
  const columns = Array.from({ length }, () => svg("g", {}));
  tree.nodes.forEach((each, place) => {
    const [[fromX, fromY], [toX, toY]] = [spot(each.parent), spot(place)];
    const isBest = best.has(place);
    const middle = (fromX + toX) / 2; // where edges bend
    columns[each.step].append(
      svg("path", {
        class: `edge ${each.fate} ${isBest ? "best" : ""}`,
        d: `M${fromX + HALF} ${fromY}C${middle} ${fromY} ${middle} ${toY} ${toX - HALF} ${toY}`,
      }),
    );
    const label = shownPiece(each.piece);
    columns[each.step].append(
      svg(
        "g",
        { class: `node ${each.fate} ${isBest ? "best" : ""}`, transform: `translate(${toX} ${toY})` },
        svg("rect", { x: -HALF, y: -16, width: 2 * HALF, height: 32, rx: 8 }),
        svg("text", { y: -4 }, Array.from(label).length > 10 ? `${Array.from(label).slice(0, 9).join("")}…` : label),
        svg("text", { class: "total", y: 9.5 }, decimal(each.total, 2)),
        svg(
          "title",
          {},
          say("node", {
            piece: label,
            fate: say(`fate_${each.fate}`),
            log_prob: decimal(each.log_prob),
            total: decimal(each.total),
          }),
        ),
      ),
    );
  });
  const [width, height] = [x(length - 1) + 60, y(tree.beam - 1) + 30];
  return {
    columns,
    node: svg(
      "svg",
      {
        class: "tree",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": say("search_tree"),
      },
      svg("text", { class: "root", x: 46, y: y(0) }, say("start")),
      columns,
    ),
  };
}

/** Finished hypotheses as a table; the reference, where there is one, for comparison. */
function finishedTable(tree, walk) {
  const row = (text, logProb, length, penalty, score, className = "") =>
    element(
      "tr",
      { class: className },
      element("td", { dir: "auto" }, text),
      ...[decimal(logProb), String(length), decimal(penalty), decimal(score)].map((value) =>
        element("td", { class: "number" }, value),
      ),
    );
  const rows = tree.finished.map((each, index) =>
    row(each.text, each.log_prob, each.length, each.penalty, each.score, index ? "" : "best"),
  );
  if (walk.reference) {
    const { text, log_probs: logProbs, score } = walk.reference;
    rows.push(
      row(`${say("reference")}: ${text}`, sum(logProbs), logProbs.length, sum(logProbs) / score, score, "reference"),
    );
  }
  if (walk.forced)
    rows.push(
      row(
        `${say("given")}: ${walk.text}`,
        sum(walk.target.map((_, t) => Math.log(shareOf(walk, t)))),
        walk.target.length,
        sum(walk.target.map((_, t) => Math.log(shareOf(walk, t)))) / walk.score,
        walk.score,
        "reference",
      ),
    );
  return element(
    "table",
    {},
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ["hypothesis", "log_prob", "length", "penalty", "score"].map((name) =>
          element("th", { scope: "col" }, say(`column_${name}`)),
        ),
      ),
    ),
    element("tbody", {}, rows),
  );
}

/** In one sentence: the winner against the runner-up. */
function whyItWon(tree) {
  const [first, second] = tree.finished;
  if (!second) return element("p", { class: "why" }, say("why_alone", { score: decimal(first.score) }));
  const key = first.log_prob >= second.log_prob ? "why_likelier" : "why_longer";
  return element(
    "p",
    { class: "why" },
    say(key, {
      score: decimal(first.score),
      other: decimal(second.score),
      ratio: Math.exp(Math.abs(first.log_prob - second.log_prob)).toFixed(1),
    }),
  );
}

/** What the same sentence would have become with a beam of one. */
function againstGreedy({ search, greedy }) {
  const [[best], [alone]] = [search.finished, greedy.finished];
  if (best.text === alone.text) return element("p", { class: "why" }, say("greedy_same"));
  return element(
    "p",
    { class: "why" },
    say("greedy_differs", { score: decimal(alone.score), other: decimal(best.score) }),
    " ",
    element("bdi", {}, alone.text),
  );
}
