import { packPanel } from '../gemm/f32/pack';
import { rowTableOf, zerosOf } from '../gemm/gemm';
import { Gemm, panelsOf } from '../gemm/macro-kernel';
import { partition } from '../partition';
import { MR_MAX } from '../tile';

/** Packs blocks of the patch matrix of a convolution's input. */
@final
@unmanaged
export class Patches {
  // @ts-ignore: decorator
  @inline
  pack(g: Gemm): void {
    im2col(g);
  }
}

/**
 * Packs the block's rows and columns of A = im2col(input) [M, K] straight into panels: the patch matrix itself is never
 * stored. `g.aPtr`: the group's first channel.
 *
 * A row is an output pixel's patch: KH·KW runs of Cin/groups floats. Runs of one kernel row lie side by side in NHWC
 * and are packed as one if no pixel of the panel reaches over the left or right edge.
 */
function im2col(g: Gemm): void {
  const s = g.step;
  const iw = s.iw, ih = s.ih, oh = s.oh, ow = s.ow, kw = s.kw;
  const channels = s.ic / s.groups;
  const pixelBytes = <usize>s.ldIn << 2;
  const imageBytes = pixelBytes * (ih * iw);
  const isAdjacent = s.dilationW == 1 && s.ldIn == channels;
  const zerosPtr = zerosOf(g);
  // Per row of a panel: the run's address, and of its pixel the image's address, the top y and the left x.
  const runs = rowTableOf(g);
  const images = runs + MR_MAX * sizeof<usize>();
  const tops = images + MR_MAX * sizeof<usize>();
  const lefts = tops + MR_MAX * 4;

  let ox = g.i0 % ow;
  let oy = (g.i0 / ow) % oh;
  let imagePtr = g.aPtr + imageBytes * (g.i0 / (ow * oh));
  let packedPtr = g.packedPtr;
  const kEnd = g.k0 + g.depth;
  const panels = panelsOf(g);
  for (let i = 0; i < panels; i++) {
    const rows = partition(g.rows, i + 1, panels) - partition(g.rows, i, panels);
    let isMerged = isAdjacent;
    for (let r: usize = 0; r < <usize>rows; r++) {
      const left = ox * s.strideW - s.padLeft;
      isMerged = isMerged && left >= 0 && left + kw <= iw;
      store<usize>(images + r * sizeof<usize>(), imagePtr);
      store<i32>(tops + (r << 2), oy * s.strideH - s.padTop);
      store<i32>(lefts + (r << 2), left);
      if (++ox == ow) {
        ox = 0;
        if (++oy == oh) {
          oy = 0;
          imagePtr += imageBytes;
        }
      }
    }
    for (let k = g.k0; k < kEnd; ) {
      const tap = k / channels;
      const ci = k - tap * channels;
      const ky = tap / kw;
      const kx = tap - ky * kw;
      const whole = isMerged ? (kw - kx) * channels - ci : channels - ci;
      const run = min(whole, kEnd - k);
      for (let r: usize = 0; r < <usize>rows; r++) {
        const y = load<i32>(tops + (r << 2)) + ky * s.dilationH;
        const x = load<i32>(lefts + (r << 2)) + kx * s.dilationW;
        const runPtr = <u32>y < <u32>ih && <u32>x < <u32>iw
          ? load<usize>(images + r * sizeof<usize>()) + pixelBytes * (y * iw + x) + (<usize>ci << 2)
          : zerosPtr;
        store<usize>(runs + r * sizeof<usize>(), runPtr);
      }
      packedPtr = packPanel(runs, rows, run, packedPtr);
      k += run;
    }
  }
}
