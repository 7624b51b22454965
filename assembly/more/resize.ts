import { madd } from '../isa';
import { partition } from '../partition';
import { Step } from '../step';
import { ResizeStep } from './step';
import { copyValues, loadSome, storeSome } from './values';

/** Values of `ResizeStep.resizeMode`. */
const NEAREST: i32 = 0;
const BILINEAR: i32 = 1;

/** Values of `ResizeStep.coordinates`. */
const HALF_PIXEL: i32 = 0;
const ASYMMETRIC: i32 = 1;
const ALIGN_CORNERS: i32 = 2;
const PYTORCH_HALF_PIXEL: i32 = 3;

/** Values of `ResizeStep.rounding`. */
const ROUND_FLOOR: i32 = 0;
const ROUND_CEIL: i32 = 1;
const ROUND_PREFER_FLOOR: i32 = 2;

/** Bytes of a tap: a source row or column, and its weight. */
const TAP: usize = 8;

/** Bytes of a table of taps in the scratch, where the rows' and the columns' lie. */
const TABLE: usize = 96 * 1024;

/**
 * Resizes maps, [B,IH,IW,C] → [B,OH,OW,C], as ONNX's Resize: each output pixel is a sum of source pixels with weights, which
 * are those of its row times those of its column. Threads share the output rows. The columns' taps are worked out once for
 * as many columns as the scratch has room for.
 */
export function resize(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const s = changetype<ResizeStep>(step);
  const pixelBytes = <usize>s.ldIn << 2, outBytes = <usize>s.ldOut << 2;
  const bytes = <usize>s.ic << 2;
  const tapsY = tapsOf(s, s.ih, s.oh, s.scaleH), tapsX = tapsOf(s, s.iw, s.ow, s.scaleW);
  const rowPtr = scratchPtr, columnsPtr = scratchPtr + TABLE;
  const room = <i32>(TABLE / (TAP * tapsX));
  const rows = s.batch * s.oh;
  const first = partition(rows, piece, pieces), end = partition(rows, piece + 1, pieces);
  for (let x0 = 0; x0 < s.ow; x0 += room) {
    const x1 = min(s.ow, x0 + room);
    for (let x = x0; x < x1; x++) {
      setTaps(s, x, s.iw, s.ow, s.scaleW, tapsX, columnsPtr + TAP * tapsX * (x - x0));
    }
    for (let row = first; row < end; row++) {
      const image = row / s.oh;
      setTaps(s, row - image * s.oh, s.ih, s.oh, s.scaleH, tapsY, rowPtr);
      const imagePtr = s.inPtr + pixelBytes * (image * s.ih * s.iw);
      const lineBytes = pixelBytes * s.iw;
      let outPtr = s.outPtr + outBytes * (row * s.ow + x0);
      let columnPtr = columnsPtr;
      for (let x = x0; x < x1; x++) {
        if (s.resizeMode == NEAREST) {
          copyValues(outPtr, imagePtr + lineBytes * load<i32>(rowPtr) + pixelBytes * load<i32>(columnPtr), bytes);
        } else blend(imagePtr, lineBytes, rowPtr, tapsY, pixelBytes, columnPtr, tapsX, outPtr, bytes);
        outPtr += outBytes;
        columnPtr += TAP * tapsX;
      }
    }
  }
}

/** One output pixel: the sum of all pairs of taps. */
function blend(
  imagePtr: usize, lineBytes: usize, rowPtr: usize, tapsY: i32, pixelBytes: usize, columnPtr: usize, tapsX: i32,
  outPtr: usize, bytes: usize,
): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const left = bytes - i;
    let sum = f32x4.splat(0);
    for (let ty = 0; ty < tapsY; ty++) {
      const linePtr = imagePtr + i + lineBytes * load<i32>(rowPtr + TAP * ty);
      const weightY = load<f32>(rowPtr + TAP * ty, 4);
      for (let tx = 0; tx < tapsX; tx++) {
        const weight = weightY * load<f32>(columnPtr + TAP * tx, 4);
        sum = madd(loadSome(linePtr + pixelBytes * load<i32>(columnPtr + TAP * tx), left), f32x4.splat(weight), sum);
      }
    }
    storeSome(outPtr + i, sum, left);
  }
}

