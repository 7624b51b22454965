import { madd, RELAXED } from './isa';

// Relaxed: accumulate in the addend. Baseline: in the multiplicand, or V8 hoists the constant product.
// @ts-ignore: decorator
@inline
function accumulate(sum: v128, x: v128, y: v128): v128 {
  return RELAXED ? madd(x, y, sum) : madd(sum, x, y);
}

/**
 * Measures the roof of a roofline: `rounds` × 12 independent multiply–adds of four lanes, all in registers: 96
 * floating-point operations per round. Returns a sum of them, so that none can be left out. `factor`, below 1, is no
 * constant, since V8 makes those anew at each use.
 */
export function peak(rounds: i32, factor: f32): f32 {
  const x = f32x4.splat(factor), y = f32x4.splat(factor);
  let a = f32x4.splat(1), b = f32x4.splat(2), c = f32x4.splat(3), d = f32x4.splat(4), e = f32x4.splat(5);
  let f = f32x4.splat(6), g = f32x4.splat(7), h = f32x4.splat(8), i = f32x4.splat(9), j = f32x4.splat(10);
  let k = f32x4.splat(11), l = f32x4.splat(12);
  for (let round = 0; round < rounds; round++) {
    a = accumulate(a, x, y);
    b = accumulate(b, x, y);
    c = accumulate(c, x, y);
    d = accumulate(d, x, y);
    e = accumulate(e, x, y);
    f = accumulate(f, x, y);
    g = accumulate(g, x, y);
    h = accumulate(h, x, y);
    i = accumulate(i, x, y);
    j = accumulate(j, x, y);
    k = accumulate(k, x, y);
    l = accumulate(l, x, y);
  }
  const sum = f32x4.add(
    f32x4.add(f32x4.add(a, b), f32x4.add(c, d)),
    f32x4.add(f32x4.add(f32x4.add(e, f), f32x4.add(g, h)), f32x4.add(f32x4.add(i, j), f32x4.add(k, l))),
  );
  return f32x4.extract_lane(sum, 0);
}
