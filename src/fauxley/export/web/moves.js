// Moves among latents, as `fauxley.latents` makes them: variations around one, ways between two or four.

import { latentOf } from "./draws.js";

/** @typedef {ArrayLike<number>} Latent */

const NEARLY_PARALLEL = 1e-4; // sine of the angle between latents below which an arc is a line

/**
 * Latents around one: each number moves by up to twice the radius, and is reflected at -1 and 1, as if by mirrors.
 * @param {Latent} latent @param {number} count @param {number} radius @param {number} seed
 */
export function vary(latent, count, radius, seed) {
  return Array.from({ length: count }, (_, number) => {
    const steps = latentOf([VARIATIONS, seed, number], latent.length);
    return steps.map((step, place) => reflect(latent[place] + 2 * radius * step));
  });
}

const VARIATIONS = 5; // what numbers are for, see `fauxley.models.draws`

/** @param {number} value */
const reflect = (value) =>
  Math.abs(value) <= 1 ? value : Math.abs((((value - 1) % 4) + 4) % 4 - 2) - 1;

/**
 * The latent at a place between two corners, or in the square of four, row by row.
 * @param {Latent[]} corners @param {number} x @param {number} y
 */
export function at(corners, x, y) {
  if (corners.length === 2) return between(corners[0], corners[1], x);
  return between(between(corners[0], corners[1], x), between(corners[2], corners[3], x), y);
}

/**
 * Spherical interpolation (Shoemake 1985).
 * @param {Latent} start @param {Latent} end @param {number} share
 */
export function between(start, end, share) {
  const dot = sum(start, (value, place) => value * end[place]);
  const norms = Math.sqrt(sum(start, (value) => value * value) * sum(end, (value) => value * value));
  const angle = norms ? Math.acos(Math.min(1, Math.max(-1, dot / norms))) : 0;
  const sine = Math.sin(angle), isLine = sine < NEARLY_PARALLEL;
  const near = isLine ? 1 - share : Math.sin((1 - share) * angle) / sine;
  const far = isLine ? share : Math.sin(share * angle) / sine;
  return Float32Array.from(start, (value, place) => Math.min(1, Math.max(-1, near * value + far * end[place])));
}

/**
 * The mixture of labels at the same place; empty where none are given.
 * @param {Record<string, number>[]} labels @param {number} x @param {number} y
 */
export function mix(labels, x, y) {
  const shares = labels.length === 2 ? [1 - x, x] : [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
  /** @type {Record<string, number>} */
  const mixed = {};
  labels.forEach((mixture, corner) => {
    for (const [word, share] of Object.entries(mixture)) mixed[word] = (mixed[word] ?? 0) + share * shares[corner];
  });
  return Object.fromEntries(Object.entries(mixed).filter(([, share]) => share > 0));
}

/** @param {Latent} values @param {(value: number, place: number) => number} term */
function sum(values, term) {
  let total = 0;
  for (let place = 0; place < values.length; place++) total += term(values[place], place);
  return total;
}
