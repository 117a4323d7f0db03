// The step sequencer: a row for each pad, a column for each sixteenth.

/** @import { Desk } from "./desk.js" */
/** @import { Step } from "./types.js" */

import { h } from "./dom.js";
import { NUM_PADS, NUM_STEPS, clamp, emptyPattern } from "./store.js";

/** What a stroke over the cells changes. @typedef {"steps" | "velocity" | "chance"} Mode */

export class StepsView {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#desk = desk;
    this.#root = root;
    this.#rows = Array.from({ length: NUM_PADS }, (_, pad) => this.#makeRow(pad));
    root.append(...this.#rows.map(({ element }) => element));
    root.addEventListener("pointerdown", (event) => this.#stroke(event));
    root.addEventListener("keydown", (event) => this.#press(event));
    desk.store.listen((state, before) => {
      if (state.patterns !== before.patterns || state.pattern !== before.pattern || state.pads !== before.pads) this.update();
    });
    desk.listen(() => this.#markSelected());
    this.update();
  }

  /** @type {Mode} */
  mode = "steps";
  #desk;
  #root;
  #rows;
  #focus = { pad: 0, step: 0 };
  #now = -1;

  /** @param {number} pad */
  #makeRow(pad) {
    const name = h("button", {
      type: "button", class: "row-name",
      click: () => { this.#desk.select(pad); this.#desk.play(pad); },
    });
    const cells = Array.from({ length: NUM_STEPS }, (_, step) =>
      h("button", { type: "button", class: "cell", tabindex: -1, dataset: { pad, step } }, h("span")));
    return { element: h("div", { class: "step-row", role: "group" }, name, h("div", { class: "cells" }, ...cells)), name, cells };
  }

  get #pattern() {
    const { patterns, pattern } = this.#desk.store.state;
    return patterns[pattern];
  }

  update() {
    const pattern = this.#pattern;
    this.#root.dataset.length = String(pattern.length);
    this.#rows.forEach(({ element, name, cells }, pad) => {
      const title = this.#desk.store.state.pads[pad].name || `pad ${pad + 1}`;
      if (name.textContent !== title) name.textContent = title;
      element.setAttribute("aria-label", title);
      cells.forEach((cell, step) => this.#showCell(cell, pattern.rows[pad][step], title, step));
    });
    this.#moveFocus(this.#focus.pad, Math.min(this.#focus.step, pattern.length - 1), false);
    this.#markSelected();
  }

  /** @param {HTMLElement} cell @param {Step} step @param {string} title @param {number} number */
  #showCell(cell, { velocity, chance }, title, number) {
    const facts = `${velocity} ${chance} ${title}`;
    if (cell.dataset.facts === facts) return;
    cell.dataset.facts = facts;
    cell.classList.toggle("on", velocity > 0);
    cell.classList.toggle("maybe", velocity > 0 && chance < 1);
    cell.style.setProperty("--velocity", String(velocity));
    cell.style.setProperty("--chance", String(chance));
    cell.setAttribute("aria-pressed", String(velocity > 0));
    const about = velocity > 0 ? `, velocity ${Math.round(100 * velocity)}, chance ${Math.round(100 * chance)} percent` : "";
    cell.setAttribute("aria-label", `${title}, step ${number + 1}${about}`);
  }

