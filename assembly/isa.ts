/** a · b + c. The only place that knows whether the engine fuses it. */

/** True in the relaxed binary, false in the baseline. */
// @ts-ignore: decorator
@inline
export const RELAXED: bool = ASC_FEATURE_RELAXED_SIMD;

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
