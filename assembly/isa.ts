/** a · b + c. The only place that knows whether the engine fuses it. */

/** True in the relaxed binary, false in the baseline. */
// @ts-ignore: decorator
@inline
export const RELAXED: bool = ASC_FEATURE_RELAXED_SIMD;

/** True in the wide binary: the relaxed one, and kernels whose vectors an engine can join to 256 bits (V8's revectorize). */
// @ts-ignore: decorator
@inline
export const WIDE: bool = ASC_WIDE != 0;

/** a · b + c in four float32 lanes: one rounding in the relaxed binary if the CPU has FMA, two otherwise. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    return f32x4.relaxed_madd(a, b, c);
  } else {
    return f32x4.add(c, f32x4.mul(a, b));
  }
}
