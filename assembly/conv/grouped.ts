import { finish } from '../epilogue';
import { packedBytes } from '../gemm/pack';
import { madd, RELAXED } from '../isa';
import { Step } from '../step';
import { share } from '../threads';
import { NR } from '../tile';

/**
 * Grouped convolution without im2col, after Dukhan 2019 (the indirect convolution): a table of the addresses of a
 * tile's input pixels, tap by tap, serves all groups, which are too narrow (4 … 64 channels) to pay for packing.
 */

/** Output pixels of a tile: what leaves no accumulator of two vectors without a register (see gemm/micro.ts). */
// @ts-ignore: decorator
@inline
const ROWS: i32 = RELAXED ? 6 : 4;

/** Bytes of scratch of a thread: the table of `taps` × ROWS addresses, and zeros for pixels outside the map. */
export function groupedScratchBytes(taps: i32, channels: i32): i32 {
  return taps * ROWS * 4 + channels * 4 + 64;
}

/**
 * `rows` pixels × 4·`vectors` output channels of one group: `b` is its packed panel [taps · channels][8]. `offset`: the
 * group's first channel in bytes. Rows that the map does not have are computed on zeros and not stored.
 */
// @ts-ignore: decorator
@inline
function tile(
  vectors: i32, table: usize, taps: i32, channels: i32, offset: usize, b: usize, bias: usize, out: usize,
  outStep: usize, residual: usize, residualStep: usize, rows: i32, flags: i32,
): void {
  let c00 = v128.load(bias), c01 = vectors > 1 ? v128.load(bias, 16) : c00;
  let c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00, c31 = c01, c40 = c00, c41 = c01, c50 = c00, c51 = c01;
  for (const end = table + <usize>(taps * ROWS) * 4; table < end; table += ROWS * 4) {
    let p0 = load<usize>(table) + offset, p1 = load<usize>(table, 4) + offset;
    let p2 = load<usize>(table, 8) + offset, p3 = load<usize>(table, 12) + offset;
    let p4 = ROWS > 4 ? load<usize>(table, 16) + offset : 0, p5 = ROWS > 5 ? load<usize>(table, 20) + offset : 0;
    for (const last = b + <usize>channels * (NR * 4); b < last; b += NR * 4) {
      const b0 = v128.load(b), b1 = vectors > 1 ? v128.load(b, 16) : b0;
      const a0 = v128.load32_splat(p0);
      c00 = madd(a0, b0, c00);
      if (vectors > 1) c01 = madd(a0, b1, c01);
      const a1 = v128.load32_splat(p1);
      c10 = madd(a1, b0, c10);
      if (vectors > 1) c11 = madd(a1, b1, c11);
      const a2 = v128.load32_splat(p2);
      c20 = madd(a2, b0, c20);
      if (vectors > 1) c21 = madd(a2, b1, c21);
      const a3 = v128.load32_splat(p3);
      c30 = madd(a3, b0, c30);
      if (vectors > 1) c31 = madd(a3, b1, c31);
      p0 += 4;
      p1 += 4;
      p2 += 4;
      p3 += 4;
      if (ROWS > 4) {
        const a4 = v128.load32_splat(p4);
        c40 = madd(a4, b0, c40);
        if (vectors > 1) c41 = madd(a4, b1, c41);
        const a5 = v128.load32_splat(p5);
        c50 = madd(a5, b0, c50);
        if (vectors > 1) c51 = madd(a5, b1, c51);
        p4 += 4;
        p5 += 4;
      }
    }
  }
  finish(c00, out, residual, flags);
  if (vectors > 1) finish(c01, out + 16, residual + 16, flags);
  for (let r = 1; r < rows; r++) {
    out += outStep;
    residual += residualStep;
    const low = r == 1 ? c10 : r == 2 ? c20 : r == 3 ? c30 : r == 4 ? c40 : c50;
    finish(low, out, residual, flags);
    if (vectors > 1) {
      const high = r == 1 ? c11 : r == 2 ? c21 : r == 3 ? c31 : r == 4 ? c41 : c51;
      finish(high, out + 16, residual + 16, flags);
    }
  }
}

