import { partition } from '../partition';
import { greatestOf } from './gemm';
import { greater, greatestLane, QuantStep, raise } from './quant';
import { activated } from './quantise';

/**
 * Finds the greatest magnitude of each image of a value, after the pre-activation that its readers apply, where no epilogue
 * has found it: in outRangePtr[image]. Pieces are pixels.
 */
export function findRange(step: usize, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<QuantStep>(step);
  const pixels = s.ih * s.iw;
  const end = partition(s.batch * pixels, piece + 1, pieces);
  for (let pixel = partition(s.batch * pixels, piece, pieces); pixel < end; ) {
    const image = pixel / pixels;
    const count = min(end, (image + 1) * pixels) - pixel;
    const bits = s.preScalePtr ? greatestActivated(s, pixel, count) : greatestOf(s.inPtr, s.ldIn, pixel, count, 0, s.ic);
    raise(s.outRangePtr + (<usize>image << 2), bits);
    pixel += count;
  }
}

/** The bits of the greatest max(x · scale + shift, 0), computed as `quantise` does. */
function greatestActivated(s: QuantStep, pixel: i32, pixels: i32): i32 {
  const bytes = <usize>s.ic << 2;
  let greatest = i32x4.splat(0);
  for (let p = pixel; p < pixel + pixels; p++) {
    const inPtr = s.inPtr + (<usize>s.ldIn << 2) * p;
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      greatest = greater(greatest, activated(v128.load(inPtr + i), v128.load(s.preScalePtr + i), v128.load(s.preShiftPtr + i)));
    }
    for (; i < bytes; i += 4) {
      greatest = greater(
        greatest,
        activated(v128.load32_zero(inPtr + i), v128.load32_zero(s.preScalePtr + i), v128.load32_zero(s.preShiftPtr + i)),
      );
    }
  }
  return greatestLane(greatest);
}
