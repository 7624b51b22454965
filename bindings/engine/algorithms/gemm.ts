/** im2col + GEMM on packed panels (assembly/conv/conv2d.ts, gemm/): computes any convolution, and linear layers. */

import type { Core } from '../core.js';
import type { AlgorithmKernel, Matrix, Rows } from './types.js';

/** Bytes of the packed B of every group. */
export const packedBytes = ({ kernels }: Core, { outputs, groups, inner, taps }: Matrix): number =>
  groups * kernels.packedBytes(inner * taps, outputs / groups);

/** Packs rows of W[O, I, S] or W[K, O] into the columns of B. */
export function packRows(
  { kernels }: Core,
  { outputs, groups, inner, taps }: Matrix,
  rows: Rows,
  weightPtr: number,
): void {
  const { ptr, first, count, order } = rows;
  const perGroup = outputs / groups;
  if (order === 'OI') kernels.packOI(ptr, weightPtr, first, count, perGroup, inner, taps);
  else kernels.packIO(ptr, weightPtr, first, count, outputs, perGroup, inner * taps);
}

/** Packs one factor per output as a B of one row; returns its address. */
export function packScales({ arena, kernels }: Core, { outputs, groups }: Matrix, scales: Float32Array): number {
  const perGroup = outputs / groups;
  const ptr = arena.alloc(scales.byteLength);
  arena.f32(ptr, outputs).set(scales);
  const bytes = groups * kernels.packedBytes(1, perGroup);
  const packedPtr = arena.alloc(bytes);
  arena.u8(packedPtr, bytes).fill(0);
  kernels.packIO(ptr, packedPtr, 0, 1, outputs, perGroup, 1);
  return packedPtr;
}

export const gemm: AlgorithmKernel = {
  name: 'gemm',
  fits: () => true,
  kind: undefined,
  fields: () => ({}),
  scratchBytes: ({ constants }) => constants.SCRATCH_BYTES as number,
  weightBytes: packedBytes,
  pack: packRows,
  finish(core, matrix, weightPtr, scales) {
    if (!scales) return undefined;
    const k = matrix.inner * matrix.taps;
    const panels = packedBytes(core, matrix) / core.kernels.packedBytes(k, 1);
    core.kernels.scaleColumns(weightPtr, k, panels, packScales(core, matrix, scales));
    return undefined;
  },
};
