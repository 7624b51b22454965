import { Gemm } from '../gemm/macro-kernel';
import { RELAXED } from '../isa';
import { Step } from '../step';

/**
 * The record of a step on whole numbers. A weight is q · scale[o], an activation q · scale, and the q are what is
 * multiplied.
 */
@unmanaged
export class QuantStep extends Step {
  /** What the input is a multiple of, from calibration; 0 if it follows from each image's greatest magnitude. */
  inScale: f32;
  /** The least and the greatest q of the input: −127 … 127, 0 … 127 or, with a zero point z, −z … 255 − z. */
  low: i32;
  high: i32;
  /** Of each image, the bits of the input's greatest magnitude, which are there before the step begins. */
  rangePtr: usize;
  /** Of each image, where the bits of the output's greatest magnitude are to be; 0 if nobody asks. */
  outRangePtr: usize;
}

/** Whether A and B are packed for products of bytes, which only 0 … 127 may have, or of int16. */
// @ts-ignore: decorator
@inline
export function isBytesOf(s: QuantStep): bool {
  return RELAXED && s.low == 0 && s.high <= 127;
}

export const STEP_inScale: i32 = offsetof<QuantStep>('inScale');
export const STEP_low: i32 = offsetof<QuantStep>('low');
export const STEP_high: i32 = offsetof<QuantStep>('high');
export const STEP_rangePtr: i32 = offsetof<QuantStep>('rangePtr');
export const STEP_outRangePtr: i32 = offsetof<QuantStep>('outRangePtr');

/** A product whose A and B are whole numbers: depth counts words, of 4 bytes or 2 int16. */
@unmanaged
export class QuantGemm extends Gemm {
  /** From an output's bias to its scale. */
  scaleOffset: usize;
  /** What the image at hand is a multiple of. */
  inScale: f32;
  /** Room for two vectors: the bits of the greatest magnitudes of C, of even and of odd vectors. */
  greatestPtr: usize;
}

/** Bytes of a `QuantGemm`, in whole cache lines. */
export const QUANT_GEMM_BYTES: usize = (offsetof<QuantGemm>() + 63) & ~63;

/** The bits of the greater magnitude in each lane. Bits of non-negative floats order as whole numbers; NaN is above all. */
// @ts-ignore: decorator
@inline
export function greater(bits: v128, values: v128): v128 {
  return i32x4.max_s(bits, v128.and(values, i32x4.splat(0x7fffffff)));
}

/** The greatest lane. */
// @ts-ignore: decorator
@inline
export function greatestLane(bits: v128): i32 {
  const pairs = i32x4.max_s(bits, v128.shuffle<i32>(bits, bits, 2, 3, 0, 1));
  return i32x4.extract_lane(i32x4.max_s(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2)), 0);
}

/** Raises the word at `ptr` to `bits`, whatever other threads do; the order of threads does not show. */
export function raise(ptr: usize, bits: i32): void {
  let now = atomic.load<i32>(ptr);
  while (now < bits) {
    const seen = atomic.cmpxchg<i32>(ptr, now, bits);
    if (seen == now) return;
    now = seen;
  }
}
