/**
 * Resizing as Pillow's Image.resize(BILINEAR) does it, to the bit: separable, rows first, a triangle filter that grows
 * with the scale (antialiasing), weights rounded to fixed point, 8 bits after each pass. The caller hands over one
 * source row at a time and keeps the resized rows in a ring, so that memory does not grow with the picture:
 *
 *   source row ─ composeOnWhite ─ resizeRow ─▶ ring of `taps` rows ─ resizeColumn ─▶ row of bytes ─ normalise ─▶ NHWC
 */

/** Fraction bits of a weight: a sum of 255 · weights stays within 32 bits. */
const FRACTION: i32 = 22;
const HALF: i32 = 1 << (FRACTION - 1);

// @ts-ignore: decorator
@inline
function reach(inSize: i32, outSize: f64): f64 {
  return max(<f64>inSize / outSize, 1.0);
}

/** The most input pixels that one output pixel weighs. Output sizes are f64: those of a thin strip exceed an i32. */
export function resizeTaps(inSize: i32, outSize: f64): i32 {
  return <i32>Math.ceil(reach(inSize, outSize)) * 2 + 1;
}

/**
 * Filters of outputs first … first + count of `outSize` along one side. Each is a row of taps + 2 i32 at `dstPtr`: the
 * first input pixel, how many, and their weights.
 */
export function resizeFilters(inSize: i32, outSize: f64, first: f64, count: i32, dstPtr: usize): void {
  const scale = <f64>inSize / outSize;
  const support = reach(inSize, outSize);
  // As Pillow does: a quotient here would round some weights otherwise.
  const perPixel = 1.0 / support;
  const rowBytes = <usize>(resizeTaps(inSize, outSize) + 2) << 2;
  for (let i = 0; i < count; i++) {
    const row = dstPtr + rowBytes * i;
    const center = (first + <f64>i + 0.5) * scale;
    const from = max(<i32>(center - support + 0.5), 0);
    const n = min(<i32>(center + support + 0.5), inSize) - from;
    let sum: f64 = 0;
    for (let x = 0; x < n; x++) sum += triangle((<f64>(from + x) - center + 0.5) * perPixel);
    store<i32>(row, from);
    store<i32>(row, n, 4);
    for (let x = 0; x < n; x++) {
      const weight = triangle((<f64>(from + x) - center + 0.5) * perPixel) / sum;
      store<i32>(row + (<usize>x << 2), <i32>(weight * <f64>(1 << FRACTION) + 0.5), 8);
    }
  }
}

// @ts-ignore: decorator
@inline
function triangle(x: f64): f64 {
  return max(1.0 - Math.abs(x), 0.0);
}

/**
 * RGBA with straight alpha, in place, over white: c = 255 − a · (255 − c) / 255, rounded. What was alpha has no meaning
 * then. Works on whole vectors: up to 12 bytes past the last pixel are read and written.
 */
export function composeOnWhite(ptr: usize, pixels: i32): void {
  const ones = i8x16.splat(-1);
  for (const end = ptr + (<usize>pixels << 2); ptr < end; ptr += 16) {
    const bytes = v128.load(ptr);
    const alpha = i8x16.shuffle(bytes, bytes, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15);
    if (i8x16.all_true(i8x16.eq(alpha, ones))) continue;
    const dark = v128.not(bytes);
    v128.store(
      ptr,
      i8x16.narrow_i16x8_u(
        over(i16x8.extmul_low_i8x16_u(alpha, dark)),
        over(i16x8.extmul_high_i8x16_u(alpha, dark)),
      ),
    );
  }
}

/** 255 − x / 255, rounded, in eight u16 lanes; x ≤ 255 · 255. */
// @ts-ignore: decorator
@inline
function over(x: v128): v128 {
  // y / 255, rounded, is (z + z / 256) / 256 of z = y + 128 in whole numbers, for any y ≤ 255 · 255.
  const z = i16x8.sub(i16x8.splat(<i16>(255 * 255 + 128)), x);
  return i16x8.shr_u(i16x8.add(z, i16x8.shr_u(z, 8)), 8);
}