/** By how much an antialiasing filter is wider: input pixels per output pixel, at least 1. */
// @ts-ignore: decorator
@inline
function stretchOf(s: ResizeStep, inSize: i32, outSize: i32, scale: f32): f64 {
  const perPixel = scale > 0 ? 1.0 / <f64>scale : <f64>inSize / <f64>outSize;
  return s.antialias ? max(1.0, perPixel) : 1.0;
}

/** How many source pixels an output pixel has along an axis. */
function tapsOf(s: ResizeStep, inSize: i32, outSize: i32, scale: f32): i32 {
  if (s.resizeMode == NEAREST) return 1;
  const reach = s.resizeMode == BILINEAR ? 1.0 : 2.0;
  return 2 * <i32>Math.ceil(reach * stretchOf(s, inSize, outSize, scale));
}

/** Where output place `target` lies in the input: ONNX's coordinate_transformation_mode, with outSize / inSize if `scale` is 0. */
function sourceOf(s: ResizeStep, target: i32, inSize: i32, outSize: i32, scale: f32): f64 {
  const centre = <f64>target + 0.5;
  const half = (scale > 0 ? centre / <f64>scale : centre * <f64>inSize / <f64>outSize) - 0.5;
  switch (s.coordinates) {
    case HALF_PIXEL: return half;
    case ASYMMETRIC: return scale > 0 ? <f64>target / <f64>scale : <f64>target * <f64>inSize / <f64>outSize;
    case ALIGN_CORNERS: return outSize > 1 ? <f64>target * <f64>(inSize - 1) / <f64>(outSize - 1) : 0;
    case PYTORCH_HALF_PIXEL: return outSize > 1 ? half : 0;
    default: {
      // Of the size that was rounded away, half is left out on either side.
      const ideal = scale > 0 ? <f64>scale * <f64>inSize : <f64>outSize;
      return <f64>inSize / 2 * (1 - <f64>outSize / ideal) + half;
    }
  }
}

/** Writes the taps of output place `target`. Places beyond an edge are the edge's. */
function setTaps(
  s: ResizeStep, target: i32, inSize: i32, outSize: i32, scale: f32, taps: i32, tapPtr: usize,
): void {
  const source = sourceOf(s, target, inSize, outSize, scale);
  if (s.resizeMode == NEAREST) {
    const rounding = s.rounding;
    const place = rounding == ROUND_FLOOR ? Math.floor(source)
      : rounding == ROUND_CEIL ? Math.ceil(source)
      : rounding == ROUND_PREFER_FLOOR ? Math.ceil(source - 0.5) : Math.floor(source + 0.5);
    store<i32>(tapPtr, clamped(<i32>place, inSize));
    return;
  }
  const stretch = stretchOf(s, inSize, outSize, scale);
  const first = <i32>Math.floor(source) - (taps >> 1) + 1;
  let sum: f64 = 0;
  for (let t = 0; t < taps; t++) {
    const at = first + t;
    if (!(s.excludesOutside && <u32>at >= <u32>inSize)) sum += filter(s, (<f64>at - source) / stretch);
  }
  for (let t = 0; t < taps; t++) {
    const at = first + t;
    const isOut = s.excludesOutside && <u32>at >= <u32>inSize;
    store<i32>(tapPtr + TAP * t, clamped(at, inSize));
    store<f32>(tapPtr + TAP * t, isOut ? 0 : <f32>(filter(s, (<f64>at - source) / stretch) / sum), 4);
  }
}

// @ts-ignore: decorator
@inline
function clamped(place: i32, size: i32): i32 {
  return min(max(place, 0), size - 1);
}

/** The weight of a pixel at a distance: a triangle, or the cubic of Keys 1981 with a = alpha. */
function filter(s: ResizeStep, distance: f64): f64 {
  const d = Math.abs(distance), a = <f64>s.alpha;
  if (s.resizeMode == BILINEAR) return max(0, 1 - d);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}
