// Knobs in a player's words: brighter, boomier, longer … They are found once for each model; turning one moves the
// latent of the pad's sound along a way on which the model's sounds change so.

/** @import { Desk } from "./desk.js" */
/** @import { ModelKnob, Sound, Turned } from "./types.js" */

import { button, h, say, sayProblem } from "./dom.js";
import { Knob } from "./knob.js";
import { Looper } from "./looper.js";
import { amplitude } from "./mixer.js";
import { clamp } from "./store.js";

const SURE = 0.8;  // share of sounds that a knob has to turn the right way to be trusted

/** @param {number} value */
const percent = (value) => `${Math.round(100 * value)} %`;
const milliseconds = (/** @type {number} */ value) => `${value < 0.01 ? (1000 * value).toFixed(1) : Math.round(1000 * value)} ms`;

/** What a property is called, and how it is shown. @type {Record<string, {what: string, show: (value: number) => string}>} */
const PROPERTIES = {
  brightness: { what: "centre of the spectrum", show: (value) => (value < 1000 ? `${Math.round(value)} Hz` : `${(value / 1000).toFixed(1)} kHz`) },
  lowness: { what: "energy below 150 Hz", show: percent },
  length: { what: "length", show: milliseconds },
  noisiness: { what: "noise", show: percent },
  attack: { what: "attack", show: milliseconds },
  loudness: { what: "loudness", show: (value) => `${value.toFixed(1)} LUFS` },
};

/** What a knob does to a usual sound of the model, in words. @param {ModelKnob} knob */
function reach({ name, changes, low, high, works }) {
  const { what, show } = PROPERTIES[changes] ?? { what: changes, show: String };
  const sure = works < SURE ? `; turns ${percent(works)} of sounds the right way` : "";
  return `${title(name)}: ${what} from ${show(low)} to ${show(high)} on a usual sound${sure}.`;
}

/** @param {string} word */
const title = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** The positions of knobs that are turned at all, in words. @param {Turned | undefined} turned */
export const turnedWords = (turned) =>
  Object.entries(turned?.knobs ?? {}).filter(([, position]) => position).map(([word, position]) => `${word} ${signed(position)}`).join(", ");

/** @param {number} position */
const signed = (position) => `${position > 0 ? "+" : position < 0 ? "−" : ""}${Math.abs(Math.round(100 * position))}`;

/**
 * A latent with knobs turned: as `Directions.move` of fauxley.latents.
 * @param {number[]} latent @param {Record<string, number>} positions from -1 to 1 @param {ModelKnob[]} knobs
 */
export function turn(latent, positions, knobs) {
  const ways = knobs.map(({ name, travel }) => ({ travel, position: positions[name] ?? 0 })).filter(({ position }) => position);
  return latent.map((value, place) => clamp(ways.reduce((sum, { travel, position }) => sum + position * travel[place], value), [-1, 1]));
}

/**
 * A pad's sound on its way: where it began, and where its knobs are to be.
 * @typedef {object} Way
 * @property {number} pad
 * @property {string} model
 * @property {Record<string, number>} labels
 * @property {Turned} turned
 * @property {string} shown     id of the sound that the pad has now
 * @property {Sound | null} sound  the newest that was made
 * @property {string} merge     one step of undoing
 * @property {boolean} isStale  whether the knobs have moved on since that sound was asked for
 * @property {boolean} isHeld   whether a hand is on a knob
 */

