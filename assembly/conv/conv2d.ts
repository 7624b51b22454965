import { blockFlags, depthOf, gemm, macroKernel, ZEROS } from '../gemm/gemm';
import { packedBytes } from '../gemm/pack';
import { Step } from '../step';
import { share } from '../threads';
import { KC, MC, NR } from '../tile';
import { im2col } from './im2col';

/**
 * out[B,OH,OW,Cout] = epilogue(conv(in[B,IH,IW,Cin], weights) + bias): any kernel, stride, dilation, padding (the far
 * sides follow from OH and OW), groups and batch, as im2col + GEMM with M = B·OH·OW, K = KH·KW·Cin/groups, N = Cout/groups.
 * A 1×1 convolution of stride 1 without padding is a GEMM on the input as it lies; it alone may have a pre-activation.
 *
 * Threads share the rows, or the columns where the weights are larger than the input: each then reads its part of the
 * weights alone.
 */
export function conv2d(s: Step, thread: i32, threads: i32, scratchPtr: usize): void {
  const channels = s.ic / s.groups;
  const k = s.kh * s.kw * channels;
  const n = s.oc / s.groups;
  const m = s.batch * s.oh * s.ow;
  const panels = (n + NR - 1) / NR;
  let m0 = 0, m1 = m, j0 = 0, j1 = panels;
  if (<i64>n * k > <i64>m * s.ic && panels >= threads) {
    j0 = share(panels, thread, threads);
    j1 = share(panels, thread + 1, threads);
  } else {
    const tiles = (m + s.mr - 1) / s.mr;
    m0 = share(tiles, thread, threads) * s.mr;
    m1 = min(m, share(tiles, thread + 1, threads) * s.mr);
  }
  if (m0 >= m1 || j0 >= j1) return;

  const pointwise =
    s.kh == 1 && s.kw == 1 && s.strideH == 1 && s.strideW == 1 && s.padTop == 0 && s.padLeft == 0 && s.ih == s.oh && s.iw == s.ow;
  const cStride = <usize>s.ldOut << 2;
  const rStride = <usize>s.ldResidual << 2;
  const bStride = <usize>k * (NR * 4);
  const depth = depthOf(k);
  if (!pointwise) memory.fill(scratchPtr + ZEROS, 0, KC * 4);

  for (let g = 0; g < s.groups; g++) {
    const inPtr = s.inPtr + (<usize>(g * channels) << 2);
    const bPtr = s.weightPtr + packedBytes(k, n) * g;
    const biasPtr = s.biasPtr + (<usize>(g * n) << 2);
    const outPtr = s.outPtr + (<usize>(g * n) << 2);
    const residualPtr = s.residualPtr + (<usize>(g * n) << 2);
    if (pointwise) {
      gemm(
        m0, m1, j0, j1, n, k, inPtr, s.ldIn, bPtr, biasPtr, outPtr, s.ldOut, residualPtr, s.ldResidual, s.flags, s.mr,
        scratchPtr, s.preScalePtr, s.preShiftPtr,
      );
      continue;
    }
    for (let k0 = 0; k0 < k; k0 += depth) {
      const kc = min(depth, k - k0);
      for (let i0 = m0; i0 < m1; i0 += MC) {
        const rows = min(MC, m1 - i0);
        im2col(s, inPtr, channels, i0, rows, k0, kc, scratchPtr);
        macroKernel(
          scratchPtr, s.mr, rows, j0, j1, n, kc, bPtr + <usize>k0 * (NR * 4), bStride, biasPtr, outPtr + cStride * i0,
          cStride, residualPtr + rStride * i0, rStride, blockFlags(s.flags, k0 == 0, k0 + kc == k), k0 == 0,
        );
      }
    }
  }
}
