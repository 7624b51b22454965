import { partition } from '../partition';
import { RESIZE_BILINEAR_ALIGNED, RESIZE_NEAREST, Step } from '../step';

/**
 * Resizes feature maps to any size, [B,IH,IW,C] → [B,OH,OW,C], as torch's interpolate does without antialiasing
 * (`Step.resizeMode`):
 *
 *   NEAREST           source = ⌊target · in / out⌋
 *   BILINEAR          source = (target + ½) · in / out − ½, not below 0: pixel centres on pixel centres
 *   BILINEAR_ALIGNED  source = target · (in − 1) / (out − 1): corner pixels on corner pixels
 *
 * and bilinear takes ⌊source⌋ and the pixel after it, the last one at most. Threads share the output rows.
 */
export function resize(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const oh = s.oh, ow = s.ow;
  const pixelBytes = <usize>s.ldIn << 2, outBytes = <usize>s.ldOut << 2;
  const end = partition(s.batch * oh, piece + 1, pieces);
  for (let row = partition(s.batch * oh, piece, pieces); row < end; row++) {
    const image = row / oh;
    const y = row - image * oh;
    const imagePtr = s.inPtr + pixelBytes * (image * (s.ih * s.iw));
    let outPtr = s.outPtr + outBytes * (row * ow);
    if (s.resizeMode == RESIZE_NEAREST) {
      const linePtr = imagePtr + pixelBytes * (nearest(y, s.ih, oh) * s.iw);
      for (let x = 0; x < ow; x++) {
        memory.copy(outPtr, linePtr + pixelBytes * nearest(x, s.iw, ow), <usize>s.ic << 2);
        outPtr += outBytes;
      }
      continue;
    }
    const fromY = source(y, s.ih, oh, s.resizeMode);
    const y0 = min(<i32>fromY, s.ih - 1), y1 = min(y0 + 1, s.ih - 1);
    const weightY = <f32>(fromY - <f64>y0);
    const topPtr = imagePtr + pixelBytes * (y0 * s.iw), bottomPtr = imagePtr + pixelBytes * (y1 * s.iw);
    for (let x = 0; x < ow; x++) {
      const fromX = source(x, s.iw, ow, s.resizeMode);
      const x0 = min(<i32>fromX, s.iw - 1), x1 = min(x0 + 1, s.iw - 1);
      const left = pixelBytes * x0, right = pixelBytes * x1;
      blend(s, topPtr + left, right - left, bottomPtr - topPtr, <f32>(fromX - <f64>x0), weightY, outPtr);
      outPtr += outBytes;
    }
  }
}

// @ts-ignore: decorator
@inline
function nearest(target: i32, inSize: i32, outSize: i32): i32 {
  return <i32>(<i64>target * inSize / outSize);
}

/** Coordinates are float64, so that weights are rounded once. */
// @ts-ignore: decorator
@inline
function source(target: i32, inSize: i32, outSize: i32, mode: i32): f64 {
  if (mode == RESIZE_BILINEAR_ALIGNED) {
    return outSize > 1 ? <f64>target * <f64>(inSize - 1) / <f64>(outSize - 1) : 0;
  }
  return max((<f64>target + 0.5) * <f64>inSize / <f64>outSize - 0.5, 0);
}

/**
 * One output pixel from four: that at `inPtr`, `right` bytes to its right, `below` bytes below it, and both. The weights
 * are those of the pixels to the right and below.
 */
function blend(
  s: Step, inPtr: usize, right: usize, below: usize, weightX: f32, weightY: f32, outPtr: usize,
): void {
  const bytes = <usize>s.ic << 2;
  const w11 = weightX * weightY, w10 = weightY - w11, w01 = weightX - w11, w00 = <f32>1 - weightX - w10;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    const ptr = inPtr + i;
    const top = f32x4.add(
      f32x4.mul(v128.load(ptr), f32x4.splat(w00)),
      f32x4.mul(v128.load(ptr + right), f32x4.splat(w01)),
    );
    const bottom = f32x4.add(
      f32x4.mul(v128.load(ptr + below), f32x4.splat(w10)),
      f32x4.mul(v128.load(ptr + below + right), f32x4.splat(w11)),
    );
    v128.store(outPtr + i, f32x4.add(top, bottom));
  }
  for (; i < bytes; i += 4) {
    const ptr = inPtr + i;
    const top = load<f32>(ptr) * w00 + load<f32>(ptr + right) * w01;
    store<f32>(outPtr + i, top + (load<f32>(ptr + below) * w10 + load<f32>(ptr + below + right) * w11));
  }
}
