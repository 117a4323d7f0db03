// What can be done: each action as one function, whatever button, key or pad asked for it.

/** @import { Database } from "./database.js" */
/** @import { Engine, Model, Pad, Sound } from "./types.js" */

import { asSound } from "./database.js";
import { say, sayProblem } from "./dom.js";
import { EngineError, anySeed } from "./engine.js";
import { Player } from "./player.js";
import { wav } from "./render.js";
import { NEUTRAL, Store } from "./store.js";

/** The label that a sound has most of; "" for none. @param {import("./types.js").Facts} facts */
export const labelOf = ({ labels }) => Object.entries(labels).sort(([, a], [, b]) => b - a)[0]?.[0] ?? "";

const MOST_KEPT = 400;  // sounds that survive a reload

/** @typedef {{id: string, name: string, file: string, time: number}} Shelved */

/** Whether a file is one to be sent. @param {File} file @param {number} most bytes; 0 for any number */
async function checkFile(file, most) {
  if (most && file.size > most) throw new EngineError(`${file.name} is larger than ${most >> 20} MB; cut it, or make it a FLAC or MP3 file.`);
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new EngineError(`${file.name} cannot be read. A folder of sounds is opened with ‘fauxley studio FOLDER’.`);
  }
}

export class Desk {
  /** @param {Engine} engine @param {Database} database */
  constructor(engine, database) {
    this.engine = engine;
    this.database = database;
    this.store = new Store();
    this.player = new Player();
    this.model = engine.studio.models[0]?.id ?? "";
    this.label = "";
    this.radius = 0.15;
    this.made = 0;
    /** Starred sounds by id. @type {Map<string, Shelved>} */
    this.shelf = new Map();
    /** What the server calls recordings, by the id of their sounds. @type {Map<string, string>} */
    this.recordings = new Map();
    /** Pads that wait for a sound. @type {Set<number>} */
    this.waiting = new Set();
    /** Told that something changed that is not of the state. @type {Set<() => void>} */
    this.#listeners = new Set();
  }

  #listeners;

  /** @param {() => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
  }

  changed() {
    for (const listener of this.#listeners) listener();
  }

  /** @returns {Model | undefined} */
  get modelShown() {
    return this.engine.studio.models.find(({ id }) => id === this.model);
  }

  /** @returns {Record<string, number>} */
  get labels() {
    return this.label ? { [this.label]: 1 } : {};
  }

  /** @param {number} pad */
  select(pad) {
    this.store.selected = pad;
    this.store.endMerge();
    this.changed();
  }

  /** @param {number} pad @param {number} [velocity] @param {number} [when] */
  play(pad, velocity = 1, when) {
    const sound = this.store.soundOf(pad);
    if (sound) this.player.play(pad, sound, this.store.state.pads[pad].settings, velocity, when);
  }

  /** Play a sound by itself. @param {Sound} sound */
  preview(sound) {
    this.player.play(-1, sound, NEUTRAL);
  }

  /** Pads that may be given other sounds. */
  get open() {
    return this.store.state.pads.flatMap((pad, place) => (pad.locked ? [] : [place]));
  }

