import { clip } from './epilogue';
import { madd } from './isa';
import {
  ACTIVATION_CLIP, ACTIVATION_GELU, ACTIVATION_HARD_SIGMOID, ACTIVATION_HARD_SWISH, ACTIVATION_LEAKY_RELU,
  ACTIVATION_PRELU, ACTIVATION_SIGMOID, ACTIVATION_SILU, Step,
} from './step';

/** Whether an activation is a pass over finished values. The others, NONE, RELU and CLIP, are applied in registers. */
// @ts-ignore: decorator
@inline
export function isPass(activation: i32): bool {
  return activation > ACTIVATION_CLIP;
}

/**
 * Applies the step's activation, if it is a pass, to channels c0 … c1 of `pixels` output pixels from `pixel` on, in
 * place: called by each kernel for what it has just finished, so that it is still in cache.
 */
export function activateRows(s: Step, pixel: i32, pixels: i32, c0: i32, c1: i32): void {
  switch (s.activation) {
    case ACTIVATION_LEAKY_RELU:
    case ACTIVATION_PRELU: pass<Leaky>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_HARD_SIGMOID:
    case ACTIVATION_HARD_SWISH: pass<Hard>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_SIGMOID:
    case ACTIVATION_SILU: pass<Logistic>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_GELU: pass<Gelu>(s, pixel, pixels, c0, c1); break;
  }
}

/** The last channels of a row, fewer than four, go through the same lanes, so that results do not depend on shares. */
function pass<F>(s: Step, pixel: i32, pixels: i32, c0: i32, c1: i32): void {
  const stride = <usize>s.ldOut << 2;
  const bytes = <usize>(c1 - c0) << 2;
  const slopesPtr = s.slopePtr + (<usize>c0 << 2);
  let rowPtr = s.outPtr + stride * pixel + (<usize>c0 << 2);
  for (let p = 0; p < pixels; p++) {
    for (let i: usize = 0; i < bytes; i += 16) {
      const left = bytes - i;
      const x = left >= 16 ? v128.load(rowPtr + i) : loadPart(rowPtr + i, left);
      const y = changetype<F>(0).apply(s, x, slopesPtr + i);
      if (left >= 16) v128.store(rowPtr + i, y);
      else storePart(rowPtr + i, y, left);
    }
    rowPtr += stride;
  }
}

/** Loads 4, 8 or 12 bytes, and zeros. */
export function loadPart(ptr: usize, bytes: usize): v128 {
  let x = v128.load32_zero(ptr);
  if (bytes > 4) x = v128.load32_lane(ptr, x, 1, 4);
  if (bytes > 8) x = v128.load32_lane(ptr, x, 2, 8);
  return x;
}

/** Stores the first 4, 8 or 12 bytes. */
export function storePart(ptr: usize, y: v128, bytes: usize): void {
  v128.store32_lane(ptr, y, 0);
  if (bytes > 4) v128.store32_lane(ptr, y, 1, 4);
  if (bytes > 8) v128.store32_lane(ptr, y, 2, 8);
}

/**
 * LEAKY_RELU and PRELU: x < 0 ? slope · x : x, where the slope is alpha or the channel's. NaN stays, since it is not
 * less. Slopes are padded, so that four can be read for the last channel.
 */
@final
@unmanaged
class Leaky {
  // @ts-ignore: decorator
  @inline
  apply(s: Step, x: v128, slopePtr: usize): v128 {
    const slope = s.activation == ACTIVATION_PRELU ? v128.load(slopePtr) : f32x4.splat(s.alpha);
    return v128.bitselect(f32x4.mul(x, slope), x, f32x4.lt(x, f32x4.splat(0)));
  }
}

/**
 * HARD_SIGMOID: max(0, min(1, alpha · x + beta)), as ONNX defines it. HARD_SWISH: x · max(0, min(1, x / 6 + 0.5)) (Howard
 * et al. 2019).
 */
