import { activateRows, isPass } from '../activation';
import { addsResidual, applyEpilogue, applyEpiloguePair } from '../epilogue';
import { packedBytes } from '../gemm/f32/pack';
import { madd, RELAXED, WIDE } from '../isa';
import { partition } from '../partition';
import { Step } from '../step';
import { NR } from '../tile';

/**
 * Grouped convolution without im2col, after Dukhan 2019 (the indirect convolution): a table of the addresses of a
 * tile's input pixels, tap by tap, serves all groups, which are too narrow (4 … 64 channels) to pay for packing.
 */

/** Output pixels of a tile: what leaves no accumulator of two vectors without a register (see gemm/micro.ts). */
export const GROUPED_ROWS: i32 = RELAXED ? 6 : 4;

/** Bytes of scratch of a thread: the table of `taps` × GROUPED_ROWS addresses, and zeros for pixels outside the map. */
export function groupedScratchBytes(taps: i32, channels: i32): i32 {
  return taps * GROUPED_ROWS * <i32>sizeof<usize>() + channels * 4 + 64;
}

/**
 * `rows` pixels × 4·`vectors` output channels of one group.
 *
 *   tablePtr  addresses of the pixels [taps][GROUPED_ROWS]; `offset`: bytes from each to the group's first channel
 *   bPtr      the group's packed panel [taps · channels][8]
 *   outPtr    the first pixel's first output; so residualPtr
 *
 * Rows that the map does not have are computed on zeros and not stored.
 */
// @ts-ignore: decorator
@inline
function tile(
  vectors: i32, s: Step, tablePtr: usize, taps: i32, offset: usize, channels: i32, bPtr: usize, biasPtr: usize,
  outPtr: usize, residualPtr: usize, rows: i32,
): void {
  let c00 = v128.load(biasPtr), c01 = vectors > 1 ? v128.load(biasPtr, 16) : c00;
  let c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00, c31 = c01, c40 = c00, c41 = c01, c50 = c00, c51 = c01;
  for (const end = tablePtr + <usize>(taps * GROUPED_ROWS) * sizeof<usize>(); tablePtr < end; ) {
    let a0Ptr = load<usize>(tablePtr) + offset;
    let a1Ptr = load<usize>(tablePtr, sizeof<usize>()) + offset;
    let a2Ptr = load<usize>(tablePtr, 2 * sizeof<usize>()) + offset;
    let a3Ptr = load<usize>(tablePtr, 3 * sizeof<usize>()) + offset;
    let a4Ptr = GROUPED_ROWS > 4 ? load<usize>(tablePtr, 4 * sizeof<usize>()) + offset : 0;
    let a5Ptr = GROUPED_ROWS > 5 ? load<usize>(tablePtr, 5 * sizeof<usize>()) + offset : 0;
    tablePtr += GROUPED_ROWS * sizeof<usize>();
    for (const last = bPtr + <usize>channels * (NR * 4); bPtr < last; bPtr += NR * 4) {
      const b0 = v128.load(bPtr), b1 = vectors > 1 ? v128.load(bPtr, 16) : b0;
      const a0 = v128.load32_splat(a0Ptr);
      c00 = madd(a0, b0, c00);
      if (vectors > 1) c01 = madd(a0, b1, c01);
      const a1 = v128.load32_splat(a1Ptr);
      c10 = madd(a1, b0, c10);
      if (vectors > 1) c11 = madd(a1, b1, c11);
      const a2 = v128.load32_splat(a2Ptr);
      c20 = madd(a2, b0, c20);
      if (vectors > 1) c21 = madd(a2, b1, c21);
      const a3 = v128.load32_splat(a3Ptr);
      c30 = madd(a3, b0, c30);
      if (vectors > 1) c31 = madd(a3, b1, c31);
      a0Ptr += 4;
      a1Ptr += 4;
      a2Ptr += 4;
      a3Ptr += 4;
      if (GROUPED_ROWS > 4) {
        const a4 = v128.load32_splat(a4Ptr);
        c40 = madd(a4, b0, c40);
        if (vectors > 1) c41 = madd(a4, b1, c41);
        const a5 = v128.load32_splat(a5Ptr);
        c50 = madd(a5, b0, c50);
        if (vectors > 1) c51 = madd(a5, b1, c51);
        a4Ptr += 4;
        a5Ptr += 4;
      }
    }
  }
  const adds = addsResidual(s), activation = s.activation;
  const outStride = <usize>s.ldOut << 2, residualStride = <usize>s.ldResidual << 2;
  if (WIDE && vectors > 1) {
    applyEpiloguePair(s, adds, activation, c00, c01, outPtr, residualPtr);
    if (rows > 1) applyEpiloguePair(s, adds, activation, c10, c11, outPtr += outStride, residualPtr += residualStride);
    if (rows > 2) applyEpiloguePair(s, adds, activation, c20, c21, outPtr += outStride, residualPtr += residualStride);
    if (rows > 3) applyEpiloguePair(s, adds, activation, c30, c31, outPtr += outStride, residualPtr += residualStride);
    if (rows > 4) applyEpiloguePair(s, adds, activation, c40, c41, outPtr += outStride, residualPtr += residualStride);
    if (rows > 5) applyEpiloguePair(s, adds, activation, c50, c51, outPtr += outStride, residualPtr += residualStride);
    return;
  }
  applyEpilogue(s, adds, activation, c00, outPtr, residualPtr);
  if (vectors > 1) applyEpilogue(s, adds, activation, c01, outPtr + 16, residualPtr + 16);
  for (let r = 1; r < rows; r++) {
    outPtr += outStride;
    residualPtr += residualStride;
    const low = r == 1 ? c10 : r == 2 ? c20 : r == 3 ? c30 : r == 4 ? c40 : c50;
    applyEpilogue(s, adds, activation, low, outPtr, residualPtr);
    if (vectors > 1) {
      const high = r == 1 ? c11 : r == 2 ? c21 : r == 3 ? c31 : r == 4 ? c41 : c51;
      applyEpilogue(s, adds, activation, high, outPtr + 16, residualPtr + 16);
    }
  }
}