function tile8(
  table: usize, taps: i32, channels: i32, offset: usize, b: usize, bias: usize, out: usize, outStep: usize,
  residual: usize, residualStep: usize, rows: i32, flags: i32,
): void {
  tile(2, table, taps, channels, offset, b, bias, out, outStep, residual, residualStep, rows, flags);
}

function tile4(
  table: usize, taps: i32, channels: i32, offset: usize, b: usize, bias: usize, out: usize, outStep: usize,
  residual: usize, residualStep: usize, rows: i32, flags: i32,
): void {
  tile(1, table, taps, channels, offset, b, bias, out, outStep, residual, residualStep, rows, flags);
}

/**
 * out[B,OH,OW,Cout] = epilogue(grouped conv(in) + bias): any kernel, stride, dilation and padding; Cout/groups is a
 * multiple of 4. Weights as for conv2d. Threads share the tiles, or the groups where tiles are few.
 */
export function grouped(s: Step, thread: i32, threads: i32, scratchPtr: usize): void {
  const ih = s.ih, iw = s.iw, oh = s.oh, ow = s.ow, kh = s.kh, kw = s.kw;
  const channels = s.ic / s.groups, n = s.oc / s.groups;
  const taps = kh * kw, k = taps * channels;
  const m = s.batch * oh * ow;
  const tiles = (m + ROWS - 1) / ROWS;
  let i0 = 0, i1 = tiles, g0 = 0, g1 = s.groups;
  if (tiles >= threads * 16 || s.groups < threads) {
    i0 = share(tiles, thread, threads);
    i1 = share(tiles, thread + 1, threads);
  } else {
    g0 = share(s.groups, thread, threads);
    g1 = share(s.groups, thread + 1, threads);
  }
  const pixelBytes = <usize>s.ldIn << 2;
  const outStep = <usize>s.ldOut << 2, residualStep = <usize>s.ldResidual << 2;
  const groupBytes = packedBytes(k, n);
  const panelBytes = <usize>k * (NR * 4);
  const zeros = scratchPtr + <usize>(taps * ROWS) * 4;
  memory.fill(zeros, 0, <usize>s.ic << 2);

  for (let i = i0; i < i1; i++) {
    const first = i * ROWS;
    const rows = min(ROWS, m - first);
    for (let r = 0; r < ROWS; r++) {
      const pixel = first + r;
      const image = pixel / (oh * ow);
      const oy = (pixel / ow) % oh;
      const top = oy * s.strideH - s.padTop, left = (pixel % ow) * s.strideW - s.padLeft;
      const from = s.inPtr + pixelBytes * image * (ih * iw);
      let entry = scratchPtr + (<usize>r << 2);
      for (let dy = 0; dy < kh; dy++) {
        for (let dx = 0; dx < kw; dx++) {
          const y = top + dy * s.dilationH, x = left + dx * s.dilationW;
          const inside = r < rows && <u32>y < <u32>ih && <u32>x < <u32>iw;
          store<usize>(entry, inside ? from + pixelBytes * (y * iw + x) : zeros);
          entry += ROWS * 4;
        }
      }
    }
    for (let g = g0; g < g1; g++) {
      const offset = <usize>(g * channels) << 2;
      for (let j = 0; j < n; j += NR) {
        const column = <usize>(g * n + j) << 2;
        const b = s.weightPtr + groupBytes * g + panelBytes * (j / NR);
        const out = s.outPtr + outStep * first + column;
        const residual = s.residualPtr + residualStep * first + column;
        if (n - j >= NR) {
          tile8(scratchPtr, taps, channels, offset, b, s.biasPtr + column, out, outStep, residual, residualStep, rows, s.flags);
        } else {
          tile4(scratchPtr, taps, channels, offset, b, s.biasPtr + column, out, outStep, residual, residualStep, rows, s.flags);
        }
      }
    }
  }
}
