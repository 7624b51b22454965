import { madd } from '../isa';
import { partition } from '../partition';
import { Step } from '../step';
import { loadSome, storeSome } from './values';

/**
 * out = bias + Σ in · W over all input pixels whose window covers an output pixel: the transpose of a convolution (Dumoulin &
 * Visin 2016, section 4). W is [group][tap][in][out] at `weightPtr`. Output pixels that are a stride apart have the same
 * taps: four of them are made at once, of eight channels. Threads share the output rows.
 */
export function convTranspose(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const rows = s.batch * s.oh;
  const perGroup = s.oc / s.groups;
  const end = partition(rows, piece + 1, pieces);
  for (let row = partition(rows, piece, pieces); row < end; row++) {
    for (let phase = 0; phase < min(s.strideW, s.ow); phase++) {
      const pixels = (s.ow - phase + s.strideW - 1) / s.strideW;
      for (let c = 0; c < s.oc; ) {
        const count = min(8, perGroup - c % perGroup);
        let i = 0;
        for (; i + 4 <= pixels; i += 4) tile(s, row, phase, i, 4, c, count);
        for (; i < pixels; i++) tile(s, row, phase, i, 1, c, count);
        c += count;
      }
    }
  }
}

/** Output pixels phase + stride · (i … i + height) of a row, channels c … c + count. */
// @ts-ignore: decorator
@inline
function tile(s: Step, row: i32, phase: i32, i: i32, height: i32, c: i32, count: i32): void {
  const image = row / s.oh;
  const oy = row - image * s.oh;
  const inner = s.ic / s.groups, perGroup = s.oc / s.groups;
  const group = c / perGroup;
  const bytes = <usize>count << 2;
  const weightRow = <usize>perGroup << 2;
  const groupPtr = s.weightPtr + (<usize>(group * s.kh * s.kw * inner) * perGroup + (c - group * perGroup) << 2);
  const biasPtr = s.biasPtr + (<usize>c << 2);
  const low = loadSome(biasPtr, bytes);
  const high = bytes > 16 ? loadSome(biasPtr + 16, bytes - 16) : f32x4.splat(0);
  let c00 = low, c01 = high, c10 = low, c11 = high, c20 = low, c21 = high, c30 = low, c31 = high;
  const pixelBytes = <usize>s.ldIn << 2;
  for (let ky = 0; ky < s.kh; ky++) {
    const fromY = oy + s.padTop - ky * s.dilationH;
    const y = fromY / s.strideH;
    if (fromY < 0 || y >= s.ih || y * s.strideH != fromY) continue;
    for (let kx = 0; kx < s.kw; kx++) {
      const fromX = phase + s.padLeft - kx * s.dilationW;
      if (fromX % s.strideW != 0) continue;
      const x = fromX / s.strideW + i;
      // Pixels outside the map add nothing.
      const in0 = <u32>x < <u32>s.iw, in1 = <u32>(x + 1) < <u32>s.iw;
      const in2 = <u32>(x + 2) < <u32>s.iw, in3 = <u32>(x + 3) < <u32>s.iw;
      const isAny = height == 4 ? in0 || in1 || in2 || in3 : in0;
      if (!isAny) continue;
      const basePtr = s.inPtr + pixelBytes * ((image * s.ih + y) * s.iw) + (<usize>(group * inner) << 2);
      const p0 = basePtr + pixelBytes * x, p1 = p0 + pixelBytes, p2 = p1 + pixelBytes, p3 = p2 + pixelBytes;
      let wPtr = groupPtr + weightRow * ((ky * s.kw + kx) * inner);
      for (let k = 0; k < inner; k++) {
        const offset = <usize>k << 2;
        const w0 = loadSome(wPtr, bytes);
        const w1 = bytes > 16 ? loadSome(wPtr + 16, bytes - 16) : f32x4.splat(0);
        if (in0) {
          const a = v128.load32_splat(p0 + offset);
          c00 = madd(a, w0, c00);
          c01 = madd(a, w1, c01);
        }
        if (height == 4) {
          if (in1) {
            const a = v128.load32_splat(p1 + offset);
            c10 = madd(a, w0, c10);
            c11 = madd(a, w1, c11);
          }
          if (in2) {
            const a = v128.load32_splat(p2 + offset);
            c20 = madd(a, w0, c20);
            c21 = madd(a, w1, c21);
          }
          if (in3) {
            const a = v128.load32_splat(p3 + offset);
            c30 = madd(a, w0, c30);
            c31 = madd(a, w1, c31);
          }
        }
        wPtr += weightRow;
      }
    }
  }
  const outBytes = (<usize>s.ldOut << 2) * s.strideW;
  const outPtr = s.outPtr + (<usize>s.ldOut << 2) * (row * s.ow + phase) + outBytes * i + (<usize>c << 2);
  finish(outPtr, c00, c01, bytes);
  if (height == 4) {
    finish(outPtr + outBytes, c10, c11, bytes);
    finish(outPtr + outBytes * 2, c20, c21, bytes);
    finish(outPtr + outBytes * 3, c30, c31, bytes);
  }
}

// @ts-ignore: decorator
@inline
function finish(outPtr: usize, low: v128, high: v128, bytes: usize): void {
  storeSome(outPtr, low, bytes);
  if (bytes > 16) storeSome(outPtr + 16, high, bytes - 16);
}
