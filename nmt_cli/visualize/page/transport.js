"use strict";
// The bar with play, step, slider and speed; the keys; and what is happening, in words.

/** What is happening, in words. */
function describe(clock, model) {
  const { walk, parts, now } = clock;
  if (now.phase === "encode") {
    const layers = walk.encoder.inputs.length;
    const values = { token: shownPiece(walk.source[now.token].piece), layer: now.layer + 1, layers };
    return say(layers > 1 ? "now_encode_layer" : "now_encode", values);
  }
  if (now.phase === "hand") return say(hasAttention(walk) ? "now_hand_all" : "now_hand_one");
  if (now.phase !== "decode") return say(`now_${now.phase}`);
  const values = {
    token: shownPiece(walk.target[now.t].piece),
    fed: shownPiece(walk.decoder.fed[now.t].piece),
    step: now.t + 1,
  };
  const variants = [
    `now_${now.part}_${model.decoder}`,
    looksFirst(parts) ? `now_${now.part}_late` : null,
    `now_${now.part}`,
  ];
  return (
    say("now_step", values) +
    say(
      variants.find((key) => key && isKnown(key)),
      values,
    )
  );
}

/** Builds the bar. The function that comes back writes the clock's time into it. */
function buildTransport(clock, model) {
  const button = (id, label, sign, act) =>
    element("button", { id, type: "button", "aria-label": say(label), title: say(label), onclick: act }, sign);
  const play = button("play", "play", "▶", () => clock.toggle());
  const slider = element("input", {
    id: "slider",
    type: "range",
    min: 0,
    max: clock.moments.length - 1,
    step: 1,
    "aria-label": say("position"),
    oninput: () => clock.scrub(Number(slider.value)),
  });
  const speed = element(
    "select",
    { id: "speed", "aria-label": say("speed"), onchange: () => (clock.speed = Number(speed.value)) },
    [0.5, 1, 2, 4].map((rate) => element("option", { value: rate, selected: rate === clock.speed }, `${rate}×`)),
  );
  const caption = element("p", { id: "caption", "aria-live": "polite", dir: "auto" });
  const bar = document.getElementById("transport");
  bar.replaceChildren(
    element(
      "div",
      { class: "buttons" },
      button("word-back", "word_back", "⏮", () => clock.stepWord(-1)),
      button("back", "step_back", "◂", () => clock.step(-1)),
      play,
      button("forward", "step_forward", "▸", () => clock.step(1)),
      button("word-forward", "word_forward", "⏭", () => clock.stepWord(1)),
    ),
    element("div", { class: "track" }, phaseBand(clock), slider),
    speed,
    caption,
  );
  bar.setAttribute("aria-label", say("transport"));
  return () => {
    putText(play, clock.isPlaying ? "❚❚" : "▶");
    put(play, "aria-label", say(clock.isPlaying ? "pause" : "play"));
    // A screen reader is told each step that is taken, but not every one that is played.
    put(caption, "aria-live", clock.isPlaying ? "off" : "polite");
    if (slider.value !== String(clock.index)) slider.value = clock.index;
    const words = describe(clock, model);
    put(slider, "aria-valuetext", words);
    putText(caption, words);
  };
}

/** Under the slider, in colours: how long is read, what is handed over, how long is written. */
function phaseBand(clock) {
  const count = (phase) => clock.moments.filter((moment) => moment.phase === phase).length;
  const part = (name, ...phases) => element("i", { class: name, style: { "flex-grow": sum(phases.map(count)) } });
  return element(
    "div",
    { class: "phases", "aria-hidden": "true" },
    part("", "closed", "open"),
    part("encoder", "encode"),
    part("context", "hand"),
    part("decoder", "decode"),
  );
}

/** Keys: space, arrows, with shift a token at a time, home and end. Those of a focused control stay its own. */
function handleKey(clock, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const tag = event.target.tagName;
  if (tag === "SELECT" || tag === "TEXTAREA" || (tag === "INPUT" && event.target.type !== "range")) return;
  if (event.key === " " && (tag === "BUTTON" || tag === "SUMMARY")) return;
  if (event.key.startsWith("Arrow") && event.target.role === "region") return; // these scroll
  const jump = (direction) => (event.shiftKey ? clock.stepWord(direction) : clock.step(direction));
  const acts = {
    " ": () => clock.toggle(),
    ArrowRight: () => jump(1),
    ArrowLeft: () => jump(-1),
    Home: () => clock.scrub(0),
    End: () => clock.scrub(clock.moments.length - 1),
  };
  if (!(event.key in acts)) return;
  event.preventDefault();
  acts[event.key]();
}
