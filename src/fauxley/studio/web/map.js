// A map of sounds: near is alike. The pointer plays what it comes over, a click chooses, arrow keys go to neighbours.

import { h } from "./dom.js";
import { layout } from "./layout.js";

const NEAR = 28;  // pixels within which the pointer finds a sound
const EDGE = 26;  // pixels around the points
const MOST_COLOURS = 12;
const FIRST_HUE = 45, GOOD_HUE = 150;

/** A colour that stands out in both themes, as a style's. @param {number} hue */
const colour = (hue) => `oklch(var(--map-light) 0.15 ${hue})`;

/**
 * @template {string | number} Id
 * @typedef {object} Point
 * @property {Id} id
 * @property {string} name
 * @property {string} label
 * @property {number[]} likeness
 * @property {"" | "kept" | "rejected"} mark
 */

/** @template {string | number} Id */
export class SoundMap {
  /** @param {{name: string, hover: (id: Id) => void, choose: (id: Id) => void}} options */
  constructor({ name, hover, choose }) {
    this.#canvas = h("canvas", { "aria-hidden": "true" });
    this.#tip = h("span", { class: "map-tip", "aria-hidden": "true" });
    this.#axes = h("div", { class: "map-axes", "aria-hidden": "true" });
    this.#legend = h("ul", { class: "legend", "aria-label": "Colours" });
    this.field = h("div", { class: "map", role: "application", tabindex: 0, "aria-label": name }, this.#canvas, this.#axes, this.#tip);
    this.element = h("div", { class: "map-part" }, this.field, this.#legend);
    this.field.addEventListener("pointermove", (event) => {
      const found = this.#at(event);
      if (found === this.#hovered) return;
      this.#hovered = found;
      this.#draw();
      if (found >= 0) hover(this.#points[found].id);
    });
    this.field.addEventListener("pointerleave", () => {
      this.#hovered = -1;
      this.#draw();
    });
    this.field.addEventListener("click", (event) => {
      const found = this.#at(event);
      if (found >= 0) choose(this.#points[found].id);
    });
    new ResizeObserver(() => this.#draw()).observe(this.field);
  }

  #canvas;
  #tip;
  #axes;
  #legend;
  /** @type {Point<Id>[]} */
  #points = [];
  /** @type {[number, number][]} */
  #places = [];
  /** @type {Map<string, string>} */
  #colours = new Map();
  #hovered = -1;
  #current = -1;
  #known = "";

  /** Show sounds that have been measured. @param {Point<Id>[]} points @param {Id | undefined} current id of the one that is looked at */
  show(points, current) {
    this.#points = points;
    this.#current = points.findIndex(({ id }) => id === current);
    const known = points.map(({ id }) => id).join();
    if (known !== this.#known) {
      this.#known = known;
      this.#hovered = -1;
      this.#place();
    }
    this.#draw();
  }

  #place() {
    const { places, axes } = layout(this.#points.map(({ likeness }) => likeness));
    this.#places = places;
    const [across, up] = axes;
    this.#axes.replaceChildren(...[["left", across?.low], ["right", across?.high], ["bottom", up?.low], ["top", up?.high]]
      .flatMap(([side, word]) => (word ? [h("span", { class: `axis-${side}` }, word)] : [])));
    const counts = new Map();
    for (const { label } of this.#points) counts.set(label, (counts.get(label) ?? 0) + 1);
    const labels = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_COLOURS).map(([label]) => label).sort();
    this.#colours = new Map(labels.map((label, number) => [label, colour(Math.round(FIRST_HUE + (360 * number) / labels.length))]));
    this.#legend.replaceChildren(...(labels.length > 1 ? labels : []).map((label) => {
      const item = h("li", {}, `${label || "no label"} `, h("span", {}, String(counts.get(label))));
      item.style.setProperty("--colour", this.#colours.get(label) ?? "");
      return item;
    }));
  }

  /** Where a sound lies, in pixels. @param {number} number */
  #pixels(number) {
    const { clientWidth: width, clientHeight: height } = this.field, [x, y] = this.#places[number];
    return [EDGE + x * (width - 2 * EDGE), height - EDGE - y * (height - 2 * EDGE)];
  }

  /** The sound under a pointer; -1 for none. @param {MouseEvent} event */
  #at(event) {
    const box = this.field.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, nearest = NEAR;
    this.#points.forEach((_, number) => {
      const [px, py] = this.#pixels(number), away = Math.hypot(px - x, py - y);
      if (away < nearest) [best, nearest] = [number, away];
    });
    return best;
  }

  /** What a sound is called. @param {Id} wanted */
  nameOf(wanted) {
    return this.#points.find(({ id }) => id === wanted)?.name ?? "";
  }

  /** The nearest sound in a direction; undefined if there is none. @param {number} across @param {number} down @returns {Id | undefined} */
  towards(across, down) {
    if (this.#current < 0) return this.#points[0]?.id;
    const [x, y] = this.#pixels(this.#current);
    return this.#least((number) => {
      const [px, py] = this.#pixels(number), along = (px - x) * across + (py - y) * down, aside = Math.abs((px - x) * down) + Math.abs((py - y) * across);
      return along > 0 && aside <= 2 * along ? along + 2 * aside : Infinity;
    });
  }

  /** The nearest sound that is neither kept nor rejected. @returns {Id | undefined} */
  nextOpen() {
    if (this.#current < 0) return undefined;
    const [x, y] = this.#pixels(this.#current);
    return this.#least((number) => {
      const [px, py] = this.#pixels(number);
      return this.#points[number].mark ? Infinity : Math.hypot(px - x, py - y);
    });
  }

  /** The sound with the smallest cost, but for the current one. @param {(number: number) => number} cost */
  #least(cost) {
    let best = /** @type {Id | undefined} */ (undefined), least = Infinity;
    this.#points.forEach(({ id }, number) => {
      const value = number === this.#current ? Infinity : cost(number);
      if (value < least) [best, least] = [id, value];
    });
    return best;
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.field, scale = window.devicePixelRatio || 1;
    const context = this.#canvas.getContext("2d");
    if (!width || !height || !context) return;
    [this.#canvas.width, this.#canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    context.scale(scale, scale);
    const style = getComputedStyle(this.field), ink = style.getPropertyValue("color"), light = style.getPropertyValue("--map-light");
    const drawn = (/** @type {string | undefined} */ found) => found?.replace("var(--map-light)", light) ?? "gray";
    const radius = Math.max(3, Math.min(7, Math.sqrt((width * height) / Math.max(1, this.#points.length)) / 9));
    this.#points.forEach(({ label, mark }, number) => {
      const [x, y] = this.#pixels(number);
      context.globalAlpha = mark === "rejected" ? 0.22 : 0.85;
      context.fillStyle = drawn(this.#colours.get(label));
      circle(context, x, y, radius);
      context.fill();
      if (mark === "kept") {
        [context.globalAlpha, context.strokeStyle, context.lineWidth] = [1, drawn(colour(GOOD_HUE)), 2];
        circle(context, x, y, radius + 2.5);
        context.stroke();
      }
    });
    context.globalAlpha = 1;
    for (const [number, wide] of [[this.#hovered, 1.5], [this.#current, 2.5]]) {
      if (number < 0 || number >= this.#points.length) continue;
      const [x, y] = this.#pixels(number);
      [context.strokeStyle, context.lineWidth] = [ink, wide];
      circle(context, x, y, radius + 6);
      context.stroke();
    }
    this.#showTip(this.#hovered >= 0 ? this.#hovered : this.#current);
  }

  /** @param {number} number */
  #showTip(number) {
    const point = this.#points[number];
    this.#tip.hidden = !point;
    if (!point) return;
    const [x, y] = this.#pixels(number), isRight = x > this.field.clientWidth / 2;
    this.#tip.textContent = point.name;
    Object.assign(this.#tip.style, { left: `${x}px`, top: `${y}px`, translate: `${isRight ? "calc(-100% - 1rem)" : "1rem"} -50%` });
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius */
function circle(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}
