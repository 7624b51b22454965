import { activateRows, isPass } from './activation';
import { gemm, newGemm, Rows } from './gemm/gemm';
import { gemv } from './gemm/gemv';
import { partition } from './partition';
import { Step } from './step';
import { NR } from './tile';

/**
 * out[B,N] = epilogue(in[B,K] · W + bias): a matrix–vector product for one image, a GEMM for more. K = IH·IW·Cin, the
 * map flattened as it lies. Pieces are columns.
 */
export function linear(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const k = s.ih * s.iw * s.ic;
  const panels = (s.oc + NR - 1) / NR;
  const j0 = partition(panels, piece, pieces);
  const j1 = partition(panels, piece + 1, pieces);
  if (j0 >= j1) return;
  if (s.batch == 1) {
    gemv(s, k, j0, j1, scratchPtr);
    if (isPass(s.activation)) activateRows(s, 0, 1, j0 * NR, min(s.oc, j1 * NR));
    return;
  }
  const g = newGemm(s, s.oc, k, scratchPtr);
  g.aStride = <usize>k << 2;
  g.m0 = 0;
  g.m1 = s.batch;
  g.j0 = j0;
  g.j1 = j1;
  gemm<Rows>(g);
}
