import { storePair } from './epilogue';
import { madd, RELAXED, WIDE } from './isa';

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

/**
 * As `peak`, of vectors of 256 bits: 192 floating-point operations per round. Stores the sums at `outPtr`, 32 bytes, since V8
 * joins what is stored side by side. Does nothing but in the wide binary.
 */
export function peakWide(rounds: i32, factor: f32, outPtr: usize): void {
  if (!WIDE) return;
  const x = f32x4.splat(factor), y = f32x4.splat(factor);
  let a = f32x4.splat(1), aa = a;
  let b = f32x4.splat(2), bb = b;
  let c = f32x4.splat(3), cc = c;
  let d = f32x4.splat(4), dd = d;
  let e = f32x4.splat(5), ee = e;
  let f = f32x4.splat(6), ff = f;
  let g = f32x4.splat(7), gg = g;
  let h = f32x4.splat(8), hh = h;
  let i = f32x4.splat(9), ii = i;
  let j = f32x4.splat(10), jj = j;
  let k = f32x4.splat(11), kk = k;
  let l = f32x4.splat(12), ll = l;
  for (let round = 0; round < rounds; round++) {
    a = madd(x, y, a);
    aa = madd(x, y, aa);
    b = madd(x, y, b);
    bb = madd(x, y, bb);
    c = madd(x, y, c);
    cc = madd(x, y, cc);
    d = madd(x, y, d);
    dd = madd(x, y, dd);
    e = madd(x, y, e);
    ee = madd(x, y, ee);
    f = madd(x, y, f);
    ff = madd(x, y, ff);
    g = madd(x, y, g);
    gg = madd(x, y, gg);
    h = madd(x, y, h);
    hh = madd(x, y, hh);
    i = madd(x, y, i);
    ii = madd(x, y, ii);
    j = madd(x, y, j);
    jj = madd(x, y, jj);
    k = madd(x, y, k);
    kk = madd(x, y, kk);
    l = madd(x, y, l);
    ll = madd(x, y, ll);
  }
  const low = f32x4.add(f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(e, f), f32x4.add(g, h))), f32x4.add(f32x4.add(i, j), f32x4.add(k, l)));
  const high = f32x4.add(
    f32x4.add(f32x4.add(f32x4.add(aa, bb), f32x4.add(cc, dd)), f32x4.add(f32x4.add(ee, ff), f32x4.add(gg, hh))),
    f32x4.add(f32x4.add(ii, jj), f32x4.add(kk, ll)),
  );
  storePair(outPtr, low, high);
}
