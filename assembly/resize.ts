/**
 * Resizing as Pillow's Image.resize(BILINEAR) does it, to the bit: separable, rows first, a triangle filter that grows
 * with the scale (antialiasing), weights rounded to fixed point, 8 bits after each pass.
 */

/** Fraction bits of a weight: a sum of 255 · weights stays within 32 bits. */
const FRACTION: i32 = 22;

// @ts-ignore: decorator
@inline
function support(inSize: i32, outSize: i32): f64 {
  return max(<f64>inSize / <f64>outSize, 1.0);
}

/** The most input pixels that one output pixel weighs. */
export function resizeTaps(inSize: i32, outSize: i32): i32 {
  return <i32>Math.ceil(support(inSize, outSize)) * 2 + 1;
}

/**
 * Filters of outputs first … first + count of `outSize` along one side. Each is a row of taps + 2 i32 at `dstPtr`: the
 * first input pixel, how many, and their weights.
 */
export function resizeFilters(inSize: i32, outSize: i32, first: i32, count: i32, dstPtr: usize): void {
  const scale = <f64>inSize / <f64>outSize;
  const reach = support(inSize, outSize);
  const taps = resizeTaps(inSize, outSize);
  for (let i = 0; i < count; i++) {
    const row = dstPtr + (<usize>(i * (taps + 2)) << 2);
    const center = (<f64>(first + i) + 0.5) * scale;
    const from = max(<i32>(center - reach + 0.5), 0);
    const n = min(<i32>(center + reach + 0.5), inSize) - from;
    let sum: f64 = 0;
    for (let x = 0; x < n; x++) sum += triangle((<f64>(from + x) - center + 0.5) / reach);
    store<i32>(row, from);
    store<i32>(row, n, 4);
    for (let x = 0; x < n; x++) {
      const weight = triangle((<f64>(from + x) - center + 0.5) / reach) / sum;
      store<i32>(row + (<usize>x << 2), <i32>(weight * <f64>(1 << FRACTION) + 0.5), 8);
    }
  }
}

// @ts-ignore: decorator
@inline
function triangle(x: f64): f64 {
  return max(1.0 - Math.abs(x), 0.0);
}

/** RGBA with straight alpha, in place, over white: c = (c · a + 255 · (255 − a)) / 255, rounded. */
export function composeOnWhite(ptr: usize, pixels: i32): void {
  for (const end = ptr + (<usize>pixels << 2); ptr < end; ptr += 4) {
    const alpha = <u32>load<u8>(ptr, 3);
    if (alpha == 255) continue;
    const white = 255 * (255 - alpha) + 127;
    store<u8>(ptr, (<u32>load<u8>(ptr) * alpha + white) / 255);
    store<u8>(ptr, (<u32>load<u8>(ptr, 1) * alpha + white) / 255, 1);
    store<u8>(ptr, (<u32>load<u8>(ptr, 2) * alpha + white) / 255, 2);
  }
}

/**
 * The pass along rows: `rows` rows of `width` pixels of `channels` bytes (3, or 4 of which three count) become rows of
 * `count` RGB pixels, `dstStride` bytes apart. `filtersPtr`: resizeFilters of this side, `taps` as resizeTaps says.
 * Reads one byte past the last row.
 */
