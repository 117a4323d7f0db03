// The page: opens the studio, puts its parts together, and hears the keys.

import { Audition } from "./audition.js";
import { Database } from "./database.js";
import { Desk } from "./desk.js";
import { button, byId, chooseFile, h, icon, say, sayProblem } from "./dom.js";
import { openEngine } from "./engine.js";
import { saveArchive, saveKit, saveLoop, savePad, saveSession, takeFiles } from "./files.js";
import { Inspector } from "./inspector.js";
import { Library } from "./library.js";
import { connectMidi } from "./midi.js";
import { MorphView } from "./morph.js";
import { PAD_KEYS, PadsView } from "./pads.js";
import { renderLoop, renderPad } from "./render.js";
import { keepSession, openSession, resumeSession, writeSession } from "./session.js";
import { Sequencer } from "./sequencer.js";
import { StepsView } from "./steps.js";
import { NUM_PADS, NUM_PATTERNS, RANGES, clamp } from "./store.js";
import { applyTheme, nextTheme } from "./theme.js";

/** @typedef {"pads" | "sound" | "steps" | "library" | "morph"} View */

const HINT = "fauxley-hint";
const ALL = Array.from({ length: NUM_PADS }, (_, pad) => pad);

async function main() {
  applyTheme();
  const engine = await openEngine();
  const desk = new Desk(engine, await Database.open());
  const resumed = await resumeSession(desk);
  const { store } = desk;

  new PadsView(byId("pads", HTMLElement), desk);
  const inspector = new Inspector(byId("panel-sound", HTMLElement), desk);
  const morph = new MorphView(byId("panel-morph", HTMLElement), desk);
  const library = new Library(byId("panel-library", HTMLElement), desk);
  const steps = new StepsView(byId("steps-grid", HTMLElement), desk);
  const sequencer = new Sequencer(() => store.state, (pad, when, velocity) => desk.play(pad, velocity, when), (step) => steps.showNow(step));
  const audition = engine.studio.folder ? new Audition(byId("audition", HTMLElement), desk) : null;

  const toggle = () => {
    if (sequencer.isPlaying) sequencer.stop();
    else sequencer.start(desk.player.wake());
    transport.replaceChildren(icon(sequencer.isPlaying ? "stop" : "play"), h("span", {}, sequencer.isPlaying ? "Stop" : "Play"));
    transport.setAttribute("aria-pressed", String(sequencer.isPlaying));
  };
  const transport = button({ icon: "play", text: "Play", label: "Play the pattern", key: "Space", class: "primary transport", pressed: false, click: toggle });

  buildModels(desk);
  buildTop(desk, transport);
  buildPadTools(desk);
  buildStepTools(desk, steps);
  buildMenu(desk, sequencer);
  buildHint();
  buildViews(audition !== null, engine.studio.models.length > 0, { morph, library });
  hearKeys(desk, inspector, audition, toggle);
  takeDrops(desk);

  store.listen(({ master, reverb }, before) => {
    if (master !== before.master || reverb !== before.reverb) desk.player.set(master, reverb);
  });
  desk.player.set(store.state.master, store.state.reverb);
  keepSession(desk);
  // For tests, and for whoever is curious in the console.
  Object.assign(window, {
    fauxley: {
      desk, sequencer, morph, audition,
      renderPad: (/** @type {number} */ pad) => {
        const sound = store.soundOf(pad);
        return sound && renderPad(sound, store.state.pads[pad].settings);
      },
      renderLoop: (/** @type {number} */ rounds, /** @type {number} */ rate, /** @type {() => number} */ random) =>
        renderLoop(store.state, (id) => store.sounds.get(id), rounds, rate, random),
      writeSession: () => writeSession(desk),
      openSession: (/** @type {string} */ text) => openSession(desk, text),
    },
  });
  document.body.dataset.ready = "true";
  if (audition) audition.open();
  if (!resumed && desk.model) await desk.fresh(ALL);
  if (!resumed) desk.remember([]);
  store.reset(store.state);
  showLevel(desk);
}

/** Which model plays, and which of its labels. @param {Desk} desk */
function buildModels(desk) {
  const { models } = desk.engine.studio;
  const root = byId("models", HTMLElement);
  const labels = h("select", { "aria-label": "Kind of new sounds", change: () => { desk.label = labels.value; desk.changed(); } });
  const showLabels = () => {
    const known = desk.modelShown?.labels ?? [];
    labels.replaceChildren(h("option", { value: "" }, "any kind"), ...known.map((word) => h("option", { value: word }, word)));
    labels.value = desk.label;
    labels.hidden = !known.length;
  };
  const select = h("select", {
    "aria-label": "Model",
    change: () => { desk.model = select.value; desk.label = ""; showLabels(); desk.changed(); },
  }, ...models.map(({ id, name }) => h("option", { value: id }, name)));
  select.value = desk.model;
  select.hidden = !models.length;
  showLabels();
  root.append(select, labels);
}

