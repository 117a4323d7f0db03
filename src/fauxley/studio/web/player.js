// Sounds that are heard now. The audio context begins with the first gesture, and is made anew where it was taken away.

/** @import { Settings, Sound } from "./types.js" */

import { Mixer, Voice } from "./mixer.js";

/** @typedef {{pad: number, voice: Voice, velocity: number, settings: Settings}} Playing */

export class Player {
  /** @type {Mixer | null} */
  #mixer = null;
  #master = -3;
  #reverb = 0.35;
  /** What each pad plays. @type {Map<number, Playing>} */
  playing = new Map();
  /** Whether a morph plays. */
  isLooping = false;
  /** Told that something begins to sound. @type {() => void} */
  onPlay = () => {};

  /** The mixer, for those who play into it themselves. */
  get mixer() {
    if (this.#mixer && this.#mixer.context.state === "closed") this.#mixer = null;
    if (!this.#mixer) {
      this.#mixer = new Mixer(new AudioContext({ latencyHint: "interactive" }));
      this.#mixer.setNow(this.#master, this.#reverb);
    }
    return this.#mixer;
  }

  get context() {
    return /** @type {AudioContext} */ (this.mixer.context);
  }

  /** Let sound out; to be called in a gesture. */
  wake() {
    const { context } = this;
    if (context.state !== "running") context.resume().catch(() => {});
    return context;
  }

  /** @param {number} master @param {number} reverb */
  set(master, reverb) {
    [this.#master, this.#reverb] = [master, reverb];
    this.#mixer?.set(master, reverb);
  }

  /**
   * @param {number} pad which is played; -1 for none
   * @param {Sound} sound @param {Settings} settings @param {number} [velocity] @param {number} [when]
   */
  play(pad, sound, settings, velocity = 1, when = 0) {
    const context = this.wake();
    const before = this.playing.get(pad);
    const start = Math.max(when, context.currentTime);
    if (pad < 0 && before) before.voice.stop(start);
    const voice = this.mixer.play(sound, settings, start, velocity);
    const playing = { pad, voice, velocity, settings };
    this.playing.set(pad, playing);
    voice.source.onended = () => this.playing.get(pad) === playing && this.playing.delete(pad);
    this.onPlay();
    return voice;
  }

  /** The share of its sound that a pad has played, or -1. @param {number} pad */
  progress(pad) {
    const playing = this.playing.get(pad);
    if (!playing) return -1;
    const { when } = playing.voice, buffer = playing.voice.source.buffer;
    const now = this.context.currentTime;
    if (!buffer || now < when) return -1;
    const share = ((now - when) * 2 ** (playing.settings.pitch / 12)) / buffer.duration;
    return share >= 1 || now > when + playing.voice.seconds ? -1 : share;
  }

  /** How loud everything is just now. */
  level() {
    return this.#mixer ? this.#mixer.level() : 0;
  }
}
