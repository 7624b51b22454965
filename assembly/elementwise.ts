import { activateRows, isPass } from './activation';
import { addsResidual, applyEpilogue, applyEpiloguePair, applyEpilogueScalar } from './epilogue';
import { madd, WIDE } from './isa';
import { partition } from './partition';
import { FLAG_BROADCAST, Step } from './step';

/** What `pointwise` does with its input, all known when it is inlined. */
const COPY: i32 = 0;
const AFFINE: i32 = 1;
const MULTIPLY: i32 = 2;

/** Values that are finished before a pass activates them: 16 KiB, half of an L1. */
const PASS_VALUES: i32 = 4096;

/** Computes a share of out = epilogue(operation(in)). Pieces are pixels. */
// @ts-ignore: decorator
@inline
function pointwise(s: Step, piece: i32, pieces: i32, operation: i32): void {
  const c = s.ic;
  const pixels = s.batch * s.ih * s.iw;
  const end = partition(pixels, piece + 1, pieces);
  const passes = isPass(s.activation);
  for (let pixel = partition(pixels, piece, pieces); pixel < end; ) {
    const stop = passes ? min(end, pixel + max(1, PASS_VALUES / c)) : end;
    pointwiseRows(s, pixel, stop, operation);
    if (passes) activateRows(s, pixel, stop - pixel, 0, c);
    pixel = stop;
  }
}

// @ts-ignore: decorator
@inline
function pointwiseRows(s: Step, first: i32, end: i32, operation: i32): void {
  const mapPixels = s.ih * s.iw;
  const inBytes = <usize>s.ldIn << 2, outBytes = <usize>s.ldOut << 2, residualBytes = <usize>s.ldResidual << 2;
  const adds = operation != MULTIPLY && addsResidual(s);
  const activation = s.activation;
  const isBroadcast = operation == MULTIPLY && (s.flags & FLAG_BROADCAST) != 0;
  const bytes = <usize>s.ic << 2;
  for (let pixel = first; pixel < end; pixel++) {
    const inPtr = s.inPtr + inBytes * pixel;
    const outPtr = s.outPtr + outBytes * pixel;
    const residualPtr = s.residualPtr + residualBytes * (isBroadcast ? pixel / mapPixels : pixel);
    let i: usize = 0;
    if (WIDE) {
      for (; i + 32 <= bytes; i += 32) {
        const ptr = inPtr + i;
        let low = v128.load(ptr), high = v128.load(ptr, 16);
        if (operation == AFFINE) {
          const scalePtr = s.weightPtr + i, shiftPtr = s.biasPtr + i;
          low = madd(low, v128.load(scalePtr), v128.load(shiftPtr));
          high = madd(high, v128.load(scalePtr, 16), v128.load(shiftPtr, 16));
        }
        if (operation == MULTIPLY) {
          low = f32x4.mul(low, v128.load(residualPtr + i));
          high = f32x4.mul(high, v128.load(residualPtr + i, 16));
        }
        applyEpiloguePair(s, adds, activation, low, high, outPtr + i, residualPtr + i);
      }
    }
    for (; i + 16 <= bytes; i += 16) {
      let v = v128.load(inPtr + i);
      if (operation == AFFINE) v = madd(v, v128.load(s.weightPtr + i), v128.load(s.biasPtr + i));
      if (operation == MULTIPLY) v = f32x4.mul(v, v128.load(residualPtr + i));
      applyEpilogue(s, adds, activation, v, outPtr + i, residualPtr + i);
    }
    for (; i < bytes; i += 4) {
      let v = load<f32>(inPtr + i);
      if (operation == AFFINE) v = v * load<f32>(s.weightPtr + i) + load<f32>(s.biasPtr + i);
      if (operation == MULTIPLY) v *= load<f32>(residualPtr + i);
      applyEpilogueScalar(s, adds, activation, v, outPtr + i, residualPtr + i);
    }
  }
}

/** out = epilogue(in): add, activation, or a plain copy into concatenated channels. */
export function copy(s: Step, piece: i32, pieces: i32): void {
  pointwise(s, piece, pieces, COPY);
}

/** out = epilogue(in · scale[C] + shift[C]): a batch norm that no convolution can take. */
export function batchNorm(s: Step, piece: i32, pieces: i32): void {
  pointwise(s, piece, pieces, AFFINE);
}

/**
 * out = activation(in · other), `other` at `residualPtr`: [B,H,W,C], or with FLAG_BROADCAST [B,1,1,C] (the gates of
 * squeeze-and-excite, Hu et al. 2018).
 */
export function mul(s: Step, piece: i32, pieces: i32): void {
  pointwise(s, piece, pieces, MULTIPLY);
}

/**
 * The parameter-free shortcut (He et al. 2015, section 3.3, option A): every `strideH`-th pixel of every `strideW`-th
 * column, its channels behind `zerosBefore` zeros and before the zeros that fill `oc`. Pieces are output rows.
 */
export function zeroPadShortcut(s: Step, piece: i32, pieces: i32): void {
  const oh = s.oh, ow = s.ow;
  const before = <usize>s.zerosBefore << 2;
  const body = <usize>s.ic << 2;
  const after = (<usize>s.oc << 2) - before - body;
  const end = partition(s.batch * oh, piece + 1, pieces);
  for (let row = partition(s.batch * oh, piece, pieces); row < end; row++) {
    const image = row / oh;
    const y = image * s.ih + (row - image * oh) * s.strideH;
    for (let ox = 0; ox < ow; ox++) {
      const inPtr = s.inPtr + (<usize>s.ldIn << 2) * (y * s.iw + ox * s.strideW);
      const outPtr = s.outPtr + (<usize>s.ldOut << 2) * (row * ow + ox);
      memory.fill(outPtr, 0, before);
      memory.copy(outPtr + before, inPtr, body);
      memory.fill(outPtr + before + body, 0, after);
    }
  }
}
