// The pad that is looked at: its name, where its sound comes from, and how it is played.

/** @import { Desk } from "./desk.js" */
/** @import { Settings, Sound } from "./types.js" */

import { Character, turnedWords } from "./character.js";
import { button, h, say, sayProblem } from "./dom.js";
import { savePad } from "./files.js";
import { Knob } from "./knob.js";
import { NEUTRAL, RANGES } from "./store.js";
import { drawWaveform } from "./waveform.js";

/** @param {number} value @param {number} [digits] */
const signed = (value, digits = 1) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(digits)}`;
const percent = (/** @type {number} */ value) => `${Math.round(100 * value)} %`;

/** @type {{key: Exclude<keyof Settings, "choke">, label: string, step: number, curve?: number, show: (value: number) => string}[]} */
const KNOBS = [
  { key: "gain", label: "Gain", step: 0.5, show: (value) => `${signed(value)} dB` },
  { key: "pitch", label: "Pitch", step: 1, show: (value) => `${signed(value, Math.abs(value % 1) > 0.05 ? 1 : 0)} st` },
  { key: "attack", label: "Attack", step: 0.005, curve: 2, show: (value) => `${Math.round(1000 * value)} ms` },
  { key: "decay", label: "Decay", step: 0.02, show: (value) => (value >= 1 ? "full" : percent(value)) },
  { key: "tone", label: "Tone", step: 0.05, show: (value) => (value ? `${value < 0 ? "low" : "high"} ${percent(Math.abs(value))}` : "open") },
  { key: "pan", label: "Pan", step: 0.05, show: (value) => (value ? `${value < 0 ? "L" : "R"} ${Math.round(100 * Math.abs(value))}` : "middle") },
  { key: "send", label: "Room", step: 0.05, show: percent },
];
/** @type {Record<string, string>} */
const MADE = {
  new: "new", latent: "made again", variation: "a variation", morph: "between others", recording: "a recording",
  resynthesis: "made after a recording", file: "a file", turned: "turned",
};

export class Inspector {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#desk = desk;
    this.#name = h("input", {
      type: "text", class: "name", maxlength: 60, "aria-label": "Name of the sound", autocomplete: "off", spellcheck: "false",
      change: () => desk.store.changePad("name", desk.store.selected, { name: this.#name.value.trim() || "sound" }),
      keydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && this.#name.blur(),
    });
    this.#facts = h("p", { class: "facts" });
    this.#license = h("p", { class: "facts license" });
    this.#canvas = h("canvas", { class: "large-wave", "aria-hidden": "true" });
    this.#knobs = new Map(KNOBS.map((options) => [options.key, this.#makeKnob(options)]));
    this.#chokes = this.#makeChokes();
    this.#star = button({ icon: "star", text: "Star", key: "G", pressed: false, click: () => this.star() });
    this.#lock = button({ icon: "lock", text: "Lock", key: "L", pressed: false, click: () => desk.toggleLock(desk.store.selected) });
    this.#search = h("div", { class: "search" });
    const character = h("section", { class: "group", "aria-label": "Character of the sound", hidden: true });
    root.append(
      h("div", { class: "name-row" }, this.#name, this.#star, this.#lock),
      this.#facts,
      this.#license,
      this.#canvas,
      character,
      h("section", { class: "group", "aria-label": "How the pad plays it" },
        h("div", { class: "heading" }, h("h3", {}, "Pad"),
          button({ icon: "reset", label: "Set all knobs back", class: "quiet", click: () => desk.store.changePad("reset", desk.store.selected, { settings: NEUTRAL }) })),
        h("div", { class: "knobs" }, ...[...this.#knobs.values()].map(({ element }) => element))),
      h("fieldset", { class: "chokes" }, h("legend", {}, "Choke group"), ...this.#chokes),
      h("div", { class: "row" },
        button({ icon: "save", text: "Save WAV", label: "Save this pad as a WAV file", click: () => savePad(desk, desk.store.selected).catch(sayProblem) }),
        button({ icon: "fill", text: "Fill pads", label: "Fill all other unlocked pads with variations", click: () => desk.fillWithVariations(desk.store.selected) }),
      ),
      this.#search,
    );
    desk.store.listen(() => this.update());
    desk.listen(() => this.update());
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    new Character(character, desk);
    this.update();
  }

  #desk;
  #name;
  #facts;
  #license;
  #canvas;
  #knobs;
  #chokes;
  #star;
  #lock;
  #search;
  #shown = "";
  /** @type {AbortController | null} */
  #looking = null;

  /** @param {typeof KNOBS[number]} options */
  #makeKnob({ key, label, step, curve, show }) {
    const { store } = this.#desk;
    return new Knob({
      label, step, curve, show, range: RANGES[key], neutral: NEUTRAL[key],
      change: (value) => this.#set(label.toLowerCase(), key, value, `${key} ${store.selected}`),
      done: () => store.endMerge(),
    });
  }

  #makeChokes() {
    return [0, 1, 2, 3, 4].map((group) => {
      const input = h("input", {
        type: "radio", name: "choke", value: group, change: () => this.#set("choke group", "choke", group),
      });
      return h("label", { class: "choke", dataset: { choke: group || "" } }, input, h("span", {}, group ? String(group) : "none"));
    });
  }

  /** @param {string} what @param {keyof Settings} key @param {number} value @param {string} [merge] */
  #set(what, key, value, merge) {
    const { store } = this.#desk, { settings } = store.state.pads[store.selected];
    store.changePad(what, store.selected, { settings: { ...settings, [key]: value } }, merge);
  }

  star() {
    const { store } = this.#desk, sound = store.soundOf(store.selected);
    if (sound) this.#desk.toggleStar(sound, store.state.pads[store.selected].name);
    else say("There is no sound on that pad.");
  }

  update() {
    const { store, shelf } = this.#desk, pad = store.state.pads[store.selected], sound = store.soundOf(store.selected);
    if (document.activeElement !== this.#name) this.#name.value = pad.name;
    this.#name.disabled = !sound;
    const license = sound?.facts.license ?? "";
    this.#license.textContent = this.#license.title = license && `Licence of what the model learnt from: ${license}`;
    this.#license.hidden = !license;
    this.#facts.textContent = sound ? describe(sound) : "Press N for a new sound, or drop a recording here.";
    for (const { key } of KNOBS) this.#knobs.get(key)?.show(pad.settings[key]);
    this.#chokes.forEach((label, group) => {
      /** @type {HTMLInputElement} */ (label.firstElementChild).checked = pad.settings.choke === group;
    });
    this.#star.setAttribute("aria-pressed", String(shelf.has(pad.sound)));
    this.#lock.setAttribute("aria-pressed", String(pad.locked));
    if (this.#shown !== pad.sound) {
      this.#shown = pad.sound;
      this.#draw();
      this.#offerSearch(sound);
    }
  }

  #draw() {
    drawWaveform(this.#canvas, this.#desk.store.soundOf(this.#desk.store.selected));
  }

  /** For a recording: look for the nearest sound of the model. @param {Sound | undefined} sound */
  #offerSearch(sound) {
    this.#looking?.abort();
    this.#search.replaceChildren();
    if (!sound || sound.facts.latent.length || !this.#desk.model || !this.#desk.engine.studio.can_invert) return;
    this.#search.append(
      h("p", {}, "A recording. The model can look for the nearest sound that it can make: then it can be varied and morphed."),
      button({ icon: "morph", text: "Find the nearest sound", class: "primary", click: () => this.#look(sound) }),
    );
  }

  /** @param {Sound} sound */
  async #look(sound) {
    const desk = this.#desk, pad = desk.store.selected, { name } = desk.store.state.pads[pad];
    const looking = new AbortController();
    this.#looking = looking;
    const bar = h("progress", { max: 1, value: 0, "aria-label": "Looking for the nearest sound" });
    const stage = h("p", {}, "Looking for the nearest sound …");
    this.#search.replaceChildren(stage, bar,
      button({ icon: "close", text: "Cancel", click: () => looking.abort() }));
    try {
      const recording = await desk.recordingOf(sound, name);
      const ask = { model: desk.model, recording, labels: desk.labels };
      const found = await desk.engine.invert(ask, (share, what) => {
        bar.value = share;
        stage.textContent = `${what.charAt(0).toUpperCase()}${what.slice(1)} …`;
      }, looking.signal);
      desk.takeIn([found.sound]);
      if (!looking.signal.aborted) this.#compare(pad, sound, found.sound, found.verdict, name);
      say(found.verdict);
    } catch (error) {
      if (looking.signal.aborted) say("Cancelled");
      else sayProblem(error);
      if (this.#shown === sound.id) this.#offerSearch(sound);
    }
  }

  /** @param {number} pad @param {Sound} original @param {Sound} nearest @param {string} verdict @param {string} name */
  #compare(pad, original, nearest, verdict, name) {
    const desk = this.#desk;
    const side = (/** @type {string} */ title, /** @type {Sound} */ sound) => {
      const canvas = h("canvas", { "aria-hidden": "true" });
      requestAnimationFrame(() => drawWaveform(canvas, sound));
      return h("div", { class: "side" }, canvas, button({ icon: "play", text: title, label: `Play ${title.toLowerCase()}`, click: () => desk.preview(sound) }));
    };
    this.#search.replaceChildren(
      h("div", { class: "sides" }, side("Original", original), side("Nearest", nearest)),
      h("p", { class: "verdict" }, verdict),
      button({
        icon: "check", text: "Put the nearest on the pad", class: "primary",
        click: () => desk.place("nearest sound", pad, nearest, `${name} again`),
      }),
    );
  }
}

/** @param {Sound} sound */
export function describe({ facts, channels, sampleRate }) {
  const seconds = channels[0].length / sampleRate;
  const rate = `${(sampleRate / 1000).toFixed(1).replace(/\.0$/, "")} kHz`;
  const shares = Object.entries(facts.labels).sort(([, a], [, b]) => b - a);
  const labels = shares.map(([word, share]) => (share < 1 ? `${word} ${Math.round(100 * share)} %` : word)).join(" + ");
  const made = turnedWords(facts.turned) || (MADE[facts.made] ?? facts.made);
  const origin = [facts.model_name, labels, made, facts.seed === null ? "" : `seed ${facts.seed}`];
  return [...origin, `${seconds.toFixed(2)} s`, rate].filter(Boolean).join(" · ");
}