/**
 * The pass along one row: pixels of `channels` bytes (3, or 4 of which three count) become `count` RGB pixels.
 * `srcPtr`: where input pixel `first` lies, the first that a filter weighs. `filtersPtr`, `taps`: of this side, as
 * resizeFilters and resizeTaps gave them. Reads and writes one byte past the last pixel.
 */
export function resizeRow(
  srcPtr: usize, first: i32, channels: i32, filtersPtr: usize, taps: i32, count: i32, dstPtr: usize,
): void {
  for (let x = 0; x < count; x++) {
    let src = srcPtr + <usize>(load<i32>(filtersPtr) - first) * channels;
    let sum = i32x4.splat(HALF);
    let weight = filtersPtr + 8;
    for (const end = weight + (<usize>load<i32>(filtersPtr, 4) << 2); weight < end; weight += 4) {
      const pixel = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(src)));
      sum = i32x4.add(sum, i32x4.mul(pixel, v128.load32_splat(weight)));
      src += channels;
    }
    const words = i16x8.narrow_i32x4_s(i32x4.shr_s(sum, FRACTION), sum);
    v128.store32_lane(dstPtr, i8x16.narrow_i16x8_u(words, words), 0);
    dstPtr += 3;
    filtersPtr += <usize>(taps + 2) << 2;
  }
}

/**
 * The pass along columns, for one output row of `stride` bytes (a multiple of 16). `ringPtr`: a ring of `taps` input
 * rows, row y at place y mod taps. `filterPtr`: the output row's own filter.
 */
export function resizeColumn(ringPtr: usize, stride: i32, filterPtr: usize, taps: i32, dstPtr: usize): void {
  const ringBytes = <usize>taps * stride;
  const start = <usize>(load<i32>(filterPtr) % taps) * stride;
  const weights = filterPtr + 8;
  const end = weights + (<usize>load<i32>(filterPtr, 4) << 2);
  for (let x: usize = 0; x < <usize>stride; x += 16) {
    let a = i32x4.splat(HALF), b = a, c = a, d = a;
    let row = start;
    for (let ptr = weights; ptr < end; ptr += 4) {
      const weight = v128.load32_splat(ptr);
      const bytes = v128.load(ringPtr + row + x);
      const low = i16x8.extend_low_i8x16_u(bytes), high = i16x8.extend_high_i8x16_u(bytes);
      a = i32x4.add(a, i32x4.mul(i32x4.extend_low_i16x8_u(low), weight));
      b = i32x4.add(b, i32x4.mul(i32x4.extend_high_i16x8_u(low), weight));
      c = i32x4.add(c, i32x4.mul(i32x4.extend_low_i16x8_u(high), weight));
      d = i32x4.add(d, i32x4.mul(i32x4.extend_high_i16x8_u(high), weight));
      row += stride;
      if (row == ringBytes) row = 0;
    }
    const low = i16x8.narrow_i32x4_s(i32x4.shr_s(a, FRACTION), i32x4.shr_s(b, FRACTION));
    const high = i16x8.narrow_i32x4_s(i32x4.shr_s(c, FRACTION), i32x4.shr_s(d, FRACTION));
    v128.store(dstPtr + x, i8x16.narrow_i16x8_u(low, high));
  }
}

/**
 * `count` RGB pixels to normalised float32 in the order that the network wants; `isReversed`: BGR. `tablePtr`: for each
 * output channel 256 float32, one for each byte, so that the caller's float64 is rounded once.
 */
export function normalise(srcPtr: usize, count: i32, isReversed: bool, tablePtr: usize, dstPtr: usize): void {
  const first: usize = isReversed ? 2 : 0, last: usize = 2 - first;
  for (const end = srcPtr + <usize>count * 3; srcPtr < end; srcPtr += 3) {
    store<f32>(dstPtr, load<f32>(tablePtr + (<usize>load<u8>(srcPtr + first) << 2)));
    store<f32>(dstPtr, load<f32>(tablePtr + (<usize>load<u8>(srcPtr, 1) << 2), 1024), 4);
    store<f32>(dstPtr, load<f32>(tablePtr + (<usize>load<u8>(srcPtr + last) << 2), 2048), 8);
    dstPtr += 12;
  }
}
