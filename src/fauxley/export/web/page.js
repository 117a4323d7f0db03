// Eight pads that play a model: each has a sound of a seed, which is the same sound as `fauxley generate` makes of it.

import { openModel } from "./model.js";

const NUM_PADS = 8;

/** @typedef {import("./model.js").Model} Model */

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind */
function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${id}`);
  return found;
}

const say = byId("say", HTMLElement), fresh = byId("fresh", HTMLButtonElement), label = byId("label", HTMLSelectElement);

/** @type {AudioContext | null} */
let context = null;

class Pad {
  /** @param {Model} model @param {number} number */
  constructor(model, number) {
    this.model = model;
    this.seed = number;
    /** @type {Float32Array[]} */
    this.sound = [];
    this.play = document.createElement("button");
    this.title = document.createElement("span");
    this.canvas = document.createElement("canvas");
    const renew = document.createElement("button"), save = document.createElement("a"), below = document.createElement("div");
    this.play.type = renew.type = "button";
    this.play.className = "play";
    this.play.append(this.title, this.canvas);
    this.canvas.setAttribute("aria-hidden", "true");
    renew.textContent = "New";
    renew.setAttribute("aria-label", `New sound on pad ${number + 1}`);
    save.textContent = "Save";
    save.href = "#";
    below.className = "below";
    below.append(renew, save);
    this.element = document.createElement("div");
    this.element.className = "pad";
    this.element.append(this.play, below);
    this.play.addEventListener("click", () => this.strike());
    renew.addEventListener("click", () => this.renew().then(() => this.strike(), complain));
    save.addEventListener("click", () => {
      save.href = URL.createObjectURL(wavOf(this.sound, model.about.sample_rate));
      save.download = `${this.title.textContent}.wav`;
      setTimeout(() => URL.revokeObjectURL(save.href), 10_000);
    });
  }

  async renew() {
    await this.take(crypto.getRandomValues(new Uint32Array(1))[0] >>> 1);
  }

  /** @param {number} seed */
  async take(seed) {
    const { model } = this;
    const weights = label.value ? model.weightsOf({ [label.value]: 1 }) : model.weightsInTurn(seed);
    const [sound] = await model.generate([model.latentOf(seed)], [weights]);
    this.seed = seed;
    this.sound = sound;
    const name = label.value || model.about.labels[seed % model.about.labels.length] || "seed";
    this.title.textContent = `${name}-${String(seed).padStart(4, "0")}`;
    this.play.setAttribute("aria-label", `Play ${this.title.textContent}`);
    this.draw();
  }

  strike() {
    if (!this.sound.length) return;
    context ??= new AudioContext();
    if (context.state !== "running") context.resume().catch(() => {});
    const buffer = context.createBuffer(this.sound.length, this.sound[0].length, this.model.about.sample_rate);
    this.sound.forEach((samples, channel) => buffer.copyToChannel(/** @type {Float32Array<ArrayBuffer>} */ (samples), channel));
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    this.play.classList.add("on");
    source.onended = () => this.play.classList.remove("on");
    source.start();
  }

  draw() {
    const { canvas, sound: [samples] } = this;
    const [width, height] = [canvas.width, canvas.height] = [320, 64];
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.fillStyle = getComputedStyle(canvas).color;
    for (let x = 0; x < width; x++) {
      let most = 0;
      for (let n = Math.floor((x * samples.length) / width); n < ((x + 1) * samples.length) / width; n++)
        most = Math.max(most, Math.abs(samples[n]));
      const tall = Math.max(1, Math.min(1, most) * height);
      pen.fillRect(x, (height - tall) / 2, 1, tall);
    }
  }
}

/**
 * A WAV file of 32-bit floats.
 * @param {Float32Array[]} channels @param {number} rate
 */
function wavOf(channels, rate) {
  const count = channels.length, samples = channels[0].length, bytes = 4 * count * samples;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const text = (/** @type {number} */ at, /** @type {string} */ word) =>
    [...word].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true);
  view.setUint16(22, count, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * count * rate, true);
  view.setUint16(32, 4 * count, true);
  view.setUint16(34, 32, true);
  text(36, "data");
  view.setUint32(40, bytes, true);
  channels.forEach((values, channel) =>
    values.forEach((value, n) => view.setFloat32(44 + 4 * (n * count + channel), value, true)),
  );
  return new Blob([view], { type: "audio/wav" });
}

/** @param {unknown} error */
function complain(error) {
  say.textContent = `That did not work: ${error instanceof Error ? error.message : error}`;
}

async function main() {
  const model = await openModel(document.baseURI);
  const { about } = model;
  document.title = `${about.name} – sounds by fauxley`;
  byId("name", HTMLElement).textContent = about.name;
  byId("about", HTMLElement).textContent = `Made on your own machine; nothing is sent anywhere. The model learnt from sounds under this licence: ${about.license_of_training_data || "not stated"}.`;
  label.append(new Option("any", ""), ...about.labels.map((word) => new Option(word, word)));
  byId("label-choice", HTMLElement).hidden = !about.labels.length;
  const exact = await model.isExact();
  const pads = Array.from({ length: NUM_PADS }, (_, number) => new Pad(model, number));
  byId("pads", HTMLElement).append(...pads.map((pad) => pad.element));
  for (const pad of pads) await pad.take(pad.seed);
  fresh.disabled = false;
  fresh.addEventListener("click", async () => {
    for (const pad of pads) await pad.renew().catch(complain);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    pads[Number(event.key) - 1]?.strike();
  });
  const threads = model.threads > 1 ? `${model.threads} threads` : "one thread, as this host does not send the headers for more";
  say.textContent = exact
    ? `Ready: computed in ${threads}.`
    : "This browser computes other sounds of this model than fauxley does; please report it with the browser's name.";
  Object.assign(window, { fauxley: { model, pads } }); // for tests, and for whoever is curious in the console
  document.body.dataset.ready = "true";
}

main().catch(complain);
