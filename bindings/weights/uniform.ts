/** Values that are a pure function of a name and their places. */

import { fnv1a32 } from '../util/hash.js';
import { size } from '../util/shape.js';

// Held, since a `vm` context (Jest) looks names up on its global each time: 15 times slower.
const { imul } = Math;

/** Writes values `first`, `first` + 1, … of the tensor that `key` names to `to`: mulberry32, scaled to [low, high). */
export function fill(to: Float32Array, key: number, first: number, [low, high]: readonly [number, number]): void {
  const span = high - low;
  // The generator's state grows by a constant at each step, so any value can be reached at once.
  let state = (key + imul(first, 0x6d2b79f5)) | 0;
  for (let i = 0; i < to.length; i++) {
    state = (state + 0x6d2b79f5) | 0;
    let t = imul(state ^ (state >>> 15), state | 1);
    t = (t + imul(t ^ (t >>> 7), t | 61)) ^ t;
    to[i] = low + span * (((t ^ (t >>> 14)) >>> 0) / 4294967296);
  }
}

/** Makes `count` values in [low, high), rounded to float32 once. */
export function uniform(name: string, count: number, low: number, high: number): Float32Array {
  const values = new Float32Array(count);
  fill(values, fnv1a32(name), 0, [low, high]);
  return values;
}

/** Makes an input of `shape`, NCHW, with values from -2 to 2. */
export const seededInput = (shape: readonly number[]): Float32Array => uniform('input', size(shape), -2, 2);
