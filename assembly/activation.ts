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
    case ACTIVATION_LEAKY_RELU: pass<LeakyRelu>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_PRELU: pass<PRelu>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_HARD_SIGMOID: pass<HardSigmoid>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_HARD_SWISH: pass<HardSwish>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_SIGMOID: pass<Sigmoid>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_SILU: pass<Silu>(s, pixel, pixels, c0, c1); break;
    case ACTIVATION_GELU: pass<Gelu>(s, pixel, pixels, c0, c1); break;
  }
}

/** The last channels of a pixel go through the same lanes one by one, so that results do not depend on who does them. */
function pass<F>(s: Step, pixel: i32, pixels: i32, c0: i32, c1: i32): void {
  const activation = changetype<F>(0);
  const alpha = f32x4.splat(s.alpha), beta = f32x4.splat(s.beta);
  const stride = <usize>s.ldOut << 2;
  const slopesPtr = s.slopePtr + (<usize>c0 << 2);
  const bytes = <usize>(c1 - c0) << 2;
  let rowPtr = s.outPtr + stride * pixel + (<usize>c0 << 2);
  for (let p = 0; p < pixels; p++) {
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      v128.store(rowPtr + i, activation.apply(v128.load(rowPtr + i), alpha, beta, slopesPtr + i));
    }
    for (; i < bytes; i += 4) {
      const y = activation.apply(v128.load32_zero(rowPtr + i), alpha, beta, slopesPtr + i);
      v128.store32_lane(rowPtr + i, y, 0);
    }
    rowPtr += stride;
  }
}

/** x < 0 ? slope · x : x; NaN stays, since it is not less. */
// @ts-ignore: decorator
@inline
function leaky(x: v128, slope: v128): v128 {
  return v128.bitselect(f32x4.mul(x, slope), x, f32x4.lt(x, f32x4.splat(0)));
}

/** x < 0 ? alpha · x : x */
@final
@unmanaged
class LeakyRelu {
  // @ts-ignore: decorator
  @inline
  apply(x: v128, alpha: v128, beta: v128, slopePtr: usize): v128 {
    return leaky(x, alpha);
  }
}

/** x < 0 ? slope[channel] · x : x. Slopes are padded, so that four can be read for the last channel. */
@final
@unmanaged
class PRelu {
  // @ts-ignore: decorator
  @inline
  apply(x: v128, alpha: v128, beta: v128, slopePtr: usize): v128 {
    return leaky(x, v128.load(slopePtr));
  }
}

/** max(0, min(1, y)); NaN stays. */
// @ts-ignore: decorator
@inline
function unit(y: v128): v128 {
  return f32x4.pmin(f32x4.pmax(y, f32x4.splat(0)), f32x4.splat(1));
}

/** max(0, min(1, alpha · x + beta)), as ONNX defines it. */
@final
@unmanaged
class HardSigmoid {
  // @ts-ignore: decorator
  @inline
  apply(x: v128, alpha: v128, beta: v128, slopePtr: usize): v128 {
    return unit(madd(x, alpha, beta));
  }
}

/** x · max(0, min(1, x / 6 + 0.5)) */
@final
@unmanaged
class HardSwish {
  // @ts-ignore: decorator
  @inline
  apply(x: v128, alpha: v128, beta: v128, slopePtr: usize): v128 {
    return f32x4.mul(x, unit(madd(x, f32x4.splat(1.0 / 6.0), f32x4.splat(0.5))));
  }
}

/** 1 / (1 + exp(−x)) */
@final
@unmanaged
class Sigmoid {
  // @ts-ignore: decorator
  @inline
  apply(x: v128, alpha: v128, beta: v128, slopePtr: usize): v128 {
    return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp(f32x4.neg(x))));
  }
}

/** x / (1 + exp(−x)), also called swish; NaN at −∞, as in torch. */
@final
@unmanaged
class Silu {
  // @ts-ignore: decorator
  @inline
  apply(x: v128, alpha: v128, beta: v128, slopePtr: usize): v128 {
    return f32x4.div(x, f32x4.add(f32x4.splat(1), exp(f32x4.neg(x))));
  }
}

/** x / 2 · (1 + erf(x / √2)) */
@final
@unmanaged
class Gelu {
  // @ts-ignore: decorator
  @inline
  apply(x: v128, alpha: v128, beta: v128, slopePtr: usize): v128 {
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
