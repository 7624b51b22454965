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

/** B[:, n] *= scales[n]. */
export function scalePacked(core: Core, matrix: Matrix, weightPtr: number, scales: Float32Array): void {
  const { outputs, groups, inner, taps } = matrix;
  const scalePtr = core.arena.alloc(scales.byteLength);
  core.arena.f32(scalePtr, scales.length).set(scales);
  core.kernels.scaleColumns(weightPtr, inner * taps, outputs, outputs / groups, scalePtr);
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
    if (scales) scalePacked(core, matrix, weightPtr, scales);
  },
};