/**
 * A slider of the state, with its name and value.
 * @param {Desk} desk @param {"swing" | "master" | "reverb"} key @param {string} label @param {number} step @param {(value: number) => string} show
 */
function stateSlider(desk, key, label, step, show) {
  const [min, max] = RANGES[key];
  const input = h("input", {
    type: "range", min, max, step, "aria-label": label,
    input: () => desk.store.change(label.toLowerCase(), { [key]: Number(input.value) }, key),
    change: () => desk.store.endMerge(),
  });
  const value = h("output", {});
  const update = () => {
    input.value = String(desk.store.state[key]);
    value.textContent = show(desk.store.state[key]);
    input.setAttribute("aria-valuetext", value.textContent);
    input.style.setProperty("--share", String((desk.store.state[key] - min) / (max - min)));
  };
  desk.store.listen(update);
  update();
  return h("label", { class: "slider" }, h("span", {}, label), input, value);
}

/** @param {Desk} desk @param {HTMLElement} transport */
function buildTop(desk, transport) {
  const { store } = desk;
  const tempo = h("input", {
    type: "number", class: "tempo", min: RANGES.tempo[0], max: RANGES.tempo[1], step: 1, "aria-label": "Tempo in beats a minute", inputmode: "numeric",
    change: () => store.change("tempo", { tempo: clamp(Number(tempo.value) || 112, RANGES.tempo) }),
  });
  const undo = button({ icon: "undo", label: "Undo", key: "Control+Z", click: () => desk.undo() });
  const redo = button({ icon: "redo", label: "Redo", key: "Control+Shift+Z", click: () => desk.redo() });
  const update = () => {
    tempo.value = String(Math.round(store.state.tempo));
    undo.disabled = !store.canUndo;
    redo.disabled = !store.canRedo;
  };
  store.listen(update);
  update();
  byId("transport", HTMLElement).append(transport, h("label", { class: "tempo-field" }, tempo, h("span", {}, "bpm")),
    stateSlider(desk, "swing", "Swing", 0.02, (value) => `${Math.round(100 * value)} %`));
  byId("output", HTMLElement).append(
    stateSlider(desk, "reverb", "Room", 0.01, (value) => `${Math.round(100 * value)} %`),
    stateSlider(desk, "master", "Volume", 0.5, (value) => (value <= -48 ? "off" : `${value > 0 ? "+" : ""}${value.toFixed(1)} dB`)),
    h("span", { class: "meter", id: "meter", "aria-hidden": "true" }, h("span")));
  byId("tools", HTMLElement).prepend(undo, redo);
  byId("tools", HTMLElement).append(button({ icon: "theme", label: "Dark or light", click: () => {
    say(`Colours: ${nextTheme()}`);
    desk.changed();
  } }));
}

/** @param {Desk} desk */
function buildPadTools(desk) {
  const { store } = desk;
  const radius = h("input", {
    type: "range", min: 0.01, max: 1, step: 0.01, "aria-label": "Radius of variations",
    input: () => { desk.radius = Number(radius.value); desk.changed(); },
  });
  const value = h("output", {});
  const update = () => {
    radius.value = String(desk.radius);
    value.textContent = desk.radius < 0.08 ? "close" : desk.radius < 0.25 ? "near" : desk.radius < 0.5 ? "far" : "wild";
    radius.setAttribute("aria-valuetext", `${value.textContent}, ${desk.radius}`);
    radius.style.setProperty("--share", String((desk.radius - 0.01) / 0.99));
  };
  desk.listen(update);
  update();
  byId("pad-tools", HTMLElement).append(
    button({ icon: "fresh", text: "New", label: "New sound on this pad", key: "N", class: "primary", id: "new", click: () => desk.fresh([store.selected]) }),
    button({ icon: "vary", text: "Vary", label: "Vary the sound of this pad", key: "B", class: "primary", id: "vary", click: () => desk.vary([store.selected]) }),
    h("label", { class: "slider radius" }, h("span", {}, "Radius"), radius, value),
    button({ icon: "fill", text: "New kit", label: "New sounds on all unlocked pads", key: "Shift+N", id: "new-kit", click: () => desk.fresh(desk.open) }),
    button({ icon: "vary", text: "Vary kit", label: "Vary the sounds of all unlocked pads", key: "Shift+B", id: "vary-kit", click: () => desk.vary(desk.open) }),
  );
}

