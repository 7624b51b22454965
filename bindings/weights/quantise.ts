/** Floats become whole numbers with a scale per row. */

import { ResnetError } from '../../models/errors.js';
import { bytesOfNumbers } from '../util/bytes.js';
import { label } from '../util/messages.js';
import { size } from '../util/shape.js';
import type { TensorInfo } from './types.js';

/** The largest whole number. Symmetric about zero, so that there is no zero point. */
export const LARGEST_I8 = 127;

/** One matrix on its way, whose values come row by row, cut anywhere. Holds one row of floats, and the numbers. */
export class Quantiser {
  readonly #name: string;
  readonly #row: Float32Array;
  readonly #numbers: Int8Array;
  readonly #scales: Float32Array;
  #filled = 0;
  #rows = 0;

  constructor({ name, shape }: Pick<TensorInfo, 'name' | 'shape'>) {
    this.#name = name;
    this.#row = new Float32Array(size(shape.slice(1)));
    this.#numbers = new Int8Array(size(shape));
    this.#scales = new Float32Array(shape[0] ?? 0).fill(1);
  }

  push(values: Float32Array): void {
    for (let from = 0; from < values.length; ) {
      const part = values.subarray(from, from + this.#row.length - this.#filled);
      this.#row.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
      if (this.#filled === this.#row.length) this.#endRow();
    }
  }

  /** The bytes of all scales, and of all numbers. */
  get result(): { readonly scales: Uint8Array; readonly numbers: Uint8Array } {
    return { scales: bytesOfNumbers(this.#scales), numbers: new Uint8Array(this.#numbers.buffer) };
  }

  /** Scales the largest magnitude to 127. A row of zeros has scale 1. */
  #endRow(): void {
    const row = this.#row;
    let largest = 0;
    for (let i = 0; i < row.length; i++) {
      const magnitude = Math.abs(row[i] as number);
      // NaN stays: nothing is larger than it.
      if (magnitude > largest || Number.isNaN(magnitude)) largest = magnitude;
    }
    if (!Number.isFinite(largest)) {
      throw new ResnetError('weights', `${label(this.#name)}: expected finite values for int8, got ${largest}.`);
    }
    // Of what is smaller than float32 can divide by 127, nothing is left.
    const scale = Math.fround(largest / LARGEST_I8) || 1;
    const first = this.#rows * row.length;
    for (let i = 0; i < row.length; i++) {
      const number = Math.round((row[i] as number) / scale);
      this.#numbers[first + i] = Math.max(-LARGEST_I8, Math.min(LARGEST_I8, number));
    }
    this.#scales[this.#rows] = scale;
    this.#rows += 1;
    this.#filled = 0;
  }
}
