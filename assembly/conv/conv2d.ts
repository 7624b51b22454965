import { packedBytes } from '../gemm/f32/pack';
import { gemm, newGemm, Rows, zerosOf } from '../gemm/gemm';
import { joined, partition } from '../partition';
import { Step } from '../step';
import { KC, NR } from '../tile';
import { Patches } from './im2col';

/**
 * out[B,OH,OW,Cout] = epilogue(conv(in[B,IH,IW,Cin], weights) + bias): any kernel, stride, dilation, padding (the far
 * sides follow from OH and OW), groups and batch, as im2col + GEMM with M = B·OH·OW, K = KH·KW·Cin/groups, N = Cout/groups.
 * A 1×1 convolution of stride 1 without padding is a GEMM on the input as it lies; it alone may have a pre-activation.
 *
 * Pieces are rows, each of which reads all weights, or columns, each of which packs all of A. Those of fewer than 32 rows or
 * 128 columns cost 6 % and more: 14×14, 1024 → 256 channels, takes 1.02 and 1.08 times as long in 4 and 8 pieces by rows, 1.09
 * and 1.22 times by columns.
 */
export function conv2d(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const channels = s.ic / s.groups;
  const k = s.kh * s.kw * channels;
  const n = s.oc / s.groups;
  const m = s.batch * s.oh * s.ow;
  const panels = (n + NR - 1) / NR;
  let m0 = 0, m1 = m, j0 = 0, j1 = panels;
  if (n > 4 * m) {
    pieces = joined(pieces, n / 128);
    j0 = partition(panels, piece, pieces);
    j1 = partition(panels, piece + 1, pieces);
  } else {
    pieces = joined(pieces, m / 32);
    const tiles = (m + s.mr - 1) / s.mr;
    m0 = partition(tiles, piece, pieces) * s.mr;
    m1 = min(m, partition(tiles, piece + 1, pieces) * s.mr);
  }
  if (piece >= pieces || m0 >= m1 || j0 >= j1) return;

  const isPointwise = s.kh == 1 && s.kw == 1 && s.strideH == 1 && s.strideW == 1 && s.padTop == 0 && s.padLeft == 0 &&
    s.ih == s.oh && s.iw == s.ow;
  const g = newGemm(s, n, k, scratchPtr);
  g.m0 = m0;
  g.m1 = m1;
  if (!isPointwise) memory.fill(zerosOf(g), 0, KC * 4);
  for (let group = 0; group < s.groups; group++) {
    const column = <usize>(group * n) << 2;
    g.aPtr = s.inPtr + (<usize>(group * channels) << 2);
    g.bPtr = s.weightPtr + packedBytes(k, n) * group;
    g.biasPtr = s.biasPtr + column;
    g.cPtr = s.outPtr + column;
    g.residualPtr = s.residualPtr + column;
    g.j0 = j0;
    g.j1 = j1;
    if (isPointwise) gemm<Rows>(g);
    else gemm<Patches>(g);
  }
}
