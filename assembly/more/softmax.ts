import { exp } from '../activation';
import { partition } from '../partition';
import { Step } from '../step';
import { AxesStep } from './step';
import { log } from './unary';
import { loadSome, storeSome, sumLanes } from './values';

/** Channels whose maxima and sums a thread keeps in its scratch: 64 KiB of each. */
const CHANNELS: i32 = 16384;

/** out = exp(in − max) / Σ exp(in − max) along the channels of each pixel. Threads share the pixels. */
export function softmax(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const pixels = s.batch * s.oh * s.ow;
  const end = partition(pixels, piece + 1, pieces);
  for (let pixel = partition(pixels, piece, pieces); pixel < end; pixel++) {
    overChannels(s, pixel, 1, 1, 0, false);
  }
}

/** The same, or its logarithm, over any axes of each image. Threads share what is left of the pixels. */
export function softmaxAxes(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<AxesStep>(step);
  const groupH = s.overH ? 1 : s.ih, groupW = s.overW ? 1 : s.iw;
  const height = s.overH ? s.ih : 1, width = s.overW ? s.iw : 1;
  const groups = s.batch * groupH * groupW;
  const end = partition(groups, piece + 1, pieces);
  for (let group = partition(groups, piece, pieces); group < end; group++) {
    const row = group / groupW;
    const image = row / groupH;
    const first = (image * s.ih + (row - image * groupH)) * s.iw + (group - row * groupW);
    const isLog = s.isLog != 0;
    if (s.overC) {
      overChannels(s, first, height, width, s.iw, isLog);
      continue;
    }
    for (let c0 = 0; c0 < s.ic; c0 += CHANNELS) {
      beside(s, first, height, width, c0, min(CHANNELS, s.ic - c0), isLog, scratchPtr);
    }
  }
}

/** Softmax over all channels of `height` × `width` pixels from pixel `first` on, rows `rowPixels` apart; the sum in float64. */
function overChannels(s: Step, first: i32, height: i32, width: i32, rowPixels: i32, isLog: bool): void {
  const bytes = <usize>s.ic << 2;
  let largest: f32 = -Infinity;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inPtr = s.inPtr + (<usize>s.ldIn << 2) * (first + y * rowPixels + x);
      for (let i: usize = 0; i < bytes; i += 4) largest = max(largest, load<f32>(inPtr + i));
    }
  }
  let sum: f64 = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const pixel = first + y * rowPixels + x;
      const inPtr = s.inPtr + (<usize>s.ldIn << 2) * pixel;
      const outPtr = s.outPtr + (<usize>s.ldOut << 2) * pixel;
      for (let i: usize = 0; i < bytes; i += 16) {
        const left = bytes - i;
        const d = f32x4.sub(loadSome(inPtr + i, left), f32x4.splat(largest));
        const e = exp(d);
        storeSome(outPtr + i, isLog ? d : e, left);
        if (left >= 16) sum += sumLanes(e);
        else {
          sum += f32x4.extract_lane(e, 0);
          if (left > 4) sum += f32x4.extract_lane(e, 1);
          if (left > 8) sum += f32x4.extract_lane(e, 2);
        }
      }
    }
  }
  const shift = f32x4.splat(isLog ? Mathf.log(<f32>sum) : 0);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const outPtr = s.outPtr + (<usize>s.ldOut << 2) * (first + y * rowPixels + x);
      for (let i: usize = 0; i < bytes; i += 4) {
        const v = load<f32>(outPtr + i);
        store<f32>(outPtr + i, isLog ? v - f32x4.extract_lane(shift, 0) : <f32>(<f64>v / sum));
      }
    }
  }
}

/** Softmax over `height` × `width` pixels of each of `count` channels from c0 on, which lie side by side. */
function beside(
  s: AxesStep, first: i32, height: i32, width: i32, c0: i32, count: i32, isLog: bool, largestPtr: usize,
): void {
  const bytes = <usize>count << 2;
  const sumPtr = largestPtr + (<usize>CHANNELS << 2);
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(largestPtr + i, f32x4.splat(-Infinity));
    v128.store(sumPtr + i, f32x4.splat(0));
  }
  for (let pass = 0; pass < 3; pass++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const pixel = first + y * s.iw + x;
        const inPtr = s.inPtr + ((<usize>s.ldIn * pixel + c0) << 2);
        const outPtr = s.outPtr + ((<usize>s.ldOut * pixel + c0) << 2);
        for (let i: usize = 0; i < bytes; i += 16) {
          const v = loadSome(inPtr + i, bytes - i);
          const largest = v128.load(largestPtr + i), sum = v128.load(sumPtr + i);
          if (pass == 0) v128.store(largestPtr + i, f32x4.max(largest, v));
          else {
            const d = f32x4.sub(v, largest);
            if (pass == 1) v128.store(sumPtr + i, f32x4.add(sum, exp(d)));
            else storeSome(outPtr + i, isLog ? f32x4.sub(d, sum) : f32x4.div(exp(d), sum), bytes - i);
          }
        }
      }
    }
    if (pass == 1 && isLog) {
      for (let i: usize = 0; i < bytes; i += 16) v128.store(sumPtr + i, log(v128.load(sumPtr + i)));
    }
  }
}
