import { partition } from '../partition';
import { Step } from '../step';
import { AxesStep } from './step';

/** Values of `AxesStep.reduction`; `Step` has the first three. */
const MEAN: i32 = 0;
const MAX: i32 = 1;
const SUM: i32 = 2;
const MIN: i32 = 3;
const PRODUCT: i32 = 4;
const ARG_MAX: i32 = 5;

/** Channels whose results a thread keeps in its scratch: 64 KiB of values and places in float64. */
const CHANNELS: i32 = 4096;

/**
 * out = mean, greatest … of in over any axes of each image, in float64. Threads share the output pixels. Results of up to
 * 4,096 channels are kept in the scratch while the pixels pass by; if the channels are an axis too, there is one.
 */
export function reduceAxes(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<AxesStep>(step);
  const map = s.oh * s.ow;
  const pixels = s.batch * map;
  const end = partition(pixels, piece + 1, pieces);
  for (let pixel = partition(pixels, piece, pieces); pixel < end; pixel++) {
    const image = pixel / map;
    const y = (pixel - image * map) / s.ow, x = (pixel - image * map) % s.ow;
    for (let c0 = 0; c0 < s.ic; c0 += CHANNELS) {
      const c1 = s.overC ? s.ic : min(s.ic, c0 + CHANNELS);
      reducePixel(s, image, y, x, c0, c1, scratchPtr, s.outPtr + (<usize>s.ldOut << 2) * pixel);
      if (s.overC) break;
    }
  }
}

/** One output pixel, of channels c0 … c1 of the input. */
function reducePixel(s: AxesStep, image: i32, y: i32, x: i32, c0: i32, c1: i32, bestPtr: usize, outPtr: usize): void {
  const reduction = s.reduction;
  const placePtr = bestPtr + (CHANNELS << 3);
  const start: f64 = reduction == MAX || reduction == ARG_MAX ? -Infinity
    : reduction == MEAN || reduction == SUM ? 0 : reduction == PRODUCT ? 1 : Infinity;
  const results = s.overC ? 1 : c1 - c0;
  for (let i = 0; i < results; i++) {
    store<f64>(bestPtr + (<usize>i << 3), start);
    store<f64>(placePtr + (<usize>i << 3), 0);
  }
  const y0 = s.overH ? 0 : y, y1 = s.overH ? s.ih : y + 1;
  const x0 = s.overW ? 0 : x, x1 = s.overW ? s.iw : x + 1;
  for (let row = y0; row < y1; row++) {
    for (let column = x0; column < x1; column++) {
      const inPtr = s.inPtr + (<usize>s.ldIn << 2) * ((image * s.ih + row) * s.iw + column);
      for (let c = c0; c < c1; c++) {
        const v = <f64>load<f32>(inPtr + (<usize>c << 2));
        const at: usize = s.overC ? 0 : <usize>(c - c0) << 3;
        const best = load<f64>(bestPtr + at);
        if (reduction >= ARG_MAX) {
          // The first NaN is the greatest and the smallest.
          const isBetter = reduction == ARG_MAX ? !(v <= best) : !(v >= best);
          if (!isBetter || best != best) continue;
          store<f64>(bestPtr + at, v);
          store<f64>(placePtr + at, <f64>(s.overC ? c : s.overW ? column : row));
        } else if (reduction == MAX) store<f64>(bestPtr + at, max(best, v));
        else if (reduction == MIN) store<f64>(bestPtr + at, min(best, v));
        else if (reduction == PRODUCT) store<f64>(bestPtr + at, best * v);
        else store<f64>(bestPtr + at, best + v);
      }
    }
  }
  const count = (y1 - y0) * (x1 - x0) * (s.overC ? s.ic : 1);
  const scale: f64 = reduction == MEAN ? 1.0 / <f64>count : 1;
  for (let i = 0; i < results; i++) {
    const result = load<f64>((reduction >= ARG_MAX ? placePtr : bestPtr) + (<usize>i << 3));
    store<f32>(outPtr + (<usize>((s.overC ? 0 : c0) + i) << 2), <f32>(result * scale));
  }
}
