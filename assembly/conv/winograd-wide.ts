import { addsResidual, applyEpiloguePair, storePair } from '../epilogue';
import { madd } from '../isa';
import { Step } from '../step';

/**
 * Winograd's transforms on two vectors, 8 channels, per step, for engines that join them to 256 bits: the formulas of
 * winograd.ts, to the bit. All loads of a group come before its stores, and both halves of a pair do the same, or V8 would
 * not join them. The second transform of the input is not among them: it writes panels of A, lane by lane, which nothing
 * joins. Measured: to leave V unpacked instead, for a tile that reads A by rows, costs more than it saves (56×56, 64
 * channels: 0.74 ms instead of 0.65), since six rows come from L2 more slowly than one panel.
 */

/** Element `i` of Bᵀ d of F(4×4), d a column of six; the compiler finds the sums that several have in common. */
// @ts-ignore: decorator
@inline
function input4(i: i32, d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, minus4: v128): v128 {
  const e = f32x4.sub(d4, d2), o = f32x4.sub(d3, d1);
  if (i == 0) return madd(f32x4.sub(d2, d0), minus4, e);
  if (i == 1) return f32x4.add(madd(d2, minus4, d4), madd(d1, minus4, d3));
  if (i == 2) return f32x4.sub(madd(d2, minus4, d4), madd(d1, minus4, d3));
  if (i == 3) return f32x4.add(e, f32x4.add(o, o));
  if (i == 4) return f32x4.sub(e, f32x4.add(o, o));
  return madd(o, minus4, f32x4.sub(d5, d3));
}

/** Element `i` of Bᵀ d of F(2×2), d a column of four. */
// @ts-ignore: decorator
@inline
function input2(i: i32, d0: v128, d1: v128, d2: v128, d3: v128): v128 {
  if (i == 0) return f32x4.sub(d0, d2);
  if (i == 1) return f32x4.add(d1, d2);
  if (i == 2) return f32x4.sub(d2, d1);
  return f32x4.sub(d1, d3);
}

/** Element `i` of Aᵀ m of F(4×4), m a column of six. */
// @ts-ignore: decorator
@inline
function output4(i: i32, m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128, minus4: v128): v128 {
  const s = f32x4.add(m1, m2), d = f32x4.sub(m1, m2), u = f32x4.add(m3, m4), w = f32x4.sub(m3, m4);
  const twice = f32x4.add(w, w);
  if (i == 0) return f32x4.add(f32x4.add(m0, s), u);
  if (i == 1) return f32x4.add(twice, d);
  if (i == 2) return f32x4.sub(s, f32x4.mul(u, minus4));
  return f32x4.sub(f32x4.add(d, m5), f32x4.mul(twice, minus4));
}

/** Element `i` of Aᵀ m of F(2×2), m a column of four. */
// @ts-ignore: decorator
@inline
function output2(i: i32, m0: v128, m1: v128, m2: v128, m3: v128): v128 {
  if (i == 0) return f32x4.add(f32x4.add(m0, m1), m2);
  return f32x4.sub(f32x4.sub(m1, m2), m3);
}

/** Bᵀ d of F(4×4): six pairs, of which number i lies at p_i, to six at `dstPtr`, `stride` bytes apart. */
// @ts-ignore: decorator
@inline
function transform4(
  p0: usize, p1: usize, p2: usize, p3: usize, p4: usize, p5: usize, minus4: v128, dstPtr: usize, stride: usize,
): void {
  const a0 = v128.load(p0), b0 = v128.load(p0, 16), a1 = v128.load(p1), b1 = v128.load(p1, 16);
  const a2 = v128.load(p2), b2 = v128.load(p2, 16), a3 = v128.load(p3), b3 = v128.load(p3, 16);
  const a4 = v128.load(p4), b4 = v128.load(p4, 16), a5 = v128.load(p5), b5 = v128.load(p5, 16);
  storePair(dstPtr, input4(0, a0, a1, a2, a3, a4, a5, minus4), input4(0, b0, b1, b2, b3, b4, b5, minus4));
  dstPtr += stride;
  storePair(dstPtr, input4(1, a0, a1, a2, a3, a4, a5, minus4), input4(1, b0, b1, b2, b3, b4, b5, minus4));
  dstPtr += stride;
  storePair(dstPtr, input4(2, a0, a1, a2, a3, a4, a5, minus4), input4(2, b0, b1, b2, b3, b4, b5, minus4));
  dstPtr += stride;
  storePair(dstPtr, input4(3, a0, a1, a2, a3, a4, a5, minus4), input4(3, b0, b1, b2, b3, b4, b5, minus4));
  dstPtr += stride;
  storePair(dstPtr, input4(4, a0, a1, a2, a3, a4, a5, minus4), input4(4, b0, b1, b2, b3, b4, b5, minus4));
  dstPtr += stride;
  storePair(dstPtr, input4(5, a0, a1, a2, a3, a4, a5, minus4), input4(5, b0, b1, b2, b3, b4, b5, minus4));
}

