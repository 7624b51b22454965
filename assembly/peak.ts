import { madd, RELAXED } from './isa';

// A fused sum is the addend, which the instruction overwrites; a product that does not change would leave the loop.
// @ts-ignore: decorator
@inline
function next(sum: v128, x: v128, y: v128): v128 {
  return RELAXED ? madd(x, y, sum) : madd(sum, x, y);
}

/**
 * The roof of a roofline: `rounds` × 12 independent multiply–adds of four lanes, all in registers: 96 floating-point
 * operations a round. Returns a sum of them, so that none can be left out; `factor`, below 1, is no constant, since those
 * are loaded anew at each use.
 */
export function peak(rounds: i32, factor: f32): f32 {
  const x = f32x4.splat(factor), y = f32x4.splat(factor);
  let a = f32x4.splat(1), b = f32x4.splat(2), c = f32x4.splat(3), d = f32x4.splat(4), e = f32x4.splat(5);
  let f = f32x4.splat(6), g = f32x4.splat(7), h = f32x4.splat(8), i = f32x4.splat(9), j = f32x4.splat(10);
  let k = f32x4.splat(11), l = f32x4.splat(12);
  for (let n = 0; n < rounds; n++) {
    a = next(a, x, y);
    b = next(b, x, y);
    c = next(c, x, y);
    d = next(d, x, y);
    e = next(e, x, y);
    f = next(f, x, y);
    g = next(g, x, y);
    h = next(h, x, y);
    i = next(i, x, y);
    j = next(j, x, y);
    k = next(k, x, y);
    l = next(l, x, y);
  }
  const sum = f32x4.add(
    f32x4.add(f32x4.add(a, b), f32x4.add(c, d)),
    f32x4.add(f32x4.add(f32x4.add(e, f), f32x4.add(g, h)), f32x4.add(f32x4.add(i, j), f32x4.add(k, l))),
  );
  return f32x4.extract_lane(sum, 0);
}
