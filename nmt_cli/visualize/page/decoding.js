"use strict";
// Figure 7. Word by word, from the begin-of-sentence token and the first state; lines show where attention goes.

function decoding({ walk, clock, ranges }) {
  const hasAttention = walk.decoder.attentions.length > 0;
  const { id, node, stage } = frame("decoding", 7, clock, { phase: "hand" }, hasAttention ? "decoding_text" : "decoding_text_none");
  const source = walk.source.map((_, index) => element("div", { class: "column" }, chip(walk.source, index, "source"),
    hasAttention ? strip(walk.encoder.annotations[index], { kind: "context", range: ranges.encoder, upright: true, most: 8,
      name: say("annotation_of", { token: shownPiece(walk.source[index].piece) }) }) : ""));
  const context = strip(walk.decoder.initial.at(-1).hidden, { kind: "context", range: ranges.initial, upright: true, most: 8, name: say("first_state") });
  const steps = walk.target.map((_, index) => element("div", { class: "column", onclick: () => clock.seek(clock.find({ phase: "decode", step: index, part: "choose" })) },
    strip(walk.decoder.layers.at(-1).hidden[index], { kind: "decoder", range: ranges.written, upright: true, most: 8, name: say("decoder_state", { step: index + 1 }) }),
    chip(walk.target, index, "target"), element("span", { class: "share" }, percent(Math.exp(walk.decoder.choices[index].log_probs[walk.decoder.choices[index].chosen])))));
  const first = element("div", { class: "column first-state" },
    strip(walk.decoder.initial.at(-1).hidden, { kind: "context", range: ranges.initial, upright: true, most: 8, name: say("first_state") }),
    chip(walk.decoder.fed, 0, "target"));
  const upper = element("div", { class: "columns upper" }, source, hasAttention ? "" : element("div", { class: "column lone" }, context));
  const lower = element("div", { class: "columns lower" }, first, steps);
  const lines = svg("svg", { class: "lines", "aria-hidden": "true" });
  const inner = element("div", { class: "loom" }, upper, lines, lower);
  const wide = element("div", { class: "wide" }, inner);
  const summary = element("p", { class: "visually-hidden", "aria-live": "polite" });
  stage.append(wide, summary);
  mark(node, "dense", isDense(walk));
  const paths = Array.from({ length: hasAttention ? walk.source.length : 1 }, () => lines.appendChild(svg("path", { class: "line" })));
  const old = Array.from({ length: paths.length }, () => lines.appendChild(svg("path", { class: "line old" })));
  // A context vector that every step reads (Cho et al. 2014), or one that only the first state holds.
  const isAlwaysRead = !hasAttention && "context" in walk.decoder.combined;
  let spots = null, drawn = -2;

  /** Where the columns stand. Measured when the page's layout may have changed, not on every frame. */
  function measure() {
    const box = inner.getBoundingClientRect();
    const x = (node) => node.getBoundingClientRect().left + node.getBoundingClientRect().width / 2 - box.left;
    const height = lines.clientHeight;
    spots = { source: (hasAttention ? source : [context]).map(x), steps: steps.map(x), first: x(first), height };
    drawn = -2;
  }
  new ResizeObserver(() => { spots = null; if (clock.walk === walk) draw(clock.now); }).observe(inner);

  const weightsOf = (t) => (!hasAttention ? [1] : t < 0 ? [] : meanOverHeads(walk, t));

  function place(list, t) {
    const weights = weightsOf(t);
    list.forEach((path, index) => {
      if (t < 0 && hasAttention) return put(path, "d", "");
      const [from, to, half] = [spots.source[index], t >= 0 && (hasAttention || isAlwaysRead) ? spots.steps[t] : spots.first, spots.height / 2];
      put(path, "d", `M${to} ${spots.height}C${to} ${half} ${from} ${half} ${from} 0`);
      putStyle(path, "--weight", weights[index].toFixed(3));
    });
  }

  function draw(now) {
    if (!spots) measure();
    if (drawn !== now.t) {
      place(paths, now.t);
      if (hasAttention) place(old, now.t - 1);
      const weights = weightsOf(now.t);
      source.forEach((node, index) => putStyle(node, "--weight", hasAttention && now.t >= 0 ? weights[index].toFixed(3) : 0));
      drawn = now.t;
      const current = now.t >= 0 ? steps[now.t] : first;
      follow(wide, current);
      if (now.t >= 0 && hasAttention) {
        const best = bestIndex(weights);
        const values = { target: shownPiece(walk.target[now.t].piece), source: shownPiece(walk.source[best].piece), share: percent(weights[best]) };
        putText(summary, say("reads_most", values));
      }
    }
    const growth = hasAttention ? (now.t < 0 ? 0 : clock.partOf(now, "weights")) : now.phase === "hand" ? now.progress : now.t < 0 ? 0 : 1;
    putStyle(lines, "--growth", growth.toFixed(2));
    putStyle(lines, "--fading", now.t < 0 ? 0 : clamp(1 - clock.partOf(now, "recur")).toFixed(2));
    mark(first, "waiting", now.phase !== "hand" && now.t < 0);
    mark(first, "active", now.phase === "hand");
    steps.forEach((node, index) => {
      mark(node, "waiting", now.t < index);
      mark(node, "active", now.t === index);
      mark(node, "unsaid", now.emitted <= index);
    });
  }
  return { id, node, draw };
}

/** The weights of a step; of several heads, their mean. */
function meanOverHeads(walk, t) {
  const heads = walk.decoder.attentions.map(({ weights }) => weights[t]);
  return Array.from(heads[0], (_, index) => sum(heads.map((weights) => weights[index])) / heads.length);
}
