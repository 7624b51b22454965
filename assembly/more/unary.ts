import { exp } from '../activation';
import { partition } from '../partition';
import { Step } from '../step';
import { ArithmeticStep } from './step';
import { loadSome, storeSome } from './values';

/** Values of `ArithmeticStep.operator` in a step of KIND_UNARY. */
const AFFINE: i32 = 0;
const POWER: i32 = 1;
const ABS: i32 = 2;
const SQRT: i32 = 3;
const EXP: i32 = 4;
const LOG: i32 = 5;
const ERF: i32 = 6;
const TANH: i32 = 7;
const RECIPROCAL: i32 = 8;
const ELU: i32 = 9;
const SELU: i32 = 10;
const CELU: i32 = 11;
const GELU_TANH: i32 = 12;
const SOFTPLUS: i32 = 13;
const SOFTSIGN: i32 = 14;
const MISH: i32 = 15;
const THRESHOLDED_RELU: i32 = 16;
const FLOOR: i32 = 17;
const CEIL: i32 = 18;
const ROUND: i32 = 19;
/** 20, the last, is the sign. */

/** out = operator(in), value by value. Threads share the pixels. */
export function unary(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<ArithmeticStep>(step);
  const pixels = s.batch * s.oh * s.ow;
  const bytes = <usize>s.oc << 2;
  const end = partition(pixels, piece + 1, pieces);
  for (let pixel = partition(pixels, piece, pieces); pixel < end; pixel++) {
    const inPtr = s.inPtr + (<usize>s.ldIn << 2) * pixel;
    const outPtr = s.outPtr + (<usize>s.ldOut << 2) * pixel;
    for (let i: usize = 0; i < bytes; i += 16) {
      storeSome(outPtr + i, apply(s, loadSome(inPtr + i, bytes - i)), bytes - i);
    }
  }
}

function apply(s: ArithmeticStep, x: v128): v128 {
  const one = f32x4.splat(1), zero = f32x4.splat(0);
  switch (s.operator) {
    case AFFINE: return f32x4.add(f32x4.mul(x, f32x4.splat(s.alpha)), f32x4.splat(s.beta));
    case POWER: return s.alpha == 2 ? f32x4.mul(x, x) : power(x, f32x4.splat(s.alpha));
    case ABS: return f32x4.abs(x);
    case SQRT: return f32x4.sqrt(x);
    case EXP: return exp(x);
    case LOG: return log(x);
    case ERF: return erf(x);
    case TANH: return tanh(x);
    case RECIPROCAL: return f32x4.div(one, x);
    case ELU: return elu(x, f32x4.splat(s.alpha));
    case SELU: return f32x4.mul(elu(x, f32x4.splat(s.alpha)), f32x4.splat(s.beta));
    case CELU: return f32x4.mul(elu(f32x4.div(x, f32x4.splat(s.alpha)), one), f32x4.splat(s.alpha));
    case GELU_TANH: {
      // x / 2 · (1 + tanh(u)) is x / (1 + exp(−2u)), u = √(2/π) · (x + 0.044715 · x³).
      const inner = f32x4.mul(x, f32x4.add(one, f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.044715))));
      const e = exp(f32x4.mul(inner, f32x4.splat(-2.0 * 0.7978845608028654)));
      return f32x4.div(x, f32x4.add(one, e));
    }
    case SOFTPLUS: return f32x4.add(f32x4.pmax(x, zero), log(f32x4.add(one, exp(f32x4.neg(f32x4.abs(x))))));
    case SOFTSIGN: return f32x4.div(x, f32x4.add(one, f32x4.abs(x)));
    case MISH: {
      // tanh(log(1 + e)) = n / (n + 2) with n = e · (e + 2), e = exp(x); from 20 on it is 1.
      const e = exp(f32x4.pmin(x, f32x4.splat(20)));
      const n = f32x4.mul(e, f32x4.add(e, f32x4.splat(2)));
      return f32x4.mul(x, f32x4.div(n, f32x4.add(n, f32x4.splat(2))));
    }
    case THRESHOLDED_RELU: return v128.and(x, f32x4.gt(x, f32x4.splat(s.alpha)));
    case FLOOR: return f32x4.floor(x);
    case CEIL: return f32x4.ceil(x);
    case ROUND: return f32x4.nearest(x);
    default: {
      const sign = f32x4.sub(v128.and(one, f32x4.gt(x, zero)), v128.and(one, f32x4.lt(x, zero)));
      return v128.bitselect(x, sign, f32x4.ne(x, x));
    }
  }
}

