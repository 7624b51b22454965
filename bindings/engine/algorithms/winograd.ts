/** Winograd's minimal filtering F(m×m, 3×3), after Lavin & Gray 2015 (assembly/conv/winograd.ts). */

import { packedBytes, packRows, scalePacked } from './gemm.js';
import type { AlgorithmKernel } from './types.js';

/** What the transform of weights needs of scratch. */
const TRANSFORM_BYTES = 288;

const isOne = (n: number): boolean => n === 1;

/** `tile`: m, the outputs of a tile along a side. */
const winograd = (tile: 2 | 4): AlgorithmKernel => ({
  name: `winograd${tile}`,
  fits: ({ kernel, stride, dilation, groups, shape }, input) =>
    kernel.every((n) => n === 3) &&
    [...stride, ...dilation, groups].every(isOne) &&
    input.c >= 8 &&
    input.c % 4 === 0 &&
    shape.c % 4 === 0,
  kind: 'KIND_WINOGRAD',
  fields: () => ({ winogradTile: tile }),
  scratchBytes: ({ kernels }, { input }) => kernels.winogradScratchBytes(tile, input.shape.c),
  weightBytes: ({ kernels }, { inner, outputs }) => kernels.winogradBytes(tile, inner, outputs),
  // The packed B[9·C, N] has room where the larger U[(m+2)²][C, N] will be.
  pack: packRows,
  finish(core, matrix, weightPtr, scales) {
    const { arena, kernels } = core;
    // Batch norm is folded into 9·C·N values, not into the (m+2)²·C·N that they become.
    if (scales) scalePacked(core, matrix, weightPtr, scales);
    const bytes = packedBytes(core, matrix);
    const packedPtr = arena.alloc(bytes);
    arena.u8(packedPtr, bytes).set(arena.u8(weightPtr, bytes));
    kernels.winogradWeights(tile, packedPtr, weightPtr, matrix.inner, matrix.outputs, arena.alloc(TRANSFORM_BYTES));
  },
});

/** 16 products for 36. */
export const winograd2 = winograd(2);

/** 36 products for 144. */
export const winograd4 = winograd(4);
