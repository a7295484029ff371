"use strict";
// Figure 7. Word by word, from the begin-of-sentence token and the first state; lines show where attention goes.

function decoding({ walk, clock, ranges }) {
  const looks = hasAttention(walk);
  const { id, node, stage } = frame(
    "decoding",
    7,
    clock,
    { phase: "hand" },
    looks ? "decoding_text" : "decoding_text_none",
  );
  const upright = (vector, kind, name) =>
    strip(vector, {
      kind,
      range: kind === "decoder" ? ranges.decoder : looks ? ranges.annotation : ranges.context,
      upright: true,
      most: 8,
      name,
    });
  const source = walk.source.map(({ piece }, index) =>
    element(
      "div",
      { class: "column" },
      chip(walk.source, index, "source"),
      looks
        ? upright(walk.encoder.annotations[index], "context", say("annotation_of", { token: shownPiece(piece) }))
        : "",
    ),
  );
  const context = looks ? null : upright(handedOver(walk)[0], "context", say("value_context"));
  const steps = walk.target.map((_, index) =>
    element(
      "div",
      { class: "column", onclick: () => clock.scrub(clock.find({ phase: "decode", step: index, part: "choose" })) },
      upright(topState(walk, index), "decoder", say("decoder_state", { step: index + 1 })),
      chip(walk.target, index, "target"),
      element("span", { class: "share", dir: "ltr" }, percent(shareOf(walk, index))),
    ),
  );
  const first = element(
    "div",
    { class: "column first-state" },
    upright(topState(walk, -1), "decoder", say("first_state")),
    chip(walk.decoder.fed, 0, "target"),
  );
  const upper = element(
    "div",
    { class: "columns upper", dir: directionOfTokens(walk.source) },
    source,
    context
      ? element("div", { class: "column lone" }, element("span", { class: "chip context" }, say("context")), context)
      : "",
  );
  const lower = element("div", { class: "columns lower", dir: directionOfTokens(walk.target) }, first, steps);
  const lines = svg("svg", { class: "lines", "aria-hidden": "true" });
  const inner = element("div", { class: "loom" }, upper, lines, lower);
  const wide = element("div", { class: "wide" }, inner);
  const summary = element("p", { class: "visually-hidden", "aria-live": "polite" });
  stage.append(wide, summary);
  const paths = Array.from({ length: looks ? walk.source.length : 1 }, () =>
    lines.appendChild(svg("path", { class: "line" })),
  );
  const old = Array.from({ length: paths.length }, () => lines.appendChild(svg("path", { class: "line old" })));
  // A context vector that every step reads (Cho et al. 2014), or one that only the first state holds.
  const isAlwaysRead = !looks && "context" in walk.decoder.combined;
  let spots = null,
    drawn = -2;

  /** Where the columns stand. Measured when the page's layout may have changed, not on every frame. */
  function measure() {
    mark(node, "dense", isDense(walk));
    mark(node, "dense", isDense(walk) || (onPaper() && inner.scrollWidth > wide.clientWidth));
    const box = inner.getBoundingClientRect();
    const x = (node) => node.getBoundingClientRect().left + node.getBoundingClientRect().width / 2 - box.left;
    const height = lines.clientHeight;
    spots = { source: (looks ? source : [context]).map(x), steps: steps.map(x), first: x(first), height };
    drawn = -2;
  }
  new ResizeObserver(() => {
    spots = null;
    if (clock.walk === walk) draw(clock.now);
  }).observe(inner);

  const weightsOf = (t) => (!looks ? [1] : t < 0 ? [] : weightsAt(walk, t));

  function place(list, t) {
    const weights = weightsOf(t);
    list.forEach((path, index) => {
      if (t < 0 && looks) return put(path, "d", "");
      const [from, to, half] = [
        spots.source[index],
        t >= 0 && (looks || isAlwaysRead) ? spots.steps[t] : spots.first,
        spots.height / 2,
      ];
      put(path, "d", `M${to} ${spots.height}C${to} ${half} ${from} ${half} ${from} 0`);
      putStyle(path, "--weight", weights[index].toFixed(3));
    });
  }

  function draw(now) {
    if (!spots) measure();
    if (drawn !== now.t) {
      place(paths, now.t);
      if (looks) place(old, now.t - 1);
      const weights = weightsOf(now.t);
      source.forEach((node, index) => putStyle(node, "--weight", looks && now.t >= 0 ? weights[index].toFixed(3) : 0));
      drawn = now.t;
      const current = now.t >= 0 ? steps[now.t] : first;
      follow(wide, current);
      if (now.t >= 0 && looks) {
        const best = bestIndex(weights);
        const values = {
          target: shownPiece(walk.target[now.t].piece),
          source: shownPiece(walk.source[best].piece),
          share: percent(weights[best]),
        };
        if (!clock.isPlaying) putText(summary, say("reads_most", values));
      }
    }
    const growth = looks
      ? now.t < 0
        ? 0
        : clock.partOf(now, "weights")
      : now.phase === "hand"
        ? now.progress
        : now.t < 0
          ? 0
          : 1;
    putStyle(lines, "--growth", growth.toFixed(2));
    putStyle(lines, "--fading", now.t < 0 ? 0 : clamp(1 - clock.partOf(now, clock.parts[0])).toFixed(2));
    mark(first, "waiting", now.phase !== "hand" && now.t < 0);
    mark(first, "active", now.phase === "hand");
    steps.forEach((node, index) => {
      mark(node, "waiting", now.t < index);
      mark(node, "active", now.t === index);
      mark(node, "unsaid", now.emitted <= index);
    });
  }
  return { id, node, draw, measure };
}
