// Files that leave the page: a WAV, an archive of pads, a loop, the session; and a WAV that is dragged out.

/** @import { Desk } from "./desk.js" */
/** @import { Sound } from "./types.js" */

import { download, say, sayProblem } from "./dom.js";
import { renderLoop, renderPad, wav, zip } from "./render.js";
import { openSession, writeSession } from "./session.js";

/** A name for a file that every system takes. @param {string} name */
export function fileName(name) {
  const plain = name.normalize("NFC").replace(/[^\p{L}\p{N}_.-]+/gu, "-").replace(/^[-. ]+|[-. ]+$/g, "").slice(0, 60);
  return /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(plain) ? `${plain}-sound` : plain || "sound";
}

/** @param {Sound} sound @param {string} name */
export const padFile = (sound, name) =>
  new File([wav(sound.channels, sound.sampleRate)], `${fileName(name)}.wav`, { type: "audio/wav" });

/** What Chromium makes a file of where it is dropped on a desktop. @param {Desk} desk @param {Sound} sound @param {string} name */
export function downloadAddress(desk, sound, name) {
  const address = desk.engine.address(sound, name);
  return address && `audio/wav:${fileName(name)}.wav:${address}`;
}

/** A pad's sound, as it plays. @param {Desk} desk @param {number} number */
export async function savePad(desk, number) {
  const sound = desk.store.soundOf(number), pad = desk.store.state.pads[number];
  if (!sound) return say("There is no sound on that pad.");
  const bytes = wav(await renderPad(sound, pad.settings), sound.sampleRate);
  download(new Blob([bytes], { type: "audio/wav" }), `${fileName(pad.name)}.wav`);
}

/** All pads as they play, each with a file that says what it is. @param {Desk} desk */
export async function saveArchive(desk) {
  /** @type {{name: string, bytes: Uint8Array}[]} */
  const files = [];
  for (const [number, pad] of desk.store.state.pads.entries()) {
    const sound = desk.store.soundOf(number);
    if (!sound) continue;
    const stem = `${String(number + 1).padStart(2, "0")}-${fileName(pad.name)}`;
    files.push({ name: `${stem}.wav`, bytes: wav(await renderPad(sound, pad.settings), sound.sampleRate) });
    const facts = JSON.stringify({ ...sound.facts, name: pad.name, settings: pad.settings }, null, 2);
    files.push({ name: `${stem}.json`, bytes: new TextEncoder().encode(`${facts}\n`) });
  }
  if (!files.length) return say("There are no sounds on the pads.");
  download(zip(files), "fauxley-pads.zip");
  say(`${files.length / 2} sounds saved as fauxley-pads.zip`);
}

/** The pads as a kit for a sampler: as they play, with variations that sound in turn. @param {Desk} desk @param {string} format */
export async function saveKit(desk, format) {
  say("Making the kit …");
  const sounds = [];
  for (const [number, { name, settings }] of desk.store.state.pads.entries()) {
    const sound = desk.store.soundOf(number);
    if (sound) sounds.push({ name, sound, settings, recording: sound.facts.latent.length ? undefined : await desk.recordingOf(sound, name) });
  }
  if (!sounds.length) return say("There are no sounds on the pads.");
  const { archive, remark } = await desk.engine.kit({ format, name: "fauxley kit", sounds });
  download(archive, `fauxley-kit-${format}.zip`);
  say(`Saved as fauxley-kit-${format}.zip${remark ? `; ${remark}` : `: ${sounds.length} sounds with variations`}`);
}

/** The pattern as a loop. @param {Desk} desk @param {number} rounds @param {number} sampleRate */
export async function saveLoop(desk, rounds, sampleRate) {
  const { state } = desk.store;
  if (!state.patterns[state.pattern].rows.some((row) => row.some(({ velocity }) => velocity > 0))) {
    return say("The pattern is empty: set some steps first.");
  }
  try {
    const channels = await renderLoop(state, (id) => desk.store.sounds.get(id), rounds, sampleRate);
    download(new Blob([wav(channels, sampleRate)], { type: "audio/wav" }), `loop-${Math.round(state.tempo)}bpm.wav`);
    say(`Loop saved: ${rounds === 1 ? "one round" : `${rounds} rounds`} at ${Math.round(state.tempo)} beats a minute`);
  } catch (error) {
    sayProblem(error);
  }
}

/** Files that were dropped: a session is opened, sounds go onto a pad and those after it. @param {Desk} desk @param {DragEvent} event @param {number} pad */
export async function takeFiles(desk, event, pad) {
  const files = [...(event.dataTransfer?.files ?? [])];
  const sounds = files.filter(({ name }) => !/\.json$/i.test(name)), [session] = files;
  if (sounds.length || !session) return desk.take(sounds, pad);  // what lies beside sounds says what they are
  try {
    openSession(desk, await session.text());
    say(`${session.name} is open`);
  } catch (error) {
    sayProblem(error);
  }
}

/** @param {Desk} desk */
export function saveSession(desk) {
  download(new Blob([writeSession(desk)], { type: "application/json" }), "session.fauxley.json");
  say("Session saved as session.fauxley.json");
}
