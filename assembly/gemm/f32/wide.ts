import { clip } from '../../epilogue';
import { madd } from '../../isa';
import { ACTIVATION_CLIP, ACTIVATION_RELU } from '../../step';
import { NR } from '../../tile';
import { Gemm } from '../macro-kernel';
import { F32PrefetchingTile } from './micro';

/**
 * The micro-kernel for engines that join two vectors side by side into one of 256 bits: C[rows, 16] from two neighbouring
 * panels of B, so that packed weights are those of the narrow tile. The contract is that of micro.ts, with rows of 16
 * columns, and the second panel `g.bStride` after the first. Each sum adds the same products in the same order as there:
 * results are the same, bit for bit.
 *
 * 6 rows are 12 sums of 256 bits, 2 vectors of B and a splat of A: 15 registers, all that V8 gives. V8 joins a pair if
 * all its loads come before its stores, and if both of it do the same; a splat may be shared. Splats by shuffles, which
 * the narrow tile of 5 rows has, are not joined.
 */
// @ts-ignore: decorator
@inline
function wideTile(
  rows: i32, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize,
  residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  let c00 = v128.load(startPtr);
  let c01 = v128.load(startPtr, 16);
  let c02 = v128.load(startPtr, 32);
  let c03 = v128.load(startPtr, 48);
  let c10 = c00, c11 = c01, c12 = c02, c13 = c03;
  let c20 = c00, c21 = c01, c22 = c02, c23 = c03;
  let c30 = c00, c31 = c01, c32 = c02, c33 = c03;
  let c40 = c00, c41 = c01, c42 = c02, c43 = c03;
  let c50 = c00, c51 = c01, c52 = c02, c53 = c03;
  if (rows > 1) {
    startPtr += startStride;
    c10 = v128.load(startPtr); c11 = v128.load(startPtr, 16);
    c12 = v128.load(startPtr, 32); c13 = v128.load(startPtr, 48);
  }
  if (rows > 2) {
    startPtr += startStride;
    c20 = v128.load(startPtr); c21 = v128.load(startPtr, 16);
    c22 = v128.load(startPtr, 32); c23 = v128.load(startPtr, 48);
  }
  if (rows > 3) {
    startPtr += startStride;
    c30 = v128.load(startPtr); c31 = v128.load(startPtr, 16);
    c32 = v128.load(startPtr, 32); c33 = v128.load(startPtr, 48);
  }
  if (rows > 4) {
    startPtr += startStride;
    c40 = v128.load(startPtr); c41 = v128.load(startPtr, 16);
    c42 = v128.load(startPtr, 32); c43 = v128.load(startPtr, 48);
  }
  if (rows > 5) {
    startPtr += startStride;
    c50 = v128.load(startPtr); c51 = v128.load(startPtr, 16);
    c52 = v128.load(startPtr, 32); c53 = v128.load(startPtr, 48);
  }

  const end = bPtr + (<usize>g.depth << 5);
  const aheadStride = g.aheadStride;
  let nextPtr = bPtr + g.bStride;
  do {
    const b0 = v128.load(bPtr), b1 = v128.load(bPtr, 16);
    const b2 = v128.load(nextPtr), b3 = v128.load(nextPtr, 16);
    const a0 = v128.load32_splat(aPtr);
    c00 = madd(a0, b0, c00); c01 = madd(a0, b1, c01);
    c02 = madd(a0, b2, c02); c03 = madd(a0, b3, c03);
    if (rows > 1) {
      const a1 = v128.load32_splat(aPtr, 4);
      c10 = madd(a1, b0, c10); c11 = madd(a1, b1, c11);
      c12 = madd(a1, b2, c12); c13 = madd(a1, b3, c13);
    }
    if (rows > 2) {
      const a2 = v128.load32_splat(aPtr, 8);
      c20 = madd(a2, b0, c20); c21 = madd(a2, b1, c21);
      c22 = madd(a2, b2, c22); c23 = madd(a2, b3, c23);
    }
    if (rows > 3) {
      const a3 = v128.load32_splat(aPtr, 12);
      c30 = madd(a3, b0, c30); c31 = madd(a3, b1, c31);
      c32 = madd(a3, b2, c32); c33 = madd(a3, b3, c33);
    }
    if (rows > 4) {
      const a4 = v128.load32_splat(aPtr, 16);
      c40 = madd(a4, b0, c40); c41 = madd(a4, b1, c41);
      c42 = madd(a4, b2, c42); c43 = madd(a4, b3, c43);
    }
    if (rows > 5) {
      const a5 = v128.load32_splat(aPtr, 20);
      c50 = madd(a5, b0, c50); c51 = madd(a5, b1, c51);
      c52 = madd(a5, b2, c52); c53 = madd(a5, b3, c53);
    }
    aPtr += rows * 4;
    bPtr += NR * 4;
    nextPtr += NR * 4;
    load<u8>(prefetchPtr);
    load<u8>(prefetchPtr + aheadStride);
    prefetchPtr += prefetchStride;
  } while (bPtr < end);

  if (g.adds) {
    c00 = f32x4.add(c00, v128.load(residualPtr)); c01 = f32x4.add(c01, v128.load(residualPtr, 16));
    c02 = f32x4.add(c02, v128.load(residualPtr, 32)); c03 = f32x4.add(c03, v128.load(residualPtr, 48));
    if (rows > 1) {
      residualPtr += residualStride;
      c10 = f32x4.add(c10, v128.load(residualPtr)); c11 = f32x4.add(c11, v128.load(residualPtr, 16));
      c12 = f32x4.add(c12, v128.load(residualPtr, 32)); c13 = f32x4.add(c13, v128.load(residualPtr, 48));
    }
    if (rows > 2) {
      residualPtr += residualStride;
      c20 = f32x4.add(c20, v128.load(residualPtr)); c21 = f32x4.add(c21, v128.load(residualPtr, 16));
      c22 = f32x4.add(c22, v128.load(residualPtr, 32)); c23 = f32x4.add(c23, v128.load(residualPtr, 48));
    }
    if (rows > 3) {
      residualPtr += residualStride;
      c30 = f32x4.add(c30, v128.load(residualPtr)); c31 = f32x4.add(c31, v128.load(residualPtr, 16));
      c32 = f32x4.add(c32, v128.load(residualPtr, 32)); c33 = f32x4.add(c33, v128.load(residualPtr, 48));
    }
    if (rows > 4) {
      residualPtr += residualStride;
      c40 = f32x4.add(c40, v128.load(residualPtr)); c41 = f32x4.add(c41, v128.load(residualPtr, 16));
      c42 = f32x4.add(c42, v128.load(residualPtr, 32)); c43 = f32x4.add(c43, v128.load(residualPtr, 48));
    }
    if (rows > 5) {
      residualPtr += residualStride;
      c50 = f32x4.add(c50, v128.load(residualPtr)); c51 = f32x4.add(c51, v128.load(residualPtr, 16));
      c52 = f32x4.add(c52, v128.load(residualPtr, 32)); c53 = f32x4.add(c53, v128.load(residualPtr, 48));
    }
  }
  if (g.activation == ACTIVATION_RELU) {
    const zero = f32x4.splat(0);
    c00 = f32x4.pmax(c00, zero); c01 = f32x4.pmax(c01, zero); c02 = f32x4.pmax(c02, zero); c03 = f32x4.pmax(c03, zero);
    if (rows > 1) {
      c10 = f32x4.pmax(c10, zero); c11 = f32x4.pmax(c11, zero); c12 = f32x4.pmax(c12, zero); c13 = f32x4.pmax(c13, zero);
    }
    if (rows > 2) {
      c20 = f32x4.pmax(c20, zero); c21 = f32x4.pmax(c21, zero); c22 = f32x4.pmax(c22, zero); c23 = f32x4.pmax(c23, zero);
    }
    if (rows > 3) {
      c30 = f32x4.pmax(c30, zero); c31 = f32x4.pmax(c31, zero); c32 = f32x4.pmax(c32, zero); c33 = f32x4.pmax(c33, zero);
    }
    if (rows > 4) {
      c40 = f32x4.pmax(c40, zero); c41 = f32x4.pmax(c41, zero); c42 = f32x4.pmax(c42, zero); c43 = f32x4.pmax(c43, zero);
    }
    if (rows > 5) {
      c50 = f32x4.pmax(c50, zero); c51 = f32x4.pmax(c51, zero); c52 = f32x4.pmax(c52, zero); c53 = f32x4.pmax(c53, zero);
    }
  }
  if (g.activation == ACTIVATION_CLIP) {
    const low = f32x4.splat(g.step.alpha), high = f32x4.splat(g.step.beta);
    c00 = clip(c00, low, high); c01 = clip(c01, low, high); c02 = clip(c02, low, high); c03 = clip(c03, low, high);
    if (rows > 1) {
      c10 = clip(c10, low, high); c11 = clip(c11, low, high); c12 = clip(c12, low, high); c13 = clip(c13, low, high);
    }
    if (rows > 2) {
      c20 = clip(c20, low, high); c21 = clip(c21, low, high); c22 = clip(c22, low, high); c23 = clip(c23, low, high);
    }
    if (rows > 3) {
      c30 = clip(c30, low, high); c31 = clip(c31, low, high); c32 = clip(c32, low, high); c33 = clip(c33, low, high);
    }
    if (rows > 4) {
      c40 = clip(c40, low, high); c41 = clip(c41, low, high); c42 = clip(c42, low, high); c43 = clip(c43, low, high);
    }
    if (rows > 5) {
      c50 = clip(c50, low, high); c51 = clip(c51, low, high); c52 = clip(c52, low, high); c53 = clip(c53, low, high);
    }
  }

  v128.store(cPtr, c00); v128.store(cPtr, c01, 16); v128.store(cPtr, c02, 32); v128.store(cPtr, c03, 48);
  if (rows > 1) {
    cPtr += cStride;
    v128.store(cPtr, c10); v128.store(cPtr, c11, 16); v128.store(cPtr, c12, 32); v128.store(cPtr, c13, 48);
  }
  if (rows > 2) {
    cPtr += cStride;
    v128.store(cPtr, c20); v128.store(cPtr, c21, 16); v128.store(cPtr, c22, 32); v128.store(cPtr, c23, 48);
  }
  if (rows > 3) {
    cPtr += cStride;
    v128.store(cPtr, c30); v128.store(cPtr, c31, 16); v128.store(cPtr, c32, 32); v128.store(cPtr, c33, 48);
  }
  if (rows > 4) {
    cPtr += cStride;
    v128.store(cPtr, c40); v128.store(cPtr, c41, 16); v128.store(cPtr, c42, 32); v128.store(cPtr, c43, 48);
  }
  if (rows > 5) {
    cPtr += cStride;
    v128.store(cPtr, c50); v128.store(cPtr, c51, 16); v128.store(cPtr, c52, 32); v128.store(cPtr, c53, 48);
  }
}

function wideTile1(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  wideTile(
    1, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}
function wideTile2(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  wideTile(
    2, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}
function wideTile3(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  wideTile(
    3, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}
function wideTile4(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  wideTile(
    4, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}
function wideTile5(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  wideTile(
    5, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}
function wideTile6(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  wideTile(
    6, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

/** Micro-kernel of 16 columns, or 8 where one panel is left, and 1 to 6 rows; prefetches. */
@final
@unmanaged
export class F32WideTile {
  // @ts-ignore: decorator
  @inline
  panels(): i32 {
    return 2;
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
    if (panels == 1) {
      changetype<F32PrefetchingTile>(0).run(
        rows, 1, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr,
        prefetchStride,
      );
      return;
    }
    switch (rows) {
      case 6:
        wideTile6(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 5:
        wideTile5(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 4:
        wideTile4(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 3:
        wideTile3(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 2:
        wideTile2(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      default:
        wideTile1(
          g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
    }
  }
}
