import { activateRows, isPass } from '../activation';
import { addsResidual, applyEpilogueScalar, clip } from '../epilogue';
import { madd } from '../isa';
import { partition } from '../partition';
import { ACTIVATION_CLIP, ACTIVATION_RELU, FLAG_WIDE, Step } from '../step';
import { NR } from '../tile';

/**
 * Depthwise convolution (Howard et al. 2017, MobileNets) by tiles of four output pixels × 8 channels, whose taps are read
 * in place. For kernels three columns wide, of stride 1, each input pixel is read once per line for the three products
 * that use it; such a tile is one vector wide, or two with FLAG_WIDE.
 *
 * Measured in ms on an EPYC 9xx4 core, 3×3, relaxed binary (two vectors | one). `copy` reads the input and writes the
 * output, all in L2 or L3; `floor` is the arithmetic at the 128-bit peak of 59 GFLOP/s:
 *
 *                   V8 11           V8 13           V8 13, 256 bits   copy    floor
 *   112×112×32 s1   0.244 | 0.163   0.176 | 0.154   0.101 | 0.145     0.057   0.122
 *   56×56×144 s1    0.289 | 0.178   0.188 | 0.170   0.110 | 0.161     0.053   0.138
 *   28×28×192 s1    0.096 | 0.063   0.064 | 0.059   0.037 | 0.054     0.017   0.046
 *   14×14×384 s1    0.045 | 0.029   0.029 | 0.026   0.017 | 0.025     0.010   0.023
 *   7×7×960 s1      0.029 | 0.023   0.022 | 0.021   0.015 | 0.017     0.006   0.014
 *   112×112×96 s2   0.215 | 0.223   0.155 | 0.193   0.125 | 0.186     0.090   0.092
 *
 * V8 11 and 12 hoist all loads of a tile to its front, and so spill two vectors.
 */

/** Output pixels of a tile. */
export const DEPTHWISE_PIXELS: i32 = 4;

/**
 * `pixels` (1 or 4) output pixels side by side, channels c0 … c1 (whole panels), by `vectors` at a time: the taps of
 * `rows` × `columns` of the kernel. `isSliding`: the kernel has three columns, all in the map, of stride and dilation 1;
 * all other tiles have two vectors. All loads come before all stores, with two vectors side by side, so that V8 can join
 * them into one of 256 bits.
 *
 *   inPtr    the first pixel's first tap, channel 0; so bPtr in the first panel of weights
 *   outPtr   the first pixel, channel 0; so residualPtr
 */