/** @param {Desk} desk @param {StepsView} steps */
function buildStepTools(desk, steps) {
  const { store } = desk;
  const modes = /** @type {const} */ ([["steps", "Steps"], ["velocity", "Velocity"], ["chance", "Chance"]]).map(([mode, text]) => button({
    text, pressed: mode === "steps", click: () => {
      steps.mode = mode;
      byId("steps-grid", HTMLElement).dataset.mode = mode;
      modes.forEach((each) => each.setAttribute("aria-pressed", String(each.textContent === text)));
    },
  }));
  const patterns = Array.from({ length: NUM_PATTERNS }, (_, number) => button({
    text: String.fromCharCode(65 + number), label: `Pattern ${String.fromCharCode(65 + number)}`, pressed: number === 0,
    click: () => store.change("change of pattern", { pattern: number }),
  }));
  const lengths = /** @type {const} */ ([16, 32]).map((length) => button({ text: String(length), label: `${length} steps`, pressed: length === 16, click: () => steps.setLength(length) }));
  const page = button({ text: "17–32", label: "Show the other half of the steps", class: "page", pressed: false, click: () => {
    const grid = byId("steps-grid", HTMLElement);
    const second = grid.dataset.page !== "2";
    grid.dataset.page = second ? "2" : "1";
    page.setAttribute("aria-pressed", String(second));
  } });
  const update = () => {
    const { pattern, patterns: all } = store.state;
    patterns.forEach((each, number) => {
      each.setAttribute("aria-pressed", String(number === pattern));
      each.classList.toggle("filled", all[number].rows.some((row) => row.some(({ velocity }) => velocity > 0)));
    });
    lengths.forEach((each) => each.setAttribute("aria-pressed", String(each.textContent === String(all[pattern].length))));
    page.hidden = all[pattern].length === 16;
  };
  store.listen(update);
  update();
  const group = (/** @type {string} */ label, /** @type {HTMLElement[]} */ buttons) => h("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons);
  byId("step-tools", HTMLElement).append(group("Pattern", patterns), group("Number of steps", lengths), page, group("What a stroke sets", modes),
    button({ icon: "clear", text: "Clear", label: "Clear the pattern", click: () => steps.clear() }));
}

/** @param {Desk} desk @param {Sequencer} sequencer */
function buildMenu(desk, sequencer) {
  const menu = byId("menu", HTMLDialogElement), help = byId("help", HTMLDialogElement);
  const rounds = h("select", { "aria-label": "Rounds of the loop" }, ...[1, 2, 4, 8].map((count) => h("option", { value: count }, count === 1 ? "1 round" : `${count} rounds`)));
  const kits = /** @type {Record<string, string>} */ ({ sfz: "SFZ", decentsampler: "DecentSampler", folder: "plain folders" });
  const offered = desk.engine.studio.formats.filter((each) => each in kits);
  const format = h("select", { "aria-label": "Format of the kit" }, ...offered.map((each) => h("option", { value: each }, kits[each])));
  const rate = h("select", { "aria-label": "Sample rate of the loop" }, ...[44_100, 48_000].map((each) => h("option", { value: each }, `${each / 1000} kHz`)));
  /** @param {() => unknown} action */
  const then = (action) => async () => {
    menu.close();
    try {
      await action();
    } catch (error) {
      sayProblem(error);
    }
  };
  const item = (/** @type {import("./dom.js").Icon} */ name, /** @type {string} */ text, /** @type {() => unknown} */ action) => button({ icon: name, text, click: then(action) });
  byId("menu-items", HTMLElement).append(
    item("save", "Save session", () => saveSession(desk)),
    item("open", "Open session", async () => {
      const file = await chooseFile(".json,application/json");
      if (file) openSession(desk, await file.text());
    }),
    item("open", "Add a recording", async () => {
      const file = await chooseFile("audio/*,.wav,.flac,.mp3,.ogg,.aif,.aiff");
      if (file) await desk.take([file], desk.store.selected);
    }),
    item("save", "Save this pad as WAV", () => savePad(desk, desk.store.selected)),
    item("save", "Save all pads as zip", () => saveArchive(desk)),
    h("div", { class: "row loop-row", id: "kit-row", hidden: !offered.length }, item("grid", "Save a kit for samplers", () => saveKit(desk, format.value)), format),
    h("div", { class: "row loop-row" }, item("save", "Save loop as WAV", () => saveLoop(desk, Number(rounds.value), Number(rate.value))), rounds, rate),
    item("midi", "Connect MIDI", () => connectMidi((pad, velocity) => desk.play(pad, velocity))),
    item("keys", "Keys", () => help.showModal()),
    item("clear", "Begin anew", () => {
      if (sequencer.isPlaying) sequencer.stop();
      desk.store.changePads("begin anew", ALL.map((pad) => [pad, { locked: false }]));
      return desk.fresh(ALL);
    }),
  );
  byId("tools", HTMLElement).append(button({ icon: "menu", label: "Menu", id: "open-menu", click: () => menu.showModal() }));
  for (const dialog of [menu, help]) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.querySelector(".dismiss")?.addEventListener("click", () => dialog.close());
  }
}