/** x < 0 ? alpha · (exp(x) − 1) : x. NaN stays, since it is not less. */
function elu(x: v128, alpha: v128): v128 {
  const below = f32x4.mul(alpha, f32x4.sub(exp(x), f32x4.splat(1)));
  return v128.bitselect(below, x, f32x4.lt(x, f32x4.splat(0)));
}

/** sign(x) · (1 − t) / (1 + t), t = exp(−2 |x|). */
function tanh(x: v128): v128 {
  const t = exp(f32x4.mul(f32x4.abs(x), f32x4.splat(-2)));
  const y = f32x4.div(f32x4.sub(f32x4.splat(1), t), f32x4.add(f32x4.splat(1), t));
  return withSign(y, x);
}

/** |y| with the sign of x. */
// @ts-ignore: decorator
@inline
function withSign(y: v128, x: v128): v128 {
  return v128.bitselect(x, y, i32x4.splat(0x80000000));
}

/**
 * After Abramowitz & Stegun 7.1.26: sign(x) · (1 − p(t) · exp(−x²)), t = 1 / (1 + 0.3275911 · |x|); |error| ≤ 1.5e-7.
 */
function erf(x: v128): v128 {
  // Beyond 10 it is 1; pmin keeps NaN.
  const z = f32x4.pmin(f32x4.abs(x), f32x4.splat(10));
  const one = f32x4.splat(1);
  const t = f32x4.div(one, f32x4.add(f32x4.mul(z, f32x4.splat(0.3275911)), one));
  let p = f32x4.add(f32x4.mul(t, f32x4.splat(1.061405429)), f32x4.splat(-1.453152027));
  p = f32x4.add(f32x4.mul(t, p), f32x4.splat(1.421413741));
  p = f32x4.add(f32x4.mul(t, p), f32x4.splat(-0.284496736));
  p = f32x4.add(f32x4.mul(t, p), f32x4.splat(0.254829592));
  const q = f32x4.mul(f32x4.mul(t, p), exp(f32x4.neg(f32x4.mul(z, z))));
  return withSign(f32x4.sub(one, q), x);
}

/** Lane by lane, with AssemblyScript's own functions: few networks have them, in few places. */
export function log(x: v128): v128 {
  const low = f32x4.replace_lane(f32x4.splat(Mathf.log(f32x4.extract_lane(x, 0))), 1, Mathf.log(f32x4.extract_lane(x, 1)));
  const three = f32x4.replace_lane(low, 2, Mathf.log(f32x4.extract_lane(x, 2)));
  return f32x4.replace_lane(three, 3, Mathf.log(f32x4.extract_lane(x, 3)));
}

export function power(x: v128, y: v128): v128 {
  let z = f32x4.splat(Mathf.pow(f32x4.extract_lane(x, 0), f32x4.extract_lane(y, 0)));
  z = f32x4.replace_lane(z, 1, Mathf.pow(f32x4.extract_lane(x, 1), f32x4.extract_lane(y, 1)));
  z = f32x4.replace_lane(z, 2, Mathf.pow(f32x4.extract_lane(x, 2), f32x4.extract_lane(y, 2)));
  return f32x4.replace_lane(z, 3, Mathf.pow(f32x4.extract_lane(x, 3), f32x4.extract_lane(y, 3)));
}
