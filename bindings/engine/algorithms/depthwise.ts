/** Depthwise convolution: one filter per channel, [taps][C] (assembly/conv/depthwise.ts). */

import { gemm } from './gemm.js';
import type { AlgorithmKernel, Matrix } from './types.js';

/** All channels as columns of one B[taps, C], whatever the number of groups. */
const joined = (matrix: Matrix): Matrix => ({ ...matrix, groups: 1 });

export const depthwise: AlgorithmKernel = {
  ...gemm,
  name: 'depthwise',
  fits: (node, input) =>
    node.kind === 'conv' && node.groups > 1 && node.groups === input.c && node.groups === node.shape.c,
  kind: 'KIND_DEPTHWISE',
  scratchBytes: () => 0,
  weightBytes: (core, matrix) => gemm.weightBytes(core, joined(matrix)),
  pack: (core, matrix, rows, weightPtr) => gemm.pack(core, joined(matrix), rows, weightPtr),
  finish: (core, matrix, weightPtr, scales) => gemm.finish(core, joined(matrix), weightPtr, scales),
};
