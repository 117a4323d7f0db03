// What was made, and what was starred, as a list or a map: to listen to again, and to put on pads.

/** @import { Desk } from "./desk.js" */
/** @import { Sound } from "./types.js" */

import { labelOf } from "./desk.js";
import { button, h, icon, say } from "./dom.js";
import { describe } from "./inspector.js";
import { likeness } from "./likeness.js";
import { SoundMap } from "./map.js";
import { drawWaveform } from "./waveform.js";

const SHOWN = 60;  // at first, and more at a time
const MEASURED = 8;  // sounds between two looks at what else the page has to do
/** @type {Record<string, [number, number]>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Library {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#desk = desk;
    this.#choices = /** @type {const} */ (["history", "shelf"]).map((kind) => button({
      icon: kind === "shelf" ? "star" : "undo", text: kind === "shelf" ? "Shelf" : "History", pressed: kind === "history",
      click: () => this.#show(kind),
    }));
    this.#views = /** @type {const} */ (["list", "map"]).map((view) => button({
      icon: view === "map" ? "map" : "menu", label: view === "map" ? "As a map" : "As a list", pressed: view === "list", click: () => this.#view(view),
    }));
    this.#map = new SoundMap({
      name: "Map of the sounds: arrow keys go to the nearest one that way, Enter puts it on the pad",
      hover: (id) => this.#hear(id), choose: (id) => this.#choose(id),
    });
    this.#map.field.addEventListener("keydown", (event) => this.#press(event));
    this.#chosen = h("ul", { class: "sounds" });
    this.#list = h("ul", { class: "sounds" });
    this.#about = h("p", { class: "facts" });
    this.#more = button({ text: "Show more", click: () => { this.#count += SHOWN; this.update(true); } });
    root.append(
      h("div", { class: "row" },
        h("div", { class: "segmented", role: "group", "aria-label": "Which sounds" }, ...this.#choices),
        h("div", { class: "segmented views", role: "group", "aria-label": "List or map" }, ...this.#views)),
      this.#about, this.#list, this.#more, this.#map.element, this.#chosen);
    this.#root = root;
    root.dataset.as = "list";
    desk.listen(() => this.update());
    this.#drawn = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && target instanceof HTMLCanvasElement) drawWaveform(target, desk.store.sounds.get(target.dataset.sound ?? ""));
      }
    });
    this.update();
  }

  #desk;
  #root;
  #choices;
  #views;
  /** @type {SoundMap<string>} */
  #map;
  /** The one that the map is at, as the list has it. */
  #chosen;
  #at = "";
  #list;
  #about;
  #more;
  #drawn;
  /** @type {"history" | "shelf"} */
  #kind = "history";
  #count = SHOWN;
  #known = "";

  /** @param {"history" | "shelf"} kind */
  #show(kind) {
    this.#kind = kind;
    this.#count = SHOWN;
    this.#choices.forEach((choice, place) => choice.setAttribute("aria-pressed", String((place === 1) === (kind === "shelf"))));
    this.update(true);
  }

  /** @param {"list" | "map"} view */
  #view(view) {
    this.#root.dataset.as = view;
    this.#views.forEach((each, place) => each.setAttribute("aria-pressed", String((place === 1) === (view === "map"))));
    this.update(true);
  }

  /** @param {string} id */
  #hear(id) {
    const sound = this.#desk.store.sounds.get(id);
    if (sound) this.#desk.preview(sound);
  }

  /** @param {string} id */
  #choose(id) {
    this.#at = id;
    this.#hear(id);
    this.update(true);
    say(this.#map.nameOf(id), "seen");
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const way = WAYS[event.key], sound = this.#desk.store.sounds.get(this.#at);
    if (!way && !(event.key === "Enter" && sound)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!way) return sound && this.#desk.place("sound from the map", this.#desk.store.selected, sound, this.#map.nameOf(this.#at));
    const next = this.#map.towards(...way);
    if (next !== undefined) this.#choose(next);
  }

  /** Measure sounds, a few at a time, and show them on the map. @param {{id: string, name: string}[]} entries */
  async #showMap(entries) {
    const { store, shelf } = this.#desk, known = this.#known;
    const points = [];
    for (const [place, { id, name }] of entries.entries()) {
      const sound = store.sounds.get(id);
      if (!sound) continue;
      points.push({ id, name: name || titleOf(sound), label: labelOf(sound.facts), likeness: likeness(sound), mark: /** @type {"kept" | ""} */ (shelf.has(id) ? "kept" : "") });
      if (place % MEASURED === MEASURED - 1) await new Promise((wake) => setTimeout(wake));
      if (this.#known !== known) return;
    }
    if (!points.some(({ id }) => id === this.#at)) this.#at = points[0]?.id ?? "";
    this.#map.show(points, this.#at);
    const sound = store.sounds.get(this.#at);
    this.#chosen.replaceChildren(...(sound ? [this.#item(sound, this.#map.nameOf(this.#at))] : []));
  }

  /** @param {boolean} [anew] */
  update(anew = false) {
    if (document.body.dataset.panel !== "library") return;  // nobody sees it
    const { store, shelf, engine } = this.#desk;
    const entries = this.#kind === "shelf"
      ? [...shelf.values()].sort((a, b) => b.time - a.time).map(({ id, name }) => ({ id, name }))
      : store.history.map((id) => ({ id, name: "" }));
    const facts = `${this.#kind} ${entries.length} ${entries[0]?.id} ${[...shelf.keys()].join()}`;
    if (facts === this.#known && !anew) return;
    this.#known = facts;
    const written = engine.studio.shelf ? ` They are written to ${engine.studio.shelf}.` : "";
    this.#about.textContent = this.#kind === "shelf"
      ? entries.length ? `Starred sounds.${written}` : `Star a sound with G, and it stays here.${written}`
      : entries.length ? `Everything made, newest first: ${entries.length}.` : "Whatever you make is listed here; N makes a new sound.";
    if (this.#root.dataset.as === "map") {
      this.#more.hidden = true;
      this.#showMap(entries);
      return;
    }
    this.#list.replaceChildren(...entries.slice(0, this.#count).flatMap(({ id, name }) => {
      const sound = store.sounds.get(id);
      return sound ? [this.#item(sound, name || sound.facts.name)] : [];
    }));
    this.#more.hidden = entries.length <= this.#count;
  }

  /** @param {Sound} sound @param {string} name */
  #item(sound, name) {
    const desk = this.#desk;
    const title = name || titleOf(sound);
    const canvas = h("canvas", { "aria-hidden": "true", dataset: { sound: sound.id } });
    this.#drawn.observe(canvas);
    const isStarred = desk.shelf.has(sound.id);
    return h("li", {},
      h("button", { type: "button", class: "listen", title: describe(sound), "aria-label": `Play ${title}`, click: () => desk.preview(sound) },
        canvas, h("span", { class: "item-name" }, title)),
      h("button", {
        type: "button", class: "small", "aria-label": `Put ${title} on the pad`, title: "Put it on the pad that is looked at",
        click: () => desk.place("sound from the list", desk.store.selected, sound, title),
      }, icon("grid")),
      h("button", {
        type: "button", class: "small star", "aria-label": `Star ${title}`, "aria-pressed": String(isStarred),
        click: () => desk.toggleStar(sound, title),
      }, icon("star")));
  }
}

/** @param {Sound} sound */
const titleOf = ({ facts }) => facts.name || `${labelOf(facts) || facts.model_name} ${facts.seed ?? facts.made}`;
