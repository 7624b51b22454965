import { isBytesOf, QuantStep } from './quant';

/** Added to a float of magnitude below 2²², leaves it, rounded to the nearest even, in the low bits. */
const ROUNDER: f32 = 12582912.0;
const ROUNDER_BITS: i32 = 0x4b400000;

/** max(x · scale + shift, 0), a batch norm and ReLU on the way. Not fused, so that all binaries give the same bits. */
// @ts-ignore: decorator
@inline
export function activated(x: v128, scale: v128, shift: v128): v128 {
  return f32x4.pmax(f32x4.add(f32x4.mul(x, scale), shift), f32x4.splat(0));
}

/** Four floats, through the pre-activation if `pre`. */
// @ts-ignore: decorator
@inline
function floats(pre: bool, inPtr: usize, scalePtr: usize, shiftPtr: usize): v128 {
  const x = v128.load(inPtr);
  return pre ? activated(x, v128.load(scalePtr), v128.load(shiftPtr)) : x;
}

/** One float and zeros, likewise. */
// @ts-ignore: decorator
@inline
function oneFloat(pre: bool, inPtr: usize, scalePtr: usize, shiftPtr: usize): v128 {
  const x = v128.load32_zero(inPtr);
  return pre ? activated(x, v128.load32_zero(scalePtr), v128.load32_zero(shiftPtr)) : x;
}

/** round(min(max(x · factor, low), high)) in four lanes. What NaN gives is never seen: its image's scale is NaN. */
// @ts-ignore: decorator
@inline
function rounded(x: v128, factor: v128, low: v128, high: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(f32x4.mul(x, factor), low), high);
  return i32x4.sub(f32x4.add(bounded, f32x4.splat(ROUNDER)), i32x4.splat(ROUNDER_BITS));
}

// @ts-ignore: decorator
@inline
function quantised(
  isBytes: bool, pre: bool, inPtr: usize, count: i32, factor: f32, low: f32, high: f32, scalePtr: usize, shiftPtr: usize,
  outPtr: usize,
): void {
  const factors = f32x4.splat(factor), lows = f32x4.splat(low), highs = f32x4.splat(high);
  const bytes = <usize>count << 2;
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    const a = floats(pre, inPtr + i, scalePtr + i, shiftPtr + i);
    const b = floats(pre, inPtr + i + 16, scalePtr + i + 16, shiftPtr + i + 16);
    const ab = i16x8.narrow_i32x4_s(rounded(a, factors, lows, highs), rounded(b, factors, lows, highs));
    if (isBytes) v128.store64_lane(outPtr + (i >> 2), i8x16.narrow_i16x8_s(ab, ab), 0);
    else v128.store(outPtr + (i >> 1), ab);
  }
  for (; i < bytes; i += 4) {
    const x = rounded(oneFloat(pre, inPtr + i, scalePtr + i, shiftPtr + i), factors, lows, highs);
    const y = i32x4.extract_lane(x, 0);
    if (isBytes) store<i8>(outPtr + (i >> 2), <i8>y);
    else store<i16>(outPtr + (i >> 1), <i16>y);
  }
}

/** Writes `count` floats as int8, round(x · factor) within low … high. */
export function quantiseBytes(inPtr: usize, count: i32, factor: f32, low: f32, high: f32, outPtr: usize): void {
  quantised(true, false, inPtr, count, factor, low, high, 0, 0, outPtr);
}

/** Writes `count` channels of the step's input as whole numbers, through its pre-activation if it has one. */
export function quantise(s: QuantStep, inPtr: usize, count: i32, factor: f32, outPtr: usize): void {
  const low = <f32>s.low, high = <f32>s.high, scalePtr = s.preScalePtr, shiftPtr = s.preShiftPtr;
  if (isBytesOf(s)) {
    if (scalePtr) quantised(true, true, inPtr, count, factor, low, high, scalePtr, shiftPtr, outPtr);
    else quantised(true, false, inPtr, count, factor, low, high, 0, 0, outPtr);
  } else if (scalePtr) quantised(false, true, inPtr, count, factor, low, high, scalePtr, shiftPtr, outPtr);
  else quantised(false, false, inPtr, count, factor, low, high, 0, 0, outPtr);
}
