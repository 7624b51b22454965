import { ROW_TABLE, ZEROS } from '../gemm/gemm';
import { packPanel } from '../gemm/pack';
import { Step } from '../step';
import { share } from '../threads';
import { MR_MAX } from '../tile';

/**
 * Packs rows m0 … m0+m and columns k0 … k0+kc of A = im2col(input) [M, K] straight into panels at `scratchPtr`: the
 * patch matrix itself is never stored. `inPtr`: the group's first channel; `channels`: Cin / groups.
 *
 * A row is an output pixel's patch: KH·KW runs of `channels` floats. Runs of one kernel row lie side by side in NHWC
 * and are packed as one where no pixel of the panel reaches over the left or right edge.
 */
export function im2col(
  s: Step, inPtr: usize, channels: i32, m0: i32, m: i32, k0: i32, kc: i32, scratchPtr: usize,
): void {
  const iw = s.iw, ih = s.ih, oh = s.oh, ow = s.ow, kw = s.kw;
  const pixelBytes = <usize>s.ldIn << 2;
  const imageBytes = pixelBytes * (ih * iw);
  const adjacent = s.dilationW == 1 && s.ldIn == channels;
  const zeros = scratchPtr + ZEROS;
  // Per row of a panel: the run's address, and of its pixel the image's address, the top y and the left x.
  const runs = scratchPtr + ROW_TABLE;
  const images = runs + MR_MAX * 4;
  const tops = images + MR_MAX * 4;
  const lefts = tops + MR_MAX * 4;

  let ox = m0 % ow;
  let oy = (m0 / ow) % oh;
  let image = inPtr + imageBytes * (m0 / (ow * oh));
  let dst = scratchPtr;
  const panels = (m + s.mr - 1) / s.mr;
  for (let i = 0; i < panels; i++) {
    const rows = share(m, i + 1, panels) - share(m, i, panels);
    let merged = adjacent;
    for (let r: usize = 0; r < <usize>rows; r++) {
      const left = ox * s.strideW - s.padLeft;
      merged = merged && left >= 0 && left + kw <= iw;
      store<usize>(images + (r << 2), image);
      store<i32>(tops + (r << 2), oy * s.strideH - s.padTop);
      store<i32>(lefts + (r << 2), left);
      if (++ox == ow) {
        ox = 0;
        if (++oy == oh) {
          oy = 0;
          image += imageBytes;
        }
      }
    }
    for (let k = k0; k < k0 + kc; ) {
      const tap = k / channels;
      const ci = k - tap * channels;
      const dy = tap / kw;
      const dx = tap - dy * kw;
      const whole = merged ? (kw - dx) * channels - ci : channels - ci;
      const run = min(whole, k0 + kc - k);
      for (let r: usize = 0; r < <usize>rows; r++) {
        const y = load<i32>(tops + (r << 2)) + dy * s.dilationH;
        const x = load<i32>(lefts + (r << 2)) + dx * s.dilationW;
        const src = <u32>y < <u32>ih && <u32>x < <u32>iw
          ? load<usize>(images + (r << 2)) + pixelBytes * (y * iw + x) + (<usize>ci << 2)
          : zeros;
        store<usize>(runs + (r << 2), src);
      }
      dst = packPanel(runs, rows, run, dst);
      k += run;
    }
  }
}
