// Sounds to files: a pad as it plays, a pattern as a loop, WAV and zip.

/** @import { Settings, Sound, State } from "./types.js" */

import { Mixer, Voice, duration } from "./mixer.js";
import { plan, stepSeconds } from "./sequencer.js";
import { NEUTRAL } from "./store.js";

/** Whether a pad leaves its sound as it is. @param {Settings} settings */
const isNeutral = (settings) =>
  /** @type {(keyof Settings)[]} */ (Object.keys(NEUTRAL))
    .every((key) => key === "choke" || key === "send" || settings[key] === NEUTRAL[key]);

/**
 * A sound as a pad plays it, without the room: its channels, at its own rate.
 * @param {Sound} sound @param {Settings} settings
 * @returns {Promise<Float32Array[]>}
 */
export async function renderPad(sound, settings) {
  if (isNeutral(settings)) return sound.channels;
  const length = Math.ceil(duration(sound, settings) * sound.sampleRate);
  const channels = settings.pan ? 2 : sound.channels.length;
  const context = new OfflineAudioContext(channels, Math.max(1, length), sound.sampleRate);
  new Voice(context, sound, settings, context.destination, null, 0, 1);
  return channelsOf(await context.startRendering());
}

/**
 * A pattern as a loop that continues into itself: what rings on from its end is heard at its beginning.
 * @param {State} state @param {(id: string) => Sound | undefined} soundOf
 * @param {number} rounds how often the pattern is played @param {number} sampleRate
 * @param {() => number} [random]
 * @returns {Promise<Float32Array[]>}
 */
export async function renderLoop(state, soundOf, rounds, sampleRate, random = Math.random) {
  const pattern = state.patterns[state.pattern];
  const round = pattern.length * stepSeconds(state.tempo);
  const ahead = Math.max(1, Math.ceil(3 / round));  // rounds before, which ring into the first
  const start = Math.round(ahead * round * sampleRate);
  const length = Math.round(rounds * round * sampleRate);
  const context = new OfflineAudioContext(2, start + length, sampleRate);
  const mixer = new Mixer(context);
  mixer.setNow(state.master, state.reverb);
  for (let number = 0; number < ahead + rounds; number++) {
    for (let step = 0; step < pattern.length; step++) {
      const when = number * round + plan.time(step, state.tempo, state.swing);
      for (const { pad, velocity } of plan.hits(pattern, step, random)) {
        const sound = soundOf(state.pads[pad].sound);
        if (sound) mixer.play(sound, state.pads[pad].settings, when, velocity);
      }
    }
  }
  return channelsOf(await context.startRendering()).map((samples) => samples.subarray(start));
}

/** @param {AudioBuffer} buffer */
const channelsOf = (buffer) =>
  Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));

/**
 * A WAV file of 16 bits: the very samples that `fauxley generate` writes of the same sound.
 * @param {Float32Array[]} channels @param {number} sampleRate
 */
export function wav(channels, sampleRate) {
  const count = channels.length, frames = channels[0].length, size = 2 * count * frames;
  const view = new DataView(new ArrayBuffer(44 + size));
  const text = (/** @type {number} */ place, /** @type {string} */ letters) =>
    [...letters].forEach((letter, offset) => view.setUint8(place + offset, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, count, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * count * 2, true);
  view.setUint16(32, count * 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, size, true);
  for (let frame = 0, place = 44; frame < frames; frame++) {
    for (let channel = 0; channel < count; channel++, place += 2) {
      view.setInt16(place, Math.min(32767, Math.max(-32768, roundEven(channels[channel][frame] * 32768))), true);
    }
  }
  return new Uint8Array(view.buffer);
}

/** Halves go to the even neighbour, as in NumPy. @param {number} value */
function roundEven(value) {
  const below = Math.floor(value), rest = value - below;
  return rest === 0.5 ? below + (below & 1) : Math.round(value);
}

/** @type {Uint32Array | undefined} */
let table;

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  table ??= Uint32Array.from({ length: 256 }, (_, value) => {
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  let crc = -1;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * A zip file whose files are stored as they are.
 * @param {{name: string, bytes: Uint8Array}[]} files
 */
export function zip(files) {
  /** @type {Uint8Array[]} */
  const parts = [], listing = [];
  let place = 0;
  for (const { name, bytes } of files) {
    const path = new TextEncoder().encode(name), crc = crc32(bytes);
    // Version 2.0, names in UTF-8, stored, the first of January 1980.
    const common = [20, 0x0800, 0, 0, 0x21, crc & 0xffff, crc >>> 16, bytes.length & 0xffff, bytes.length >>> 16,
      bytes.length & 0xffff, bytes.length >>> 16, path.length, 0];
    const local = new Uint16Array([0x4b50, 0x0403, ...common]);
    const central = new Uint16Array([0x4b50, 0x0201, 20, ...common, 0, 0, 0, 0, 0, place & 0xffff, place >>> 16]);
    parts.push(new Uint8Array(local.buffer), path, bytes);
    listing.push(new Uint8Array(central.buffer), path);
    place += local.byteLength + path.length + bytes.length;
  }
  const size = listing.reduce((sum, each) => sum + each.length, 0);
  const end = new Uint16Array([0x4b50, 0x0605, 0, 0, files.length, files.length, size & 0xffff, size >>> 16,
    place & 0xffff, place >>> 16, 0]);
  return new Blob(/** @type {BlobPart[]} */ ([...parts, ...listing, new Uint8Array(end.buffer)]), { type: "application/zip" });
}
