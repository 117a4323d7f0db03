// Between two pads, or in a square of four: a place to be dragged, heard all the while.

/** @import { Desk } from "./desk.js" */
/** @import { Sound, Square } from "./types.js" */

import { button, h, say, sayProblem } from "./dom.js";
import { Looper } from "./looper.js";
import { NUM_PADS, clamp } from "./store.js";
import { drawWaveform } from "./waveform.js";

const NAMES = ["A", "B", "C", "D"];
const STEP = 0.05;  // of an arrow key
const SERIES = 8;

export class MorphView {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#desk = desk;
    this.#puck = h("button", {
      type: "button", class: "puck", "aria-label": "Place in the morph", "aria-describedby": "morph-place",
      keydown: (/** @type {KeyboardEvent} */ event) => this.#press(event),
    });
    this.#corners = NAMES.map((name, corner) => this.#makeCorner(name, corner));
    this.#field = h("div", { class: "field", pointerdown: (/** @type {PointerEvent} */ event) => this.#grab(event) }, this.#puck);
    this.#place = h("p", { class: "facts", id: "morph-place" });
    this.#canvas = h("canvas", { class: "large-wave", "aria-hidden": "true" });
    this.#listen = button({ icon: "play", text: "Listen", pressed: false, click: () => (this.isPlaying ? this.stop() : this.#start()) });
    this.#four = button({ icon: "morph", text: "Square of four", pressed: true, click: () => this.#toggleFour() });
    root.append(
      h("div", { class: "row" }, this.#four, this.#listen),
      h("div", { class: "square" }, ...this.#corners.map(({ element }) => element), this.#field),
      this.#place, this.#canvas,
      h("div", { class: "row" },
        button({ icon: "check", text: "Put on pad", label: "Put this sound on the pad that is looked at", class: "primary", click: () => this.#putOnPad() }),
        button({ icon: "fill", text: "Series to pads", label: "Put a series from A to B on the next unlocked pads", click: () => this.#series() })),
    );
    desk.store.listen(() => this.#showNames());
    this.#showNames();
    this.#show();
  }

  #desk;
  #puck;
  #corners;
  #field;
  #place;
  #canvas;
  #listen;
  #four;
  #isSquare = true;
  #x = 0.5;
  #y = 0.5;
  /** @type {Looper | null} */
  #looper = null;
  /** @type {Sound | null} */
  #sound = null;
  /** @type {Promise<void> | null} */
  #asking = null;
  #isStale = true;

  get isPlaying() { return Boolean(this.#looper?.isPlaying); }

  /** @param {string} name @param {number} corner */
  #makeCorner(name, corner) {
    const select = h("select", {
      "aria-label": `Corner ${name}`,
      change: () => { this.#isStale = true; this.#ask(); },
    }, ...Array.from({ length: NUM_PADS }, (_, pad) => h("option", { value: pad, selected: pad === corner }, String(pad + 1))));
    return { element: h("label", { class: `corner corner-${name.toLowerCase()}` }, h("span", {}, name), select), select };
  }

  #showNames() {
    for (const { select } of this.#corners) {
      [...select.options].forEach((option, pad) => {
        option.textContent = `${pad + 1} ${this.#desk.store.state.pads[pad].name}`.slice(0, 24);
      });
    }
    this.#isStale = true;
  }

  /** @returns {Square} */
  #square() {
    const pads = this.#corners.slice(0, this.#isSquare ? 4 : 2).map(({ select }) => Number(select.value));
    const facts = pads.map((pad) => this.#desk.store.soundOf(pad)?.facts);
    if (facts.some((each) => !each?.latent.length)) {
      throw new Error("A morph leads between sounds of a model; one of these pads has none. For a recording, find its nearest sound first.");
    }
    const known = /** @type {import("./types.js").Facts[]} */ (facts);
    if (new Set(known.map(({ model }) => model)).size > 1) throw new Error("The sounds of a morph must be of one model.");
    return { model: known[0].model, corners: known.map(({ latent }) => latent), labels: known.map(({ labels }) => labels) };
  }

  #toggleFour() {
    this.#isSquare = !this.#isSquare;
    this.#four.setAttribute("aria-pressed", String(this.#isSquare));
    this.#isStale = true;
    this.#show();
    this.#ask();
  }

  async #start() {
    const context = this.#desk.player.wake();
    this.#looper = new Looper(context, this.#desk.player.mixer.input);
    this.#listen.setAttribute("aria-pressed", "true");
    this.#desk.player.isLooping = true;
    this.#isStale = true;
    await this.#ask();
    if (this.#sound && this.#looper && !this.#looper.isPlaying) this.#looper.play(this.#sound);
  }

  stop() {
    this.#looper?.stop();
    this.#looper = null;
    this.#desk.player.isLooping = false;
    this.#listen.setAttribute("aria-pressed", "false");
  }

  /** Have the sound of the place made; one at a time, and the newest place last. Ends when that is there. */
  #ask() {
    this.#asking ??= this.#make().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #make() {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        const sound = await this.#desk.engine.place({ ...this.#square(), x: this.#x, y: this.#isSquare ? this.#y : 0 });
        this.#sound = sound;
        drawWaveform(this.#canvas, sound);
        this.#looper?.play(sound);
      }
    } catch (error) {
      this.stop();
      sayProblem(error);
    }
  }

  /** Show the sound of the place, if it is to be had. */
  refresh() {
    if (this.#isStale && this.#corners.every(({ select }) => this.#desk.store.soundOf(Number(select.value))?.facts.latent.length)) this.#ask();
  }

  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    this.#x = clamp(x, [0, 1]);
    this.#y = clamp(y, [0, 1]);
    this.#isStale = true;
    this.#show();
    return this.#ask();
  }

  #show() {
    const y = this.#isSquare ? this.#y : 0.5;
    this.#puck.style.left = `${100 * this.#x}%`;
    this.#puck.style.top = `${100 * y}%`;
    this.#corners.slice(2).forEach(({ element }) => (element.hidden = !this.#isSquare));
    this.#field.classList.toggle("line", !this.#isSquare);
    const shares = this.#isSquare
      ? [(1 - this.#x) * (1 - this.#y), this.#x * (1 - this.#y), (1 - this.#x) * this.#y, this.#x * this.#y]
      : [1 - this.#x, this.#x];
    this.#place.textContent = shares.map((share, corner) => `${NAMES[corner]} ${Math.round(100 * share)} %`).join("   ");
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button) return;
    event.preventDefault();
    this.#puck.focus({ preventScroll: true });
    this.#field.setPointerCapture(event.pointerId);
    if (!this.isPlaying) this.#start();
    const move = (/** @type {PointerEvent} */ at) => {
      const box = this.#field.getBoundingClientRect();
      this.moveTo((at.clientX - box.left) / box.width, (at.clientY - box.top) / box.height);
    };
    this.#field.addEventListener("pointermove", move);
    this.#field.addEventListener("lostpointercapture", () => this.#field.removeEventListener("pointermove", move), { once: true });
    move(event);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    /** @type {Record<string, [number, number]>} */
    const ways = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    this.moveTo(this.#x + way[0], this.#y + way[1]);
  }

  async #putOnPad() {
    await this.#ask(); // the sound of the newest place, not of one on the way to it
    if (!this.#sound) return;
    const pad = this.#desk.store.selected;
    this.#desk.put("morph", [pad], [this.#sound]);
    this.stop();
    this.#desk.play(pad);
  }

  async #series() {
    const pads = this.#desk.open.filter((pad) => !this.#corners.slice(0, 2).some(({ select }) => Number(select.value) === pad));
    if (!pads.length) return say("There is no unlocked pad to put a series on.");
    try {
      const { model, corners, labels } = this.#square();
      const ask = { model, corners: corners.slice(0, 2), labels: labels.slice(0, 2), columns: Math.min(SERIES, pads.length) + 2 };
      const sounds = (await this.#desk.engine.morph(ask)).slice(1, -1);
      this.#desk.put("series from A to B", pads.slice(0, sounds.length), sounds);
    } catch (error) {
      sayProblem(error);
    }
  }
}