function tile8(
  s: Step, tablePtr: usize, taps: i32, offset: usize, channels: i32, bPtr: usize, biasPtr: usize, outPtr: usize,
  residualPtr: usize, rows: i32,
): void {
  tile(2, s, tablePtr, taps, offset, channels, bPtr, biasPtr, outPtr, residualPtr, rows);
}

function tile4(
  s: Step, tablePtr: usize, taps: i32, offset: usize, channels: i32, bPtr: usize, biasPtr: usize, outPtr: usize,
  residualPtr: usize, rows: i32,
): void {
  tile(1, s, tablePtr, taps, offset, channels, bPtr, biasPtr, outPtr, residualPtr, rows);
}

/**
 * out[B,OH,OW,Cout] = epilogue(grouped conv(in) + bias): any kernel, stride, dilation and padding; Cout/groups is a
 * multiple of 4. Weights as for conv2d. Pieces are tiles, or groups if tiles are few.
 */
export function grouped(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const ih = s.ih, iw = s.iw, oh = s.oh, ow = s.ow, kh = s.kh, kw = s.kw;
  const channels = s.ic / s.groups, n = s.oc / s.groups;
  const taps = kh * kw, k = taps * channels;
  const m = s.batch * oh * ow;
  const tiles = (m + GROUPED_ROWS - 1) / GROUPED_ROWS;
  let i0 = 0, i1 = tiles, g0 = 0, g1 = s.groups;
  if (tiles >= pieces * 4 || s.groups < pieces) {
    i0 = partition(tiles, piece, pieces);
    i1 = partition(tiles, piece + 1, pieces);
  } else {
    g0 = partition(s.groups, piece, pieces);
    g1 = partition(s.groups, piece + 1, pieces);
  }
  const pixelBytes = <usize>s.ldIn << 2;
  const outStride = <usize>s.ldOut << 2, residualStride = <usize>s.ldResidual << 2;
  const groupBytes = packedBytes(k, n);
  const panelBytes = <usize>k * (NR * 4);
  const zerosPtr = scratchPtr + <usize>(taps * GROUPED_ROWS) * sizeof<usize>();
  memory.fill(zerosPtr, 0, <usize>s.ic << 2);

  for (let i = i0; i < i1; i++) {
    const first = i * GROUPED_ROWS;
    const rows = min(GROUPED_ROWS, m - first);
    for (let r = 0; r < GROUPED_ROWS; r++) {
      const pixel = first + r;
      const image = pixel / (oh * ow);
      const oy = (pixel / ow) % oh;
      const top = oy * s.strideH - s.padTop, left = (pixel % ow) * s.strideW - s.padLeft;
      const imagePtr = s.inPtr + pixelBytes * image * (ih * iw);
      let entryPtr = scratchPtr + <usize>r * sizeof<usize>();
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          const y = top + ky * s.dilationH, x = left + kx * s.dilationW;
          const isInside = r < rows && <u32>y < <u32>ih && <u32>x < <u32>iw;
          store<usize>(entryPtr, isInside ? imagePtr + pixelBytes * (y * iw + x) : zerosPtr);
          entryPtr += GROUPED_ROWS * sizeof<usize>();
        }
      }
    }
    for (let g = g0; g < g1; g++) {
      const offset = <usize>(g * channels) << 2;
      for (let j = 0; j < n; j += NR) {
        const column = <usize>(g * n + j) << 2;
        const bPtr = s.weightPtr + groupBytes * g + panelBytes * (j / NR);
        const biasPtr = s.biasPtr + column;
        const outPtr = s.outPtr + outStride * first + column;
        const residualPtr = s.residualPtr + residualStride * first + column;
        if (n - j >= NR) tile8(s, scratchPtr, taps, offset, channels, bPtr, biasPtr, outPtr, residualPtr, rows);
        else tile4(s, scratchPtr, taps, offset, channels, bPtr, biasPtr, outPtr, residualPtr, rows);
      }
    }
    if (isPass(s.activation)) activateRows(s, first, rows, g0 * n, g1 * n);
  }
}
