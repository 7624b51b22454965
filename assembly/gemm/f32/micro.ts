import { clip } from '../../epilogue';
import { madd, RELAXED } from '../../isa';
import { ACTIVATION_CLIP, ACTIVATION_RELU } from '../../step';
import { Gemm } from '../macro-kernel';

/**
 * The micro-kernel's contract: C[rows, 8] = epilogue(start + A·B).
 *
 *   g            the block: its depth, and which parts of the step's epilogue it applies
 *   aPtr         A panel [depth][rows], as pack.ts lays it
 *   bPtr         B panel [depth][8]
 *   startPtr     what the sums start from, rows `startStride` bytes apart: the bias (stride 0), or C itself in the second
 *                and later blocks of K
 *   cPtr         C, rows `cStride` bytes apart; written once, at the end
 *   residualPtr  what is added before the activation, rows `residualStride` bytes apart; may be C
 *   prefetchPtr  read by a kernel that prefetches, one byte per k, `prefetchStride` bytes apart: brings the next B panel
 *                nearer
 *
 * One body serves every number of rows: `rows` is constant where it is inlined, which prunes the rest. Every splat of A
 * stands right before the products that use it: with 6 rows no register is left for a second one.
 *
 * Measured, GFLOP/s on an EPYC 9xx4 core with a 128-bit peak of 59 (V8 13+ | V8 11 and 12, which hoist all splats to the
 * front and so spill a tile that leaves no registers for them):
 *   relaxed   6 rows 55 | 24    5 rows 53 | 51    4 rows 50 | 50
 *   baseline  6 rows 28 | 27    5 rows 45 | 23    4 rows 42 | 38
 * Reading A by rows instead of panels costs 1 % of that in the relaxed binary, 10 % in the baseline, and a third if B
 * streams from memory.
 */
// @ts-ignore: decorator
@inline
function tile(
  rows: i32, prefetches: bool, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize,
  cStride: usize, residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  let c00 = v128.load(startPtr);
  let c01 = v128.load(startPtr, 16);
  let c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  if (rows > 1) { startPtr += startStride; c10 = v128.load(startPtr); c11 = v128.load(startPtr, 16); }
  if (rows > 2) { startPtr += startStride; c20 = v128.load(startPtr); c21 = v128.load(startPtr, 16); }
  if (rows > 3) { startPtr += startStride; c30 = v128.load(startPtr); c31 = v128.load(startPtr, 16); }
  if (rows > 4) { startPtr += startStride; c40 = v128.load(startPtr); c41 = v128.load(startPtr, 16); }
  if (rows > 5) { startPtr += startStride; c50 = v128.load(startPtr); c51 = v128.load(startPtr, 16); }

  const end = bPtr + (<usize>g.depth << 5);
  do {
    const b0 = v128.load(bPtr);
    const b1 = v128.load(bPtr, 16);
    if (RELAXED && rows == 5) {
      // One vector and four shuffles instead of four splats: no slower, and does not spill if splats are hoisted.
      const a0123 = v128.load(aPtr);
      const a4 = v128.load32_splat(aPtr, 16);
      const a0 = v128.shuffle<f32>(a0123, a0123, 0, 0, 0, 0);
      c00 = madd(a0, b0, c00);
      c01 = madd(a0, b1, c01);
      const a1 = v128.shuffle<f32>(a0123, a0123, 1, 1, 1, 1);
      c10 = madd(a1, b0, c10);
      c11 = madd(a1, b1, c11);
      const a2 = v128.shuffle<f32>(a0123, a0123, 2, 2, 2, 2);
      c20 = madd(a2, b0, c20);
      c21 = madd(a2, b1, c21);
      const a3 = v128.shuffle<f32>(a0123, a0123, 3, 3, 3, 3);
      c30 = madd(a3, b0, c30);
      c31 = madd(a3, b1, c31);
      c40 = madd(a4, b0, c40);
      c41 = madd(a4, b1, c41);
    } else {
      const a0 = v128.load32_splat(aPtr);
      c00 = madd(a0, b0, c00);
      c01 = madd(a0, b1, c01);
      if (rows > 1) { const a1 = v128.load32_splat(aPtr, 4); c10 = madd(a1, b0, c10); c11 = madd(a1, b1, c11); }
      if (rows > 2) { const a2 = v128.load32_splat(aPtr, 8); c20 = madd(a2, b0, c20); c21 = madd(a2, b1, c21); }
      if (rows > 3) { const a3 = v128.load32_splat(aPtr, 12); c30 = madd(a3, b0, c30); c31 = madd(a3, b1, c31); }
      if (rows > 4) { const a4 = v128.load32_splat(aPtr, 16); c40 = madd(a4, b0, c40); c41 = madd(a4, b1, c41); }
      if (rows > 5) { const a5 = v128.load32_splat(aPtr, 20); c50 = madd(a5, b0, c50); c51 = madd(a5, b1, c51); }
    }
    aPtr += rows * 4;
    bPtr += 32;
    if (prefetches) {
      load<u8>(prefetchPtr);
      prefetchPtr += prefetchStride;
    }
  } while (bPtr < end);

  if (g.adds) {
    c00 = f32x4.add(c00, v128.load(residualPtr)); c01 = f32x4.add(c01, v128.load(residualPtr, 16));
    if (rows > 1) {
      residualPtr += residualStride;
      c10 = f32x4.add(c10, v128.load(residualPtr)); c11 = f32x4.add(c11, v128.load(residualPtr, 16));
    }
    if (rows > 2) {
      residualPtr += residualStride;
      c20 = f32x4.add(c20, v128.load(residualPtr)); c21 = f32x4.add(c21, v128.load(residualPtr, 16));
    }
    if (rows > 3) {
      residualPtr += residualStride;
      c30 = f32x4.add(c30, v128.load(residualPtr)); c31 = f32x4.add(c31, v128.load(residualPtr, 16));
    }
    if (rows > 4) {
      residualPtr += residualStride;
      c40 = f32x4.add(c40, v128.load(residualPtr)); c41 = f32x4.add(c41, v128.load(residualPtr, 16));
    }
    if (rows > 5) {
      residualPtr += residualStride;
      c50 = f32x4.add(c50, v128.load(residualPtr)); c51 = f32x4.add(c51, v128.load(residualPtr, 16));
    }
  }
  if (g.activation == ACTIVATION_RELU) {
    // pmax is one instruction where max is six, and keeps NaN too when it comes first.
    const zero = f32x4.splat(0);
    c00 = f32x4.pmax(c00, zero); c01 = f32x4.pmax(c01, zero);
    if (rows > 1) { c10 = f32x4.pmax(c10, zero); c11 = f32x4.pmax(c11, zero); }
    if (rows > 2) { c20 = f32x4.pmax(c20, zero); c21 = f32x4.pmax(c21, zero); }
    if (rows > 3) { c30 = f32x4.pmax(c30, zero); c31 = f32x4.pmax(c31, zero); }
    if (rows > 4) { c40 = f32x4.pmax(c40, zero); c41 = f32x4.pmax(c41, zero); }
    if (rows > 5) { c50 = f32x4.pmax(c50, zero); c51 = f32x4.pmax(c51, zero); }
  }
  if (g.activation == ACTIVATION_CLIP) {
    const low = f32x4.splat(g.step.alpha), high = f32x4.splat(g.step.beta);
    c00 = clip(c00, low, high); c01 = clip(c01, low, high);
    if (rows > 1) { c10 = clip(c10, low, high); c11 = clip(c11, low, high); }
    if (rows > 2) { c20 = clip(c20, low, high); c21 = clip(c21, low, high); }
    if (rows > 3) { c30 = clip(c30, low, high); c31 = clip(c31, low, high); }
    if (rows > 4) { c40 = clip(c40, low, high); c41 = clip(c41, low, high); }
    if (rows > 5) { c50 = clip(c50, low, high); c51 = clip(c51, low, high); }
  }

  v128.store(cPtr, c00); v128.store(cPtr, c01, 16);
  if (rows > 1) { cPtr += cStride; v128.store(cPtr, c10); v128.store(cPtr, c11, 16); }
  if (rows > 2) { cPtr += cStride; v128.store(cPtr, c20); v128.store(cPtr, c21, 16); }
  if (rows > 3) { cPtr += cStride; v128.store(cPtr, c30); v128.store(cPtr, c31, 16); }
  if (rows > 4) { cPtr += cStride; v128.store(cPtr, c40); v128.store(cPtr, c41, 16); }
  if (rows > 5) { cPtr += cStride; v128.store(cPtr, c50); v128.store(cPtr, c51, 16); }
}

