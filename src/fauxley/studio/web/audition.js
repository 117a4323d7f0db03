// A folder to listen through, as a list or a map: arrow keys go on, K keeps, X rejects; keepers are copied out.

/** @import { Desk } from "./desk.js" */
/** @import { FolderFile, Sound } from "./types.js" */

import { button, h, say, sayProblem } from "./dom.js";
import { distance } from "./likeness.js";
import { SoundMap } from "./map.js";
import { NEUTRAL } from "./store.js";
import { drawWaveform } from "./waveform.js";

const POLL = 1200;  // ms, while the server still measures
/** @typedef {"kept" | "rejected"} Mark */

/** @type {Record<string, {text: string, order: (a: FolderFile, b: FolderFile) => number}>} */
const ORDERS = {
  name: { text: "name", order: (a, b) => a.id - b.id },
  loudness: { text: "loudness", order: (a, b) => b.loudness - a.loudness },
  length: { text: "length", order: (a, b) => a.seconds - b.seconds },
  label: { text: "label", order: (a, b) => a.label.localeCompare(b.label) || a.id - b.id },
  similarity: { text: "likeness to this one", order: () => 0 },
};

export class Audition {
  /** @param {HTMLElement} root @param {Desk} desk */
  constructor(root, desk) {
    this.#desk = desk;
    this.#list = h("ol", { class: "files", role: "listbox", tabindex: 0, "aria-label": "Sounds of the folder", keydown: (/** @type {KeyboardEvent} */ event) => this.press(event) });
    this.#list.addEventListener("click", (event) => {
      const item = event.target instanceof Element ? event.target.closest("li") : null;
      if (item) this.go(this.#shown.findIndex(({ id }) => id === Number(item.dataset.id)));
    });
    this.#title = h("h2", { class: "file-title" });
    this.#facts = h("p", { class: "facts" });
    this.#canvas = h("canvas", { class: "huge-wave", "aria-hidden": "true" });
    this.#keep = button({ icon: "check", text: "Keep", key: "K", pressed: false, class: "keep", click: () => this.mark("kept") });
    this.#reject = button({ icon: "close", text: "Reject", key: "X", pressed: false, class: "reject", click: () => this.mark("rejected") });
    this.#count = h("p", { class: "facts" });
    this.#order = h("select", { "aria-label": "Sort by", change: () => this.#sort() },
      ...Object.entries(ORDERS).map(([key, { text }]) => h("option", { value: key }, `by ${text}`)));
    this.#views = /** @type {const} */ (["list", "map"]).map((view) => button({
      icon: view === "map" ? "map" : "menu", text: view === "map" ? "Map" : "List", pressed: view === "list", click: () => this.#view(view),
    }));
    this.#map = new SoundMap({
      name: "Map of the sounds: arrow keys go to the nearest one that way, K keeps, X rejects",
      hover: (id) => this.#hear(id), choose: (id) => this.#goTo(id),
    });
    this.#copy = button({ icon: "folder", text: "Copy keepers", class: "primary", click: () => this.#copyKeepers() });
    root.append(
      h("div", { class: "audition-now" }, this.#title, this.#facts, this.#canvas,
        h("div", { class: "row" }, this.#reject, button({ icon: "play", text: "Play", key: "Space", click: () => this.play() }), this.#keep,
          button({ icon: "grid", text: "To pad", label: "Put this sound on the pad that is looked at", click: () => this.#toPad() })),
        h("p", { class: "facts by-keys" }, "Arrow keys go on and play; K keeps, X rejects."), this.#count,
        h("div", { class: "row" }, this.#copy)),
      h("div", { class: "audition-list" },
        h("div", { class: "row" }, h("div", { class: "segmented", role: "group", "aria-label": "List or map" }, ...this.#views), this.#order, this.#measured),
        this.#list, this.#map.element));
    this.#root = root;
    this.#view("list");
    desk.listen(() => this.#showMap());
    new ResizeObserver(() => drawWaveform(this.#canvas, this.#sound)).observe(this.#canvas);
  }

  #desk;
  #root;
  #views;
  /** @type {SoundMap<number>} */
  #map;
  #measured = h("p", { class: "facts", role: "status" });
  #list;
  #title;
  #facts;
  #canvas;
  #keep;
  #reject;
  #count;
  #order;
  #copy;
  /** @type {FolderFile[]} */
  #files = [];
  /** @type {FolderFile[]} */
  #shown = [];
  /** @type {Map<number, HTMLElement>} */
  #items = new Map();
  /** By the names of files. @type {Map<string, Mark>} */
  #marks = new Map();
  #place = 0;
  #hovered = -1;
  /** @type {Sound | undefined} */
  #sound;
  /** @type {Map<number, Promise<Sound>>} */
  #loaded = new Map();

  get #key() { return `marks ${this.#desk.engine.studio.folder}`; }
  get #current() { return this.#shown[this.#place]; }

  async open() {
    const marks = await this.#desk.database.get("session", this.#key);
    if (marks instanceof Map) this.#marks = marks;
    await this.#read();
    this.#sort();
    this.go(0, false);
  }

  async #read() {
    try {
      this.#files = await this.#desk.engine.folder();
    } catch (error) {
      return sayProblem(error);
    }
    const known = new Map(this.#files.map((file) => [file.id, file]));
    this.#shown = this.#shown.map(({ id }) => known.get(id) ?? this.#files[id]);
    for (const file of this.#shown) this.#showItem(file);
    this.#showCurrent();
    const left = this.#files.filter(({ seconds, problem }) => !seconds && !problem).length;
    this.#measured.textContent = left ? `listening to the sounds: ${left} to go` : "";
    if (left) setTimeout(() => this.#read(), POLL);
  }

  /** @param {"list" | "map"} view */
  #view(view) {
    this.#root.dataset.as = view;
    this.#views.forEach((each, place) => each.setAttribute("aria-pressed", String((place === 1) === (view === "map"))));
    this.#showMap();
  }

  get #isMap() { return this.#root.dataset.as === "map"; }

  #showMap() {
    if (!this.#isMap) return;
    const points = this.#files.filter(({ likeness }) => likeness.length).map(({ id, file, label, likeness }) =>
      ({ id, name: file, label, likeness, mark: this.#marks.get(file) ?? /** @type {const} */ ("") }));
    this.#map.show(points, this.#current?.id);
  }

  /** @param {number} id */
  #goTo(id) {
    this.go(this.#shown.findIndex((file) => file.id === id));
  }

  /** Play a sound that the pointer passes, without going there. @param {number} id */
  async #hear(id) {
    this.#hovered = id;
    const file = this.#files[id];
    const sound = file && !file.problem && await this.#load(file).catch(() => null);
    if (sound && this.#hovered === id) this.#desk.player.play(-1, sound, NEUTRAL);
  }

  /** To the nearest sound on the map in a direction. @param {number} across @param {number} down */
  #step(across, down) {
    const id = this.#map.towards(across, down);
    if (id === undefined) return;
    this.#goTo(id);
    say(this.#current.file, "seen");
  }

  #sort() {
    const here = this.#current, key = this.#order.value;
    const { order } = ORDERS[key];
    this.#shown = [...this.#files].sort(
      key === "similarity" && here ? (a, b) => distance(here.likeness, a.likeness) - distance(here.likeness, b.likeness) || a.id - b.id : order);
    this.#items = new Map(this.#shown.map((file) => [file.id, h("li", { role: "option", id: `file-${file.id}`, dataset: { id: file.id } },
      h("span", { class: "file-name" }), h("span", { class: "file-facts" }))]));
    this.#list.replaceChildren(...this.#items.values());
    for (const file of this.#shown) this.#showItem(file);
    this.#place = Math.max(0, here ? this.#shown.findIndex(({ id }) => id === here.id) : 0);
    this.#showCurrent();
  }

  /** @param {FolderFile} file */
  #showItem(file) {
    const item = this.#items.get(file.id);
    if (!item) return;
    const [name, facts] = item.children;
    const mark = this.#marks.get(file.file) ?? "";
    item.className = `${mark} ${file.problem ? "broken" : ""}`;
    item.setAttribute("aria-selected", String(file.id === this.#current?.id));
    item.setAttribute("aria-label", [file.file, mark, file.problem].filter(Boolean).join(", "));
    name.textContent = file.file;
    facts.textContent = file.problem || (file.seconds ? `${file.seconds.toFixed(2)} s   ${Math.round(file.loudness)} LUFS` : "…");
  }

  #showCurrent() {
    const file = this.#current;
    if (!file) return;
    this.#title.textContent = file.file;
    this.#facts.textContent = file.problem || [`${this.#place + 1} of ${this.#shown.length}`, file.label,
      file.seconds ? `${file.seconds.toFixed(2)} s` : "", file.seconds ? `${file.loudness.toFixed(1)} LUFS` : ""].filter(Boolean).join(" · ");
    const mark = this.#marks.get(file.file);
    this.#keep.setAttribute("aria-pressed", String(mark === "kept"));
    this.#reject.setAttribute("aria-pressed", String(mark === "rejected"));
    this.#list.setAttribute("aria-activedescendant", `file-${file.id}`);
    const marks = [...this.#marks.values()];
    const kept = marks.filter((each) => each === "kept").length;
    this.#count.textContent = `${kept} kept, ${marks.length - kept} rejected, ${this.#files.length - marks.length} to go`;
    /** @type {HTMLButtonElement} */ (this.#copy).disabled = !kept;
    this.#showMap();
  }

  /** @param {FolderFile} file */
  #load(file) {
    let sound = this.#loaded.get(file.id);
    if (!sound) {
      sound = this.#desk.engine.load(file);
      this.#loaded.set(file.id, sound);
      sound.catch(() => this.#loaded.delete(file.id));
      if (this.#loaded.size > 64) this.#loaded.delete([...this.#loaded.keys()][0]);
    }
    return sound;
  }

  /** Go to a place of the list. @param {number} place @param {boolean} [aloud] */
  async go(place, aloud = true) {
    if (!this.#shown[place]) return;
    const before = this.#current;
    this.#place = place;
    const file = this.#current;
    for (const each of [before, file]) this.#showItem(each);
    this.#showCurrent();
    this.#items.get(file.id)?.scrollIntoView({ block: "nearest" });
    if (file.problem) return;
    try {
      const sound = await this.#load(file);
      if (this.#current !== file && this.#current?.id !== file.id) return;
      this.#sound = sound;
      drawWaveform(this.#canvas, sound);
      if (aloud) this.play();
    } catch (error) {
      sayProblem(error);
    }
    const next = this.#shown[place + 1];
    if (next && !next.problem) this.#load(next).catch(() => {});
  }

  play() {
    if (this.#sound) this.#desk.player.play(-1, this.#sound, NEUTRAL);
  }

  /** Keep or reject, or neither if it is so already; then go on. @param {Mark} mark */
  mark(mark) {
    const file = this.#current;
    if (!file) return;
    const isNew = this.#marks.get(file.file) !== mark;
    if (isNew) this.#marks.set(file.file, mark);
    else this.#marks.delete(file.file);
    this.#desk.database.put("session", this.#key, this.#marks);
    this.#showItem(file);
    this.#showCurrent();
    if (!isNew) return;
    const next = this.#isMap ? this.#map.nextOpen() : this.#shown[this.#place + 1]?.id;
    if (next !== undefined) this.#goTo(next);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => this.#isMap ? this.#step(0, 1) : this.go(this.#place + 1),
      ArrowRight: () => this.#isMap ? this.#step(1, 0) : this.go(this.#place + 1),
      ArrowUp: () => this.#isMap ? this.#step(0, -1) : this.go(this.#place - 1),
      ArrowLeft: () => this.#isMap ? this.#step(-1, 0) : this.go(this.#place - 1),
      Home: () => this.go(0), End: () => this.go(this.#shown.length - 1),
      " ": () => this.play(), k: () => this.mark("kept"), x: () => this.mark("rejected"),
    };
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return false;
    event.preventDefault();
    event.stopPropagation();
    action();
    return true;
  }

  #toPad() {
    if (!this.#sound) return;
    this.#desk.put("sound of the folder", [this.#desk.store.selected], [this.#sound]);
  }

  async #copyKeepers() {
    const kept = this.#files.filter(({ file }) => this.#marks.get(file) === "kept").map(({ id }) => id);
    try {
      const { copied, folder } = await this.#desk.engine.keep(kept);
      say(`${copied} ${copied === 1 ? "sound" : "sounds"} copied to ${folder}${copied < kept.length ? `; ${kept.length - copied} were there already` : ""}`);
    } catch (error) {
      sayProblem(error);
    }
  }
}
