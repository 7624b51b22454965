/** Floating-point values as files hold them, and as the project wants them: little-endian float32, float16 or bfloat16. */

import { bytesOfNumbers, IS_LITTLE, swap } from '../util/bytes.js';
import type { FloatDtype } from './types.js';

/** What files hold; float64 is rounded to float32 as it is read, and takes no more room than that. */
export type StoredDtype = FloatDtype | 'F64';

export const STORED_BYTES: Readonly<Record<StoredDtype, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };

/** Finds the type that a stored one becomes. */
export const heldDtype = (stored: StoredDtype): FloatDtype => (stored === 'F64' ? 'F32' : stored);

/** How a file holds values, if not as little-endian values of the type that the tensor has. */
export interface Stored {
  readonly dtype: StoredDtype;
  readonly isBigEndian: boolean;
}

/** Makes a decoder of stored values; undefined if their bytes are the tensor's as they are. */
export const decoderOf = (stored: Stored | undefined): Decoder | undefined =>
  stored && (stored.dtype === 'F64' || stored.isBigEndian) ? new Decoder(stored) : undefined;

/** Makes little-endian values of a stored tensor's bytes, which come in pieces cut anywhere. */
class Decoder {
  readonly #width: number;
  readonly #dtype: StoredDtype;
  readonly #isBigEndian: boolean;
  /** The first bytes of a value whose others are in the next piece. */
  readonly #carry: Uint8Array;
  #carried = 0;

  constructor({ dtype, isBigEndian }: Stored) {
    this.#dtype = dtype;
    this.#isBigEndian = isBigEndian;
    this.#width = STORED_BYTES[dtype];
    this.#carry = new Uint8Array(this.#width);
  }

  /** Returns the values that `bytes` complete, a copy; it may be empty. */
  push(bytes: Uint8Array): Uint8Array {
    const count = Math.floor((this.#carried + bytes.length) / this.#width);
    const whole = new Uint8Array(count * this.#width);
    const taken = count > 0 ? whole.length - this.#carried : 0;
    if (count > 0) {
      whole.set(this.#carry.subarray(0, this.#carried));
      whole.set(bytes.subarray(0, taken), this.#carried);
      this.#carried = 0;
    }
    this.#carry.set(bytes.subarray(taken), this.#carried);
    this.#carried += bytes.length - taken;
    if (this.#isBigEndian) swap(whole, this.#width);
    return this.#dtype === 'F64' ? bytesOfNumbers(Float32Array.from(float64s(whole))) : whole;
  }
}

function float64s(bytes: Uint8Array): Float64Array {
  if (!IS_LITTLE) swap(bytes, 8);
  return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** Makes float32 values, a copy, of the little-endian bytes of whole values. */
export function toFloat32(dtype: FloatDtype, bytes: Uint8Array): Float32Array {
  if (dtype === 'F32') {
    const copy = new Uint8Array(bytes);
    if (!IS_LITTLE) swap(copy, 4);
    return new Float32Array(copy.buffer, copy.byteOffset, copy.length / 4);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Float32Array(bytes.length / 2);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < values.length; i++) {
    const half = view.getUint16(2 * i, true);
    if (dtype === 'BF16') bits[i] = half << 16;
    else if ((half & 0x7c00) === 0x7c00) bits[i] = ((half & 0x8000) << 16) | 0x7f800000 | ((half & 0x3ff) << 13);
    // Numbers of float16, subnormal ones too, are those of float32 with 15 for 127 as the exponent's bias.
    else {
      BITS[0] = (half & 0x7fff) << 13;
      const value = (FLOAT[0] as number) * 2 ** 112;
      values[i] = half & 0x8000 ? -value : value;
    }
  }
  return values;
}

/**
 * Makes little-endian bytes of float32 values in another type, rounded to nearest, ties to even. NaN stays NaN, and what
 * is beyond the type's range becomes infinite.
 */
export function fromFloat32(dtype: FloatDtype, values: Float32Array): Uint8Array {
  if (dtype === 'F32') return bytesOfNumbers(values.slice());
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const rounded = new Uint16Array(values.length);
  if (dtype === 'F16') for (let i = 0; i < bits.length; i++) rounded[i] = float16(bits[i] as number);
  else for (let i = 0; i < bits.length; i++) rounded[i] = bfloat16(bits[i] as number);
  return bytesOfNumbers(rounded);
}

function bfloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function float16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  // From 65520 on, which lies between the largest value and 2^16.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // From 2^-14 on: another bias, and 13 bits fewer.
  if (magnitude >= 0x38800000) {
    const rebiased = magnitude - 0x38000000;
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  // Subnormal: a multiple of 2^-24. Half of it and less is nothing.
  if (magnitude <= 0x33000000) return sign;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - (magnitude >>> 23);
  const quotient = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (quotient + (rest > half || (rest === half && quotient & 1) ? 1 : 0));
}
