import { partition } from '../partition';
import { Step } from '../step';
import { ResponseStep } from './step';
import { loadSome, storeSome, sumLanes } from './values';

/**
 * (in − mean) / √(variance + alpha) · scale + shift over the channels of each pixel (Ba et al. 2016). Threads share the
 * pixels.
 */
export function layerNorm(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const pixels = s.batch * s.oh * s.ow;
  const end = partition(pixels, piece + 1, pieces);
  for (let pixel = partition(pixels, piece, pieces); pixel < end; pixel++) normalise(s, pixel, 1, 0, s.ic);
}

/**
 * The same over all pixels of each image and the channels of one of `groups` (Wu & He 2018). Threads share the groups.
 */
export function groupNorm(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const map = s.oh * s.ow;
  const width = s.ic / s.groups;
  const units = s.batch * s.groups;
  const end = partition(units, piece + 1, pieces);
  for (let unit = partition(units, piece, pieces); unit < end; unit++) {
    const image = unit / s.groups;
    normalise(s, image * map, map, (unit - image * s.groups) * width, width);
  }
}

/** Normalises channels c0 … c0 + width of some pixels. Sums of a pixel are float32, those of pixels float64. */
function normalise(s: Step, first: i32, pixels: i32, c0: i32, width: i32): void {
  const inBytes = <usize>s.ldIn << 2, outBytes = <usize>s.ldOut << 2;
  const bytes = <usize>width << 2, offset = <usize>c0 << 2;
  const inPtr = s.inPtr + inBytes * first + offset;
  const count = <f64>width * <f64>pixels;
  const mean = <f32>(sumOf(inPtr, inBytes, pixels, bytes, 0, false) / count);
  const variance = sumOf(inPtr, inBytes, pixels, bytes, mean, true) / count;
  const factor = f32x4.splat(<f32>(1.0 / Math.sqrt(variance + <f64>s.alpha)));
  const scalePtr = s.weightPtr + offset, shiftPtr = s.biasPtr + offset;
  const outPtr = s.outPtr + outBytes * first + offset;
  for (let p = 0; p < pixels; p++) {
    const fromPtr = inPtr + inBytes * p, toPtr = outPtr + outBytes * p;
    for (let i: usize = 0; i < bytes; i += 16) {
      const left = bytes - i;
      const x = f32x4.mul(f32x4.sub(loadSome(fromPtr + i, left), f32x4.splat(mean)), factor);
      const y = f32x4.add(f32x4.mul(x, loadSome(scalePtr + i, left)), loadSome(shiftPtr + i, left));
      storeSome(toPtr + i, y, left);
    }
  }
}

/** Σ (x − mean), or of its squares. */
function sumOf(inPtr: usize, inBytes: usize, pixels: i32, bytes: usize, mean: f32, isSquared: bool): f64 {
  let total: f64 = 0;
  const whole = bytes & ~15;
  for (let p = 0; p < pixels; p++) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < whole; i += 16) {
      const d = f32x4.sub(v128.load(inPtr + i), f32x4.splat(mean));
      sum = f32x4.add(sum, isSquared ? f32x4.mul(d, d) : d);
    }
    total += sumLanes(sum);
    for (let i = whole; i < bytes; i += 4) {
      const d = load<f32>(inPtr + i) - mean;
      total += isSquared ? d * d : d;
    }
    inPtr += inBytes;
  }
  return total;
}

/**
 * in / (gamma + alpha · Σ in²)^beta, the sum over `windowC` channels around each (Krizhevsky et al. 2012, section 3.3). The
 * window moves from channel to channel: what comes is added, what goes is taken away, in float64. Threads share the pixels.
 */
export function localResponseNorm(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<ResponseStep>(step);
  const pixels = s.batch * s.oh * s.ow;
  const c = s.ic;
  const before = (s.windowC - 1) >> 1, after = s.windowC - 1 - before;
  const end = partition(pixels, piece + 1, pieces);
  for (let pixel = partition(pixels, piece, pieces); pixel < end; pixel++) {
    const inPtr = s.inPtr + (<usize>s.ldIn << 2) * pixel;
    const outPtr = s.outPtr + (<usize>s.ldOut << 2) * pixel;
    let sum: f64 = 0;
    for (let i = 0; i < min(after, c); i++) sum += square(inPtr, i);
    for (let i = 0; i < c; i++) {
      if (i + after < c) sum += square(inPtr, i + after);
      if (i > before) sum -= square(inPtr, i - before - 1);
      const base = <f64>s.gamma + <f64>s.alpha * max(sum, 0);
      // Every published network has 3/4.
      const root = Math.sqrt(base);
      const divisor = s.beta == 0.75 ? root * Math.sqrt(root) : <f64>Mathf.pow(<f32>base, s.beta);
      store<f32>(outPtr + (<usize>i << 2), <f32>(<f64>load<f32>(inPtr + (<usize>i << 2)) / divisor));
    }
  }
}

// @ts-ignore: decorator
@inline
function square(ptr: usize, i: i32): f64 {
  const v = <f64>load<f32>(ptr + (<usize>i << 2));
  return v * v;
}
