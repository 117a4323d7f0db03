// The state of the page: what can be undone, saved and reopened, and the sounds that it speaks of.

/** @import { Pad, Pattern, Settings, Sound, State, Step } from "./types.js" */

export const NUM_PADS = 16;
export const NUM_PATTERNS = 8;
export const NUM_STEPS = 32;
const MOST_UNDO = 200;

/** @type {Readonly<Settings>} */
export const NEUTRAL = Object.freeze({ gain: 0, pitch: 0, attack: 0, decay: 1, tone: 0, pan: 0, send: 0, choke: 0 });

/** What numbers may be: least, most. */
export const RANGES = /** @type {const} */ ({
  gain: [-36, 12],
  pitch: [-24, 24],
  attack: [0, 0.25],
  decay: [0, 1],
  tone: [-1, 1],
  pan: [-1, 1],
  send: [0, 1],
  choke: [0, 4],
  tempo: [40, 240],
  swing: [0, 0.6],
  master: [-48, 6],
  reverb: [0, 1],
});

/** @type {Readonly<Step>} */
const OFF = Object.freeze({ velocity: 0, chance: 1 });

/** @returns {Pattern} */
export const emptyPattern = () => ({
  length: 16,
  rows: Array.from({ length: NUM_PADS }, () => new Array(NUM_STEPS).fill(OFF)),
});

/** @returns {State} */
export function emptyState() {
  return {
    pads: Array.from({ length: NUM_PADS }, () => ({ sound: "", name: "", locked: false, settings: NEUTRAL })),
    patterns: Array.from({ length: NUM_PATTERNS }, emptyPattern),
    pattern: 0,
    tempo: 112,
    swing: 0,
    master: -3,
    reverb: 0.35,
  };
}

/** @param {number} value @param {readonly [number, number]} range */
export const clamp = (value, [least, most]) => Math.min(most, Math.max(least, value));

/** The state, its past and its future; tells whoever listens of changes. */
export class Store {
  /** @type {{state: State, label: string}[]} */
  #past = [];
  /** @type {{state: State, label: string}[]} */
  #future = [];
  /** @type {Set<(state: State, before: State) => void>} */
  #listeners = new Set();
  #merging = "";

  constructor() {
    /** @type {State} */
    this.state = emptyState();
    /** Sounds by id: those of the state, of its past, and of the history. @type {Map<string, Sound>} */
    this.sounds = new Map();
    /** Everything made, newest first. @type {string[]} */
    this.history = [];
    /** Which pad is looked at. */
    this.selected = 0;
  }

  /** @param {(state: State, before: State) => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
  }

  /** The sound of a pad. @param {number} pad */
  soundOf(pad) {
    return this.sounds.get(this.state.pads[pad].sound);
  }

  /** Take sounds in; they are in the history from now on. @param {Sound[]} sounds */
  add(sounds) {
    for (const sound of sounds) this.sounds.set(sound.id, sound);
    this.history = [...sounds.map((sound) => sound.id), ...this.history];
  }

  /**
   * Change the state, so that it can be undone. Changes under one `merge` in a row, such as a knob's, are one.
   * @param {string} label what is done, in words @param {Partial<State>} change @param {string} [merge]
   */
  change(label, change, merge = "") {
    if (!merge || merge !== this.#merging) {
      this.#past.push({ state: this.state, label });
      if (this.#past.length > MOST_UNDO) this.#past.shift();
    }
    this.#merging = merge;
    this.#future = [];
    this.#become({ ...this.state, ...change });
  }

  /** @param {string} label @param {number} place @param {Partial<Pad>} change @param {string} [merge] */
  changePad(label, place, change, merge) {
    this.changePads(label, [[place, change]], merge);
  }

  /** @param {string} label @param {[number, Partial<Pad>][]} changes @param {string} [merge] */
  changePads(label, changes, merge) {
    const pads = [...this.state.pads];
    for (const [place, change] of changes) pads[place] = { ...pads[place], ...change };
    this.change(label, { pads }, merge);
  }

  /** @param {string} label @param {Pattern} pattern @param {string} [merge] */
  changePattern(label, pattern, merge) {
    const patterns = [...this.state.patterns];
    patterns[this.state.pattern] = pattern;
    this.change(label, { patterns }, merge);
  }

  /** Let go of sounds that neither the state, its past and future nor the history speak of. @param {Iterable<string>} kept but these */
  forget(kept) {
    const states = [this.state, ...this.#past.map(({ state }) => state), ...this.#future.map(({ state }) => state)];
    const spoken = new Set([...kept, ...this.history, ...states.flatMap(({ pads }) => pads.map(({ sound }) => sound))]);
    for (const id of this.sounds.keys()) if (!spoken.has(id)) this.sounds.delete(id);
  }

  /** The next change is one of its own. */
  endMerge() {
    this.#merging = "";
  }

  /** Begin anew from a state: nothing before it can be undone. @param {State} state */
  reset(state) {
    this.#past = [];
    this.#future = [];
    this.endMerge();
    this.#become(state);
  }

  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  /** What was undone, in words; "" if there was nothing. */
  undo() { return this.#travel(this.#past, this.#future); }

  /** What was done again. */
  redo() { return this.#travel(this.#future, this.#past); }

  /** @param {{state: State, label: string}[]} from @param {{state: State, label: string}[]} to */
  #travel(from, to) {
    const entry = from.pop();
    if (!entry) return "";
    this.endMerge();
    to.push({ state: this.state, label: entry.label });
    this.#become(entry.state);
    return entry.label;
  }

  /** @param {State} state */
  #become(state) {
    const before = this.state;
    this.state = state;
    for (const listener of this.#listeners) listener(state, before);
  }
}