// @ts-ignore: decorator
@inline
function tile(
  pixels: i32, vectors: i32, isSliding: bool, s: Step, inPtr: usize, bPtr: usize, outPtr: usize, residualPtr: usize,
  rows: i32, columns: i32, c0: i32, c1: i32,
): void {
  const adds = addsResidual(s), activation = s.activation;
  const pixelBytes = <usize>s.ldIn << 2;
  const x1 = pixelBytes * s.strideW, x2 = x1 * 2, x3 = x1 * 3;
  const tapBytes = pixelBytes * s.dilationW;
  const lineBytes = pixelBytes * s.iw * s.dilationH;
  const outBytes = <usize>s.ldOut << 2, residualBytes = <usize>s.ldResidual << 2;
  const panelBytes = <usize>(s.kh * s.kw) * (NR * 4), kernelLineBytes = <usize>s.kw * (NR * 4);
  let panelPtr = bPtr + panelBytes * (c0 / NR);
  for (let offset = <usize>c0 << 2, end = <usize>c1 << 2; offset < end; offset += <usize>vectors * 16) {
    let c00 = v128.load(s.biasPtr + offset), c01 = vectors > 1 ? v128.load(s.biasPtr + offset, 16) : c00;
    let c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00, c31 = c01;
    let linePtr = inPtr + offset, kernelLinePtr = vectors > 1 ? panelPtr : panelPtr + (offset & 16);
    for (let ky = 0; ky < rows; ky++) {
      let tapPtr = linePtr;
      let weightPtr = kernelLinePtr;
      if (isSliding) {
        const k00 = v128.load(weightPtr), k10 = v128.load(weightPtr, 32), k20 = v128.load(weightPtr, 64);
        const k01 = vectors > 1 ? v128.load(weightPtr, 16) : k00;
        const k11 = vectors > 1 ? v128.load(weightPtr, 48) : k10, k21 = vectors > 1 ? v128.load(weightPtr, 80) : k20;
        const x00 = v128.load(tapPtr), x01 = vectors > 1 ? v128.load(tapPtr, 16) : x00;
        c00 = madd(x00, k00, c00);
        if (vectors > 1) c01 = madd(x01, k01, c01);
        tapPtr += pixelBytes;
        const x10 = v128.load(tapPtr), x11 = vectors > 1 ? v128.load(tapPtr, 16) : x10;
        c00 = madd(x10, k10, c00);
        if (vectors > 1) c01 = madd(x11, k11, c01);
        c10 = madd(x10, k00, c10);
        if (vectors > 1) c11 = madd(x11, k01, c11);
        tapPtr += pixelBytes;
        const x20 = v128.load(tapPtr), x21 = vectors > 1 ? v128.load(tapPtr, 16) : x20;
        c00 = madd(x20, k20, c00);
        if (vectors > 1) c01 = madd(x21, k21, c01);
        c10 = madd(x20, k10, c10);
        if (vectors > 1) c11 = madd(x21, k11, c11);
        c20 = madd(x20, k00, c20);
        if (vectors > 1) c21 = madd(x21, k01, c21);
        tapPtr += pixelBytes;
        const x30 = v128.load(tapPtr), x31 = vectors > 1 ? v128.load(tapPtr, 16) : x30;
        c10 = madd(x30, k20, c10);
        if (vectors > 1) c11 = madd(x31, k21, c11);
        c20 = madd(x30, k10, c20);
        if (vectors > 1) c21 = madd(x31, k11, c21);
        c30 = madd(x30, k00, c30);
        if (vectors > 1) c31 = madd(x31, k01, c31);
        tapPtr += pixelBytes;
        const x40 = v128.load(tapPtr), x41 = vectors > 1 ? v128.load(tapPtr, 16) : x40;
        c20 = madd(x40, k20, c20);
        if (vectors > 1) c21 = madd(x41, k21, c21);
        c30 = madd(x40, k10, c30);
        if (vectors > 1) c31 = madd(x41, k11, c31);
        tapPtr += pixelBytes;
        const x50 = v128.load(tapPtr), x51 = vectors > 1 ? v128.load(tapPtr, 16) : x50;
        c30 = madd(x50, k20, c30);
        if (vectors > 1) c31 = madd(x51, k21, c31);
      } else {
        for (const last = weightPtr + <usize>columns * (NR * 4); weightPtr < last; weightPtr += NR * 4) {
          const k0 = v128.load(weightPtr), k1 = v128.load(weightPtr, 16);
          c00 = madd(v128.load(tapPtr), k0, c00);
          c01 = madd(v128.load(tapPtr, 16), k1, c01);
          if (pixels > 1) {
            c10 = madd(v128.load(tapPtr + x1), k0, c10);
            c11 = madd(v128.load(tapPtr + x1, 16), k1, c11);
            c20 = madd(v128.load(tapPtr + x2), k0, c20);
            c21 = madd(v128.load(tapPtr + x2, 16), k1, c21);
            c30 = madd(v128.load(tapPtr + x3), k0, c30);
            c31 = madd(v128.load(tapPtr + x3, 16), k1, c31);
          }
          tapPtr += tapBytes;
        }
      }
      linePtr += lineBytes;
      kernelLinePtr += kernelLineBytes;
    }
    if (adds) {
      let addPtr = residualPtr + offset;
      c00 = f32x4.add(c00, v128.load(addPtr));
      if (vectors > 1) c01 = f32x4.add(c01, v128.load(addPtr, 16));
      if (pixels > 1) {
        addPtr += residualBytes;
        c10 = f32x4.add(c10, v128.load(addPtr));
        if (vectors > 1) c11 = f32x4.add(c11, v128.load(addPtr, 16));
        addPtr += residualBytes;
        c20 = f32x4.add(c20, v128.load(addPtr));
        if (vectors > 1) c21 = f32x4.add(c21, v128.load(addPtr, 16));
        addPtr += residualBytes;
        c30 = f32x4.add(c30, v128.load(addPtr));
        if (vectors > 1) c31 = f32x4.add(c31, v128.load(addPtr, 16));
      }
    }
    // The second vectors of a tile of one are not stored, and so left out.
    if (activation == ACTIVATION_RELU) {
      const zero = f32x4.splat(0);
      c00 = f32x4.pmax(c00, zero); c01 = f32x4.pmax(c01, zero);
      c10 = f32x4.pmax(c10, zero); c11 = f32x4.pmax(c11, zero);
      c20 = f32x4.pmax(c20, zero); c21 = f32x4.pmax(c21, zero);
      c30 = f32x4.pmax(c30, zero); c31 = f32x4.pmax(c31, zero);
    } else if (activation == ACTIVATION_CLIP) {
      const low = f32x4.splat(s.alpha), high = f32x4.splat(s.beta);
      c00 = clip(c00, low, high); c01 = clip(c01, low, high);
      c10 = clip(c10, low, high); c11 = clip(c11, low, high);
      c20 = clip(c20, low, high); c21 = clip(c21, low, high);
      c30 = clip(c30, low, high); c31 = clip(c31, low, high);
    }
    let toPtr = outPtr + offset;
    v128.store(toPtr, c00); if (vectors > 1) v128.store(toPtr, c01, 16);
    if (pixels > 1) {
      toPtr += outBytes; v128.store(toPtr, c10); if (vectors > 1) v128.store(toPtr, c11, 16);
      toPtr += outBytes; v128.store(toPtr, c20); if (vectors > 1) v128.store(toPtr, c21, 16);
      toPtr += outBytes; v128.store(toPtr, c30); if (vectors > 1) v128.store(toPtr, c31, 16);
    }
    if (vectors > 1 || (offset & 16)) panelPtr += panelBytes;
  }
}

