import { NR } from '../tile';

/** The most that K may be, so that no sum leaves int32 (micro.ts). */
export const MAX_K: i32 = 65536;

/** Values of k in a word of A: bytes or int16. */
// @ts-ignore: decorator
@inline
export function perWordOf(isBytes: bool): i32 {
  return isBytes ? 4 : 2;
}

/** Bytes of B that a word of A is multiplied with: a panel's row of so many int8. */
// @ts-ignore: decorator
@inline
export function stepBytesOf(isBytes: bool): usize {
  return <usize>(NR * perWordOf(isBytes));
}

/** Four columns of a panel's row: the first or second half of it. int8 becomes int16 on the way. */
// @ts-ignore: decorator
@inline
export function loadB(isBytes: bool, bPtr: usize, half: usize): v128 {
  return isBytes ? v128.load(bPtr + half * 16) : v128.load8x8_s(bPtr + half * 8);
}

/** sums + a · b, of 4 bytes or 2 int16 in each of four lanes. Exact on every engine: the bytes of A are 0 … 127. */
// @ts-ignore: decorator
@inline
export function dot(isBytes: bool, a: v128, b: v128, sums: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (isBytes) return i32x4.relaxed_dot_i8x16_i7x16_add_s(b, a, sums);
  }
  return i32x4.add(sums, i32x4.dot_i16x8_s(a, b));
}

/** sums · scale + bias. Not fused, so that all binaries give the same bits. */
// @ts-ignore: decorator
@inline
export function scaled(sums: v128, scale: v128, bias: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(sums), scale), bias);
}
