// The session as a file, and in the browser's memory. What is read may come from anyone: it is checked, piece by piece.

/** @import { Desk } from "./desk.js" */
/** @import { Facts, Pattern, Settings, Sound, State } from "./types.js" */

import { asSound } from "./database.js";
import { NEUTRAL, NUM_PADS, NUM_PATTERNS, NUM_STEPS, RANGES, clamp, emptyPattern, emptyState } from "./store.js";

const FORMAT = "fauxley-session";
const MOST_VALUES = 1 << 26;
const SAVE_AFTER = 400;  // ms

/** A file that is no session. */
export class SessionError extends Error {}

/** @param {Desk} desk @returns {string} */
export function writeSession(desk) {
  const { state } = desk.store;
  const ids = new Set([...state.pads.map(({ sound }) => sound), ...desk.shelf.keys()]);
  const sounds = [...ids].flatMap((id) => desk.store.sounds.get(id) ?? []).map(({ id, channels, sampleRate, facts }) => ({
    id, sampleRate, facts, channels: channels.map(encode),
  }));
  return JSON.stringify({ format: FORMAT, version: 1, state, sounds, radius: desk.radius, made: desk.made });
}

/**
 * Put what a session file says on the desk.
 * @param {Desk} desk @param {string} text
 */
export function openSession(desk, text) {
  let said;
  try {
    said = JSON.parse(text);
  } catch {
    throw new SessionError("This is not a session of the studio: it is no JSON.");
  }
  if (said?.format !== FORMAT) throw new SessionError("This is not a session of the studio.");
  if (said.version !== 1) throw new SessionError("This session was saved by a newer studio; update fauxley to open it.");
  const sounds = list(said.sounds).map(readSound).filter((sound) => sound !== null);
  desk.takeIn(sounds.filter(({ id }) => !desk.store.sounds.has(id)));
  desk.radius = number(said.radius, [0.01, 1], 0.15);
  desk.made = Math.max(desk.made, number(said.made, [0, 1e9], 0));
  desk.store.reset(readState(said.state, (id) => desk.store.sounds.has(id)));
  desk.changed();
}

/** @param {any} value @returns {Sound | null} */
function readSound(value) {
  try {
    const channels = list(value.channels).slice(0, 2).map(decode);
    const sound = asSound({
      id: String(value.id).slice(0, 64), channels, sampleRate: Math.round(number(value.sampleRate, [8000, 96_000], 16_000)),
      facts: readFacts(value.facts),
    });
    return sound && sound.channels[0].length <= MOST_VALUES ? sound : null;
  } catch {
    return null;
  }
}

/** @param {any} value @returns {Facts} */
function readFacts(value) {
  const text = (/** @type {any} */ said) => (typeof said === "string" ? said.slice(0, 200) : "");
  const latent = list(value?.latent).map(Number);
  const turned = readTurned(value?.turned, latent.length);
  return {
    ...(turned && { turned }),
    model: text(value?.model), model_name: text(value?.model_name), license: text(value?.license), name: text(value?.name),
    made: text(value?.made), seed: Number.isSafeInteger(value?.seed) ? value.seed : null,
    latent: latent.every(Number.isFinite) ? latent : [],
    labels: Object.fromEntries(Object.entries(value?.labels ?? {}).map(([word, weight]) => [word, number(weight, [0, 1], 0)])),
  };
}

/** @param {any} said @param {number} size of a latent @returns {import("./types.js").Turned | null} */
function readTurned(said, size) {
  const latent = list(said?.latent).map(Number);
  if (!size || latent.length !== size || !latent.every(Number.isFinite)) return null;
  return {
    latent, seed: Number.isSafeInteger(said.seed) ? said.seed : null, made: String(said.made ?? "").slice(0, 40),
    knobs: Object.fromEntries(Object.entries(said.knobs ?? {}).slice(0, 64).map(([word, position]) => [word, number(position, [-1, 1], 0)])),
  };
}

/**
 * @param {any} said @param {(id: string) => boolean} known
 * @returns {State}
 */
