import { partition } from '../partition';
import { Step } from '../step';
import { MoveStep, RearrangeStep } from './step';
import { copyValues, fillValues } from './values';

/** Values of `MoveStep.padMode`. */
const PAD_CONSTANT: i32 = 0;
const PAD_EDGE: i32 = 1;
const PAD_REFLECT: i32 = 2;

/** out[B,H,W,C] = the tensor at `weightPtr`, [H,W,C], for every image. Threads share the pixels. */
export function constant(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const map = s.oh * s.ow;
  const pixels = s.batch * map;
  const bytes = <usize>s.oc << 2;
  const end = partition(pixels, piece + 1, pieces);
  for (let pixel = partition(pixels, piece, pieces); pixel < end; pixel++) {
    copyValues(s.outPtr + (<usize>s.ldOut << 2) * pixel, s.weightPtr + bytes * (pixel % map), bytes);
  }
}

/** out[b, y, x, c] = in[b, startH + stepH · y, …]; a step of 0 repeats one place. Threads share the output rows. */
export function slice(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<MoveStep>(step);
  const rows = s.batch * s.oh;
  const pixelBytes = <usize>s.ldIn << 2, outBytes = <usize>s.ldOut << 2;
  const bytes = <usize>s.oc << 2;
  const isWhole = s.stepW == 1 && s.stepC == 1 && s.ldIn == s.oc && s.ldOut == s.oc;
  const end = partition(rows, piece + 1, pieces);
  for (let row = partition(rows, piece, pieces); row < end; row++) {
    const image = row / s.oh;
    const y = s.startH + s.stepH * (row - image * s.oh);
    const linePtr = s.inPtr + pixelBytes * ((image * s.ih + y) * s.iw) + (<usize>s.startC << 2);
    let outPtr = s.outPtr + outBytes * (row * s.ow);
    if (isWhole) {
      copyValues(outPtr, linePtr + pixelBytes * s.startW, bytes * s.ow);
      continue;
    }
    for (let x = 0; x < s.ow; x++) {
      const inPtr = linePtr + pixelBytes * (s.startW + s.stepW * x);
      if (s.stepC == 1) copyValues(outPtr, inPtr, bytes);
      else if (s.stepC == 0) fillValues(outPtr, load<f32>(inPtr), bytes);
      else {
        for (let c = 0; c < s.oc; c++) store<f32>(outPtr + (<usize>c << 2), load<f32>(inPtr + ((c * s.stepC) << 2)));
      }
      outPtr += outBytes;
    }
  }
}

/** Place `i` of a padded axis of `size`, seen from its start, as a place of it; −1 for the constant. */
// @ts-ignore: decorator
@inline
function padded(i: i32, size: i32, mode: i32): i32 {
  if (<u32>i < <u32>size) return i;
  if (mode == PAD_CONSTANT) return -1;
  if (mode == PAD_EDGE) return i < 0 ? 0 : size - 1;
  if (mode == PAD_REFLECT) return i < 0 ? -i : 2 * (size - 1) - i;
  return i < 0 ? i + size : i - size;
}

/** A map with `startH` rows before it, `startW` columns and `startC` channels, and more after it. Threads share the rows. */
export function pad(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<MoveStep>(step);
  const rows = s.batch * s.oh;
  const pixelBytes = <usize>s.ldIn << 2, outBytes = <usize>s.ldOut << 2;
  const bytes = <usize>s.oc << 2;
  const end = partition(rows, piece + 1, pieces);
  for (let row = partition(rows, piece, pieces); row < end; row++) {
    const image = row / s.oh;
    const y = padded(row - image * s.oh - s.startH, s.ih, s.padMode);
    let outPtr = s.outPtr + outBytes * (row * s.ow);
    for (let column = 0; column < s.ow; column++) {
      const x = padded(column - s.startW, s.iw, s.padMode);
      const inPtr = s.inPtr + pixelBytes * ((image * s.ih + y) * s.iw + x);
      if (y < 0 || x < 0) fillValues(outPtr, s.alpha, bytes);
      else if (s.ic == s.oc) copyValues(outPtr, inPtr, bytes);
      else {
        for (let i = 0; i < s.oc; i++) {
          const c = padded(i - s.startC, s.ic, s.padMode);
          store<f32>(outPtr + (<usize>i << 2), c < 0 ? s.alpha : load<f32>(inPtr + (<usize>c << 2)));
        }
      }
      outPtr += outBytes;
    }
  }
}

