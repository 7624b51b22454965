import { activateRows, isPass } from './activation';
import { gemv } from './gemm/gemv';
import { partition } from './partition';
import { Step } from './step';
import { NR } from './tile';

/** out[B,N] = epilogue(in[B,K] · W + bias), K = IH·IW·Cin, the map flattened as it lies. Pieces are columns. */
export function linear(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const panels = (s.oc + NR - 1) / NR;
  const j0 = partition(panels, piece, pieces);
  const j1 = partition(panels, piece + 1, pieces);
  gemv(s, s.ih * s.iw * s.ic, j0, j1, scratchPtr);
  if (isPass(s.activation)) activateRows(s, 0, s.batch, j0 * NR, min(s.oc, j1 * NR));
}