export function readState(said, known) {
  const plain = emptyState();
  const pads = list(said?.pads), patterns = list(said?.patterns);
  return {
    pads: plain.pads.map((empty, place) => {
      const { sound, name, locked, settings } = pads[place] ?? {};
      if (typeof sound !== "string" || !known(sound)) return empty;
      return { sound, name: String(name ?? "").slice(0, 60), locked: locked === true, settings: readSettings(settings) };
    }),
    patterns: Array.from({ length: NUM_PATTERNS }, (_, place) => readPattern(patterns[place])),
    pattern: Math.round(number(said?.pattern, [0, NUM_PATTERNS - 1], 0)),
    tempo: number(said?.tempo, RANGES.tempo, plain.tempo),
    swing: number(said?.swing, RANGES.swing, plain.swing),
    master: number(said?.master, RANGES.master, plain.master),
    reverb: number(said?.reverb, RANGES.reverb, plain.reverb),
  };
}

/** @param {any} said @returns {Settings} */
function readSettings(said) {
  const keys = /** @type {(keyof Settings)[]} */ (Object.keys(NEUTRAL));
  return /** @type {Settings} */ (Object.fromEntries(keys.map((key) => [key, number(said?.[key], RANGES[key], NEUTRAL[key])])));
}

/** @param {any} said @returns {Pattern} */
function readPattern(said) {
  const empty = emptyPattern(), rows = list(said?.rows);
  return {
    length: said?.length === NUM_STEPS ? NUM_STEPS : 16,
    rows: Array.from({ length: NUM_PADS }, (_, pad) => empty.rows[pad].map((off, step) => {
      const found = list(rows[pad])[step];
      return found ? { velocity: number(found.velocity, [0, 1], 0), chance: number(found.chance, [0, 1], 1) } : off;
    })),
  };
}

/** @param {any} value @returns {any[]} */
const list = (value) => (Array.isArray(value) ? value.slice(0, 10_000) : []);

/** @param {any} value @param {readonly [number, number]} range @param {number} otherwise */
const number = (value, range, otherwise) => (typeof value === "number" && Number.isFinite(value) ? clamp(value, range) : otherwise);

/** @param {Float32Array} samples */
function encode(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength), parts = [];
  for (let place = 0; place < bytes.length; place += 0x8000) {
    parts.push(String.fromCharCode(...bytes.subarray(place, place + 0x8000)));
  }
  return btoa(parts.join(""));
}

/** @param {any} text */
function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const samples = new Float32Array(bytes.buffer, 0, bytes.length >> 2);
  return samples.map((value) => (Number.isFinite(value) ? clamp(value, [-8, 8]) : 0));
}

/** Keep the session in the browser, a moment after each change. @param {Desk} desk */
export function keepSession(desk) {
  let timer = 0;
  const save = () => {
    clearTimeout(timer);
    const { model, label, radius, made } = desk;
    const { state, history, selected } = desk.store;
    return desk.database.put("session", "current", { state, history: history.slice(0, 500), selected, model, label, radius, made });
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(save, SAVE_AFTER);
  };
  desk.store.listen(soon);
  desk.listen(soon);
  addEventListener("pagehide", save);
}

/**
 * Put the last session back on the desk; false if there is none.
 * @param {Desk} desk
 */
export async function resumeSession(desk) {
  const said = await desk.database.get("session", "current");
  const ids = new Set(list(said?.state?.pads).map((pad) => pad?.sound).filter(Boolean));
  await Promise.all([...ids].map(async (id) => {
    const sound = asSound(await desk.database.get("sounds", id));
    if (sound) desk.store.sounds.set(sound.id, sound);
  }));
  if (!desk.store.sounds.size) return false;
  desk.model = desk.engine.studio.models.some(({ id }) => id === said.model) ? said.model : desk.model;
  desk.label = desk.modelShown?.labels.includes(said.label) ? said.label : "";
  desk.radius = number(said.radius, [0.01, 1], 0.15);
  desk.made = number(said.made, [0, 1e9], 0);
  desk.store.selected = Math.round(number(said.selected, [0, NUM_PADS - 1], 0));
  desk.store.reset(readState(said.state, (id) => desk.store.sounds.has(id)));
  desk.remember(list(said.history).filter((id) => typeof id === "string"));
  return true;
}