@final
@unmanaged
class Hard {
  // @ts-ignore: decorator
  @inline
  apply(s: Step, x: v128, slopePtr: usize): v128 {
    const isSwish = s.activation == ACTIVATION_HARD_SWISH;
    const alpha: f32 = isSwish ? 1.0 / 6.0 : s.alpha, beta: f32 = isSwish ? 0.5 : s.beta;
    const y = clip(madd(x, f32x4.splat(alpha), f32x4.splat(beta)), f32x4.splat(0), f32x4.splat(1));
    return isSwish ? f32x4.mul(x, y) : y;
  }
}

/** SIGMOID: 1 / (1 + exp(−x)). SILU, also called swish: x / (1 + exp(−x)), NaN at −∞, as in torch. */
@final
@unmanaged
class Logistic {
  // @ts-ignore: decorator
  @inline
  apply(s: Step, x: v128, slopePtr: usize): v128 {
    const one = f32x4.splat(1);
    return f32x4.div(s.activation == ACTIVATION_SILU ? x : one, f32x4.add(one, exp(f32x4.neg(x))));
  }
}

/** GELU in its exact form: x / 2 · (1 + erf(x / √2)) (Hendrycks & Gimpel 2016). */
@final
@unmanaged
class Gelu {
  // @ts-ignore: decorator
  @inline
  apply(s: Step, x: v128, slopePtr: usize): v128 {
    return gelu(x);
  }
}

/**
 * With q = erfc(|x| / √2), GELU is max(x, 0) − |x| · q / 2, which cancels nothing on either side. q after Abramowitz &
 * Stegun 7.1.26: a polynomial in t = 1 / (1 + 0.3275911 · z), z = |x| / √2, times exp(−z²); |error| ≤ 1.5e-7.
 */
// @ts-ignore: decorator
@inline
function gelu(x: v128): v128 {
  // From here on q is zero, but ∞ · 0 would not be. pmin keeps NaN.
  const size = f32x4.pmin(f32x4.abs(x), f32x4.splat(20));
  const t = f32x4.div(f32x4.splat(1), madd(size, f32x4.splat(0.3275911 * 0.7071067811865476), f32x4.splat(1)));
  let q = madd(t, f32x4.splat(1.061405429), f32x4.splat(-1.453152027));
  q = madd(t, q, f32x4.splat(1.421413741));
  q = madd(t, q, f32x4.splat(-0.284496736));
  q = madd(t, q, f32x4.splat(0.254829592));
  q = f32x4.mul(f32x4.mul(t, q), exp(f32x4.mul(f32x4.mul(size, size), f32x4.splat(-0.5))));
  return f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), f32x4.mul(f32x4.mul(size, q), f32x4.splat(0.5)));
}

/**
 * exp(x) in four lanes, within 2 ulp: x = n · ln 2 + r with |r| ≤ ln 2 / 2, ln 2 in two parts (Cody & Waite 1980),
 * exp(r) by a polynomial of degree 7 (its Taylor series: what follows is below 2⁻²⁷), times 2ⁿ in two factors, so that
 * subnormal results come out too. ∞ and what is too large give ∞, −∞ and what is too small give 0, NaN gives NaN.
 */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  // pmin and pmax keep NaN when it comes first.
  const bounded = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-105));
  const n = f32x4.nearest(f32x4.mul(bounded, f32x4.splat(1.4426950408889634)));
  let r = madd(n, f32x4.splat(-0.693359375), bounded);
  r = madd(n, f32x4.splat(2.12194440e-4), r);
  let y = madd(r, f32x4.splat(1.0 / 5040.0), f32x4.splat(1.0 / 720.0));
  y = madd(r, y, f32x4.splat(1.0 / 120.0));
  y = madd(r, y, f32x4.splat(1.0 / 24.0));
  y = madd(r, y, f32x4.splat(1.0 / 6.0));
  y = madd(r, y, f32x4.splat(0.5));
  y = madd(f32x4.mul(r, r), y, r);
  y = f32x4.add(y, f32x4.splat(1));
  // NaN becomes 0 here, and stays in y.
  const exponent = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(exponent, 1);
  return f32x4.mul(f32x4.mul(y, power(half)), power(i32x4.sub(exponent, half)));
}

/** 2ⁿ as a float32, −126 ≤ n ≤ 127. */
// @ts-ignore: decorator
@inline
function power(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}
