import { clip, storePair } from '../epilogue';
import { ACTIVATION_CLIP, ACTIVATION_RELU } from '../step';
import { Gemm } from '../gemm/macro-kernel';
import { dot, loadB, scaled, stepBytesOf } from './dot';
import { greater, QuantGemm } from './quant';

/**
 * The micro-kernel: C[rows, 8] = epilogue(A·B · scale + bias), A and B whole numbers, C float32. The contract is that of
 * ../gemm/f32/micro.ts, but for these:
 *
 *   aPtr      A panel [depth][rows] of words, of 4 bytes or 2 int16 each
 *   bPtr      B panel [depth][8] of as many int8
 *   startPtr  the bias; an output's scale is `scaleOffset` behind its bias
 *
 * All of K is summed in registers. No sum leaves int32: |q| of a weight is at most 128, of an activation at most 255, and
 * K at most MAX_K, so that |sum| ≤ 65,536 · 128 · 255 = 2,139,095,040 < 2³¹. (The pairs that `dot` adds on the way are
 * smaller, and those that an engine may add in int16 are of bytes 0 … 127: 2 · 127 · 128 = 32,512 < 2¹⁵.)
 *
 * GOP/s on a Zen 5 core, whose float32 has a peak of 67 (V8 13 with AVX-VNNI | V8 13 without | V8 11 without):
 *   bytes   6 rows 266 | 106 | 105    5 rows 261 | 107 | 106    4 rows 250 | 106 | 107
 *   int16   6 rows  79 |  78 |  72    5 rows 103 | 103 |  62    4 rows 103 | 101 | 103
 */
// @ts-ignore: decorator
@inline
function tile(
  rows: i32, isBytes: bool, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize,
  residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  const q = changetype<QuantGemm>(g);
  // Not the constant: V8 would hold it in a register through the loop, for the activation, which spills a sum.
  const none = i32x4.splat(g.k0);
  const stepBytes = stepBytesOf(isBytes);
  const end = bPtr + stepBytes * g.depth;
  let c00 = none, c01 = none;
  let c10 = none, c11 = none;
  let c20 = none, c21 = none;
  let c30 = none, c31 = none;
  let c40 = none, c41 = none;
  let c50 = none, c51 = none;
  do {
    const b0 = loadB(isBytes, bPtr, 0);
    const b1 = loadB(isBytes, bPtr, 1);
    const a0 = v128.load32_splat(aPtr);
    c00 = dot(isBytes, a0, b0, c00); c01 = dot(isBytes, a0, b1, c01);
    if (rows > 1) {
      const a1 = v128.load32_splat(aPtr, 4);
      c10 = dot(isBytes, a1, b0, c10); c11 = dot(isBytes, a1, b1, c11);
    }
    if (rows > 2) {
      const a2 = v128.load32_splat(aPtr, 8);
      c20 = dot(isBytes, a2, b0, c20); c21 = dot(isBytes, a2, b1, c21);
    }
    if (rows > 3) {
      const a3 = v128.load32_splat(aPtr, 12);
      c30 = dot(isBytes, a3, b0, c30); c31 = dot(isBytes, a3, b1, c31);
    }
    if (rows > 4) {
      const a4 = v128.load32_splat(aPtr, 16);
      c40 = dot(isBytes, a4, b0, c40); c41 = dot(isBytes, a4, b1, c41);
    }
    if (rows > 5) {
      const a5 = v128.load32_splat(aPtr, 20);
      c50 = dot(isBytes, a5, b0, c50); c51 = dot(isBytes, a5, b1, c51);
    }
    aPtr += rows * 4;
    bPtr += stepBytes;
    load<u8>(prefetchPtr);
    prefetchPtr += prefetchStride;
  } while (bPtr < end);

  const scalePtr = startPtr + q.scaleOffset;
  const inScale = f32x4.splat(q.inScale);
  const scale0 = f32x4.mul(v128.load(scalePtr), inScale);
  const scale1 = f32x4.mul(v128.load(scalePtr, 16), inScale);
  const bias0 = v128.load(startPtr);
  const bias1 = v128.load(startPtr, 16);
  c00 = scaled(c00, scale0, bias0); c01 = scaled(c01, scale1, bias1);
  if (rows > 1) {
    c10 = scaled(c10, scale0, bias0); c11 = scaled(c11, scale1, bias1);
  }
  if (rows > 2) {
    c20 = scaled(c20, scale0, bias0); c21 = scaled(c21, scale1, bias1);
  }
  if (rows > 3) {
    c30 = scaled(c30, scale0, bias0); c31 = scaled(c31, scale1, bias1);
  }
  if (rows > 4) {
    c40 = scaled(c40, scale0, bias0); c41 = scaled(c41, scale1, bias1);
  }
  if (rows > 5) {
    c50 = scaled(c50, scale0, bias0); c51 = scaled(c51, scale1, bias1);
  }
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
    // As in the float tiles: keeps NaN.
    const zero = f32x4.splat(0);
    c00 = f32x4.pmax(c00, zero); c01 = f32x4.pmax(c01, zero);
    if (rows > 1) {
      c10 = f32x4.pmax(c10, zero); c11 = f32x4.pmax(c11, zero);
    }
    if (rows > 2) {
      c20 = f32x4.pmax(c20, zero); c21 = f32x4.pmax(c21, zero);
    }
    if (rows > 3) {
      c30 = f32x4.pmax(c30, zero); c31 = f32x4.pmax(c31, zero);
    }
    if (rows > 4) {
      c40 = f32x4.pmax(c40, zero); c41 = f32x4.pmax(c41, zero);
    }
    if (rows > 5) {
      c50 = f32x4.pmax(c50, zero); c51 = f32x4.pmax(c51, zero);
    }
  } else if (g.activation == ACTIVATION_CLIP) {
    const low = f32x4.splat(g.step.alpha), high = f32x4.splat(g.step.beta);
    c00 = clip(c00, low, high); c01 = clip(c01, low, high);
    if (rows > 1) {
      c10 = clip(c10, low, high); c11 = clip(c11, low, high);
    }
    if (rows > 2) {
      c20 = clip(c20, low, high); c21 = clip(c21, low, high);
    }
    if (rows > 3) {
      c30 = clip(c30, low, high); c31 = clip(c31, low, high);
    }
    if (rows > 4) {
      c40 = clip(c40, low, high); c41 = clip(c41, low, high);
    }
    if (rows > 5) {
      c50 = clip(c50, low, high); c51 = clip(c51, low, high);
    }
  }

  let low = v128.load(q.greatestPtr), high = v128.load(q.greatestPtr, 16);
  low = greater(low, c00); high = greater(high, c01);
  if (rows > 1) {
    low = greater(low, c10); high = greater(high, c11);
  }
  if (rows > 2) {
    low = greater(low, c20); high = greater(high, c21);
  }
  if (rows > 3) {
    low = greater(low, c30); high = greater(high, c31);
  }
  if (rows > 4) {
    low = greater(low, c40); high = greater(high, c41);
  }
  if (rows > 5) {
    low = greater(low, c50); high = greater(high, c51);
  }
  storePair(q.greatestPtr, low, high);
  storePair(cPtr, c00, c01);
  if (rows > 1) {
    cPtr += cStride;
    storePair(cPtr, c10, c11);
  }
  if (rows > 2) {
    cPtr += cStride;
    storePair(cPtr, c20, c21);
  }
  if (rows > 3) {
    cPtr += cStride;
    storePair(cPtr, c30, c31);
  }
  if (rows > 4) {
    cPtr += cStride;
    storePair(cPtr, c40, c41);
  }
  if (rows > 5) {
    cPtr += cStride;
    storePair(cPtr, c50, c51);
  }
}