  /** New sounds for these pads. @param {number[]} pads */
  async fresh(pads) {
    if (!pads.length) return say("All pads are locked.");
    if (!this.model) return say("No model is open; start the studio with one to make new sounds.");
    await this.#fill("new sound", pads, () =>
      this.engine.generate({ model: this.model, seed: anySeed(), count: pads.length, labels: this.labels }));
  }

  /** Variations of each of these pads' sounds on the same pads. @param {number[]} pads */
  async vary(pads) {
    const able = pads.filter((pad) => this.#latentOf(pad));
    if (!able.length) return say("There is no sound of a model on that pad to vary.");
    await this.#fill("variation", able, async () =>
      (await Promise.all(able.map((pad) => this.#variations(pad, 1)))).flat());
  }

  /** Variations of one pad's sound on all others that are not locked. @param {number} pad */
  async fillWithVariations(pad) {
    const others = this.open.filter((other) => other !== pad);
    if (!this.#latentOf(pad)) return say("There is no sound of a model on that pad to vary.");
    if (!others.length) return say("All other pads are locked.");
    const { name } = this.store.state.pads[pad];
    await this.#fill("variations", others, () => this.#variations(pad, others.length), name);
  }

  /** @param {number} pad */
  #latentOf(pad) {
    const facts = this.store.soundOf(pad)?.facts;
    return facts?.latent.length && this.engine.studio.models.some(({ id }) => id === facts.model) ? facts : null;
  }

  /** @param {number} pad @param {number} count */
  #variations(pad, count) {
    const facts = this.#latentOf(pad);
    if (!facts) throw new EngineError("There is no sound of a model on that pad to vary.");
    const { model, latent, labels } = facts;
    return this.engine.vary({ model, latent, labels, count, radius: this.radius, seed: anySeed() });
  }

  /**
   * @param {string} what @param {number[]} pads @param {() => Promise<Sound[]>} make @param {string} [base] of their names
   */
  async #fill(what, pads, make, base) {
    if (this.#areLocked(pads)) return;
    for (const pad of pads) this.waiting.add(pad);
    this.changed();
    try {
      const sounds = await make();
      // Whoever locks a pad meanwhile keeps what is on it.
      const places = pads.flatMap((pad, place) => (this.store.state.pads[pad].locked ? [] : [place]));
      this.put(what, places.map((place) => pads[place]), places.map((place) => sounds[place]), base);
      if (pads.length === 1) this.play(pads[0]);
    } catch (error) {
      sayProblem(error);
    } finally {
      for (const pad of pads) this.waiting.delete(pad);
      this.changed();
    }
  }

  /** Whether one pad alone is meant and is locked, which is said. @param {number[]} pads */
  #areLocked(pads) {
    const isLocked = pads.length === 1 && this.store.state.pads[pads[0]].locked;
    if (isLocked) say(`Pad ${pads[0] + 1} is locked.`);
    return isLocked;
  }

  /** Put a sound that is known already on a pad, and play it. @param {string} what @param {number} pad @param {Sound} sound @param {string} name */
  place(what, pad, sound, name) {
    if (this.#areLocked([pad])) return;
    this.store.changePad(what, pad, { sound: sound.id, name });
    this.play(pad);
  }

  /** Put sounds on pads. @param {string} what @param {number[]} pads @param {Sound[]} sounds @param {string} [base] */
  put(what, pads, sounds, base) {
    if (!pads.length || this.#areLocked(pads)) return;
    const named = sounds.map((sound, place) => {
      const name = this.#nameOf(sound, base ?? this.store.state.pads[pads[place]].name);
      return { ...sound, facts: { ...sound.facts, name } };
    });
    this.takeIn(named);
    this.store.changePads(pads.length > 1 ? `${what} on ${pads.length} pads` : what,
      pads.map((pad, place) => [pad, { sound: named[place].id, name: named[place].facts.name }]));
    say(pads.length > 1 ? `${pads.length} pads: ${what}` : `Pad ${pads[0] + 1}, ${named[0].facts.name}: ${what}`, "seen");
  }

  /** @param {Sound} sound @param {string} base */
  #nameOf(sound, base) {
    this.made += 1;
    const { facts } = sound;
    if (facts.name) return facts.name.replace(/^.*[\\/]/, "").replace(/\.[^.]*$/, "").slice(0, 40);
    if (facts.made === "variation" && base) return `${base.replace(/ ~\d+$/, "")} ~${this.made}`;
    if (facts.made === "morph") return `morph ${this.made}`;
    return `${labelOf(facts) || facts.model_name} ${this.made}`;
  }

  /** Take sounds into the history, and keep them. @param {Sound[]} sounds */
  takeIn(sounds) {
    this.store.add(sounds);
    for (const sound of sounds) this.database.put("sounds", sound.id, sound);
    this.changed();
  }

  /** @param {number} pad */
  toggleLock(pad) {
    const { locked } = this.store.state.pads[pad];
    this.store.changePad(locked ? "unlock" : "lock", pad, { locked: !locked });
    say(`Pad ${pad + 1} ${locked ? "unlocked" : "locked"}`, "seen");
  }

  undo() {
    const what = this.store.undo();
    say(what ? `Undone: ${what}` : "Nothing to undo");
  }

  redo() {
    const what = this.store.redo();
    say(what ? `Done again: ${what}` : "Nothing to do again");
  }

  /** Star a sound, or take the star away. @param {Sound} sound @param {string} name */
  async toggleStar(sound, name) {
    const starred = this.shelf.get(sound.id);
    if (starred) {
      this.shelf.delete(sound.id);
      this.database.remove("shelf", sound.id);
      this.changed();
      say(`${starred.name} taken off the shelf`);
      if (starred.file) await this.engine.unshelve(starred.file).catch(() => {});
      return;
    }
    const entry = { id: sound.id, name, file: "", time: Date.now() };
    this.shelf.set(sound.id, entry);
    this.changed();
    try {
      const recording = sound.facts.latent.length ? undefined : await this.recordingOf(sound, name);
      const written = await this.engine.shelve(name, sound, recording);
      if (written) entry.file = written.file;
      say(written ? `${name} is on the shelf, as ${written.file}` : `${name} is on the shelf`);
    } catch (error) {
      sayProblem(error);
    }
    await this.database.put("shelf", sound.id, { ...entry, sound });
  }

  /** What the server calls a recording; it is sent again where it has forgotten. @param {Sound} sound @param {string} name */
  async recordingOf(sound, name) {
    const bytes = wav(sound.channels, sound.sampleRate);
    const known = this.recordings.get(sound.id);
    if (known) return known;
    const sent = await this.engine.record(new File([bytes], `${name}.wav`), sound.facts.model || this.model);
    this.recordings.set(sound.id, sent.recording);
    return sent.recording;
  }

  /**
   * Files that were dropped or chosen, onto a pad and those after it that are not locked; says what came of it.
   * @param {File[]} files @param {number} pad
   */
  async take(files, pad) {
    if (files.length === 1 && this.#areLocked([pad])) return;
    const pads = this.open.filter((each) => each >= pad), taken = files.slice(0, pads.length);
    const problems = (await Promise.all(taken.map((file, place) => this.drop(file, pads[place])))).filter(Boolean);
    if (files.length === 1 && problems.length) return say(problems[0], "problem");
    const beyond = files.length - taken.length, good = taken.length - problems.length;
    const said = problems.length > 3 ? [...problems.slice(0, 3), `and ${problems.length - 3} more that are no sounds`] : problems;
    if (beyond) said.push(`no pad is left for ${beyond === 1 ? "one more" : `${beyond} more`}`);
    if (said.length) say(`${good} of ${files.length} files are on pads. ${said.join("; ")}`, "problem");
  }

  /** A file onto a pad; why it is not one to play, or "". @param {File} file @param {number} pad */
  async drop(file, pad) {
    this.waiting.add(pad);
    this.changed();
    try {
      await checkFile(file, this.engine.studio.upload_bytes);
      const { sound, recording, remark } = await this.engine.record(file, this.model);
      this.recordings.set(sound.id, recording);
      this.put("recording", [pad], [sound]);
      this.select(pad);
      this.play(pad);
      if (remark) say(`${file.name}: ${remark}`);
      return "";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      this.waiting.delete(pad);
      this.changed();
    }
  }

  /** Exchange what two pads hold. @param {number} from @param {number} to */
  swap(from, to) {
    const { pads } = this.store.state;
    if (this.#areLocked([from]) || this.#areLocked([to])) return;
    if (from !== to) this.store.changePads("exchange of pads", [[from, pads[to]], [to, pads[from]]]);
  }

  /** What was kept from the last time: shelf, and whatever the session speaks of. @param {string[]} history */
  async remember(history) {
    for (const value of await this.database.all("shelf")) {
      const sound = asSound(value?.sound);
      if (!sound) continue;
      this.store.sounds.set(sound.id, sound);
      this.shelf.set(sound.id, { id: sound.id, name: String(value.name), file: String(value.file), time: +value.time });
    }
    for (const id of history.slice(0, MOST_KEPT)) {
      const sound = this.store.sounds.get(id) ?? asSound(await this.database.get("sounds", id));
      if (!sound || this.store.history.includes(id)) continue;
      this.store.sounds.set(id, sound);
      this.store.history.push(id);
    }
    const known = new Set([...this.store.history, ...this.store.state.pads.map((/** @type {Pad} */ pad) => pad.sound)]);
    for (const id of await this.database.keys("sounds")) if (!known.has(id)) this.database.remove("sounds", id);
    this.changed();
  }
}