export class Character {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#root = root;
    this.#desk = desk;
    desk.store.listen(() => this.update());
    desk.listen(() => this.update());
    this.update();
  }

  #root;
  #desk;
  /** Of models whose knobs are known or being asked for. @type {Map<string, ModelKnob[] | "asked" | "unknown">} */
  #known = new Map();
  /** What the part shows now. */
  #shown = "";
  /** @type {Map<string, Knob>} */
  #knobs = new Map();
  /** @type {Way | null} */
  #way = null;
  #ways = 0;
  /** @type {Promise<void> | null} */
  #asking = null;
  /** @type {Looper | null} */
  #looper = null;

  get #sound() { return this.#desk.store.soundOf(this.#desk.store.selected); }

  update() {
    const sound = this.#sound, model = sound?.facts.latent.length ? sound.facts.model : "";
    const isOpen = this.#desk.engine.studio.models.some(({ id }) => id === model);
    if (isOpen && !this.#known.has(model)) this.#ask(model, false);
    const known = this.#known.get(model);
    this.#root.hidden = !isOpen || known === undefined || Array.isArray(known) && !known.length;
    const shown = this.#root.hidden ? "" : `${model} ${Array.isArray(known) ? "knobs" : known}`;
    if (shown && shown !== this.#shown) {
      this.#shown = shown;
      if (Array.isArray(known)) this.#showKnobs(known);
      else if (known === "unknown") this.#offer(model);
    }
    const turned = this.#way?.pad === this.#desk.store.selected ? this.#way.turned : sound?.facts.turned;
    for (const [word, knob] of this.#knobs) knob.show(turned?.knobs[word] ?? 0);
  }

  /** Whether the knobs of a model are known; if they are to be found, that takes a while. @param {string} model @param {boolean} find */
  async #ask(model, find) {
    this.#known.set(model, "asked");
    const cancel = new AbortController();
    const bar = h("progress", { max: 1, value: 0, "aria-label": "Finding the knobs" }), stage = h("p", {}, "Finding the knobs …");
    const watch = () => {
      this.#shown = `${model} asked`;
      this.#root.hidden = false;
      this.#root.replaceChildren(this.#heading(), h("div", { class: "search" }, stage, bar,
        button({ icon: "close", text: "Cancel", click: () => cancel.abort() })));
    };
    if (find) watch();
    try {
      const knobs = await this.#desk.engine.knobs(model, find, (share, what) => {
        if (!bar.isConnected && this.#sound?.facts.model === model) watch();
        bar.value = share;
        if (what) stage.textContent = `${title(what)} …`;
      }, cancel.signal);
      this.#known.set(model, knobs ?? "unknown");
      if (find && knobs) say(knobs.length ? "The knobs are there: turn one" : "This model has no knobs: its sounds are all alike");
    } catch (error) {
      this.#known.set(model, "unknown");
      if (find && cancel.signal.aborted) say("Cancelled");
      else if (find) sayProblem(error);
    }
    this.#shown = "";
    this.update();
  }

  /** @param {HTMLElement[]} more */
  #heading(...more) {
    return h("div", { class: "heading" }, h("h3", {}, "Character"), ...more);
  }

  /** @param {string} model */
  #offer(model) {
    this.#knobs.clear();
    this.#root.replaceChildren(this.#heading(), h("div", { class: "offer" },
      h("p", { class: "facts" }, "Make sounds brighter, boomier, longer, noisier, harder. The studio listens to a few hundred sounds of the model first; once is enough."),
      button({ icon: "knob", text: "Find the knobs", click: () => this.#ask(model, true) })));
  }

  /** @param {ModelKnob[]} known */
  #showKnobs(known) {
    const about = h("p", { class: "facts reach", id: "reach" }, "Turned within what the model knows.");
    this.#knobs = new Map(known.map((each) => [each.name, new Knob({
      label: title(each.name), range: [-1, 1], neutral: 0, step: 0.05, show: signed, describedBy: "reach",
      change: (position) => this.#turn({ ...this.#positions(), [each.name]: position }, each.name),
      done: () => this.#release(),
    })]));
    for (const each of known) {
      const element = this.#knobs.get(each.name)?.element;
      const tell = () => { about.textContent = reach(each); };
      element?.classList.toggle("unsure", each.works < SURE);
      element?.addEventListener("focusin", tell);
      element?.addEventListener("pointerenter", tell);
    }
    this.#root.replaceChildren(
      this.#heading(button({ icon: "reset", label: "Set the character back", class: "quiet", click: () => { this.#turn({}, "character set back"); this.#release(); } })),
      h("div", { class: "knobs words" }, ...[...this.#knobs.values()].map(({ element }) => element)), about);
  }

  #positions() {
    const way = this.#way?.pad === this.#desk.store.selected ? this.#way : null;
    return (way?.turned ?? this.#sound?.facts.turned)?.knobs ?? {};
  }

  /** @param {Record<string, number>} knobs @param {string} what */
  #turn(knobs, what) {
    const { store } = this.#desk, pad = store.selected, sound = this.#sound;
    if (!sound || store.state.pads[pad].locked) {
      if (sound) say(`Pad ${pad + 1} is locked.`);
      return this.update();
    }
    if (this.#way?.pad !== pad || this.#way.shown !== sound.id) this.#way = this.#begin(pad, sound);
    Object.assign(this.#way, { turned: { ...this.#way.turned, knobs }, isStale: true, isHeld: true });
    this.#run(what);
  }

  /** @param {string} what */
  #run(what) {
    if (!this.#way?.isStale) return;
    this.#asking ??= this.#follow(this.#way, what).finally(() => {
      this.#asking = null;
      this.#run(what);
    });
  }

  /** @param {number} pad @param {Sound} sound @returns {Way} */
  #begin(pad, sound) {
    const { model, labels, latent, seed, made, turned } = sound.facts;
    return {
      pad, model, labels, turned: turned ?? { latent, seed, made, knobs: {} }, shown: sound.id, sound: null,
      merge: `character ${(this.#ways += 1)}`, isStale: false, isHeld: true,
    };
  }

  /** Have sounds made as long as the knobs move; one at a time, the newest place last. @param {Way} way @param {string} what */
  async #follow(way, what) {
    const { store, engine } = this.#desk, known = this.#known.get(way.model);
    try {
      while (way.isStale && Array.isArray(known)) {
        way.isStale = false;
        const { turned } = way;
        const [made] = await engine.render({ model: way.model, latents: [turn(turned.latent, turned.knobs, known)], labels: way.labels });
        if (store.state.pads[way.pad].sound !== way.shown) break;  // undone, or replaced, meanwhile
        this.#put(way, made, turned, what);
      }
    } catch (error) {
      sayProblem(error);
      way.isHeld = false;
    }
    if (!way.isHeld || this.#way !== way) this.#end(way);
  }

  /** @param {Way} way @param {Sound} made @param {Turned} turned @param {string} what */
  #put(way, made, turned, what) {
    const { store, player } = this.#desk, { name, settings } = store.state.pads[way.pad];
    const isTurned = Object.values(turned.knobs).some(Boolean);
    const facts = isTurned ? { ...made.facts, made: "turned", turned } : { ...made.facts, made: turned.made, seed: turned.seed };
    const sound = { ...made, facts: { ...facts, name } };
    store.sounds.set(sound.id, sound);
    [way.shown, way.sound] = [sound.id, sound];
    store.changePad(what, way.pad, { sound: sound.id }, way.merge);
    if (!way.isHeld) return;
    const context = player.wake();
    this.#looper ??= new Looper(context, new GainNode(context, { gain: amplitude(settings.gain) }).connect(player.mixer.input));
    this.#looper.play(sound);
    player.isLooping = true;
  }

  #release() {
    const way = this.#way;
    if (!way) return;
    way.isHeld = false;
    if (!this.#asking) this.#end(way);
  }

  /** The hand has left the knob, and the last sound is there. @param {Way} way */
  #end(way) {
    if (this.#way === way) this.#way = null;
    const wasHeard = this.#looper !== null;
    this.#looper?.stop();
    this.#looper = null;
    this.#desk.player.isLooping = false;
    if (!way.sound) return this.update();
    this.#desk.store.endMerge();
    this.#desk.takeIn([way.sound]);
    this.#desk.store.forget(this.#desk.shelf.keys());
    if (!wasHeard) this.#desk.play(way.pad);
  }
}
