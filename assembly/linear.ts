import { gemm } from './gemm/gemm';
import { gemv } from './gemm/gemv';
import { Step } from './step';
import { share } from './threads';
import { NR } from './tile';

/**
 * out[B,N] = epilogue(in[B,K] · W + bias): a matrix–vector product for one image, a GEMM for more. K = IH·IW·Cin, the
 * map flattened as it lies. Threads share the columns.
 */
export function linear(s: Step, thread: i32, threads: i32, scratchPtr: usize): void {
  const k = s.ih * s.iw * s.ic;
  const n = s.oc;
  const panels = (n + NR - 1) / NR;
  const j0 = share(panels, thread, threads);
  const j1 = share(panels, thread + 1, threads);
  if (j0 >= j1) return;
  if (s.batch == 1) {
    gemv(j0, j1, n, k, s.inPtr, s.weightPtr, s.biasPtr, s.outPtr, s.flags);
  } else {
    gemm(
      0, s.batch, j0, j1, n, k, s.inPtr, k, s.weightPtr, s.biasPtr, s.outPtr, s.ldOut, s.residualPtr, s.ldResidual,
      s.flags, s.mr, scratchPtr, 0, 0,
    );
  }
}
