import { partition } from './partition';
import { REDUCTION_MAX, REDUCTION_MEAN, Step } from './step';

/** out[B,C] = mean, maximum or sum over the map of in[B,H,W,C] (`Step.reduction`). Pieces are channels, in fours. */
export function reduce(s: Step, piece: i32, pieces: i32): void {
  if (s.reduction == REDUCTION_MAX) join(s, piece, pieces, true);
  else join(s, piece, pieces, false);
}

/** Two sums or maxima per channel, of the even and the odd pixels, hide the latency of an addition. A NaN is the result. */
// @ts-ignore: decorator
@inline
function join(s: Step, piece: i32, pieces: i32, isMax: bool): void {
  const pixels = s.ih * s.iw, c = s.oc;
  const pixelBytes = <usize>s.ldIn << 2;
  const scale: f32 = s.reduction == REDUCTION_MEAN ? <f32>1 / <f32>pixels : 1;
  const start: f32 = isMax ? -Infinity : 0;
  const groups = (c + 3) >> 2;
  const first = partition(groups, piece, pieces) << 2;
  const end = min(c, partition(groups, piece + 1, pieces) << 2);
  for (let b = 0; b < s.batch; b++) {
    const inPtr = s.inPtr + pixelBytes * b * pixels;
    const outPtr = s.outPtr + (<usize>s.ldOut << 2) * b;
    let i = first;
    for (; i + 4 <= end; i += 4) {
      let ptr = inPtr + (<usize>i << 2);
      let even = f32x4.splat(start), odd = even;
      let n = 0;
      for (; n + 2 <= pixels; n += 2) {
        const v = v128.load(ptr), w = v128.load(ptr + pixelBytes);
        even = isMax ? f32x4.max(even, v) : f32x4.add(even, v);
        odd = isMax ? f32x4.max(odd, w) : f32x4.add(odd, w);
        ptr += pixelBytes << 1;
      }
      if (n < pixels) even = isMax ? f32x4.max(even, v128.load(ptr)) : f32x4.add(even, v128.load(ptr));
      v128.store(
        outPtr + (<usize>i << 2),
        isMax ? f32x4.max(even, odd) : f32x4.mul(f32x4.add(even, odd), f32x4.splat(scale)),
      );
    }
    for (; i < end; i++) {
      let ptr = inPtr + (<usize>i << 2);
      let all = start;
      for (let n = 0; n < pixels; n++) {
        all = isMax ? max(all, load<f32>(ptr)) : all + load<f32>(ptr);
        ptr += pixelBytes;
      }
      store<f32>(outPtr + (<usize>i << 2), all * scale);
    }
  }
}
