// A model in the browser: from latents to audio, computed by a worker.

import { latentOf } from "./draws.js";

/**
 * What model.json says; see `fauxley.export.browser`.
 * @typedef {object} About
 * @property {string} name
 * @property {number} sample_rate
 * @property {number} channels
 * @property {number} clip_length
 * @property {number} latent_size
 * @property {string[]} labels
 * @property {string} license_of_training_data
 * @property {string} preset
 * @property {number} step
 * @property {import("./types.js").ModelKnob[]} [knobs]
 * @property {{seed: number, every: number, samples: number[], tolerance: number}} check
 */

export class Model {
  /** @param {Worker} worker @param {About} about */
  constructor(worker, about) {
    this.about = about;
    this.threads = 1;
    this.#worker = worker;
    worker.onmessage = ({ data: { id, answer, problem } }) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (problem) waiting?.reject(new Error(problem));
      else waiting?.resolve(answer);
    };
    worker.onerror = (event) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message || "the worker ended"));
      this.#waiting.clear();
    };
  }

  #worker;
  #asked = 0;
  /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();

  /** @param {object} message @param {Transferable[]} [transfer] */
  ask(message, transfer = []) {
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...message }, transfer);
    });
  }

  /** @param {number} seed */
  latentOf(seed) {
    return latentOf([seed], this.about.latent_size);
  }

  /**
   * Weights that ask for one label, or for those of a mixture, by their names.
   * @param {Record<string, number>} shares
   */
  weightsOf(shares) {
    const sum = Object.values(shares).reduce((total, share) => total + share, 0) || 1;
    return Float32Array.from(this.about.labels, (label) => (shares[label] ?? 0) / sum);
  }

  /** The weights that Python takes for a seed where nothing is asked for: the labels in turn. @param {number} seed */
  weightsInTurn(seed) {
    return Float32Array.from(this.about.labels, (_, place) => Number(place === seed % this.about.labels.length));
  }

  /**
   * The channels of the sounds of latents; of a model with labels, with the weights of labels of each.
   * @param {ArrayLike<number>[]} latents @param {ArrayLike<number>[]} [labels]
   * @returns {Promise<Float32Array[][]>}
   */
  async generate(latents, labels = []) {
    if (!latents.length) return [];
    const flat = joined(latents);
    const weights = this.about.labels.length ? joined(labels) : null;
    const ask = { count: latents.length, latents: flat, labels: weights };
    const { audio, shape } = await this.ask({ ask }, weights ? [flat.buffer, weights.buffer] : [flat.buffer]);
    const [, channels, samples] = shape;
    return latents.map((_, sound) =>
      Array.from({ length: channels }, (_, channel) => {
        const start = (sound * channels + channel) * samples;
        return audio.slice(start, start + samples);
      }),
    );
  }

  /** Whether this browser makes the sound that Python has made of a seed. */
  async isExact() {
    const { seed, every, samples, tolerance } = this.about.check;
    const [sound] = await this.generate([this.latentOf(seed)], [this.weightsInTurn(seed)]);
    const here = sound.flatMap((channel) => Array.from(channel).filter((_, place) => place % every === 0));
    return here.length === samples.length && here.every((value, n) => Math.abs(value - samples[n]) <= tolerance);
  }
}

/**
 * Open the model that lies in a folder: model.json and model.onnx.
 * @param {string} folder its address, with a slash at the end
 */
export async function openModel(folder) {
  const response = await fetch(new URL("model.json", folder));
  if (!response.ok) throw new Error(`model.json cannot be had: ${response.status}`);
  const about = /** @type {About} */ (await response.json());
  const worker = new Worker(new URL("./model-worker.js", import.meta.url), { type: "module" });
  const model = new Model(worker, about);
  model.threads = (await model.ask({ address: new URL("model.onnx", folder).href })).threads;
  return model;
}

/** @param {ArrayLike<number>[]} rows */
function joined(rows) {
  const flat = new Float32Array(rows.reduce((total, row) => total + row.length, 0));
  let place = 0;
  for (const row of rows) {
    flat.set(row, place);
    place += row.length;
  }
  return flat;
}
