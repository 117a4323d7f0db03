// What was made, and what was starred: to listen to again, and to put on pads.

/** @import { Desk } from "./desk.js" */
/** @import { Sound } from "./types.js" */

import { labelOf } from "./desk.js";
import { button, h, icon } from "./dom.js";
import { describe } from "./inspector.js";
import { drawWaveform } from "./waveform.js";

const SHOWN = 60;  // at first, and more at a time

export class Library {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#desk = desk;
    this.#choices = /** @type {const} */ (["history", "shelf"]).map((kind) => button({
      icon: kind === "shelf" ? "star" : "undo", text: kind === "shelf" ? "Shelf" : "History", pressed: kind === "history",
      click: () => this.#show(kind),
    }));
    this.#list = h("ul", { class: "sounds" });
    this.#about = h("p", { class: "facts" });
    this.#more = button({ text: "Show more", click: () => { this.#count += SHOWN; this.update(true); } });
    root.append(h("div", { class: "row segmented", role: "group", "aria-label": "Which sounds" }, ...this.#choices), this.#about, this.#list, this.#more);
    desk.listen(() => this.update());
    this.#drawn = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && target instanceof HTMLCanvasElement) drawWaveform(target, desk.store.sounds.get(target.dataset.sound ?? ""));
      }
    });
    this.update();
  }

  #desk;
  #choices;
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
    this.#list.replaceChildren(...entries.slice(0, this.#count).flatMap(({ id, name }) => {
      const sound = store.sounds.get(id);
      return sound ? [this.#item(sound, name || sound.facts.name)] : [];
    }));
    this.#more.hidden = entries.length <= this.#count;
  }

  /** @param {Sound} sound @param {string} name */
  #item(sound, name) {
    const desk = this.#desk;
    const title = name || `${labelOf(sound.facts) || sound.facts.model_name} ${sound.facts.seed ?? sound.facts.made}`;
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
