// From sounds to the loudspeaker: voices, choke groups, a room, the master. The same graph plays and renders files.

/** @import { Settings, Sound } from "./types.js" */

const CHOKE_SECONDS = 0.006;
const ROOM_SECONDS = 1.8;
const SILENT = 0.001;  // of the amplitude: 60 dB down

/** @param {number} decibels */
export const amplitude = (decibels) => 10 ** (decibels / 20);

/** @type {WeakMap<Sound, AudioBuffer>} */
const buffers = new WeakMap();

/** @param {Sound} sound @returns {AudioBuffer} */
export function bufferOf(sound) {
  let buffer = buffers.get(sound);
  if (!buffer) {
    const { channels, sampleRate } = sound;
    buffer = new AudioBuffer({ numberOfChannels: channels.length, length: Math.max(1, channels[0].length), sampleRate });
    channels.forEach((samples, channel) => buffer?.copyToChannel(/** @type {Float32Array<ArrayBuffer>} */ (samples), channel));
    buffers.set(sound, buffer);
  }
  return buffer;
}

/** How long a sound is as a pad plays it, in seconds. @param {Sound} sound @param {Settings} settings */
export function duration(sound, settings) {
  const whole = sound.channels[0].length / sound.sampleRate / 2 ** (settings.pitch / 12);
  return settings.decay < 1 ? Math.min(whole, settings.attack + decaySeconds(whole, settings.decay)) : whole;
}

/** @param {number} whole @param {number} decay */
const decaySeconds = (whole, decay) => 0.02 * (Math.max(whole, 0.03) / 0.02) ** decay;

/** A sound that plays; `stop` ends it without a click. */
export class Voice {
  /**
   * @param {BaseAudioContext} context @param {Sound} sound @param {Settings} settings
   * @param {AudioNode} output @param {AudioNode | null} room
   * @param {number} when in seconds of the context @param {number} velocity 0 ... 1
   */
  constructor(context, sound, settings, output, room, when, velocity) {
    this.when = when;
    this.seconds = duration(sound, settings);
    this.source = new AudioBufferSourceNode(context, { buffer: bufferOf(sound), playbackRate: 2 ** (settings.pitch / 12) });
    this.#level = amplitude(settings.gain) * velocity ** 1.5;
    /** @type {AudioNode} */
    let last = this.source;
    if (settings.tone) last = last.connect(toneFilter(context, settings.tone));
    this.envelope = new GainNode(context, { gain: this.#level });
    this.#shape(settings);
    last = last.connect(this.envelope);
    if (settings.pan) {
      // A panner lowers a mono sound by 3 dB in the middle; pads without one do not.
      if (sound.channels.length === 1) last = last.connect(new GainNode(context, { gain: Math.SQRT2 }));
      last = last.connect(new StereoPannerNode(context, { pan: settings.pan }));
    }
    last.connect(output);
    if (room && settings.send) last.connect(new GainNode(context, { gain: settings.send })).connect(room);
    this.source.start(when);
    if (settings.decay < 1) this.source.stop(when + this.seconds);
  }

  /** @type {number} */
  #level;

  /** @param {Settings} settings */
  #shape({ attack, decay }) {
    const { gain } = this.envelope;
    if (attack) {
      gain.setValueAtTime(0, this.when);
      gain.linearRampToValueAtTime(this.#level, this.when + attack);
    }
    if (decay < 1) {
      gain.setValueAtTime(this.#level, this.when + attack);
      gain.exponentialRampToValueAtTime(this.#level * SILENT, this.when + this.seconds);
    }
  }

  /** @param {number} when */
  stop(when) {
    if (when >= this.when + this.seconds) return;
    const { gain } = this.envelope;
    if (when <= this.when) {
      gain.cancelScheduledValues(0);
      gain.setValueAtTime(0, 0);
      this.source.stop(Math.max(when, 0));
      return;
    }
    gain.cancelAndHoldAtTime ? gain.cancelAndHoldAtTime(when) : gain.cancelScheduledValues(when);
    gain.setTargetAtTime(0, when, CHOKE_SECONDS / 4);
    this.source.stop(when + 2 * CHOKE_SECONDS);
  }
}

/** @param {BaseAudioContext} context @param {number} tone */
function toneFilter(context, tone) {
  const type = tone < 0 ? "lowpass" : "highpass";
  const wanted = tone < 0 ? 18_000 * (90 / 18_000) ** -tone : 20 * (9000 / 20) ** tone;
  return new BiquadFilterNode(context, { type, frequency: Math.min(wanted, 0.49 * context.sampleRate), Q: 0.9 });
}

/** A master with a room and a safety limiter, and the choke groups that play into it. */
export class Mixer {
  /** @type {Map<number, Voice>} */
  #choked = new Map();

  /** @param {BaseAudioContext} context */
  constructor(context) {
    this.context = context;
    this.input = new GainNode(context);
    this.room = new GainNode(context);
    this.#wet = new GainNode(context);
    this.#volume = new GainNode(context);
    // Leaves everything below -3 dB alone, and never lets sounds that add up distort harshly.
    const limiter = new DynamicsCompressorNode(context, { threshold: -3, knee: 0, ratio: 20, attack: 0.002, release: 0.1 });
    this.meter = new AnalyserNode(context, { fftSize: 1024 });
    this.input.connect(this.#volume);
    this.room.connect(new ConvolverNode(context, { buffer: impulse(context) })).connect(this.#wet).connect(this.#volume);
    this.#volume.connect(limiter).connect(this.meter).connect(context.destination);
  }

  #wet;
  #volume;

  /** @param {number} master dB @param {number} reverb 0 ... 1 */
  set(master, reverb) {
    const now = this.context.currentTime;
    this.#volume.gain.setTargetAtTime(master <= -48 ? 0 : amplitude(master), now, 0.01);
    this.#wet.gain.setTargetAtTime(reverb, now, 0.01);
  }

  /** The same at once, for rendering. @param {number} master @param {number} reverb */
  setNow(master, reverb) {
    this.#volume.gain.value = master <= -48 ? 0 : amplitude(master);
    this.#wet.gain.value = reverb;
  }

  /** @param {Sound} sound @param {Settings} settings @param {number} when @param {number} velocity */
  play(sound, settings, when, velocity) {
    if (settings.choke) this.#choked.get(settings.choke)?.stop(when);
    const voice = new Voice(this.context, sound, settings, this.input, this.room, when, velocity);
    if (settings.choke) this.#choked.set(settings.choke, voice);
    return voice;
  }

  /** The highest level of the last moments, 0 ... 1. */
  level() {
    this.meter.getFloatTimeDomainData(this.#moments);
    let most = 0;
    for (const value of this.#moments) most = Math.max(most, Math.abs(value));
    return most;
  }

  #moments = new Float32Array(1024);
}

/** A room: decaying noise, a little darker as it dies away; the same every time. @param {BaseAudioContext} context */
function impulse(context) {
  const length = Math.round(ROOM_SECONDS * context.sampleRate);
  const buffer = new AudioBuffer({ numberOfChannels: 2, length, sampleRate: context.sampleRate });
  let seed = 1;
  for (const channel of [0, 1]) {
    const samples = buffer.getChannelData(channel);
    let smooth = 0;
    for (let place = 0; place < length; place++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const time = place / length;
      smooth += (seed / 2 ** 31 - 1 - smooth) * (0.7 - 0.55 * time);
      samples[place] = smooth * SILENT ** time * Math.min(1, place / (0.004 * context.sampleRate));
    }
  }
  return buffer;
}
