"use strict";
// One clock for all figures. Its time runs over moments: the box opens, every source word is read, the context is
// handed over, and every target word is made in parts. At time i + share, moment i is done by that share.

const PARTS = ["recur", "energies", "weights", "context", "combine", "logits", "choose"];
const PARTS_WITHOUT_ATTENTION = ["recur", "logits", "choose"];
const SECONDS = { closed: 1.6, open: 1.4, encode: 0.8, hand: 1.6, decode: 0.75 };
const DONE = 0.9999; // of a moment: where steps and the slider stop
const IS_STILL = matchMedia("(prefers-reduced-motion: reduce)").matches; // play goes from moment to moment

/** The moments of a sentence, in order. */
function momentsOf(walk) {
  const parts = walk.decoder.attentions.length ? PARTS : PARTS_WITHOUT_ATTENTION;
  return [
    { phase: "closed" },
    { phase: "open" },
    ...walk.source.map((_, step) => ({ phase: "encode", step })),
    { phase: "hand" },
    ...walk.target.flatMap((_, step) => parts.map((part) => ({ phase: "decode", step, part }))),
  ];
}

class Clock {
  constructor() {
    this.listeners = [];
    this.moments = [];
    this.speed = 1;
    this.isPlaying = false;
    this.frame = (now) => this.tick(now);
  }

  /** Begins a sentence, at its start. */
  begin(walk) {
    this.walk = walk;
    this.moments = momentsOf(walk);
    this.time = DONE;
    this.pause();
  }

  get index() {
    return Math.min(Math.floor(this.time), this.moments.length - 1);
  }

  /** What figures draw: the moment, its progress, and what has been done before it. */
  get now() {
    const moment = this.moments[this.index];
    const progress = IS_STILL ? DONE : this.time - this.index;
    const t = moment.phase === "decode" ? moment.step : -1;
    const sources = this.walk.source.length;
    const encoded = { closed: 0, open: 0, encode: moment.step + progress }[moment.phase] ?? sources;
    const isMade = moment.part === "choose" && progress > 0.5;
    return { ...moment, index: this.index, progress, t, encoded, emitted: t < 0 ? 0 : t + (isMade ? 1 : 0) };
  }

  /** How far a part of step t has come: 0 before, 1 after. */
  partOf(now, part, step = now.t) {
    if (now.t !== step) return now.t > step ? 1 : 0;
    const distance = PARTS.indexOf(now.part) - PARTS.indexOf(part);
    return distance > 0 ? 1 : distance < 0 ? 0 : now.progress;
  }

  /** The place of the first moment that has all of these. */
  find(wanted) {
    return this.moments.findIndex((moment) => Object.entries(wanted).every(([name, value]) => moment[name] === value));
  }

  /** To a moment, done. */
  seek(index, share = DONE) {
    this.time = clamp(index, 0, this.moments.length - 1) + share;
    this.tell();
  }

  /** To where the slider was moved. */
  scrub(index) {
    this.isPlaying = false;
    this.seek(index);
  }

  step(distance) {
    this.pause();
    this.seek(this.index + distance);
  }

  /** To the end of the next or the previous word. */
  stepWord(direction) {
    this.pause();
    const ends = this.moments.flatMap(({ phase, part }, index) => (phase !== "decode" || part === "choose" ? [index] : []));
    const next = direction > 0 ? ends.find((end) => end > this.index) : ends.findLast((end) => end < this.index);
    this.seek(next ?? (direction > 0 ? this.moments.length - 1 : 0));
  }

  play() {
    if (this.index === this.moments.length - 1 && this.time % 1 > 0.99) this.time = 0;
    this.isPlaying = true;
    this.last = null;
    requestAnimationFrame(this.frame);
    this.tell();
  }

  pause() {
    this.isPlaying = false;
    this.tell();
  }

  toggle() {
    this.isPlaying ? this.pause() : this.play();
  }

  tick(now) {
    if (!this.isPlaying) return;
    const passed = this.last === null ? 0 : Math.min(now - this.last, 100) / 1000;
    this.last = now;
    this.time += (passed * this.speed) / SECONDS[this.moments[this.index].phase];
    if (this.time >= this.moments.length - 1 + DONE) {
      this.time = this.moments.length - 1 + DONE;
      this.isPlaying = false;
    } else requestAnimationFrame(this.frame);
    this.tell();
  }

  /** Calls `listener` whenever the time has changed. */
  listen(listener) {
    this.listeners.push(listener);
  }

  tell() {
    if (this.walk) for (const listener of this.listeners) listener(this);
  }
}

/** What is happening, in words. */
function describe(walk, now) {
  const values = {};
  if (now.phase === "encode") values.token = shownPiece(walk.source[now.step].piece);
  if (now.phase === "decode") values.token = shownPiece(walk.target[now.t].piece);
  if (now.phase === "decode") values.step = now.t + 1;
  return say(now.phase === "decode" ? `now_${now.part}` : `now_${now.phase}`, values);
}

/** The bar with play, step, slider and speed, for the clock. */
function buildTransport(clock) {
  const button = (id, label, sign, act) =>
    element("button", { id, type: "button", "aria-label": say(label), title: say(label), onclick: act }, sign);
  const play = button("play", "play", "▶", () => clock.toggle());
  const slider = element("input", {
    id: "slider", type: "range", min: 0, max: clock.moments.length - 1, step: 1, "aria-label": say("position"),
    oninput: () => clock.scrub(Number(slider.value)),
  });
  const speed = element("select", { id: "speed", "aria-label": say("speed"), onchange: () => (clock.speed = Number(speed.value)) },
    [0.5, 1, 2, 4].map((rate) => element("option", { value: rate, selected: rate === clock.speed }, `${rate}×`)));
  const caption = element("p", { id: "caption", "aria-live": "polite", dir: "auto" });
  const bar = document.getElementById("transport");
  bar.replaceChildren(
    element("div", { class: "buttons" },
      button("word-back", "word_back", "⏮", () => clock.stepWord(-1)), button("back", "step_back", "◂", () => clock.step(-1)),
      play,
      button("forward", "step_forward", "▸", () => clock.step(1)), button("word-forward", "word_forward", "⏭", () => clock.stepWord(1))),
    slider, speed, caption);
  bar.setAttribute("aria-label", say("transport"));
  return () => {
    putText(play, clock.isPlaying ? "❚❚" : "▶");
    put(play, "aria-label", say(clock.isPlaying ? "pause" : "play"));
    if (slider.value !== String(clock.index)) slider.value = clock.index;
    const words = describe(clock.walk, clock.now);
    put(slider, "aria-valuetext", words);
    putText(caption, words);
  };
}

/** Keys: space, arrows, with shift a word at a time, home and end. Those of a focused control stay its own. */
function handleKey(clock, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const tag = event.target.tagName;
  if (tag === "SELECT" || tag === "TEXTAREA" || (tag === "INPUT" && event.target.type !== "range")) return;
  if (event.key === " " && (tag === "BUTTON" || tag === "SUMMARY")) return;
  const jump = (direction) => (event.shiftKey ? clock.stepWord(direction) : clock.step(direction));
  const acts = {
    " ": () => clock.toggle(), ArrowRight: () => jump(1), ArrowLeft: () => jump(-1),
    Home: () => clock.seek(0), End: () => clock.seek(clock.moments.length - 1),
  };
  if (!(event.key in acts)) return;
  event.preventDefault();
  acts[event.key]();
}
