// Where sounds come from on a page without a server: a model that the visitor's browser computes. See `engine.js`.

import { say } from "./dom.js";
import { openModel } from "./model.js";
import { at, mix, vary } from "./moves.js";

/** @import { Engine, Facts, Sound } from "./types.js" */

/** What could not be done; the message is for people. */
export class EngineError extends Error {}

/** A number for a seed. */
export const anySeed = () => crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;

/** A name for what is told apart from all else. */
export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const ID = "model";
const RECORDING_SECONDS = 60;
const WELCOMED = 5000; // ms until what the page says at first has been read

/** @returns {Promise<Engine>} */
export async function openEngine() {
  const model = await openModel(document.baseURI);
  const { about } = model;
  if (!(await model.isExact()))
    throw new EngineError("This browser computes other sounds of this model than fauxley does.");
  document.body.dataset.threads = String(model.threads);
  if (!crossOriginIsolated)
    setTimeout(() => say("Sounds are made in one thread: this page's host does not allow for more."), WELCOMED);

  /** @param {Partial<Facts>} facts @param {Float32Array[]} channels @param {number} sampleRate @returns {Sound} */
  const sound = (facts, channels, sampleRate) => ({
    id: newId(),
    sampleRate,
    channels,
    facts: { model: "", model_name: "", seed: null, latent: [], labels: {}, license: "", made: "", name: "", ...facts },
  });

  /**
   * @param {ArrayLike<number>[]} latents @param {Record<string, number>[]} labels @param {string} made
   * @param {number} [firstSeed]
   */
  async function make(latents, labels, made, firstSeed) {
    const weights = labels.map((mixture) => model.weightsOf(mixture));
    const clips = await model.generate(latents, weights);
    return clips.map((channels, place) =>
      sound(
        {
          model: ID,
          model_name: about.name,
          seed: firstSeed === undefined ? null : firstSeed + place,
          latent: Array.from(latents[place]),
          labels: Object.fromEntries(about.labels.map((word, n) => [word, weights[place][n]]).filter(([, share]) => share)),
          license: about.license_of_training_data,
          made,
        },
        channels,
        about.sample_rate,
      ),
    );
  }

  /**
   * The labels of sounds: those wanted, or all in turn by number.
   * @param {Record<string, number> | undefined} wanted @param {number} count @param {number} [first]
   */
  function mixtures(wanted, count, first = 0) {
    const known = about.labels;
    if (wanted && Object.keys(wanted).length) return Array.from({ length: count }, () => wanted);
    return Array.from({ length: count }, (_, n) => (known.length ? { [known[(first + n) % known.length]]: 1 } : {}));
  }

  /** @param {number[][]} corners @param {Record<string, number>[]} labels @param {[number, number][]} places */
  const morph = (corners, labels, places) => {
    const given = labels.some((mixture) => Object.keys(mixture).length);
    const mixed = given ? places.map(([x, y]) => mix(labels, x, y)) : mixtures({}, places.length);
    return make(places.map(([x, y]) => at(corners, x, y)), mixed, "morph");
  };

  return {
    studio: {
      version: "",
      models: [
        {
          id: ID,
          name: about.name,
          sample_rate: about.sample_rate,
          channels: about.channels,
          samples: about.clip_length,
          latent_size: about.latent_size,
          labels: about.labels,
          license: about.license_of_training_data,
          preset: about.preset,
          step: about.step,
        },
      ],
      folder: "",
      kept: "",
      shelf: "",
      can_invert: false,
      formats: [],
      upload_bytes: 0,
    },
    generate: ({ seed, count, labels }) =>
      make(Array.from({ length: count }, (_, n) => model.latentOf(seed + n)), mixtures(labels, count, seed), "new", seed),
    render: ({ latents, labels }) => make(latents, mixtures(labels, latents.length), "new"),
    vary: ({ latent, count, radius, seed, labels }) =>
      make(vary(latent, count, radius, seed), mixtures(labels, count), "variation"),
    morph: ({ corners, labels, rows, columns }) => {
      const down = corners.length === 4 ? rows ?? columns : 1;
      const share = (/** @type {number} */ n, /** @type {number} */ of) => (of > 1 ? n / (of - 1) : 0);
      const places = Array.from({ length: down * columns }, (_, n) =>
        /** @type {[number, number]} */ ([share(n % columns, columns), share(Math.floor(n / columns), down)]),
      );
      return morph(corners, labels, places);
    },
    place: async ({ corners, labels, x, y }) => (await morph(corners, labels, [[x, y]]))[0],

    knobs: async () => about.knobs ?? [],

    async record(file) {
      let decoded;
      try {
        decoded = await new OfflineAudioContext(1, 1, about.sample_rate).decodeAudioData(await file.arrayBuffer());
      } catch {
        throw new EngineError(`This browser cannot read ${file.name}.`);
      }
      const samples = Math.min(decoded.length, RECORDING_SECONDS * decoded.sampleRate);
      const channels = Array.from({ length: Math.min(2, decoded.numberOfChannels) }, (_, channel) =>
        decoded.getChannelData(channel).slice(0, samples),
      );
      const remark = samples < decoded.length ? `Only the first ${RECORDING_SECONDS} seconds are kept.` : "";
      const facts = { made: "recording", name: file.name.replace(/\.[^.]*$/, "") };
      return { sound: sound(facts, channels, decoded.sampleRate), recording: "", remark };
    },

    invert: async () => {
      throw new EngineError("Finding the sound that is nearest to a recording needs ‘fauxley studio’.");
    },
    shelve: async () => null,
    unshelve: async () => {},
    folder: async () => [],
    load: async () => {
      throw new EngineError("There is no folder here.");
    },
    keep: async () => ({ copied: 0, folder: "" }),
    kit: async () => {
      throw new EngineError("Kits for samplers need ‘fauxley studio’.");
    },
    address: () => "",
  };
}
