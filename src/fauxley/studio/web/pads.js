// The pads: sixteen sounds to be struck by finger, mouse, keys and MIDI.

/** @import { Desk } from "./desk.js" */

import { h, icon } from "./dom.js";
import { bars, drawWaveform } from "./waveform.js";
import { NUM_PADS } from "./store.js";
import { downloadAddress, padFile, takeFiles } from "./files.js";

/** Keys by where they are, whatever is printed on them. */
export const PAD_KEYS = [
  "Digit1", "Digit2", "Digit3", "Digit4", "KeyQ", "KeyW", "KeyE", "KeyR",
  "KeyA", "KeyS", "KeyD", "KeyF", "KeyZ", "KeyX", "KeyC", "KeyV",
];
const PAD_TYPE = "application/x-fauxley-pad";
const COLUMNS = 4;

export class PadsView {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#desk = desk;
    this.#pads = Array.from({ length: NUM_PADS }, (_, number) => this.#makePad(number));
    root.append(...this.#pads.map(({ element }) => element));
    root.addEventListener("keydown", (event) => this.#move(event));
    desk.store.listen(() => this.update());
    desk.listen(() => this.update());
    desk.player.onPlay = () => this.#animate();
    const redraw = new ResizeObserver(() => this.draw(true));
    for (const { canvas } of this.#pads) redraw.observe(canvas);
    this.update();
  }

  #desk;
  #pads;
  #isAnimated = false;

  /** @param {number} number */
  #makePad(number) {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const name = h("span", { class: "pad-name" }), marks = h("span", { class: "pad-marks" }, icon("lock"), icon("star"));
    const level = h("span", { class: "pad-level" }, h("span")), rest = h("span", { class: "pad-rest" });
    const letter = PAD_KEYS[number].replace(/^(Digit|Key)/, "");
    const element = h("button", { type: "button", class: "pad", draggable: "true", dataset: { pad: number } },
      h("span", { class: "pad-head" }, h("span", { class: "pad-number" }, String(number + 1)), h("kbd", {}, letter), marks),
      h("span", { class: "pad-wave" }, canvas, rest), level, name);
    element.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.#desk.select(number);
      this.#desk.play(number, event.shiftKey ? 0.5 : 1);
    });
    element.addEventListener("click", (event) => {
      if (event.detail) return;  // a pointer's, which was heard when it went down
      this.#desk.select(number);
      this.#desk.play(number);
    });
    element.addEventListener("focus", () => element.matches(":focus-visible") && this.#desk.select(number));
    this.#letDrag(element, number);
    return { element, canvas, name, rest, level: /** @type {HTMLElement} */ (level.firstElementChild), letter, shown: "" };
  }

  /** @param {HTMLElement} element @param {number} number */
  #letDrag(element, number) {
    element.addEventListener("dragstart", (event) => {
      const sound = this.#desk.store.soundOf(number);
      if (!sound || !event.dataTransfer) return event.preventDefault();
      const { name } = this.#desk.store.state.pads[number];
      event.dataTransfer.setData(PAD_TYPE, String(number));
      event.dataTransfer.effectAllowed = "copyMove";
      const address = downloadAddress(this.#desk, sound, name);
      if (address) event.dataTransfer.setData("DownloadURL", address);
      event.dataTransfer.items.add?.(padFile(sound, name));
    });
    const over = (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      element.classList.add("over");
    };
    element.addEventListener("dragenter", over);
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", () => element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      element.classList.remove("over");
      const from = event.dataTransfer?.getData(PAD_TYPE);
      if (from) return this.#desk.swap(Number(from), number);
      takeFiles(this.#desk, event, number);
    });
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const next = (this.#desk.store.selected + way + NUM_PADS) % NUM_PADS;
    this.#desk.select(next);
    this.#pads[next].element.focus();
  }

  update() {
    const { store, shelf, waiting } = this.#desk;
    store.state.pads.forEach((pad, number) => {
      const { element, name, letter } = this.#pads[number];
      const isStarred = shelf.has(pad.sound), isSelected = store.selected === number;
      element.classList.toggle("locked", pad.locked);
      element.classList.toggle("starred", isStarred);
      element.classList.toggle("waiting", waiting.has(number));
      element.classList.toggle("empty", !pad.sound);
      element.tabIndex = isSelected ? 0 : -1;
      if (isSelected) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
      const shownName = pad.name || (waiting.has(number) ? "making a sound …" : "empty");
      name.textContent = shownName;
      const choke = pad.settings.choke ? `choke group ${pad.settings.choke}` : "";
      const facts = [shownName, `key ${letter}`, pad.locked && "locked", isStarred && "starred", choke];
      element.setAttribute("aria-label", `Pad ${number + 1}: ${facts.filter(Boolean).join(", ")}`);
      element.dataset.choke = pad.settings.choke ? String(pad.settings.choke) : "";
      element.title = choke;
    });
    this.draw();
  }

  /** Draw the waveforms of pads that have another sound than before. @param {boolean} [all] */
  draw(all = false) {
    const { theme } = document.documentElement.dataset;
    this.#pads.forEach((pad, number) => {
      const sound = this.#desk.store.soundOf(number), shown = `${sound?.id} ${theme}`;
      if (shown !== pad.shown || all) drawWaveform(pad.canvas, sound);
      pad.shown = shown;
    });
  }

  #animate() {
    if (this.#isAnimated) return;
    this.#isAnimated = true;
    const frame = () => {
      const { player, store } = this.#desk;
      this.#pads.forEach(({ element, rest, level }, number) => {
        const progress = player.progress(number), isPlaying = progress >= 0;
        if (!isPlaying && !element.classList.contains("playing")) return;
        const sound = store.soundOf(number);
        element.classList.toggle("playing", isPlaying);
        rest.style.transform = `scaleX(${isPlaying ? 1 - progress : 0})`;
        const measured = sound && isPlaying ? bars(sound, 64)[Math.min(63, Math.floor(progress * 64))].peak : 0;
        level.style.transform = `scaleY(${Math.min(1, measured * (player.playing.get(number)?.velocity ?? 0)) ** 0.6})`;
      });
      if (player.playing.size || this.#pads.some(({ element }) => element.classList.contains("playing"))) requestAnimationFrame(frame);
      else this.#isAnimated = false;
    };
    requestAnimationFrame(frame);
  }
}
