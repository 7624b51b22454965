import { madd } from '../isa';
import { partition } from '../partition';
import { Step } from '../step';
import { ArithmeticStep } from './step';
import { loadSome, storeSome } from './values';

/** Columns of a panel of B: two vectors. */
const COLUMNS: i32 = 8;

/** Depth of a panel: 16 KiB, half of an L1. */
const DEPTH: i32 = 512;

/**
 * out[b, y] = A[b, y] · B[b, y], of [W, K] and [K, N] ([N, K] if it is transposed); one pixel is one row of a matrix. An
 * operand of one matrix is taken for every y. Threads share the panels of 8 columns, which each packs for itself.
 */
export function matmul(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<ArithmeticStep>(step);
  const k = s.ic, n = s.oc;
  const panels = (n + COLUMNS - 1) / COLUMNS;
  const units = s.batch * s.oh * panels;
  // Pixels from one matrix of B to the next.
  const height = s.transposesB ? n : k;
  const end = partition(units, piece + 1, pieces);
  for (let unit = partition(units, piece, pieces); unit < end; unit++) {
    const matrix = unit / panels;
    const column = (unit - matrix * panels) * COLUMNS;
    const image = matrix / s.oh;
    const y = matrix - image * s.oh;
    const aPtr = s.inPtr + (<usize>s.ldIn << 2) * ((image * s.ih + (s.ih == 1 ? 0 : y)) * s.iw);
    const bPtr = s.residualPtr + (<usize>s.ldResidual << 2) * ((image * s.h2 + (s.h2 == 1 ? 0 : y)) * height);
    const outPtr = s.outPtr + (<usize>s.ldOut << 2) * (matrix * s.ow) + (<usize>column << 2);
    for (let k0 = 0; k0 < k; k0 += DEPTH) {
      const depth = min(DEPTH, k - k0);
      pack(s, bPtr, k0, depth, column, scratchPtr);
      rows(s, aPtr + (<usize>k0 << 2), scratchPtr, depth, outPtr, <usize>min(COLUMNS, n - column) << 2, k0 > 0);
    }
  }
}

/** Packs rows k0 … k0 + depth of 8 columns of B, the missing ones as zeros. */
function pack(s: ArithmeticStep, bPtr: usize, k0: i32, depth: i32, column: i32, panelPtr: usize): void {
  const rowBytes = <usize>s.ldResidual << 2;
  const columns = min(COLUMNS, s.oc - column);
  if (columns < COLUMNS) memory.fill(panelPtr, 0, (<usize>depth * COLUMNS) << 2);
  if (s.transposesB) {
    for (let j = 0; j < columns; j++) {
      const fromPtr = bPtr + rowBytes * (column + j) + (<usize>k0 << 2);
      for (let i = 0; i < depth; i++) {
        store<f32>(panelPtr + (<usize>(i * COLUMNS + j) << 2), load<f32>(fromPtr + (<usize>i << 2)));
      }
    }
    return;
  }
  const bytes = <usize>columns << 2;
  for (let i = 0; i < depth; i++) {
    const fromPtr = bPtr + rowBytes * (k0 + i) + (<usize>column << 2);
    const toPtr = panelPtr + (<usize>(i * COLUMNS) << 2);
    storeSome(toPtr, loadSome(fromPtr, bytes), bytes);
    if (bytes > 16) storeSome(toPtr + 16, loadSome(fromPtr + 16, bytes - 16), bytes - 16);
  }
}

/** All rows of A by one panel, four at a time; `bytes` of each row of the output. */
function rows(
  s: ArithmeticStep, aPtr: usize, panelPtr: usize, depth: i32, outPtr: usize, bytes: usize, adds: bool,
): void {
  const aBytes = <usize>s.ldIn << 2, outBytes = <usize>s.ldOut << 2;
  let m = 0;
  for (; m + 4 <= s.ow; m += 4) {
    tile(aPtr, aBytes, 4, panelPtr, depth, outPtr, outBytes, bytes, adds);
    aPtr += aBytes * 4;
    outPtr += outBytes * 4;
  }
  for (; m < s.ow; m++) {
    tile(aPtr, aBytes, 1, panelPtr, depth, outPtr, outBytes, bytes, adds);
    aPtr += aBytes;
    outPtr += outBytes;
  }
}

// @ts-ignore: decorator
@inline
function tile(
  aPtr: usize, aBytes: usize, height: i32, panelPtr: usize, depth: i32, outPtr: usize, outBytes: usize, bytes: usize,
  adds: bool,
): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
  for (let i = 0; i < depth; i++) {
    const b0 = v128.load(panelPtr), b1 = v128.load(panelPtr, 16);
    const a0 = v128.load32_splat(aPtr);
    c00 = madd(a0, b0, c00);
    c01 = madd(a0, b1, c01);
    if (height == 4) {
      const a1 = v128.load32_splat(aPtr + aBytes);
      c10 = madd(a1, b0, c10);
      c11 = madd(a1, b1, c11);
      const a2 = v128.load32_splat(aPtr + aBytes * 2);
      c20 = madd(a2, b0, c20);
      c21 = madd(a2, b1, c21);
      const a3 = v128.load32_splat(aPtr + aBytes * 3);
      c30 = madd(a3, b0, c30);
      c31 = madd(a3, b1, c31);
    }
    aPtr += 4;
    panelPtr += 32;
  }
  finish(outPtr, c00, c01, bytes, adds);
  if (height == 4) {
    finish(outPtr + outBytes, c10, c11, bytes, adds);
    finish(outPtr + outBytes * 2, c20, c21, bytes, adds);
    finish(outPtr + outBytes * 3, c30, c31, bytes, adds);
  }
}

/** Stores up to 8 sums, on top of what is there if `adds`. */
function finish(outPtr: usize, low: v128, high: v128, bytes: usize, adds: bool): void {
  if (adds) low = f32x4.add(low, loadSome(outPtr, bytes));
  storeSome(outPtr, low, bytes);
  if (bytes <= 16) return;
  if (adds) high = f32x4.add(high, loadSome(outPtr + 16, bytes - 16));
  storeSome(outPtr + 16, high, bytes - 16);
}