function tile4(
  s: Step, inPtr: usize, bPtr: usize, outPtr: usize, residualPtr: usize, rows: i32, columns: i32, c0: i32, c1: i32,
): void {
  tile(4, 2, false, s, inPtr, bPtr, outPtr, residualPtr, rows, columns, c0, c1);
}

function tile4Sliding4(
  s: Step, inPtr: usize, bPtr: usize, outPtr: usize, residualPtr: usize, rows: i32, columns: i32, c0: i32, c1: i32,
): void {
  tile(4, 1, true, s, inPtr, bPtr, outPtr, residualPtr, rows, columns, c0, c1);
}

function tile4Sliding8(
  s: Step, inPtr: usize, bPtr: usize, outPtr: usize, residualPtr: usize, rows: i32, columns: i32, c0: i32, c1: i32,
): void {
  tile(4, 2, true, s, inPtr, bPtr, outPtr, residualPtr, rows, columns, c0, c1);
}

function tile1(
  s: Step, inPtr: usize, bPtr: usize, outPtr: usize, residualPtr: usize, rows: i32, columns: i32, c0: i32, c1: i32,
): void {
  tile(1, 2, false, s, inPtr, bPtr, outPtr, residualPtr, rows, columns, c0, c1);
}

/** The channels of one output pixel from c0 on, one by one; otherwise as `tile`. */
function tail(
  s: Step, inPtr: usize, bPtr: usize, outPtr: usize, residualPtr: usize, rows: i32, columns: i32, c0: i32,
): void {
  const adds = addsResidual(s), activation = s.activation;
  const pixelBytes = <usize>s.ldIn << 2;
  const tapBytes = pixelBytes * s.dilationW, lineBytes = pixelBytes * s.iw * s.dilationH;
  for (let c = c0; c < s.ic; c++) {
    const offset = <usize>c << 2;
    const panelPtr = bPtr + <usize>(s.kh * s.kw * (c / NR) * NR + c % NR) * 4;
    let sum = load<f32>(s.biasPtr + offset);
    for (let ky = 0; ky < rows; ky++) {
      let tapPtr = inPtr + offset + lineBytes * ky;
      let weightPtr = panelPtr + <usize>(ky * s.kw) * (NR * 4);
      for (let kx = 0; kx < columns; kx++) {
        sum += load<f32>(tapPtr) * load<f32>(weightPtr);
        tapPtr += tapBytes;
        weightPtr += NR * 4;
      }
    }
    applyEpilogueScalar(s, adds, activation, sum, outPtr + offset, residualPtr + offset);
  }
}

/** ⌈a / b⌉ of a ≥ 0. */
// @ts-ignore: decorator
@inline
function ceilOf(a: i32, b: i32): i32 {
  return (a + b - 1) / b;
}