/**
 * Each image's values, read as an array of `axes` axes with strides. Rows are along the last axis. If the axis before it
 * has a stride of 1, as in a transposition, four rows are made at once: one load gives a value to each. Threads share the
 * rows or fours.
 */
export function rearrange(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<RearrangeStep>(step);
  const axes = s.axes;
  const sizesPtr = changetype<usize>(s) + offsetof<RearrangeStep>('size0');
  const stridesPtr = changetype<usize>(s) + offsetof<RearrangeStep>('stride0');
  const last = <usize>(axes - 1) << 2, before = <usize>max(axes - 2, 0) << 2;
  const length = load<i32>(sizesPtr + last);
  const stride = <usize>load<i32>(stridesPtr + last) << 2;
  // The rows of one block, of which `lanes` are made at once.
  const block = axes > 1 ? load<i32>(sizesPtr + before) : 1;
  const lanes = axes > 1 && load<i32>(stridesPtr + before) == 1 ? 4 : 1;
  const rowStride = axes > 1 ? <usize>load<i32>(stridesPtr + before) << 2 : 0;
  const perBlock = (block + lanes - 1) / lanes;
  const count = s.oh * s.ow * s.oc;
  const blocks = count / (length * block);
  const units = s.batch * blocks * perBlock;
  const end = partition(units, piece + 1, pieces);
  for (let unit = partition(units, piece, pieces); unit < end; ) {
    const all = unit / perBlock;
    const image = all / blocks;
    // Where the block begins in the input: its index along every axis but the last two.
    let rest = all - image * blocks;
    let inPtr = s.inPtr + ((<usize>count * image) << 2);
    for (let axis = axes - 3; axis >= 0; axis--) {
      const size = load<i32>(sizesPtr + (<usize>axis << 2));
      inPtr += (<usize>load<i32>(stridesPtr + (<usize>axis << 2)) << 2) * (rest % size);
      rest /= size;
    }
    const outPtr = s.outPtr + ((<usize>all * block * length) << 2);
    const stop = min(end, (all + 1) * perBlock);
    for (; unit < stop; unit++) {
      const row = (unit - all * perBlock) * lanes;
      const toPtr = outPtr + ((<usize>row * length) << 2);
      const fromPtr = inPtr + rowStride * row;
      if (row + 4 <= block && lanes == 4) fourRows(toPtr, fromPtr, length, stride);
      else {
        const most = min(lanes, block - row);
        for (let i = 0; i < most; i++) {
          oneRow(toPtr + ((<usize>i * length) << 2), fromPtr + rowStride * i, length, stride);
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function oneRow(toPtr: usize, fromPtr: usize, length: i32, stride: usize): void {
  if (stride == 4) {
    copyValues(toPtr, fromPtr, <usize>length << 2);
    return;
  }
  for (let j = 0; j < length; j++) {
    store<f32>(toPtr, load<f32>(fromPtr));
    toPtr += 4;
    fromPtr += stride;
  }
}

function fourRows(toPtr: usize, fromPtr: usize, length: i32, stride: usize): void {
  const rowBytes = <usize>length << 2;
  for (let j = 0; j < length; j++) {
    const v = v128.load(fromPtr);
    v128.store32_lane(toPtr, v, 0);
    v128.store32_lane(toPtr + rowBytes, v, 1);
    v128.store32_lane(toPtr + rowBytes * 2, v, 2);
    v128.store32_lane(toPtr + rowBytes * 3, v, 3);
    toPtr += 4;
    fromPtr += stride;
  }
}