export function resizeRows(
  srcPtr: usize, rows: i32, width: i32, channels: i32, filtersPtr: usize, taps: i32, count: i32, dstPtr: usize,
  dstStride: i32,
): void {
  for (let y = 0; y < rows; y++) {
    let filter = filtersPtr;
    let dst = dstPtr + <usize>y * dstStride;
    const row = srcPtr + <usize>y * width * channels;
    for (let x = 0; x < count; x++) {
      let src = row + <usize>load<i32>(filter) * channels;
      let sum = i32x4.splat(1 << (FRACTION - 1));
      let weight = filter + 8;
      for (const end = weight + (<usize>load<i32>(filter, 4) << 2); weight < end; weight += 4) {
        const pixel = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(src)));
        sum = i32x4.add(sum, i32x4.mul(pixel, v128.load32_splat(weight)));
        src += channels;
      }
      const words = i16x8.narrow_i32x4_s(i32x4.shr_s(sum, FRACTION), sum);
      const bytes = i8x16.narrow_i16x8_u(words, words);
      store<u16>(dst, <u16>i16x8.extract_lane_u(bytes, 0));
      store<u8>(dst, i8x16.extract_lane_u(bytes, 2), 2);
      dst += 3;
      filter += <usize>(taps + 2) << 2;
    }
  }
}

/**
 * The pass along columns: `count` rows of `rowBytes` bytes from rows of as many, all `stride` bytes apart (a multiple of
 * 16). `srcPtr` is input row `firstRow`.
 */
export function resizeColumns(
  srcPtr: usize, firstRow: i32, stride: i32, filtersPtr: usize, taps: i32, count: i32, dstPtr: usize,
): void {
  for (let y = 0; y < count; y++) {
    const filter = filtersPtr + (<usize>(y * (taps + 2)) << 2);
    const rows = srcPtr + <usize>(load<i32>(filter) - firstRow) * stride;
    const end = filter + 8 + (<usize>load<i32>(filter, 4) << 2);
    for (let x: usize = 0; x < <usize>stride; x += 16) {
      let a = i32x4.splat(1 << (FRACTION - 1)), b = a, c = a, d = a;
      let src = rows + x;
      for (let ptr = filter + 8; ptr < end; ptr += 4) {
        const weight = v128.load32_splat(ptr);
        const bytes = v128.load(src);
        const low = i16x8.extend_low_i8x16_u(bytes), high = i16x8.extend_high_i8x16_u(bytes);
        a = i32x4.add(a, i32x4.mul(i32x4.extend_low_i16x8_u(low), weight));
        b = i32x4.add(b, i32x4.mul(i32x4.extend_high_i16x8_u(low), weight));
        c = i32x4.add(c, i32x4.mul(i32x4.extend_low_i16x8_u(high), weight));
        d = i32x4.add(d, i32x4.mul(i32x4.extend_high_i16x8_u(high), weight));
        src += stride;
      }
      const low = i16x8.narrow_i32x4_s(i32x4.shr_s(a, FRACTION), i32x4.shr_s(b, FRACTION));
      const high = i16x8.narrow_i32x4_s(i32x4.shr_s(c, FRACTION), i32x4.shr_s(d, FRACTION));
      v128.store(dstPtr + <usize>y * stride + x, i8x16.narrow_i16x8_u(low, high));
    }
  }
}

/**
 * Bytes to normalised float32: `rows` rows of `columns` RGB pixels, `srcStride` bytes apart, to NHWC pixels, rows
 * `dstStride` elements apart. `tablePtr`: for each output channel 256 float32, one for each byte; `reversed`: BGR.
 */
export function normalise(
  srcPtr: usize, srcStride: i32, rows: i32, columns: i32, reversed: bool, tablePtr: usize, dstPtr: usize, dstStride: i32,
): void {
  const first: usize = reversed ? 2 : 0, last: usize = reversed ? 0 : 2;
  for (let y = 0; y < rows; y++) {
    let src = srcPtr + <usize>y * srcStride;
    let dst = dstPtr + (<usize>(y * dstStride) << 2);
    for (let x = 0; x < columns; x++) {
      store<f32>(dst, load<f32>(tablePtr + (<usize>load<u8>(src + first) << 2)));
      store<f32>(dst, load<f32>(tablePtr + (<usize>load<u8>(src, 1) << 2), 1024), 4);
      store<f32>(dst, load<f32>(tablePtr + (<usize>load<u8>(src + last) << 2), 2048), 8);
      src += 3;
      dst += 12;
    }
  }
}
