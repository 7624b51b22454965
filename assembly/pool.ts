import { storePair } from './epilogue';
import { WIDE } from './isa';
import { partition } from './partition';
import { Step } from './step';

/**
 * Max pool over KH×KW windows; what lies outside the map counts as −infinity, and a NaN is its window's result. Pieces
 * are output rows.
 */
export function maxPool(s: Step, piece: i32, pieces: i32): void {
  pool(s, piece, pieces, true, false);
}

/**
 * Average pool over KH×KW windows; what lies outside the map counts as zero and in the divisor (torch's default) or, if
 * the step leaves padding out, not at all.
 */
export function avgPool(s: Step, piece: i32, pieces: i32): void {
  averagePool(s, piece, pieces, false);
}

/**
 * Average pool to OH×OW, whatever the map (torch's adaptive pool): output y is the mean of rows ⌊y·IH/OH⌋ … ⌈(y+1)·IH/OH⌉,
 * and of columns likewise. Pieces are output rows.
 */
export function adaptiveAvgPool(s: Step, piece: i32, pieces: i32): void {
  averagePool(s, piece, pieces, true);
}

/** One function for both averages, which differ only in their windows. */
function averagePool(s: Step, piece: i32, pieces: i32, isAdaptive: bool): void {
  pool(s, piece, pieces, false, isAdaptive);
}

// @ts-ignore: decorator
@inline
function pool(s: Step, piece: i32, pieces: i32, isMax: bool, isAdaptive: bool): void {
  const ih = s.ih, iw = s.iw, oh = s.oh, ow = s.ow, c = s.oc;
  const pixelBytes = <usize>s.ldIn << 2;
  const outBytes = <usize>s.ldOut << 2;
  const end = partition(s.batch * oh, piece + 1, pieces);
  for (let row = partition(s.batch * oh, piece, pieces); row < end; row++) {
    const image = row / oh;
    const oy = row - image * oh;
    const top = oy * s.strideH - s.padTop;
    const y0 = isAdaptive ? oy * ih / oh : max(top, 0);
    const y1 = isAdaptive ? ((oy + 1) * ih + oh - 1) / oh : min(top + s.kh, ih);
    const inPtr = s.inPtr + pixelBytes * image * (ih * iw);
    for (let ox = 0; ox < ow; ox++) {
      const left = ox * s.strideW - s.padLeft;
      const x0 = isAdaptive ? ox * iw / ow : max(left, 0);
      const x1 = isAdaptive ? ((ox + 1) * iw + ow - 1) / ow : min(left + s.kw, iw);
      const isInside = isAdaptive || (!isMax && s.leavesPadding != 0);
      const scale: f32 = <f32>1 / <f32>(isInside ? (y1 - y0) * (x1 - x0) : s.kh * s.kw);
      const outPtr = s.outPtr + outBytes * (row * ow + ox);
      let i = 0;
      if (WIDE) {
        for (; i + 8 <= c; i += 8) {
          let low = isMax ? f32x4.splat(-Infinity) : f32x4.splat(0), high = low;
          let nanLow = f32x4.splat(0), nanHigh = nanLow;
          for (let y = y0; y < y1; y++) {
            let ptr = inPtr + pixelBytes * (y * iw + x0) + (<usize>i << 2);
            for (let x = x0; x < x1; x++) {
              const v = v128.load(ptr), w = v128.load(ptr, 16);
              low = isMax ? f32x4.pmax(low, v) : f32x4.add(low, v);
              high = isMax ? f32x4.pmax(high, w) : f32x4.add(high, w);
              if (isMax) {
                nanLow = v128.or(nanLow, f32x4.ne(v, v));
                nanHigh = v128.or(nanHigh, f32x4.ne(w, w));
              }
              ptr += pixelBytes;
            }
          }
          low = isMax ? v128.or(low, nanLow) : f32x4.mul(low, f32x4.splat(scale));
          high = isMax ? v128.or(high, nanHigh) : f32x4.mul(high, f32x4.splat(scale));
          storePair(outPtr + (<usize>i << 2), low, high);
        }
      }
      for (; i + 4 <= c; i += 4) {
        let sum = isMax ? f32x4.splat(-Infinity) : f32x4.splat(0);
        let nan = f32x4.splat(0);
        for (let y = y0; y < y1; y++) {
          let ptr = inPtr + pixelBytes * (y * iw + x0) + (<usize>i << 2);
          for (let x = x0; x < x1; x++) {
            const v = v128.load(ptr);
            // pmax and this mask are three instructions, max is eight: 0.4 ms less for the stem's 112x112x64.
            sum = isMax ? f32x4.pmax(sum, v) : f32x4.add(sum, v);
            if (isMax) nan = v128.or(nan, f32x4.ne(v, v));
            ptr += pixelBytes;
          }
        }
        v128.store(outPtr + (<usize>i << 2), isMax ? v128.or(sum, nan) : f32x4.mul(sum, f32x4.splat(scale)));
      }
      for (; i < c; i++) {
        let sum: f32 = isMax ? -Infinity : 0;
        for (let y = y0; y < y1; y++) {
          let ptr = inPtr + pixelBytes * (y * iw + x0) + (<usize>i << 2);
          for (let x = x0; x < x1; x++) {
            const v = load<f32>(ptr);
            sum = isMax ? max(sum, v) : sum + v;
            ptr += pixelBytes;
          }
        }
        store<f32>(outPtr + (<usize>i << 2), isMax ? sum : sum * scale);
      }
    }
  }
}
