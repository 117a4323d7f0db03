// A knob: dragged up and down, turned by the wheel and the arrow keys, set back by a double click.

import { h } from "./dom.js";
import { clamp } from "./store.js";

const SWEEP = 270;  // degrees
const TRAVEL = 180;  // pixels from end to end
const RADIUS = 17;
const WHEEL_REST = 400;  // ms after which a wheel is at rest

/**
 * @typedef {object} KnobOptions
 * @property {string} label
 * @property {readonly [number, number]} range
 * @property {number} neutral      where a double click leads, and where the arc begins
 * @property {number} step         of an arrow key
 * @property {number} [curve]      more than 1 leaves more room for small values
 * @property {(value: number) => string} show
 * @property {(value: number) => void} change
 * @property {() => void} done     the hand has left it
 * @property {string} [describedBy]  id of what says more about it
 */

export class Knob {
  /** @param {KnobOptions} options */
  constructor(options) {
    this.#options = options;
    this.#value = options.neutral;
    const id = `knob-${options.label.toLowerCase().replaceAll(" ", "-")}`;
    this.#dial = h("div", {
      class: "dial", role: "slider", tabindex: 0, "aria-labelledby": id, "aria-describedby": options.describedBy,
      "aria-valuemin": options.range[0], "aria-valuemax": options.range[1],
      keydown: (/** @type {KeyboardEvent} */ event) => this.#press(event),
      pointerdown: (/** @type {PointerEvent} */ event) => this.#grab(event),
      dblclick: () => { this.#set(options.neutral); options.done(); },
    });
    this.#dial.addEventListener("wheel", (event) => {
      if (document.activeElement !== this.#dial) return;  // the page is scrolled
      event.preventDefault();
      this.#set(this.#value - Math.sign(event.deltaY) * options.step);
      clearTimeout(this.#rest);
      this.#rest = setTimeout(options.done, WHEEL_REST);
    }, { passive: false });
    this.#dial.append(this.#drawing());
    this.#text = h("output", { class: "knob-value" });
    this.element = h("div", { class: "knob" }, this.#dial, h("span", { class: "knob-label", id }, options.label), this.#text);
    this.show(options.neutral);
  }

  #options;
  #value;
  #rest = 0;
  #dial;
  #text;
  /** @type {SVGPathElement} */
  #arc = document.createElementNS("http://www.w3.org/2000/svg", "path");
  /** @type {SVGPathElement} */
  #hand = document.createElementNS("http://www.w3.org/2000/svg", "path");

  /** Show a value. @param {number} value */
  show(value) {
    this.#value = value;
    const text = this.#options.show(value);
    this.#text.textContent = text;
    this.#dial.setAttribute("aria-valuenow", String(Math.round(value * 1000) / 1000));
    this.#dial.setAttribute("aria-valuetext", text);
    const [from, to] = [this.#angle(this.#options.neutral), this.#angle(value)].sort((a, b) => a - b);
    this.#arc.setAttribute("d", to - from > 0.5 ? arc(from, to) : "");
    const angle = this.#angle(value);
    this.#hand.setAttribute("d", `M${point(angle, 5)}L${point(angle, 11.5)}`);
  }

  #drawing() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "-22 -22 44 44");
    svg.setAttribute("aria-hidden", "true");
    const track = document.createElementNS("http://www.w3.org/2000/svg", "path");
    track.setAttribute("d", arc(-SWEEP / 2, SWEEP / 2));
    track.classList.add("knob-track");
    const cap = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    cap.setAttribute("r", "13");
    cap.classList.add("knob-cap");
    this.#arc.classList.add("knob-arc");
    this.#hand.classList.add("knob-hand");
    svg.append(track, this.#arc, cap, this.#hand);
    return svg;
  }

  get #curve() { return this.#options.curve ?? 1; }

  /** @param {number} value */
  #share(value) {
    const [least, most] = this.#options.range;
    return ((value - least) / (most - least)) ** (1 / this.#curve);
  }

  /** @param {number} value */
  #angle(value) {
    return (this.#share(value) - 0.5) * SWEEP;
  }

  /** @param {number} value */
  #set(value) {
    const next = clamp(value, this.#options.range);
    if (next === this.#value) return;
    this.show(next);
    this.#options.change(next);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { step, range, neutral } = this.#options;
    /** @type {Record<string, number>} */
    const keys = {
      ArrowUp: this.#value + step, ArrowRight: this.#value + step, ArrowDown: this.#value - step,
      ArrowLeft: this.#value - step, PageUp: this.#value + 5 * step, PageDown: this.#value - 5 * step,
      Home: range[0], End: range[1], Delete: neutral, Backspace: neutral,
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#set(Math.round(keys[event.key] / step) * step);
    this.#options.done();
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button) return;
    const [least, most] = this.#options.range;
    let share = this.#share(this.#value), y = event.clientY;
    this.#dial.setPointerCapture(event.pointerId);
    this.#dial.focus({ preventScroll: true });
    event.preventDefault();
    const move = (/** @type {PointerEvent} */ next) => {
      share = clamp(share + ((y - next.clientY) / TRAVEL) * (next.shiftKey ? 0.2 : 1), [0, 1]);
      y = next.clientY;
      const value = least + (most - least) * share ** this.#curve;
      const near = Math.abs(share - this.#share(this.#options.neutral)) < 0.012;
      this.#set(near ? this.#options.neutral : value);
    };
    const release = () => {
      this.#dial.removeEventListener("pointermove", move);
      this.#options.done();
    };
    this.#dial.addEventListener("pointermove", move);
    this.#dial.addEventListener("lostpointercapture", release, { once: true });
  }
}

/** @param {number} degrees clockwise from the top @param {number} radius */
function point(degrees, radius) {
  const angle = ((degrees - 90) * Math.PI) / 180;
  return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
}

/** @param {number} from @param {number} to */
const arc = (from, to) => `M${point(from, RADIUS)}A${RADIUS} ${RADIUS} 0 ${to - from > 180 ? 1 : 0} 1 ${point(to, RADIUS)}`;
