import { NR } from '../tile';
import { perWordOf } from './dot';
import { greater, greatestLane } from './quant';
import { quantiseBytes } from './quantise';

/**
 * Packed weights, drawn for words of 4 bytes (isBytes; of 2 otherwise) and NR = 8; every cell is one int8. Words are those
 * of A: each tap's channels fill whole words, with zeros at the end.
 *
 *   B panel j     [words][8][4]   word 0: b(0,8j) b(1,8j) b(2,8j) b(3,8j) | b(0,8j+1) … b(3,8j+1) | … b(3,8j+7)
 *   packed B      panels j = 0 … ceil(N/8)−1, one after the other; columns beyond N are zero
 *   weights       the packed B of each group, one after the other; then a float32 per output, padded to whole panels: scale
 */

/** Bytes of a packed B of `n` columns. */
// @ts-ignore: decorator
@inline
export function packedQuantBytes(isBytes: bool, words: i32, n: i32): usize {
  return <usize>((n + NR - 1) / NR) * words * (NR * perWordOf(isBytes));
}

/** Where column n of all groups begins. */
// @ts-ignore: decorator
@inline
function columnPtr(isBytes: bool, dstPtr: usize, words: i32, perGroup: i32, n: i32): usize {
  const g = n / perGroup;
  const local = n - g * perGroup;
  const perWord = perWordOf(isBytes);
  return dstPtr + packedQuantBytes(isBytes, words, perGroup) * g +
    <usize>(local / NR) * words * (NR * perWord) + <usize>((local % NR) * perWord);
}

/** Puts a row of W[O, I, S], int8, into its column. */
function packColumn(isBytes: bool, srcPtr: usize, toPtr: usize, inner: i32, taps: i32): void {
  const perWord = perWordOf(isBytes);
  const wordBytes = <usize>(NR * perWord);
  for (let s = 0; s < taps; s++) {
    let fromPtr = srcPtr + s;
    for (let i = 0; i < inner; i += perWord) {
      const count = min(perWord, inner - i);
      for (let l = 0; l < count; l++) {
        store<i8>(toPtr + l, load<i8>(fromPtr));
        fromPtr += taps;
      }
      toPtr += wordBytes;
    }
  }
}

/** Packs `count` rows of int8 from row o0 of W[O, I, S] on. `perGroup`: outputs per group. */
export function packI8(
  isBytes: bool, srcPtr: usize, dstPtr: usize, o0: i32, count: i32, perGroup: i32, inner: i32, taps: i32, words: i32,
): void {
  const k = inner * taps;
  for (let o = o0; o < o0 + count; o++) {
    packColumn(isBytes, srcPtr, columnPtr(isBytes, dstPtr, words, perGroup, o), inner, taps);
    srcPtr += k;
  }
}

/** The greatest weight is this multiple of its output's scale. */
const GREATEST_WEIGHT: f32 = 127;

/**
 * Packs `count` rows of float32 from row o0 of W[O, I, S] on as round(w / scale), scale = max|w| / 127 of each row, which is
 * written to scalePtr[o]. `rowPtr`: room for a row of int8.
 */
export function packF32(
  isBytes: bool, srcPtr: usize, dstPtr: usize, o0: i32, count: i32, perGroup: i32, inner: i32, taps: i32, words: i32,
  scalePtr: usize, rowPtr: usize,
): void {
  const k = inner * taps;
  for (let o = o0; o < o0 + count; o++) {
    const scale = greatestWeight(srcPtr, k) / GREATEST_WEIGHT;
    store<f32>(scalePtr + (<usize>o << 2), scale);
    quantiseBytes(srcPtr, k, scale > 0 ? 1 / scale : 0, -GREATEST_WEIGHT, GREATEST_WEIGHT, rowPtr);
    packColumn(isBytes, rowPtr, columnPtr(isBytes, dstPtr, words, perGroup, o), inner, taps);
    srcPtr += <usize>k << 2;
  }
}

/** max|w|; NaN and ∞ too, so that the scale tells of them. */
function greatestWeight(srcPtr: usize, count: i32): f32 {
  const end = srcPtr + (<usize>count << 2);
  let greatest = i32x4.splat(0);
  for (; srcPtr + 16 <= end; srcPtr += 16) greatest = greater(greatest, v128.load(srcPtr));
  for (; srcPtr < end; srcPtr += 4) greatest = greater(greatest, v128.load32_zero(srcPtr));
  return reinterpret<f32>(greatestLane(greatest));
}

/** Turns W[K, O], all of its rows (Keras's HWIO, [in, out]), into W[O, I, S], whose columns the packers read. */
export function transposeIO(srcPtr: usize, dstPtr: usize, outputs: i32, inner: i32, taps: i32): void {
  for (let s = 0; s < taps; s++) {
    for (let i = 0; i < inner; i++) {
      let toPtr = dstPtr + (<usize>(i * taps + s) << 2);
      for (let o = 0; o < outputs; o++) {
        store<f32>(toPtr, load<f32>(srcPtr));
        srcPtr += 4;
        toPtr += <usize>(inner * taps) << 2;
      }
    }
  }
}
