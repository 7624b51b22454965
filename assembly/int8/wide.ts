import { clip, storePair } from '../epilogue';
import { ACTIVATION_CLIP, ACTIVATION_RELU } from '../step';
import { Gemm } from '../gemm/macro-kernel';
import { dot, loadB, scaled, stepBytesOf } from './dot';
import { ByteTile, Int16Tile } from './micro';
import { greater, QuantGemm } from './quant';

/**
 * The micro-kernel for engines that join two vectors side by side into one of 256 bits: C[rows, 16] from two neighbouring
 * panels of B, the second `g.bStride` after the first, as ../gemm/f32/wide.ts has it for floats. The contract and the bits
 * of the results are those of micro.ts.
 *
 * GOP/s on a Zen 5 core, whose float32 has a peak of 135 with 256 bits (V8 13 with AVX-VNNI | without):
 *   bytes   6 rows 527 | 211    5 rows 500 | 212    4 rows 487 | 216; the narrow tile of 6 rows 388 | 212
 *   int16   6 rows 157 | 159    5 rows 205 | 208    4 rows 188 | 187; the narrow tile of 5 rows 193 | 195
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
  const aheadStride = g.aheadStride;
  let nextPtr = bPtr + g.bStride;
  let c00 = none, c01 = none, c02 = none, c03 = none;
  let c10 = none, c11 = none, c12 = none, c13 = none;
  let c20 = none, c21 = none, c22 = none, c23 = none;
  let c30 = none, c31 = none, c32 = none, c33 = none;
  let c40 = none, c41 = none, c42 = none, c43 = none;
  let c50 = none, c51 = none, c52 = none, c53 = none;
  do {
    const b0 = loadB(isBytes, bPtr, 0);
    const b1 = loadB(isBytes, bPtr, 1);
    const b2 = loadB(isBytes, nextPtr, 0);
    const b3 = loadB(isBytes, nextPtr, 1);
    const a0 = v128.load32_splat(aPtr);
    c00 = dot(isBytes, a0, b0, c00); c01 = dot(isBytes, a0, b1, c01);
    c02 = dot(isBytes, a0, b2, c02); c03 = dot(isBytes, a0, b3, c03);
    if (rows > 1) {
      const a1 = v128.load32_splat(aPtr, 4);
      c10 = dot(isBytes, a1, b0, c10); c11 = dot(isBytes, a1, b1, c11);
      c12 = dot(isBytes, a1, b2, c12); c13 = dot(isBytes, a1, b3, c13);
    }
    if (rows > 2) {
      const a2 = v128.load32_splat(aPtr, 8);
      c20 = dot(isBytes, a2, b0, c20); c21 = dot(isBytes, a2, b1, c21);
      c22 = dot(isBytes, a2, b2, c22); c23 = dot(isBytes, a2, b3, c23);
    }
    if (rows > 3) {
      const a3 = v128.load32_splat(aPtr, 12);
      c30 = dot(isBytes, a3, b0, c30); c31 = dot(isBytes, a3, b1, c31);
      c32 = dot(isBytes, a3, b2, c32); c33 = dot(isBytes, a3, b3, c33);
    }
    if (rows > 4) {
      const a4 = v128.load32_splat(aPtr, 16);
      c40 = dot(isBytes, a4, b0, c40); c41 = dot(isBytes, a4, b1, c41);
      c42 = dot(isBytes, a4, b2, c42); c43 = dot(isBytes, a4, b3, c43);
    }
    if (rows > 5) {
      const a5 = v128.load32_splat(aPtr, 20);
      c50 = dot(isBytes, a5, b0, c50); c51 = dot(isBytes, a5, b1, c51);
      c52 = dot(isBytes, a5, b2, c52); c53 = dot(isBytes, a5, b3, c53);
    }
    aPtr += rows * 4;
    bPtr += stepBytes;
    nextPtr += stepBytes;
    load<u8>(prefetchPtr);
    load<u8>(prefetchPtr + aheadStride);
    prefetchPtr += prefetchStride;
  } while (bPtr < end);

  const scalePtr = startPtr + q.scaleOffset;
  const inScale = f32x4.splat(q.inScale);
  const scale0 = f32x4.mul(v128.load(scalePtr), inScale);
  const scale1 = f32x4.mul(v128.load(scalePtr, 16), inScale);
  const scale2 = f32x4.mul(v128.load(scalePtr, 32), inScale);
  const scale3 = f32x4.mul(v128.load(scalePtr, 48), inScale);
  const bias0 = v128.load(startPtr);
  const bias1 = v128.load(startPtr, 16);
  const bias2 = v128.load(startPtr, 32);
  const bias3 = v128.load(startPtr, 48);
  c00 = scaled(c00, scale0, bias0); c01 = scaled(c01, scale1, bias1);
  c02 = scaled(c02, scale2, bias2); c03 = scaled(c03, scale3, bias3);
  if (rows > 1) {
    c10 = scaled(c10, scale0, bias0); c11 = scaled(c11, scale1, bias1);
    c12 = scaled(c12, scale2, bias2); c13 = scaled(c13, scale3, bias3);
  }
  if (rows > 2) {
    c20 = scaled(c20, scale0, bias0); c21 = scaled(c21, scale1, bias1);
    c22 = scaled(c22, scale2, bias2); c23 = scaled(c23, scale3, bias3);
  }
  if (rows > 3) {
    c30 = scaled(c30, scale0, bias0); c31 = scaled(c31, scale1, bias1);
    c32 = scaled(c32, scale2, bias2); c33 = scaled(c33, scale3, bias3);
  }
  if (rows > 4) {
    c40 = scaled(c40, scale0, bias0); c41 = scaled(c41, scale1, bias1);
    c42 = scaled(c42, scale2, bias2); c43 = scaled(c43, scale3, bias3);
  }
  if (rows > 5) {
    c50 = scaled(c50, scale0, bias0); c51 = scaled(c51, scale1, bias1);
    c52 = scaled(c52, scale2, bias2); c53 = scaled(c53, scale3, bias3);
  }
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
    // As in the float tiles: keeps NaN.
    const zero = f32x4.splat(0);
    c00 = f32x4.pmax(c00, zero); c01 = f32x4.pmax(c01, zero);
    c02 = f32x4.pmax(c02, zero); c03 = f32x4.pmax(c03, zero);
    if (rows > 1) {
      c10 = f32x4.pmax(c10, zero); c11 = f32x4.pmax(c11, zero);
      c12 = f32x4.pmax(c12, zero); c13 = f32x4.pmax(c13, zero);
    }
    if (rows > 2) {
      c20 = f32x4.pmax(c20, zero); c21 = f32x4.pmax(c21, zero);
      c22 = f32x4.pmax(c22, zero); c23 = f32x4.pmax(c23, zero);
    }
    if (rows > 3) {
      c30 = f32x4.pmax(c30, zero); c31 = f32x4.pmax(c31, zero);
      c32 = f32x4.pmax(c32, zero); c33 = f32x4.pmax(c33, zero);
    }
    if (rows > 4) {
      c40 = f32x4.pmax(c40, zero); c41 = f32x4.pmax(c41, zero);
      c42 = f32x4.pmax(c42, zero); c43 = f32x4.pmax(c43, zero);
    }
    if (rows > 5) {
      c50 = f32x4.pmax(c50, zero); c51 = f32x4.pmax(c51, zero);
      c52 = f32x4.pmax(c52, zero); c53 = f32x4.pmax(c53, zero);
    }
  } else if (g.activation == ACTIVATION_CLIP) {
    const low = f32x4.splat(g.step.alpha), high = f32x4.splat(g.step.beta);
    c00 = clip(c00, low, high); c01 = clip(c01, low, high);
    c02 = clip(c02, low, high); c03 = clip(c03, low, high);
    if (rows > 1) {
      c10 = clip(c10, low, high); c11 = clip(c11, low, high);
      c12 = clip(c12, low, high); c13 = clip(c13, low, high);
    }
    if (rows > 2) {
      c20 = clip(c20, low, high); c21 = clip(c21, low, high);
      c22 = clip(c22, low, high); c23 = clip(c23, low, high);
    }
    if (rows > 3) {
      c30 = clip(c30, low, high); c31 = clip(c31, low, high);
      c32 = clip(c32, low, high); c33 = clip(c33, low, high);
    }
    if (rows > 4) {
      c40 = clip(c40, low, high); c41 = clip(c41, low, high);
      c42 = clip(c42, low, high); c43 = clip(c43, low, high);
    }
    if (rows > 5) {
      c50 = clip(c50, low, high); c51 = clip(c51, low, high);
      c52 = clip(c52, low, high); c53 = clip(c53, low, high);
    }
  }

  let low = v128.load(q.greatestPtr), high = v128.load(q.greatestPtr, 16);
  low = greater(low, c00); high = greater(high, c01);
  low = greater(low, c02); high = greater(high, c03);
  if (rows > 1) {
    low = greater(low, c10); high = greater(high, c11);
    low = greater(low, c12); high = greater(high, c13);
  }
  if (rows > 2) {
    low = greater(low, c20); high = greater(high, c21);
    low = greater(low, c22); high = greater(high, c23);
  }
  if (rows > 3) {
    low = greater(low, c30); high = greater(high, c31);
    low = greater(low, c32); high = greater(high, c33);
  }
  if (rows > 4) {
    low = greater(low, c40); high = greater(high, c41);
    low = greater(low, c42); high = greater(high, c43);
  }
  if (rows > 5) {
    low = greater(low, c50); high = greater(high, c51);
    low = greater(low, c52); high = greater(high, c53);
  }
  storePair(q.greatestPtr, low, high);
  storePair(cPtr, c00, c01);
  storePair(cPtr + 32, c02, c03);
  if (rows > 1) {
    cPtr += cStride;
    storePair(cPtr, c10, c11);
    storePair(cPtr + 32, c12, c13);
  }
  if (rows > 2) {
    cPtr += cStride;
    storePair(cPtr, c20, c21);
    storePair(cPtr + 32, c22, c23);
  }
  if (rows > 3) {
    cPtr += cStride;
    storePair(cPtr, c30, c31);
    storePair(cPtr + 32, c32, c33);
  }
  if (rows > 4) {
    cPtr += cStride;
    storePair(cPtr, c40, c41);
    storePair(cPtr + 32, c42, c43);
  }
  if (rows > 5) {
    cPtr += cStride;
    storePair(cPtr, c50, c51);
    storePair(cPtr + 32, c52, c53);
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

/** Micro-kernel of 16 columns, or 8 where one panel is left, and 1 to 6 rows, on bytes. */
@final
@unmanaged
export class ByteWideTile {
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
    return stepBytesOf(true) * count;
  }

  // @ts-ignore: decorator
  @inline
  run(
    rows: i32, panels: i32, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize,
    cStride: usize, residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
  ): void {
    if (panels == 1) {
      changetype<ByteTile>(0).run(
        rows, 1, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr,
        prefetchStride,
      );
      return;
    }
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

/** Micro-kernel of 16 columns, or 8 where one panel is left, and 1 to 6 rows, on int16. */
@final
@unmanaged
export class Int16WideTile {
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
    return stepBytesOf(false) * count;
  }

  // @ts-ignore: decorator
  @inline
  run(
    rows: i32, panels: i32, g: Gemm, aPtr: usize, bPtr: usize, startPtr: usize, startStride: usize, cPtr: usize,
    cStride: usize, residualPtr: usize, residualStride: usize, prefetchPtr: usize, prefetchStride: usize,
  ): void {
    if (panels == 1) {
      changetype<Int16Tile>(0).run(
        rows, 1, g, aPtr, bPtr, startPtr, startStride, cPtr, cStride, residualPtr, residualStride, prefetchPtr,
        prefetchStride,
      );
      return;
    }
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
