// Latents of seeds, number for number those of `fauxley.models.draws`: the same seed is the same sound on this page.
//
// NumPy's SeedSequence makes a state of the key and its length; PyTorch's Mersenne Twister, seeded with it, draws numbers
// of 24 bits that are uniform in [0, 1).

const POOL = 4;

/**
 * The latent of a key, which for a sound's is its seed alone: `size` numbers, uniform in [-1, 1].
 * @param {number[]} key whole numbers from 0 to 2^53 - 1
 * @param {number} size
 */
export function latentOf(key, size) {
  const [low, high] = stateOf([key.length, ...key.flatMap(words)]);
  const draw = mersenneTwister(((low >>> 1) | ((high & 1) << 31)) >>> 0);
  return Float32Array.from({ length: size }, () => (draw() & 0xffffff) * 2 ** -23 - 1);
}

/** @param {number} value */
function words(value) {
  const high = Math.floor(value / 2 ** 32);
  return high ? [value >>> 0, high] : [value >>> 0];
}

/**
 * Two words of NumPy's SeedSequence(entropy).generate_state.
 * @param {number[]} entropy
 */
function stateOf(entropy) {
  let constant = 0x43b0d7e5;
  /** @param {number} value */
  const hash = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  /** @param {number} x @param {number} y */
  const mix = (x, y) => {
    const mixed = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  const pool = Array.from({ length: POOL }, (_, place) => hash(entropy[place] ?? 0));
  for (let from = 0; from < POOL; from++)
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  for (const word of entropy.slice(POOL)) for (let to = 0; to < POOL; to++) pool[to] = mix(pool[to], hash(word));
  constant = 0x8b51f9dd;
  return pool.slice(0, 2).map((word) => {
    word ^= constant;
    constant = Math.imul(constant, 0x58f38ded);
    word = Math.imul(word, constant);
    return (word ^ (word >>> 16)) >>> 0;
  });
}

/**
 * MT19937 (Matsumoto and Nishimura 1998): a function that gives 32 bits each time.
 * @param {number} seed
 */
function mersenneTwister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let place = 1; place < 624; place++) {
    const before = state[place - 1] ^ (state[place - 1] >>> 30);
    state[place] = Math.imul(1812433253, before) + place;
  }
  let next = 624;
  return () => {
    if (next === 624) {
      for (let place = 0; place < 624; place++) {
        const joined = (state[place] & 0x80000000) | (state[(place + 1) % 624] & 0x7fffffff);
        state[place] = state[(place + 397) % 624] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
      }
      next = 0;
    }
    let bits = state[next++];
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  };
}
