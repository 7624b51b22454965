import { partition } from '../partition';
import { Step } from '../step';
import { ArithmeticStep } from './step';
import { power } from './unary';
import { loadSome, storeSome } from './values';

/** Values of `ArithmeticStep.operator` in a step of KIND_BINARY. */
const ADD: i32 = 0;
const SUBTRACT: i32 = 1;
const MULTIPLY: i32 = 2;
const DIVIDE: i32 = 3;
const POWER: i32 = 4;
const MIN: i32 = 5;
const MAX: i32 = 6;
const MODULO: i32 = 7;
const EQUAL: i32 = 8;
const LESS: i32 = 9;
const LESS_OR_EQUAL: i32 = 10;
const GREATER: i32 = 11;

/**
 * out = in ∘ other, `other` [h2, w2, c2] at `residualPtr`; what is 1 of an operand's height, width or channels is repeated.
 * Threads share the output rows. A row of pixels that lie together, without repetition or of one value, is as one pixel.
 */
export function binary(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<ArithmeticStep>(step);
  const oh = s.oh;
  const ldA = s.ldIn, ldB = s.ldResidual;
  const isFlat = s.ldOut == s.oc && lies(s, s.iw, s.ic, ldA) && lies(s, s.w2, s.c2, ldB);
  const columns = isFlat ? 1 : s.ow;
  const bytes = <usize>(isFlat ? s.ow * s.oc : s.oc) << 2;
  const stepA = <usize>(s.iw == 1 ? 0 : ldA) << 2, stepB = <usize>(s.w2 == 1 ? 0 : ldB) << 2;
  const splatsA = s.ic == 1 && s.oc > 1, splatsB = s.c2 == 1 && s.oc > 1;
  // Of one value a row is made too, if the other operand has one channel.
  const onceA = splatsA || (isFlat && s.iw == 1 && s.ow > 1), onceB = splatsB || (isFlat && s.w2 == 1 && s.ow > 1);
  const rows = s.batch * oh;
  const end = partition(rows, piece + 1, pieces);
  for (let row = partition(rows, piece, pieces); row < end; row++) {
    const image = row / oh;
    const y = row - image * oh;
    let aPtr = s.inPtr + (<usize>ldA << 2) * ((image * s.ih + (s.ih == 1 ? 0 : y)) * s.iw);
    let bPtr = s.residualPtr + (<usize>ldB << 2) * ((image * s.h2 + (s.h2 == 1 ? 0 : y)) * s.w2);
    let outPtr = s.outPtr + (<usize>s.ldOut << 2) * (row * s.ow);
    for (let x = 0; x < columns; x++) {
      values(s.operator, aPtr, onceA, bPtr, onceB, outPtr, bytes);
      aPtr += stepA;
      bPtr += stepB;
      outPtr += <usize>s.ldOut << 2;
    }
  }
}

/** Whether a row of an operand is read from end to end, or is one value. */
// @ts-ignore: decorator
@inline
function lies(s: ArithmeticStep, w: i32, c: i32, ld: i32): bool {
  return (w == s.ow && c == s.oc && ld == c) || (w == 1 && c == 1);
}

/** `bytes` of results from operands that are as long or, if taken once, one value. */
function values(operator: i32, aPtr: usize, onceA: bool, bPtr: usize, onceB: bool, outPtr: usize, bytes: usize): void {
  const a = onceA ? v128.load32_splat(aPtr) : f32x4.splat(0);
  const b = onceB ? v128.load32_splat(bPtr) : f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const left = bytes - i;
    const x = onceA ? a : loadSome(aPtr + i, left);
    const y = onceB ? b : loadSome(bPtr + i, left);
    storeSome(outPtr + i, apply(operator, x, y), left);
  }
}

// @ts-ignore: decorator
@inline
function apply(operator: i32, a: v128, b: v128): v128 {
  switch (operator) {
    case ADD: return f32x4.add(a, b);
    case SUBTRACT: return f32x4.sub(a, b);
    case MULTIPLY: return f32x4.mul(a, b);
    case DIVIDE: return f32x4.div(a, b);
    case POWER: return power(a, b);
    case MIN: return f32x4.min(a, b);
    case MAX: return f32x4.max(a, b);
    case MODULO: return f32x4.sub(a, f32x4.mul(f32x4.floor(f32x4.div(a, b)), b));
    case EQUAL: return truth(f32x4.eq(a, b));
    case LESS: return truth(f32x4.lt(a, b));
    case LESS_OR_EQUAL: return truth(f32x4.le(a, b));
    case GREATER: return truth(f32x4.gt(a, b));
    default: return truth(f32x4.ge(a, b));
  }
}

/** 1 where a mask is set, 0 elsewhere. */
// @ts-ignore: decorator
@inline
function truth(mask: v128): v128 {
  return v128.and(mask, f32x4.splat(1));
}
