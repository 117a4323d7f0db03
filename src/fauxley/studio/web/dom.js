// Small help with elements: making them, icons, and telling people what happened.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. Attributes are set as such; functions listen, `class` and `dataset` do what they are called.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child || child === "")));
  return element;
}

const PATHS = {
  play: "M7 4.5v15l12.5-7.5z",
  stop: "M6 6h12v12H6z",
  fresh: "M12 3l1.9 5.6L19.5 10l-5.6 1.9L12 17.5l-1.9-5.6L4.5 10l5.6-1.4zM19 15l.9 2.6 2.6.9-2.6.9L19 22l-.9-2.6-2.6-.9 2.6-.9z",
  vary: "M3 12c2-6 4-6 6 0s4 6 6 0 4-6 6 0M3 17c2-3 4-3 6 0s4 3 6 0 4-3 6 0",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9.5h-13z",
  star: "M12 3.5l2.6 5.6 6.1.7-4.5 4.2 1.2 6-5.4-3-5.4 3 1.2-6-4.5-4.2 6.1-.7z",
  undo: "M4 9h10a5.5 5.5 0 0 1 0 11H8M4 9l4.5-4.5M4 9l4.5 4.5",
  reset: "M5 12a7 7 0 1 0 2.3-5.2M5 4.5v4h4",
  redo: "M20 9H10a5.5 5.5 0 0 0 0 11h6M20 9l-4.5-4.5M20 9l-4.5 4.5",
  menu: "M4 6.5h16M4 12h16M4 17.5h16",
  theme: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z",
  save: "M12 4v11M7.5 11l4.5 4.5L16.5 11M4.5 19.5h15",
  open: "M12 16V5M7.5 9.5L12 5l4.5 4.5M4.5 19.5h15",
  close: "M6 6l12 12M18 6L6 18",
  check: "M4.5 12.5l5 5L19.5 7",
  fill: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  drag: "M9 5v.01M15 5v.01M9 12v.01M15 12v.01M9 19v.01M15 19v.01",
  keys: "M3 6h18v12H3zM7 10v.01M11 10v.01M15 10v.01M8 14h8",
  grid: "M4 5h16M4 12h16M4 19h16M8 5v14M16 5v14",
  knob: "M12 3.5a8.5 8.5 0 1 0 .01 0M12 12l4-5",
  shelf: "M4 5h5v14H4zM9 8h4v11H9zM14.5 8.5l4-1 3 11-4 1z",
  morph: "M4 4h16v16H4zM4 4l16 16M20 4L4 20",
  map: "M6.5 6.5v.01M12 4.5v.01M17.5 8v.01M8.5 12v.01M14 13v.01M18.5 16v.01M6 18v.01M12 19v.01",
  folder: "M3.5 6h6l2 2.5h9V19h-17z",
  clear: "M5 7h14M9.5 7V4.5h5V7M7 7l1 13h8l1-13",
  midi: "M12 3.5a8.5 8.5 0 1 0 .01 0M8 12v.01M16 12v.01M9.2 9v.01M14.8 9v.01M12 7.6v.01",
};
/** @typedef {keyof typeof PATHS} Icon */

/** @param {Icon} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", `icon-${name}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with an icon and words.
 * @param {{icon?: Icon, text?: string, label?: string, key?: string, class?: string, id?: string, pressed?: boolean, click: (event: MouseEvent) => void}} options
 */
export function button({ icon: name, text = "", label = "", key = "", class: kind = "", id, pressed, click }) {
  const spoken = label || text;
  return h(
    "button",
    {
      type: "button",
      id,
      class: `button ${kind}`,
      "aria-label": label || undefined,
      title: key ? `${spoken} (${key})` : spoken,
      "aria-keyshortcuts": key || undefined,
      "aria-pressed": pressed === undefined ? undefined : String(pressed),
      click,
    },
    name && icon(name),
    text && h("span", {}, text),
  );
}

/**
 * The element of the page that has this id.
 * @template {HTMLElement} Kind
 * @param {string} id @param {new () => Kind} kind
 * @returns {Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

let timer = 0;

/**
 * Say what happened: on the page for a while, and to screen readers; what is plain to see, to these alone.
 * @param {string} text @param {"plain" | "problem" | "seen"} [kind]
 */
export function say(text, kind = "plain") {
  const place = byId("say", HTMLElement);
  place.textContent = text;
  place.className = `say ${kind} shown`;
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), kind === "problem" ? 8000 : 3500);
}

/** @param {unknown} error */
export const sayProblem = (error) => say(error instanceof Error ? error.message : String(error), "problem");

/** Give a file to whoever asked for it. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Let people choose a file. @param {string} accept @returns {Promise<File | null>} */
export function chooseFile(accept) {
  return new Promise((resolve) => {
    const input = h("input", {
      type: "file",
      accept,
      change: () => resolve(input.files?.[0] ?? null),
      cancel: () => resolve(null),
    });
    input.click();
  });
}
