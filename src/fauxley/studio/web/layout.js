// Where sounds lie on a map: principal components of the numbers that say how they sound, so that what is alike is near.

const ROUNDS = 60;  // of the power iteration: components of a few dozen numbers are exact by then
const CLEAR = 0.5;  // correlation from which an axis is given a name
const BANDS = 12, TIMES = 4;  // of a likeness, see fauxley.studio.audition

/** @typedef {{low: string, high: string} | null} Axis */

/**
 * Places from 0 to 1 of sounds, from left and from below, and what the axes mean, if they mean something.
 * @param {number[][]} likenesses
 * @returns {{places: [number, number][], axes: [Axis, Axis]}}
 */
export function layout(likenesses) {
  const scores = principal(likenesses, 2);
  const across = nameAxis(scores.map((row) => row[0]), likenesses, "");
  const up = nameAxis(scores.map((row) => row[1]), likenesses, across.axis?.high ?? "");
  const columns = [across, up].map(({ sign }, number) => spread(scores.map((row) => sign * row[number])));
  return { places: likenesses.map((_, sound) => [columns[0][sound], columns[1][sound]]), axes: [across.axis, up.axis] };
}

/**
 * Coordinates of rows along their principal components, those of most variance first.
 * @param {number[][]} rows @param {number} count of components
 */
export function principal(rows, count) {
  const size = rows[0]?.length ?? 0;
  const mean = Array.from({ length: size }, (_, place) => rows.reduce((sum, row) => sum + row[place], 0) / rows.length);
  const centred = rows.map((row) => row.map((value, place) => value - mean[place]));
  const covariance = Array.from({ length: size }, () => new Float64Array(size));
  for (const row of centred) for (let a = 0; a < size; a++) for (let b = 0; b < size; b++) covariance[a][b] += row[a] * row[b];
  /** @type {number[][]} */
  const axes = [];
  for (let number = 0; number < count; number++) {
    let axis = Array.from({ length: size }, (_, place) => 1 + ((place * 7 + number) % 5));
    for (let round = 0; round < ROUNDS; round++) {
      axis = covariance.map((row) => dot(row, axis));
      for (const other of axes) {
        const share = dot(axis, other);
        axis = axis.map((value, place) => value - share * other[place]);
      }
      const length = Math.sqrt(dot(axis, axis)) || 1;
      axis = axis.map((value) => value / length);
    }
    axes.push(axis);
  }
  return centred.map((row) => axes.map((axis) => dot(row, axis)));
}

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
function dot(a, b) {
  let sum = 0;
  for (let place = 0; place < a.length; place++) sum += a[place] * b[place];
  return sum;
}

/** Half by value and half by rank: clusters are seen, and no sound far from all others presses them together. @param {number[]} values */
function spread(values) {
  const ordered = [...values].sort((a, b) => a - b), least = ordered[0], most = ordered[ordered.length - 1];
  const ranks = new Map(ordered.map((value, rank) => [value, rank / Math.max(1, ordered.length - 1)]));
  return values.map((value) => 0.5 * (ranks.get(value) ?? 0) + (most > least ? (0.5 * (value - least)) / (most - least) : 0.25));
}

/** Which words an axis goes by, and which way round. @param {number[]} scores @param {number[][]} likenesses @param {string} taken by the other axis */
function nameAxis(scores, likenesses, taken) {
  const words = [
    { low: "darker", high: "brighter", values: likenesses.map(brightness) },
    { low: "shorter", high: "longer", values: likenesses.map((likeness) => likeness[likeness.length - 1] + ring(likeness)) },
  ].filter(({ high }) => high !== taken).map((word) => ({ ...word, likeness: correlation(scores, word.values) }));
  const [best] = words.sort((a, b) => Math.abs(b.likeness) - Math.abs(a.likeness));
  const axis = Math.abs(best.likeness) > CLEAR ? { low: best.low, high: best.high } : null;
  return { axis, sign: best.likeness < 0 ? -1 : 1 };
}

/** The middle of a sound's bands, by their power. @param {number[]} likeness */
function brightness(likeness) {
  let sum = 0, moment = 0;
  for (let place = 0; place < BANDS * TIMES; place++) {
    const power = 10 ** (likeness[place] / 10);
    sum += power;
    moment += power * (place % BANDS);
  }
  return moment / sum;
}

/** How little a sound has died away by its end, in dB. @param {number[]} likeness */
function ring(likeness) {
  const loudest = (/** @type {number} */ time) => Math.max(...likeness.slice(time * BANDS, (time + 1) * BANDS));
  return loudest(TIMES - 1) - loudest(0);
}

/** @param {number[]} a @param {number[]} b */
function correlation(a, b) {
  const centre = (/** @type {number[]} */ values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => value - mean);
  };
  const [x, y] = [centre(a), centre(b)], scale = Math.sqrt(dot(x, x) * dot(y, y));
  return scale ? dot(x, y) / scale : 0;
}
