/**
 * Resizing as Pillow's Image.resize does it, to the bit: separable, rows first, weights in fixed point, 8 bits after each
 * pass. The caller makes the filters (bindings/image/filters.ts), hands over one source row at a time, and keeps the
 * resized rows in a ring, so that memory does not grow with the picture:
 *
 *   source row ─ composeOnWhite ─ resizeRow ─▶ ring of `taps` rows ─ resizeColumn ─▶ row of bytes ─ normalise ─▶ NHWC
 *
 * Grey pictures take toGrey, resizeGreyRow and normaliseGrey instead.
 * Filters of one side lie one after the other, each a row of taps + 2 i32: the first input pixel, how many, their weights.
 */

/** Fraction bits of a weight: a sum of 255 · weights, some of them negative, stays within 32 bits. */
const FRACTION: i32 = 22;
const HALF: i32 = 1 << (FRACTION - 1);

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
 * `srcPtr`: where input pixel `first` lies, the first that a filter weighs. `filtersPtr`, `taps`: of this side. Reads and writes one byte past the last pixel.
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
 * Grey of pixels of `channels` bytes (3, or 4 of which three count), in place and one byte each: ITU-R 601-2's luma in
 * 16 fraction bits, as Pillow's convert('L') has it. Works on four pixels at a time: up to 16 bytes past the last pixel
 * are read, up to 3 written.
 */
export function toGrey(ptr: usize, channels: i32, pixels: i32): void {
  const zero = i8x16.splat(0);
  const isRgb = channels == 3;
  let dst = ptr;
  for (const end = ptr + <usize>pixels; dst < end; dst += 4) {
    const bytes = v128.load(ptr);
    // A pixel in each lane of 32 bits.
    const four = isRgb ? i8x16.shuffle(bytes, zero, 0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16, 9, 10, 11, 16) : bytes;
    const byte = i32x4.splat(255);
    const red = i32x4.mul(v128.and(four, byte), i32x4.splat(19595));
    const green = i32x4.mul(v128.and(i32x4.shr_u(four, 8), byte), i32x4.splat(38470));
    const blue = i32x4.mul(v128.and(i32x4.shr_u(four, 16), byte), i32x4.splat(7471));
    const sum = i32x4.add(i32x4.add(red, green), i32x4.add(blue, i32x4.splat(0x8000)));
    const words = i16x8.narrow_i32x4_u(i32x4.shr_u(sum, 16), sum);
    v128.store32_lane(dst, i8x16.narrow_i16x8_u(words, words), 0);
    ptr += <usize>channels << 2;
  }
}

/** resizeRow for pixels of one byte, which become `count` bytes. Reads no byte past the last pixel. */
export function resizeGreyRow(
  srcPtr: usize, first: i32, filtersPtr: usize, taps: i32, count: i32, dstPtr: usize,
): void {
  for (const end = dstPtr + <usize>count; dstPtr < end; dstPtr++) {
    let src = srcPtr + <usize>(load<i32>(filtersPtr) - first);
    const n = load<i32>(filtersPtr, 4);
    let weight = filtersPtr + 8;
    const last = weight + (<usize>n << 2);
    let sums = i32x4.splat(0);
    for (const whole = last - 12; weight < whole; weight += 16) {
      const pixels = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(src)));
      sums = i32x4.add(sums, i32x4.mul(pixels, v128.load(weight)));
      src += 4;
    }
    const pairs = i32x4.add(sums, i8x16.shuffle(sums, sums, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    let sum = HALF + i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
    for (; weight < last; weight += 4) sum += <i32>load<u8>(src++) * load<i32>(weight);
    store<u8>(dstPtr, <u8>min(max(sum >> FRACTION, 0), 255));
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
 * `count` RGB pixels to normalised float32 in the order that the network wants; `isReversed`: BGR. `tablePtr`: per
 * output channel 256 float32, one per byte, so that the caller's float64 is rounded once.
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

/** `count` bytes to normalised float32. `tablePtr`: 256 float32, one per byte. */
export function normaliseGrey(srcPtr: usize, count: i32, tablePtr: usize, dstPtr: usize): void {
  for (const end = srcPtr + <usize>count; srcPtr < end; srcPtr++) {
    store<f32>(dstPtr, load<f32>(tablePtr + (<usize>load<u8>(srcPtr) << 2)));
    dstPtr += 4;
  }
}
