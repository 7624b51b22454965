/** Winograd's minimal filtering F(m×m, 3×3), after Lavin & Gray 2015 (assembly/conv/winograd.ts). */

import { packedBytes, packRows, packScales } from './gemm.js';
import type { AlgorithmKernel } from './types.js';

const isOne = (n: number): boolean => n === 1;

/** `tile`: m, the outputs of a tile along a side. */
const winograd = (tile: 2 | 4): AlgorithmKernel => ({
  name: `winograd${tile}`,
  fits: (node, input) =>
    node.kind === 'conv' &&
    node.kernel.every((n) => n === 3) &&
    [...node.stride, ...node.dilation, node.groups].every(isOne) &&
    input.c >= 8 &&
    input.c % 4 === 0 &&
    node.shape.c % 4 === 0,
  kind: 'KIND_WINOGRAD',
  fields: () => ({ winogradTile: tile }),
  scratchBytes: ({ kernels }, { input }) => kernels.winogradScratchBytes(tile, input.shape.c),
  weightBytes: ({ kernels }, { inner, outputs }) => kernels.winogradBytes(tile, inner, outputs),
  // The packed B[9·C, N] has room where the larger U[(m+2)²][C, N] will be.
  pack: packRows,
  finish(core, matrix, weightPtr, scales) {
    const { arena, constants } = core;
    const { inner, outputs } = matrix;
    const bytes = packedBytes(core, matrix);
    const packedPtr = arena.alloc(bytes);
    arena.u8(packedPtr, bytes).set(arena.u8(weightPtr, bytes));
    return {
      kind: constants.KIND_WINOGRAD_WEIGHTS as number,
      winogradTile: tile,
      inPtr: packedPtr,
      outPtr: weightPtr,
      weightPtr: packScales(core, matrix, scales ?? new Float32Array(outputs).fill(1)),
      ic: inner,
      oc: outputs,
    };
  },
});

/** 16 products for 36. */
export const winograd2 = winograd(2);

/** 36 products for 144. */
export const winograd4 = winograd(4);