  #markSelected() {
    this.#rows.forEach(({ element }, pad) => element.classList.toggle("selected", pad === this.#desk.store.selected));
  }

  /** The step that is heard. @param {number} step */
  showNow(step) {
    for (const { cells } of this.#rows) {
      if (this.#now >= 0) cells[this.#now].classList.remove("now");
      if (step >= 0) cells[step].classList.add("now");
    }
    this.#now = step;
  }

  /** @param {EventTarget | null} target */
  #placeOf(target) {
    const cell = target instanceof Element ? target.closest(".cell") : null;
    if (!(cell instanceof HTMLElement)) return null;
    return { cell, pad: Number(cell.dataset.pad), step: Number(cell.dataset.step) };
  }

  /** @param {number} pad @param {number} step @param {Step} value @param {string} merge */
  #set(pad, step, value, merge) {
    const pattern = this.#pattern, rows = [...pattern.rows];
    rows[pad] = rows[pad].with(step, value);
    this.#desk.store.changePattern("steps", { ...pattern, rows }, merge);
  }

  /** @param {PointerEvent} event */
  #stroke(event) {
    const first = this.#placeOf(event.target);
    if (!first || event.button) return;
    event.preventDefault();
    first.cell.setPointerCapture?.(event.pointerId);
    this.#moveFocus(first.pad, first.step, true);
    const merge = `stroke ${event.timeStamp}`;
    const erases = this.#pattern.rows[first.pad][first.step].velocity > 0;
    const paint = (/** @type {PointerEvent} */ at) => {
      const place = this.#placeOf(document.elementFromPoint(at.clientX, at.clientY));
      if (!place) return;
      const before = this.#pattern.rows[place.pad][place.step];
      if (this.mode === "steps") {
        const velocity = erases ? 0 : at.shiftKey ? 0.5 : before.velocity || 0.85;
        if (before.velocity !== velocity) this.#set(place.pad, place.step, { ...before, velocity }, merge);
        return;
      }
      if (!before.velocity) return;
      const box = place.cell.getBoundingClientRect();
      const share = Math.round(10 * clamp(1 - (at.clientY - box.top - 2) / (box.height - 4), [0, 1])) / 10;
      const value = this.mode === "velocity" ? { velocity: Math.max(0.1, share) } : { chance: Math.max(0.1, share) };
      this.#set(place.pad, place.step, { ...before, ...value }, merge);
    };
    const done = () => {
      removeEventListener("pointermove", paint);
      this.#desk.store.endMerge();
    };
    addEventListener("pointermove", paint);
    addEventListener("pointerup", done, { once: true });
    addEventListener("pointercancel", done, { once: true });
    paint(event);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const place = this.#placeOf(event.target);
    if (!place) return;
    const { pad, step } = place, before = this.#pattern.rows[pad][step];
    const nudge = event.key === "ArrowUp" ? 0.1 : -0.1;
    const round = (/** @type {number} */ value) => Math.round(10 * clamp(value, [0.1, 1])) / 10;
    if (event.key === "Enter" || event.key === " ") {
      this.#set(pad, step, { ...before, velocity: before.velocity ? 0 : 0.85 }, "");
    } else if (event.key.startsWith("Arrow") && event.shiftKey && event.key.match(/Up|Down/)) {
      if (before.velocity) this.#set(pad, step, { ...before, velocity: round(before.velocity + nudge) }, `velocity ${pad} ${step}`);
    } else if (event.key.startsWith("Arrow") && event.altKey && event.key.match(/Up|Down/)) {
      if (before.velocity) this.#set(pad, step, { ...before, chance: round(before.chance + nudge) }, `chance ${pad} ${step}`);
    } else if (event.key.startsWith("Arrow")) {
      const across = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      const down = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      const { length } = this.#pattern;
      this.#moveFocus((pad + down + NUM_PADS) % NUM_PADS, (step + across + length) % length, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} pad @param {number} step @param {boolean} really */
  #moveFocus(pad, step, really) {
    this.#rows[this.#focus.pad].cells[this.#focus.step].tabIndex = -1;
    this.#focus = { pad, step };
    const cell = this.#rows[pad].cells[step];
    cell.tabIndex = 0;
    if (really) cell.focus({ preventScroll: true });
  }

  /** @param {16 | 32} length */
  setLength(length) {
    const pattern = this.#pattern;
    if (pattern.length === length) return;
    // The second half begins as the first one is, where there is nothing yet.
    const isEmpty = pattern.rows.every((row) => row.slice(16).every(({ velocity }) => !velocity));
    const rows = length === 32 && isEmpty ? pattern.rows.map((row) => [...row.slice(0, 16), ...row.slice(0, 16)]) : pattern.rows;
    this.#desk.store.changePattern(`${length} steps`, { length, rows });
  }

  clear() {
    this.#desk.store.changePattern("clearing of the pattern", { ...emptyPattern(), length: this.#pattern.length });
  }
}
