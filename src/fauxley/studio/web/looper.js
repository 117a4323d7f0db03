// A sound round and round, exchanged for others while it is heard: they fade into one another at the same place.

/** @import { Sound } from "./types.js" */

import { bufferOf } from "./mixer.js";

const FADE = 0.03;  // seconds from one sound to the next
const EDGE = 0.004;  // seconds at both ends of a round
const SILENT = 10 ** (-50 / 20);
const SHORTEST = 0.25;

/**
 * A sound that goes round: since when it is faded in, and when its first round would have begun.
 * @typedef {{source: AudioBufferSourceNode, gain: GainNode, since: number, began: number, seconds: number}} Round
 */

export class Looper {
  /** @param {BaseAudioContext} context @param {AudioNode} output */
  constructor(context, output) {
    this.#context = context;
    this.#output = output;
  }

  #context;
  #output;
  /** @type {Round | null} */
  #now = null;

  get isPlaying() { return this.#now !== null; }

  /** Go over to a sound. @param {Sound} sound @param {number} [when] */
  play(sound, when = this.#context.currentTime) {
    const buffer = roundOf(sound), before = this.#now;
    const source = new AudioBufferSourceNode(this.#context, { buffer, loop: true });
    const gain = new GainNode(this.#context, { gain: 0 });
    source.connect(gain).connect(this.#output);
    gain.gain.setValueAtTime(0, when);
    gain.gain.linearRampToValueAtTime(1, when + FADE);
    // At the share of its round that the one before has come to, so that a beat stays a beat.
    const share = before ? ((when - before.began) / before.seconds) % 1 : 0;
    source.start(when, share * buffer.duration);
    if (before) this.#fade(before, when);
    this.#now = { source, gain, since: when, began: when - share * buffer.duration, seconds: buffer.duration };
  }

  stop(when = this.#context.currentTime) {
    if (this.#now) this.#fade(this.#now, when);
    this.#now = null;
  }

  /** @param {Round} playing @param {number} when */
  #fade({ source, gain, since }, when) {
    gain.gain.cancelScheduledValues(when);
    // A ramp begins where the last event was, which may be long ago: let it be now.
    gain.gain.setValueAtTime(Math.min(1, (when - since) / FADE), when);
    gain.gain.linearRampToValueAtTime(0, when + FADE);
    source.stop(when + FADE);
  }
}

/** @type {WeakMap<Sound, AudioBuffer>} */
const rounds = new WeakMap();

/** A sound from its beginning to where it has died away, silent at both ends. @param {Sound} sound @returns {AudioBuffer} */
function roundOf(sound) {
  const known = rounds.get(sound);
  if (known) return known;
  const { sampleRate, channels } = sound, whole = bufferOf(sound);
  const loudest = channels[0].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let last = channels[0].length - 1;
  while (last > 0 && Math.abs(channels[0][last]) < loudest * SILENT) last--;
  const length = Math.max(last + 1, Math.min(whole.length, Math.ceil(SHORTEST * sampleRate)));
  const buffer = new AudioBuffer({ numberOfChannels: whole.numberOfChannels, length, sampleRate });
  const edge = Math.min(Math.round(EDGE * sampleRate), length >> 1);
  channels.forEach((samples, channel) => {
    const copy = samples.slice(0, length);
    for (let place = 0; place < edge; place++) {
      copy[place] *= place / edge;
      copy[length - 1 - place] *= place / edge;
    }
    buffer.copyToChannel(copy, channel);
  });
  rounds.set(sound, buffer);
  return buffer;
}