/** What to do first, until it has been read. */
function buildHint() {
  const hint = byId("hint", HTMLElement);
  try {
    hint.hidden = localStorage.getItem(HINT) === "read";
  } catch { /* then it is shown each time */ }
  hint.append(button({ icon: "close", label: "Hide this hint", class: "quiet", click: () => {
    hint.hidden = true;
    try {
      localStorage.setItem(HINT, "read");
    } catch { /* as above */ }
  } }));
  hint.hidden ||= matchMedia("(max-width: 45rem)").matches && !matchMedia("(hover: hover)").matches;
}

/**
 * Parts of the page that take turns where there is little room.
 * @param {boolean} hasFolder @param {boolean} hasModels @param {{morph: MorphView, library: Library}} panels
 */
function buildViews(hasFolder, hasModels, { morph, library }) {
  const tabs = [...document.querySelectorAll("[data-show]")].filter((tab) => tab instanceof HTMLButtonElement);
  const show = (/** @type {string} */ view) => {
    document.body.dataset.view = view;
    if (["sound", "morph", "library"].includes(view)) document.body.dataset.panel = view;
    if (view === "morph") morph.refresh();
    if (view === "library") library.update();
    for (const tab of tabs) {
      const { show: shown } = tab.dataset;
      const isPanel = tab.closest(".panel-tabs") !== null;
      const isShown = shown === (isPanel ? document.body.dataset.panel : view) || (shown === "pads" && tab.matches(".button") && view !== "audition");
      tab.setAttribute(tab.getAttribute("role") === "tab" ? "aria-selected" : "aria-pressed", String(isShown));
    }
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => show(tab.dataset.show ?? "pads"));
    if (tab.dataset.show === "audition") tab.hidden = !hasFolder;
  }
  for (const switcher of document.querySelectorAll(".mode-switch")) if (switcher instanceof HTMLElement) switcher.hidden = !hasFolder || !hasModels;
  document.body.dataset.panel = "sound";
  show(hasFolder ? "audition" : "pads");
}

/**
 * @param {Desk} desk @param {Inspector} inspector @param {Audition | null} audition @param {() => void} toggle
 */
function hearKeys(desk, inspector, audition, toggle) {
  const { store } = desk;
  addEventListener("keydown", (event) => {
    const { target } = event;
    if (!(target instanceof Element) || document.querySelector("dialog[open]")) return;
    if (target.matches("input:not([type=range], [type=radio]), select, textarea")) return;
    const command = event.ctrlKey || event.metaKey;
    if (command && event.code === "KeyZ") {
      event.preventDefault();
      return event.shiftKey ? desk.redo() : desk.undo();
    }
    if (command && event.code === "KeyY") {
      event.preventDefault();
      return desk.redo();
    }
    if (command && event.code === "KeyS") {
      event.preventDefault();
      return saveSession(desk);
    }
    if (command || event.altKey || event.repeat) return;
    if (event.key === "?") return byId("help", HTMLDialogElement).showModal();
    if (document.body.dataset.view === "audition") {
      if (!target.matches("button") || !/^(Enter| )$/.test(event.key)) audition?.press(event);
      return;
    }
    const pad = PAD_KEYS.indexOf(event.code);
    if (pad >= 0) {
      event.preventDefault();
      desk.select(pad);
      return desk.play(pad, event.shiftKey ? 0.5 : 1);
    }
    /** @type {Record<string, () => void>} */
    const keys = {
      KeyN: () => desk.fresh(event.shiftKey ? desk.open : [store.selected]),
      KeyB: () => desk.vary(event.shiftKey ? desk.open : [store.selected]),
      KeyL: () => desk.toggleLock(store.selected),
      KeyG: () => inspector.star(),
      Space: toggle,
    };
    const action = keys[event.code];
    if (!action || (event.code === "Space" && target.matches("button:not(.pad), a, [role=slider]"))) return;
    event.preventDefault();
    action();
  });
}

/** Files that are dropped beside the pads go onto the pad that is looked at. @param {Desk} desk */
function takeDrops(desk) {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    takeFiles(desk, event, desk.store.selected);
  });
}

/** @param {Desk} desk */
function showLevel(desk) {
  const bar = byId("meter", HTMLElement).firstElementChild;
  let shown = 0;
  const frame = () => {
    const level = shown || desk.player.playing.size || desk.player.isLooping ? desk.player.level() : 0;
    const next = Math.max(level, shown * 0.9);
    if (bar instanceof HTMLElement && Math.abs(next - shown) > 0.001) bar.style.transform = `scaleX(${Math.min(1, next) ** 0.6})`;
    shown = next < 0.001 ? 0 : next;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

main().catch((error) => {
  document.body.dataset.ready = "failed";
  sayProblem(error);
});
