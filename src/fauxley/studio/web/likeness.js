// How a sound sounds, in numbers that are near to one another for sounds alike: those of fauxley.studio.audition.

/** @import { Sound } from "./types.js" */

const WINDOW = 2048, BANDS = 12, TIMES = 4, FRAMES = 4;  // frames of each of the times
const FLOOR = -80;  // dB
const HIGHEST = 16_000;  // Hz
/** @type {WeakMap<Sound, number[]>} */
const known = new WeakMap();
/** @type {Map<number, Float64Array[]>} */
const matrices = new Map();

/** Levels of mel bands in stretches of time, in dB below the loudest, then the length in twelfths of octaves. @param {Sound} sound */
export function likeness(sound) {
  let found = known.get(sound);
  if (!found) known.set(sound, (found = measure(sound)));
  return found;
}

/** How unlike two sounds are. @param {number[]} a @param {number[]} b */
export function distance(a, b) {
  return a.length && b.length ? Math.sqrt(a.reduce((sum, value, place) => sum + (value - b[place]) ** 2, 0)) : Infinity;
}

/** @param {Sound} sound */
function measure({ channels, sampleRate }) {
  const length = channels[0].length, last = Math.max(length, WINDOW) - WINDOW, bands = bandsOf(sampleRate);
  const levels = Array.from({ length: TIMES * BANDS }, () => 0);
  for (let frame = 0; frame < TIMES * FRAMES; frame++) {
    const start = Math.floor((last * frame) / (TIMES * FRAMES - 1));
    const real = new Float64Array(WINDOW), imaginary = new Float64Array(WINDOW);
    for (let place = 0; place < WINDOW && start + place < length; place++) {
      let sum = 0;
      for (const samples of channels) sum += samples[start + place];
      real[place] = (sum / channels.length) * (0.5 - 0.5 * Math.cos((2 * Math.PI * place) / (WINDOW - 1)));
    }
    transform(real, imaginary);
    bands.forEach((band, number) => {
      let power = 0;
      for (let bin = 0; bin < band.length; bin++) if (band[bin]) power += band[bin] * (real[bin] ** 2 + imaginary[bin] ** 2);
      levels[Math.floor(frame / FRAMES) * BANDS + number] += power / FRAMES;
    });
  }
  const loudest = Math.max(...levels, 1e-12);
  const decibels = levels.map((level) => 10 * Math.log10(Math.max(level / loudest, 10 ** (FLOOR / 10))));
  return [...decibels, 12 * Math.log2(Math.max(length, 1) / sampleRate + 0.01)];
}

/** Triangles on the mel scale: the share of each bin that goes to each band. @param {number} sampleRate */
function bandsOf(sampleRate) {
  const found = matrices.get(sampleRate);
  if (found) return found;
  const mel = (/** @type {number} */ hertz) => 1127 * Math.log1p(hertz / 700), bins = WINDOW / 2 + 1;
  const step = mel(Math.min(HIGHEST, sampleRate / 2)) / (BANDS + 1);
  const bands = Array.from({ length: BANDS }, (_, band) => Float64Array.from({ length: bins }, (_, bin) =>
    bin ? Math.max(0, 1 - Math.abs(mel((bin * sampleRate) / WINDOW) / step - (band + 1))) : 0));
  matrices.set(sampleRate, bands);
  return bands;
}

/** The discrete Fourier transform, in place (Cooley and Tukey 1965). @param {Float64Array} real @param {Float64Array} imaginary */
function transform(real, imaginary) {
  const size = real.length;
  for (let place = 1, other = 0; place < size; place++) {
    let bit = size >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (place < other) [real[place], real[other], imaginary[place], imaginary[other]] = [real[other], real[place], imaginary[other], imaginary[place]];
  }
  for (let half = 1; half < size; half *= 2) {
    for (let turn = 0; turn < half; turn++) {
      const angle = (-Math.PI * turn) / half, cosine = Math.cos(angle), sine = Math.sin(angle);
      for (let low = turn; low < size; low += 2 * half) {
        const high = low + half;
        const x = real[high] * cosine - imaginary[high] * sine, y = real[high] * sine + imaginary[high] * cosine;
        [real[high], imaginary[high]] = [real[low] - x, imaginary[low] - y];
        real[low] += x;
        imaginary[low] += y;
      }
    }
  }
}
