"use strict";
// One clock for all figures. Its time runs over moments: the box opens, each layer of the encoder reads every token,
// the context is handed over, and every target token is made in parts. At time i + share, moment i is done by share.

const SECONDS = { closed: 1.6, open: 1.4, encode: 0.8, hand: 1.6, decode: 0.75 };
const DONE = 0.9999; // of a moment: where steps and the slider stop
const IS_STILL = matchMedia("(prefers-reduced-motion: reduce)").matches; // play goes from moment to moment

/** The moments of a sentence, in order. Of a token that is read, `index` is its place in the sentence. */
function momentsOf(walk, parts) {
  const firstRuns = walk.encoder.inputs.map((_, layer) => walk.encoder.runs.find((run) => run.layer === layer));
  const last = walk.source.length - 1;
  return [
    { phase: "closed" },
    { phase: "open" },
    ...firstRuns.flatMap(({ layer, reverse }) =>
      walk.source.map((_, step) => ({ phase: "encode", layer, step, token: reverse ? last - step : step })),
    ),
    { phase: "hand" },
    ...walk.target.flatMap((_, step) => parts.map((part) => ({ phase: "decode", step, part }))),
  ];
}

/** How much of one of `count` vectors has been handed over: one follows the other. */
function handedShare(now, index, count) {
  if (now.phase === "hand") return clamp(now.progress * count * 1.2 - index);
  return now.t >= 0 ? 1 : 0;
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
  begin(walk, parts) {
    this.walk = walk;
    this.parts = parts;
    this.moments = momentsOf(walk, parts);
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
    const steps = { closed: 0, open: 0, encode: moment.layer * sources + moment.step + progress };
    const encoded = steps[moment.phase] ?? sources * this.walk.encoder.inputs.length;
    const isMade = moment.part === "choose" && progress > 0.5;
    const isEnd = this.index === this.moments.length - 1 && progress > 0.99;
    return { ...moment, index: this.index, progress, t, encoded, emitted: t < 0 ? 0 : t + (isMade ? 1 : 0), isEnd };
  }

  /** How far a part of step t has come: 0 before, 1 after. */
  partOf(now, part, step = now.t) {
    if (now.t !== step) return now.t > step ? 1 : 0;
    const distance = this.parts.indexOf(now.part) - this.parts.indexOf(part);
    return distance > 0 ? 1 : distance < 0 ? 0 : now.progress;
  }

  /** How far a run of the encoder has come at a token: 0 before, 1 after. */
  readOf(now, { layer, reverse }, index) {
    const sources = this.walk.source.length;
    return clamp(now.encoded - layer * sources - (reverse ? sources - 1 - index : index));
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

  /** To the end of the next or the previous token. */
  stepWord(direction) {
    this.pause();
    const ends = this.moments.flatMap(({ phase, part }, index) =>
      phase !== "decode" || part === "choose" ? [index] : [],
    );
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
    this.time += (passed * this.speed) / this.secondsOf(this.moments[this.index]);
    if (this.time >= this.moments.length - 1 + DONE) {
      this.time = this.moments.length - 1 + DONE;
      this.isPlaying = false;
    } else requestAnimationFrame(this.frame);
    this.tell();
  }

  /** A deep encoder reads as fast as a flat one: its layers share the time of a token. */
  secondsOf({ phase }) {
    return SECONDS[phase] / (phase === "encode" ? this.walk.encoder.inputs.length : 1);
  }

  /** Calls `listener` whenever the time has changed. */
  listen(listener) {
    this.listeners.push(listener);
  }

  tell() {
    if (this.walk) for (const listener of this.listeners) listener(this);
  }
}
