import { partition } from '../partition';
import { REDUCTION_MAX, Step } from '../step';
import { PoolStep } from './step';
import { loadSome, storeSome } from './values';

/** First tap of a window that begins at `start`, `dilation` apart, which is not before `low`. */
// @ts-ignore: decorator
@inline
function firstTap(start: i32, dilation: i32, low: i32): i32 {
  return start >= low ? 0 : (low - start + dilation - 1) / dilation;
}

/** The taps of a window of `kernel` that come before `high`. */
// @ts-ignore: decorator
@inline
function tapsBefore(start: i32, dilation: i32, kernel: i32, high: i32): i32 {
  return start >= high ? 0 : min(kernel, (high - start + dilation - 1) / dilation);
}

/**
 * Max or average pool with dilation, whose last windows may end beyond the padding. What is there counts nowhere; padding
 * counts in the divisor unless the step leaves it out. Threads share the output rows.
 */
export function dilatedPool(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<PoolStep>(step);
  const isMax = s.reduction == REDUCTION_MAX;
  const pixelBytes = <usize>s.ldIn << 2;
  const bytes = <usize>s.oc << 2;
  const rows = s.batch * s.oh;
  const end = partition(rows, piece + 1, pieces);
  for (let row = partition(rows, piece, pieces); row < end; row++) {
    const image = row / s.oh;
    const top = (row - image * s.oh) * s.strideH - s.padTop;
    const ky0 = firstTap(top, s.dilationH, 0), ky1 = tapsBefore(top, s.dilationH, s.kh, s.ih);
    const imagePtr = s.inPtr + pixelBytes * (image * s.ih * s.iw);
    for (let ox = 0; ox < s.ow; ox++) {
      const left = ox * s.strideW - s.padLeft;
      const kx0 = firstTap(left, s.dilationW, 0), kx1 = tapsBefore(left, s.dilationW, s.kw, s.iw);
      const counted = s.leavesPadding
        ? (ky1 - ky0) * (kx1 - kx0)
        : tapsBefore(top, s.dilationH, s.kh, s.ih + s.padBottom) * tapsBefore(left, s.dilationW, s.kw, s.iw + s.padRight);
      const scale = f32x4.splat(<f32>1 / <f32>counted);
      const outPtr = s.outPtr + (<usize>s.ldOut << 2) * (row * s.ow + ox);
      for (let i: usize = 0; i < bytes; i += 16) {
        let all = f32x4.splat(isMax ? -Infinity : 0);
        for (let ky = ky0; ky < ky1; ky++) {
          const linePtr = imagePtr + pixelBytes * ((top + ky * s.dilationH) * s.iw) + i;
          for (let kx = kx0; kx < kx1; kx++) {
            const v = loadSome(linePtr + pixelBytes * (left + kx * s.dilationW), bytes - i);
            all = isMax ? f32x4.max(all, v) : f32x4.add(all, v);
          }
        }
        storeSome(outPtr + i, isMax ? all : f32x4.mul(all, scale), bytes - i);
      }
    }
  }
}