/** As transform4, of F(2×2). */
// @ts-ignore: decorator
@inline
function transform2(p0: usize, p1: usize, p2: usize, p3: usize, dstPtr: usize, stride: usize): void {
  const a0 = v128.load(p0), b0 = v128.load(p0, 16), a1 = v128.load(p1), b1 = v128.load(p1, 16);
  const a2 = v128.load(p2), b2 = v128.load(p2, 16), a3 = v128.load(p3), b3 = v128.load(p3, 16);
  storePair(dstPtr, input2(0, a0, a1, a2, a3), input2(0, b0, b1, b2, b3));
  dstPtr += stride;
  storePair(dstPtr, input2(1, a0, a1, a2, a3), input2(1, b0, b1, b2, b3));
  dstPtr += stride;
  storePair(dstPtr, input2(2, a0, a1, a2, a3), input2(2, b0, b1, b2, b3));
  dstPtr += stride;
  storePair(dstPtr, input2(3, a0, a1, a2, a3), input2(3, b0, b1, b2, b3));
}

/**
 * A column of Bᵀ d of a tile, 8 channels of it: to `dstPtr` in a tile between its transforms, [m+2][m+2][8]. `columnPtr`: the
 * addresses of the column's pixels, in a table [m+2][m+2]; `offset`: bytes from each to the first channel.
 */
// @ts-ignore: decorator
@inline
export function transformColumnWide(m: i32, columnPtr: usize, offset: usize, minus4: v128, dstPtr: usize): void {
  const lineBytes = (<usize>m + 2) << 5, entries = (<usize>m + 2) * sizeof<usize>();
  const p0 = load<usize>(columnPtr) + offset, p1 = load<usize>(columnPtr + entries) + offset;
  const p2 = load<usize>(columnPtr + 2 * entries) + offset, p3 = load<usize>(columnPtr + 3 * entries) + offset;
  if (m == 4) {
    const p4 = load<usize>(columnPtr + 4 * entries) + offset, p5 = load<usize>(columnPtr + 5 * entries) + offset;
    transform4(p0, p1, p2, p3, p4, p5, minus4, dstPtr, lineBytes);
  } else {
    transform2(p0, p1, p2, p3, dstPtr, lineBytes);
  }
}

/**
 * The outputs of one tile, from M: `mPtr` is its row in M[0], `xi` bytes from M[ξ] to M[ξ+1]. `rows` × `columns` of its
 * m × m pixels lie in the map; `n` channels (a multiple of 8) from `outPtr`, `residualPtr` and `biasPtr` on.
 */
