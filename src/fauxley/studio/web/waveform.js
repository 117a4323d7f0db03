// A sound as a picture: bars as high as the sound is loud, warm where it is low and cool where it is bright.

/** @import { Sound } from "./types.js" */

const BAR = 3;  // pixels of the page, with the gap
const LOW = 90, HIGH = 4500;  // Hz
/** @typedef {{peak: number, bright: number}} Bar */
/** @type {WeakMap<Sound, Map<number, Bar[]>>} */
const cache = new WeakMap();

/**
 * Bars of a sound: the loudest of a stretch, 0 ... 1, and how bright it is, 0 ... 1 from LOW to HIGH.
 * @param {Sound} sound @param {number} count
 */
export function bars(sound, count) {
  let known = cache.get(sound);
  if (!known) cache.set(sound, (known = new Map()));
  let found = known.get(count);
  if (!found) known.set(count, (found = measure(sound, count)));
  return found;
}

/** @param {Sound} sound @param {number} count @returns {Bar[]} */
function measure({ channels, sampleRate }, count) {
  const samples = channels[0], length = samples.length;
  return Array.from({ length: count }, (_, number) => {
    const start = Math.floor((number * length) / count), end = Math.max(start + 1, Math.floor(((number + 1) * length) / count));
    let peak = 0, change = 0, power = 0;
    for (let place = start; place < end; place++) {
      const value = samples[place] ?? 0, step = value - (samples[place - 1] ?? 0);
      peak = Math.max(peak, Math.abs(value));
      power += value * value;
      change += step * step;
    }
    // The frequency of a sine that changes as much from sample to sample.
    const frequency = power > 1e-9 ? (Math.sqrt(change / power) * sampleRate) / (2 * Math.PI) : LOW;
    return { peak, bright: Math.min(1, Math.max(0, Math.log(frequency / LOW) / Math.log(HIGH / LOW))) };
  });
}

/** Draw a sound into a canvas of any size. @param {HTMLCanvasElement} canvas @param {Sound | undefined} sound */
export function drawWaveform(canvas, sound) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !height) return;
  const [w, hh] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== hh) [canvas.width, canvas.height] = [w, hh];
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const dark = document.documentElement.dataset.theme === "dark";
  const middle = height / 2;
  if (!sound) {
    context.fillStyle = dark ? "#ffffff18" : "#00000014";
    context.fillRect(4, middle - 0.5, width - 8, 1);
    return;
  }
  const count = Math.max(1, Math.floor(width / BAR));
  bars(sound, count).forEach(({ peak, bright }, number) => {
    const tall = Math.max(1.5, Math.min(1, peak) ** 0.75 * (height - 4));
    context.fillStyle = colour(bright, dark);
    context.beginPath();
    context.roundRect(number * BAR + 0.5, middle - tall / 2, BAR - 1, tall, 1);
    context.fill();
  });
}

// From low to bright, in both themes; colours between are mixed.
const WARM_TO_COOL = {
  dark: [[255, 122, 77], [255, 168, 77], [250, 208, 108], [150, 216, 178], [108, 194, 238]],
  light: [[196, 62, 16], [206, 106, 14], [176, 130, 20], [34, 134, 120], [16, 106, 150]],
};

/** @param {number} bright 0 ... 1 @param {boolean} dark */
export function colour(bright, dark) {
  const stops = WARM_TO_COOL[dark ? "dark" : "light"];
  const place = bright * (stops.length - 1), below = Math.min(Math.floor(place), stops.length - 2), share = place - below;
  return `rgb(${stops[below].map((value, part) => Math.round(value + share * (stops[below + 1][part] - value))).join(" ")})`;
}