function byteTile1(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    1, true, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function byteTile2(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    2, true, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function byteTile3(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    3, true, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function byteTile4(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    4, true, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function byteTile5(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    5, true, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function byteTile6(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    6, true, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function int16Tile1(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    1, false, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function int16Tile2(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    2, false, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function int16Tile3(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    3, false, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function int16Tile4(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    4, false, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function int16Tile5(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    5, false, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

function int16Tile6(
  g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, cPtr: usize, cStride: usize, residualPtr: usize,
  residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
): void {
  tile(
    6, false, g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
  );
}

/** Micro-kernel of 8 columns and 1 to 6 rows, on bytes: of the relaxed and the wide binary. */
@final
@unmanaged
export class ByteTile {
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
    return stepBytesOf(true) * count;
  }

  // @ts-ignore: decorator
  @inline
  run(
    rows: i32, panels: i32, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize,
    cStride: usize, residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
  ): void {
    switch (rows) {
      case 6:
        byteTile6(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 5:
        byteTile5(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 4:
        byteTile4(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 3:
        byteTile3(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 2:
        byteTile2(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      default:
        byteTile1(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
    }
  }
}

/** Micro-kernel of 8 columns and 1 to 6 rows, on int16. */
@final
@unmanaged
export class Int16Tile {
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
    return stepBytesOf(false) * count;
  }

  // @ts-ignore: decorator
  @inline
  run(
    rows: i32, panels: i32, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize,
    cStride: usize, residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
  ): void {
    switch (rows) {
      case 6:
        int16Tile6(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 5:
        int16Tile5(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 4:
        int16Tile4(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 3:
        int16Tile3(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      case 2:
        int16Tile2(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
        break;
      default:
        int16Tile1(
          g, aPtr, bPtr, startPtr, cPtr, cStride, residualPtr, residualStride, prefetchPtr, prefetchStride,
        );
    }
  }
}