// @ts-ignore: decorator
@inline
export function transformOutputWide(
  s: Step, m: i32, rows: i32, columns: i32, n: i32, betweenPtr: usize, minus4: v128, mPtr: usize, xi: usize,
  biasPtr: usize, tileOutPtr: usize, tileResidualPtr: usize,
): void {
  const adds = addsResidual(s), activation = s.activation;
  const outStride = <usize>s.ldOut << 2, residualStride = <usize>s.ldResidual << 2;
  const outLine = outStride * s.ow, residualLine = residualStride * s.ow;
  const side = <usize>m + 2;
  const lineBytes = side << 5, xiLine = xi * side;
  for (let offset: usize = 0, end = <usize>n << 2; offset < end; offset += 32) {
    let p = mPtr + offset;
    for (let dstPtr = betweenPtr; dstPtr < betweenPtr + lineBytes; dstPtr += 32) {
      const p1 = p + xiLine, p2 = p1 + xiLine, p3 = p2 + xiLine;
      const a0 = v128.load(p), b0 = v128.load(p, 16), a1 = v128.load(p1), b1 = v128.load(p1, 16);
      const a2 = v128.load(p2), b2 = v128.load(p2, 16), a3 = v128.load(p3), b3 = v128.load(p3, 16);
      if (m == 4) {
        const p4 = p3 + xiLine, p5 = p4 + xiLine;
        const a4 = v128.load(p4), b4 = v128.load(p4, 16), a5 = v128.load(p5), b5 = v128.load(p5, 16);
        storePair(dstPtr, output4(0, a0, a1, a2, a3, a4, a5, minus4), output4(0, b0, b1, b2, b3, b4, b5, minus4));
        storePair(dstPtr + 192, output4(1, a0, a1, a2, a3, a4, a5, minus4), output4(1, b0, b1, b2, b3, b4, b5, minus4));
        storePair(dstPtr + 384, output4(2, a0, a1, a2, a3, a4, a5, minus4), output4(2, b0, b1, b2, b3, b4, b5, minus4));
        storePair(dstPtr + 576, output4(3, a0, a1, a2, a3, a4, a5, minus4), output4(3, b0, b1, b2, b3, b4, b5, minus4));
      } else {
        storePair(dstPtr, output2(0, a0, a1, a2, a3), output2(0, b0, b1, b2, b3));
        storePair(dstPtr + 128, output2(1, a0, a1, a2, a3), output2(1, b0, b1, b2, b3));
      }
      p += xi;
    }
    const low = v128.load(biasPtr + offset), high = v128.load(biasPtr + offset, 16);
    let outPtr = tileOutPtr + offset, residualPtr = tileResidualPtr + offset;
    let q = betweenPtr;
    for (let i = 0; i < rows; i++) {
      const a0 = v128.load(q), b0 = v128.load(q, 16), a1 = v128.load(q, 32), b1 = v128.load(q, 48);
      const a2 = v128.load(q, 64), b2 = v128.load(q, 80), a3 = v128.load(q, 96), b3 = v128.load(q, 112);
      const a4 = m == 4 ? v128.load(q, 128) : a0, b4 = m == 4 ? v128.load(q, 144) : b0;
      const a5 = m == 4 ? v128.load(q, 160) : a0, b5 = m == 4 ? v128.load(q, 176) : b0;
      if (m == 4) {
        applyEpiloguePair(
          s, adds, activation, f32x4.add(low, output4(0, a0, a1, a2, a3, a4, a5, minus4)),
          f32x4.add(high, output4(0, b0, b1, b2, b3, b4, b5, minus4)), outPtr, residualPtr,
        );
        if (columns > 1) {
          applyEpiloguePair(
            s, adds, activation, f32x4.add(low, output4(1, a0, a1, a2, a3, a4, a5, minus4)),
            f32x4.add(high, output4(1, b0, b1, b2, b3, b4, b5, minus4)), outPtr + outStride, residualPtr + residualStride,
          );
        }
        if (columns > 2) {
          applyEpiloguePair(
            s, adds, activation, f32x4.add(low, output4(2, a0, a1, a2, a3, a4, a5, minus4)),
            f32x4.add(high, output4(2, b0, b1, b2, b3, b4, b5, minus4)), outPtr + outStride * 2, residualPtr + residualStride * 2,
          );
        }
        if (columns > 3) {
          applyEpiloguePair(
            s, adds, activation, f32x4.add(low, output4(3, a0, a1, a2, a3, a4, a5, minus4)),
            f32x4.add(high, output4(3, b0, b1, b2, b3, b4, b5, minus4)), outPtr + outStride * 3, residualPtr + residualStride * 3,
          );
        }
      } else {
        applyEpiloguePair(
          s, adds, activation, f32x4.add(low, output2(0, a0, a1, a2, a3)),
          f32x4.add(high, output2(0, b0, b1, b2, b3)), outPtr, residualPtr,
        );
        if (columns > 1) {
          applyEpiloguePair(
            s, adds, activation, f32x4.add(low, output2(1, a0, a1, a2, a3)),
            f32x4.add(high, output2(1, b0, b1, b2, b3)), outPtr + outStride, residualPtr + residualStride,
          );
        }
      }
      q += lineBytes;
      outPtr += outLine;
      residualPtr += residualLine;
    }
  }
}
