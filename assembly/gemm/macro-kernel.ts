import { Step } from '../step';
import { partition } from '../partition';
import { MR_MAX, NR, NR_MAX } from '../tile';

/**
 * One matrix product C[M,N] = epilogue(A[M,K] · B[K,N] + bias[N]), a thread's share of it, and the block of it at hand.
 * It lies in the thread's scratch. Strides are bytes from row to row, or from panel to panel.
 */
@unmanaged
export class Gemm {
  /** Whose epilogue it is, and whose input A is packed from. */
  step: Step;
  n: i32;
  k: i32;
  /** The share: rows m0 … m1 and panels j0 … j1 of B. */
  m0: i32;
  m1: i32;
  j0: i32;
  j1: i32;
  /** A as it lies; for im2col, the first input channel of the group. */
  aPtr: usize;
  aStride: usize;
  /** Packed B. */
  bPtr: usize;
  bStride: usize;
  /** Padded with zeros to whole panels. */
  biasPtr: usize;
  /** Row 0, column 0. C may be the residual, and is not read otherwise. */
  cPtr: usize;
  cStride: usize;
  residualPtr: usize;
  residualStride: usize;
  /** The block: `rows` rows of C from `i0` on, and of K `depth` from `k0` on. */
  i0: i32;
  rows: i32;
  k0: i32;
  depth: i32;
  /** The block of A, packed into panels of nearly equal height: 49 rows as 4 × 6 + 5 × 5, not 8 × 6 + 1. */
  packedPtr: usize;
  /** Room for a tile of C and one of the residual, [MR_MAX][NR_MAX] each: for a last panel that is not whole. */
  tilePtr: usize;
  /** For kernels of two panels: the next block's B, of two panels or more; 0 if there is none. */
  afterPtr: usize;
  /** For kernels of two panels: bytes from the panel that is read ahead to its neighbour, 0 if it has none. */
  aheadStride: usize;
  /** Whether this block adds the residual: the first of K does, so that C may lie where the residual does. */
  adds: bool;
  /** ACTIVATION_NONE, or what this block applies in registers: the last of K does. */
  activation: i32;
}

/** Bytes of a `Gemm`, in whole cache lines. */
export const GEMM_BYTES: usize = (offsetof<Gemm>() + 63) & ~63;

/** Bytes of the room at `Gemm.tilePtr`. */
export const TILES_BYTES: usize = 2 * MR_MAX * NR_MAX * 4;

/** Panels that a block of A has. */
// @ts-ignore: decorator
@inline
export function panelsOf(g: Gemm): i32 {
  return (g.rows + g.step.mr - 1) / g.step.mr;
}

/**
 * The macro-kernel: C[i0 … i0+rows, panels j0 … j1) = epilogue(start + A block · B). The sums start from the bias in the
 * first block of K, from C in later ones.
 *
 * `K` is the micro-kernel, a class without fields (see f32/micro.ts for its contract), all of whose methods are inlined:
 *   panels()       panels of B, side by side, that a tile takes
 *   aBytes(count)  bytes of so many elements of a packed A panel
 *   bBytes(count)  bytes of so many rows of a packed B panel
 *   run(…)         one tile
 */
export function macroKernel<K>(g: Gemm): void {
  const kernel = changetype<K>(0);
  const depth = g.depth, cStride = g.cStride, residualStride = g.residualStride;
  const isFirst = g.k0 == 0;
  const panels = panelsOf(g);
  // The tiles that use a B panel share the reading of the next.
  const prefetchStride = (kernel.bBytes(1) + panels - 1) / panels;
  for (let j = g.j0; j < g.j1; j += kernel.panels()) {
    const tilePanels = kernel.panels() > 1 ? min(kernel.panels(), g.j1 - j) : 1;
    const tileColumns = kernel.panels() > 1 ? tilePanels * NR : NR;
    const column = <usize>j * (NR * 4);
    const bPtr = g.bPtr + g.bStride * j + kernel.bBytes(g.k0);
    const columns = g.n - j * NR;
    let prefetchPtr = j + kernel.panels() < g.j1 ? bPtr + g.bStride * kernel.panels() : bPtr;
    if (kernel.panels() > 1) {
      const isLast = j + kernel.panels() >= g.j1;
      if (isLast && g.afterPtr) prefetchPtr = g.afterPtr;
      g.aheadStride = j + kernel.panels() + 1 < g.j1 || (isLast && g.afterPtr) ? g.bStride : 0;
    }
    for (let i = 0, row0 = 0, end = 0; i < panels; i++, row0 = end) {
      end = partition(g.rows, i + 1, panels);
      const rows = end - row0;
      const aPtr = g.packedPtr + kernel.aBytes(row0 * depth);
      const cPtr = g.cPtr + column + cStride * (g.i0 + row0);
      const residualPtr = g.residualPtr + column + residualStride * (g.i0 + row0);
      const width = <usize>min(columns, tileColumns) << 2;
      const isWhole = columns >= tileColumns;
      const tilePtr = isWhole ? cPtr : g.tilePtr, tileStride = isWhole ? cStride : NR_MAX * 4;
      const addPtr = isWhole ? residualPtr : g.tilePtr + MR_MAX * NR_MAX * 4;
      const addStride = isWhole ? residualStride : NR_MAX * 4;
      if (!isWhole) {
        if (!isFirst) copyRows(tilePtr, tileStride, cPtr, cStride, width, rows);
        if (g.adds) copyRows(addPtr, addStride, residualPtr, residualStride, width, rows);
      }
      kernel.run(
        rows, tilePanels, g, aPtr, bPtr, isFirst ? g.biasPtr + column : tilePtr, isFirst ? 0 : tileStride, tilePtr,
        tileStride, addPtr, addStride, prefetchPtr, prefetchStride,
      );
      prefetchPtr += prefetchStride * depth;
      if (!isWhole) copyRows(cPtr, cStride, tilePtr, tileStride, width, rows);
    }
  }
}

/** Copies `width` bytes of each of `rows` rows. */
function copyRows(dstPtr: usize, dstStride: usize, srcPtr: usize, srcStride: usize, width: usize, rows: i32): void {
  for (let row: usize = 0; row < <usize>rows; row++) {
    memory.copy(dstPtr + row * dstStride, srcPtr + row * srcStride, width);
  }
}