/** Output pixels x0 … x1 of a row, whose taps are `rows` lines from `ky0` on; each with the taps that lie in the map. */
function pixelsOneByOne(s: Step, row: i32, x0: i32, x1: i32, ky0: i32, rows: i32, c0: i32, c1: i32): void {
  const pixelBytes = <usize>s.ldIn << 2;
  const image = row / s.oh;
  const y = (row - image * s.oh) * s.strideH - s.padTop + ky0 * s.dilationH;
  const linePtr = s.inPtr + pixelBytes * ((image * s.ih + y) * s.iw);
  const whole = min(c1, s.ic & ~(NR - 1));
  for (let ox = x0; ox < x1; ox++) {
    const left = ox * s.strideW - s.padLeft;
    const kx0 = left < 0 ? min(s.kw, ceilOf(-left, s.dilationW)) : 0;
    const columns = max(kx0, left < s.iw ? min(s.kw, ceilOf(s.iw - left, s.dilationW)) : 0) - kx0;
    const inPtr = linePtr + pixelBytes * (left + kx0 * s.dilationW);
    const bPtr = s.weightPtr + <usize>(ky0 * s.kw + kx0) * (NR * 4);
    const pixel = row * s.ow + ox;
    const outPtr = s.outPtr + (<usize>s.ldOut << 2) * pixel;
    const residualPtr = s.residualPtr + (<usize>s.ldResidual << 2) * pixel;
    if (c0 < whole) tile1(s, inPtr, bPtr, outPtr, residualPtr, rows, columns, c0, whole);
    if (whole < c1) tail(s, inPtr, bPtr, outPtr, residualPtr, rows, columns, max(c0, whole));
  }
}

/**
 * out[B,OH,OW,C] = epilogue(depthwise conv(in[B,IH,IW,C]) + bias): one kernel per channel, of any size, stride, dilation
 * and padding. Weights are packed as B[KH·KW, C] (gemm/f32/pack.ts): what packOI makes of W[C,1,KH,KW] and packIO of
 * W[KH·KW,C], with C outputs of one group and one input each.
 *
 * Pieces are output rows, or channels if rows are few.
 */
export function depthwise(s: Step, piece: i32, pieces: i32): void {
  const oh = s.oh, ow = s.ow, c = s.ic;
  let row0 = 0, row1 = s.batch * oh, c0 = 0, c1 = c;
  const panels = (c + NR - 1) / NR;
  if (row1 >= pieces * 2 || panels < pieces) {
    const all = row1;
    row0 = partition(all, piece, pieces);
    row1 = partition(all, piece + 1, pieces);
  } else {
    c0 = partition(panels, piece, pieces) * NR;
    c1 = min(c, partition(panels, piece + 1, pieces) * NR);
  }
  const pixelBytes = <usize>s.ldIn << 2;
  const outBytes = <usize>s.ldOut << 2, residualBytes = <usize>s.ldResidual << 2;
  // Output pixels x0 … x1 have all their columns of taps in the map.
  const reach = (s.kw - 1) * s.dilationW;
  const x0 = min(ow, ceilOf(s.padLeft, s.strideW));
  const room = s.iw - 1 - reach + s.padLeft;
  const x1 = max(x0, room < 0 ? 0 : min(ow, room / s.strideW + 1));
  const tiles = (x1 - x0) / DEPTHWISE_PIXELS;
  const whole = min(c1, c & ~(NR - 1));
  const interior = c0 < whole ? x0 + tiles * DEPTHWISE_PIXELS : x0;

  const isSliding = s.kw == 3 && s.strideW == 1 && s.dilationW == 1, isWide = (s.flags & FLAG_WIDE) != 0;
  for (let row = row0; row < row1; row++) {
    const image = row / oh;
    const top = (row - image * oh) * s.strideH - s.padTop;
    const ky0 = top < 0 ? min(s.kh, ceilOf(-top, s.dilationH)) : 0;
    const rows = max(ky0, top < s.ih ? min(s.kh, ceilOf(s.ih - top, s.dilationH)) : 0) - ky0;
    const linePtr = s.inPtr + pixelBytes * ((image * s.ih + top + ky0 * s.dilationH) * s.iw);
    const bPtr = s.weightPtr + <usize>(ky0 * s.kw) * (NR * 4);
    pixelsOneByOne(s, row, 0, x0, ky0, rows, c0, c1);
    for (let ox = x0; ox < interior; ox += DEPTHWISE_PIXELS) {
      const inPtr = linePtr + pixelBytes * (ox * s.strideW - s.padLeft);
      const pixel = row * ow + ox;
      const outPtr = s.outPtr + outBytes * pixel, residualPtr = s.residualPtr + residualBytes * pixel;
      if (isSliding && isWide) tile4Sliding8(s, inPtr, bPtr, outPtr, residualPtr, rows, s.kw, c0, whole);
      else if (isSliding) tile4Sliding4(s, inPtr, bPtr, outPtr, residualPtr, rows, s.kw, c0, whole);
      else tile4(s, inPtr, bPtr, outPtr, residualPtr, rows, s.kw, c0, whole);
    }
    if (whole < c1) pixelsOneByOne(s, row, x0, interior, ky0, rows, max(c0, whole), c1);
    pixelsOneByOne(s, row, interior, ow, ky0, rows, c0, c1);
    if (isPass(s.activation)) activateRows(s, row * ow, ow, c0, c1);
  }
}
