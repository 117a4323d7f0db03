// Steps in time: what a pattern plays when, and a clock that looks ahead on the audio clock.

/** @import { Pattern, State } from "./types.js" */

const AHEAD = 0.12;  // seconds that are scheduled before they sound
const TICK = 25;  // ms

/** The length of a sixteenth. @param {number} tempo beats a minute */
export const stepSeconds = (tempo) => 60 / tempo / 4;

export const plan = {
  /** When a step begins, in seconds from the first; every other one comes later by the swing. @param {number} step @param {number} tempo @param {number} swing */
  time: (step, tempo, swing) => (step + (step % 2 ? swing : 0)) * stepSeconds(tempo),

  /**
   * The pads that a step plays this time.
   * @param {Pattern} pattern @param {number} step @param {() => number} random
   * @returns {{pad: number, velocity: number}[]}
   */
  hits: (pattern, step, random) =>
    pattern.rows.flatMap((row, pad) => {
      const { velocity, chance } = row[step];
      return velocity > 0 && (chance >= 1 || random() < chance) ? [{ pad, velocity }] : [];
    }),
};

/** Plays the state's pattern round and round. Tempo, swing and pattern may change meanwhile. */
export class Sequencer {
  /**
   * @param {() => State} state
   * @param {(pad: number, when: number, velocity: number) => void} play
   * @param {(step: number) => void} onStep what is heard just now; -1 when it stops
   */
  constructor(state, play, onStep) {
    this.#state = state;
    this.#play = play;
    this.#onStep = onStep;
  }

  #state;
  #play;
  #onStep;
  #step = 0;
  #next = 0;
  /** @type {{step: number, when: number}[]} */
  #shown = [];
  /** @type {Worker | null} */
  #ticks = null;
  /** @type {BaseAudioContext | null} */
  #context = null;

  get isPlaying() { return this.#context !== null; }

  /** @param {BaseAudioContext} context */
  start(context) {
    this.#context = context;
    this.#step = 0;
    this.#next = context.currentTime + 0.06;
    this.#shown = [];
    // A worker's timer goes on where a hidden page's would be slowed down.
    this.#ticks ??= new Worker(new URL("clock.js", import.meta.url));
    this.#ticks.onmessage = () => this.#schedule();
    this.#ticks.postMessage(TICK);
    this.#schedule();
    requestAnimationFrame(this.#show);
  }

  stop() {
    this.#context = null;
    this.#ticks?.postMessage(0);
    this.#onStep(-1);
  }

  #schedule() {
    if (!this.#context) return;
    const now = this.#context.currentTime;
    if (this.#next < now - 0.5) this.#next = now + 0.05;  // the machine was asleep
    while (this.#next < now + AHEAD) {
      const { patterns, pattern, tempo, swing } = this.#state();
      const current = patterns[pattern];
      const step = this.#step % current.length;
      const when = this.#next + (step % 2 ? swing * stepSeconds(tempo) : 0);
      for (const { pad, velocity } of plan.hits(current, step, Math.random)) this.#play(pad, when, velocity);
      this.#shown.push({ step, when });
      this.#step = (step + 1) % current.length;
      this.#next += stepSeconds(tempo);
    }
  }

  #show = () => {
    if (!this.#context) return;
    const now = this.#context.currentTime;
    let due;
    while (this.#shown.length && this.#shown[0].when <= now) due = this.#shown.shift();
    if (due) this.#onStep(due.step);
    requestAnimationFrame(this.#show);
  };
}