function tile1(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize,
): void {
  tile(1, false, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, 0, 0);
}
function tile2(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize,
): void {
  tile(2, false, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, 0, 0);
}
function tile3(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize,
): void {
  tile(3, false, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, 0, 0);
}
function tile4(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize,
): void {
  tile(4, false, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, 0, 0);
}
function tile5(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize,
): void {
  tile(5, false, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, 0, 0);
}
function tile6(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize,
): void {
  tile(6, false, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, 0, 0);
}

function prefetchTile4(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    4, true, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride,
    prefetchPtr, prefetchStride,
  );
}
function prefetchTile5(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    5, true, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride,
    prefetchPtr, prefetchStride,
  );
}
function prefetchTile6(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    6, true, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride,
    prefetchPtr, prefetchStride,
  );
}

/** Micro-kernel of 8 columns and 1 to 6 rows. */
@final
@unmanaged
export class F32Tile {
  // @ts-ignore: decorator
  @inline
  panels(): i32 {
    return 1;
  }

  // @ts-ignore: decorator
  @inline
  aBytes(count: i32): usize {
    return <usize>count << 2;
  }

  // @ts-ignore: decorator
  @inline
  bBytes(count: i32): usize {
    return <usize>count << 5;
  }

  // @ts-ignore: decorator
  @inline
  run(
    rows: i32, panels: i32, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize,
    cStride: usize, residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
  ): void {
    switch (rows) {
      case 6: tile6(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride); break;
      case 5: tile5(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride); break;
      case 4: tile4(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride); break;
      case 3: tile3(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride); break;
      case 2: tile2(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride); break;
      default: tile1(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride);
    }
  }
}

/** As F32Tile; meanwhile reads the next B panel ahead, which pays if few tiles use each panel. */
@final
@unmanaged
export class F32PrefetchingTile {
  // @ts-ignore: decorator
  @inline
  panels(): i32 {
    return 1;
  }

  // @ts-ignore: decorator
  @inline
  aBytes(count: i32): usize {
    return <usize>count << 2;
  }

  // @ts-ignore: decorator
  @inline
  bBytes(count: i32): usize {
    return <usize>count << 5;
  }

  // @ts-ignore: decorator
  @inline
  run(
    rows: i32, panels: i32, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize,
    cStride: usize, residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
  ): void {
    switch (rows) {
      case 6:
        prefetchTile6(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride,
          prefetchPtr, prefetchStride,
        );
        break;
      case 5:
        prefetchTile5(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride,
          prefetchPtr, prefetchStride,
        );
        break;
      case 4:
        prefetchTile4(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride,
          prefetchPtr, prefetchStride,
        );
        break;
      case 3: tile3(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride); break;
      case 2: tile2(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride); break;
      default: tile1(g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride);
    }
  }
}
