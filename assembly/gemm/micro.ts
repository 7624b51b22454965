import { madd, RELAXED } from '../isa';
import { FLAG_ADD, FLAG_RELU } from '../step';

/**
 * The micro-kernel's contract: C[rows, 8] = epilogue(start + A·B).
 *
 *   aPtr      A panel [kc][rows], as pack.ts lays it
 *   bPtr      B panel [kc][8]
 *   startPtr  what the sums start from, rows `startStride` bytes apart: the bias (stride 0), or C itself in the second and
 *             later blocks of K
 *   cPtr      C, rows `cStride` bytes apart; written once, at the end
 *   rPtr      residual, rows `rStride` bytes apart, added if FLAG_ADD; may be C; FLAG_RELU clamps at zero last
 *
 * One body serves every number of rows: `rows` is constant where it is inlined, which prunes the rest. Every splat of A
 * stands right before the products that use it: with 6 rows no register is left for a second one.
 *
 * Measured, GFLOP/s on an EPYC 9xx4 core with a 128-bit peak of 59 (V8 13+ | V8 11 and 12, which hoist all splats to the
 * front and so spill a tile that leaves no registers for them):
 *   relaxed   6 rows 55 | 24    5 rows 53 | 51    4 rows 50 | 50
 *   baseline  6 rows 28 | 27    5 rows 45 | 23    4 rows 42 | 38
 * Reading A by rows instead of panels costs 1 % of that in the relaxed binary, 10 % in the baseline, and a third where B
 * streams from memory.
 */
// @ts-ignore: decorator
@inline
function body(
  rows: i32,
  touching: bool,
  kc: i32,
  aPtr: usize,
  bPtr: usize,
  startPtr: usize,
  startStride: usize,
  cPtr: usize,
  cStride: usize,
  rPtr: usize,
  rStride: usize,
  flags: i32,
  touchPtr: usize,
  touchStep: usize,
): void {
  let s = startPtr;
  let c00 = v128.load(s);
  let c01 = v128.load(s, 16);
  let c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  if (rows > 1) { s += startStride; c10 = v128.load(s); c11 = v128.load(s, 16); }
  if (rows > 2) { s += startStride; c20 = v128.load(s); c21 = v128.load(s, 16); }
  if (rows > 3) { s += startStride; c30 = v128.load(s); c31 = v128.load(s, 16); }
  if (rows > 4) { s += startStride; c40 = v128.load(s); c41 = v128.load(s, 16); }
  if (rows > 5) { s += startStride; c50 = v128.load(s); c51 = v128.load(s, 16); }

  const end = bPtr + (<usize>kc << 5);
  do {
    const b0 = v128.load(bPtr);
    const b1 = v128.load(bPtr, 16);
    if (RELAXED && rows == 5) {
      // One vector and four shuffles instead of four splats: no slower, and does not spill where splats are hoisted.
      const a0123 = v128.load(aPtr);
      const a4 = v128.load32_splat(aPtr, 16);
      const a0 = v128.shuffle<f32>(a0123, a0123, 0, 0, 0, 0);
      c00 = madd(a0, b0, c00);
      c01 = madd(a0, b1, c01);
      const a1 = v128.shuffle<f32>(a0123, a0123, 1, 1, 1, 1);
      c10 = madd(a1, b0, c10);
      c11 = madd(a1, b1, c11);
      const a2 = v128.shuffle<f32>(a0123, a0123, 2, 2, 2, 2);
      c20 = madd(a2, b0, c20);
      c21 = madd(a2, b1, c21);
      const a3 = v128.shuffle<f32>(a0123, a0123, 3, 3, 3, 3);
      c30 = madd(a3, b0, c30);
      c31 = madd(a3, b1, c31);
      c40 = madd(a4, b0, c40);
      c41 = madd(a4, b1, c41);
    } else {
      const a0 = v128.load32_splat(aPtr);
      c00 = madd(a0, b0, c00);
      c01 = madd(a0, b1, c01);
      if (rows > 1) { const a1 = v128.load32_splat(aPtr, 4); c10 = madd(a1, b0, c10); c11 = madd(a1, b1, c11); }
      if (rows > 2) { const a2 = v128.load32_splat(aPtr, 8); c20 = madd(a2, b0, c20); c21 = madd(a2, b1, c21); }
      if (rows > 3) { const a3 = v128.load32_splat(aPtr, 12); c30 = madd(a3, b0, c30); c31 = madd(a3, b1, c31); }
      if (rows > 4) { const a4 = v128.load32_splat(aPtr, 16); c40 = madd(a4, b0, c40); c41 = madd(a4, b1, c41); }
      if (rows > 5) { const a5 = v128.load32_splat(aPtr, 20); c50 = madd(a5, b0, c50); c51 = madd(a5, b1, c51); }
    }
    aPtr += rows * 4;
    bPtr += 32;
    if (touching) {
      load<u8>(touchPtr);
      touchPtr += touchStep;
    }
  } while (bPtr < end);

  if (flags & FLAG_ADD) {
    c00 = f32x4.add(c00, v128.load(rPtr)); c01 = f32x4.add(c01, v128.load(rPtr, 16));
    if (rows > 1) { rPtr += rStride; c10 = f32x4.add(c10, v128.load(rPtr)); c11 = f32x4.add(c11, v128.load(rPtr, 16)); }
    if (rows > 2) { rPtr += rStride; c20 = f32x4.add(c20, v128.load(rPtr)); c21 = f32x4.add(c21, v128.load(rPtr, 16)); }
    if (rows > 3) { rPtr += rStride; c30 = f32x4.add(c30, v128.load(rPtr)); c31 = f32x4.add(c31, v128.load(rPtr, 16)); }
    if (rows > 4) { rPtr += rStride; c40 = f32x4.add(c40, v128.load(rPtr)); c41 = f32x4.add(c41, v128.load(rPtr, 16)); }
    if (rows > 5) { rPtr += rStride; c50 = f32x4.add(c50, v128.load(rPtr)); c51 = f32x4.add(c51, v128.load(rPtr, 16)); }
  }
  if (flags & FLAG_RELU) {
    // pmax is one instruction where max is six, and keeps NaN too when it comes first.
    const zero = f32x4.splat(0);
    c00 = f32x4.pmax(c00, zero); c01 = f32x4.pmax(c01, zero);
    if (rows > 1) { c10 = f32x4.pmax(c10, zero); c11 = f32x4.pmax(c11, zero); }
    if (rows > 2) { c20 = f32x4.pmax(c20, zero); c21 = f32x4.pmax(c21, zero); }
    if (rows > 3) { c30 = f32x4.pmax(c30, zero); c31 = f32x4.pmax(c31, zero); }
    if (rows > 4) { c40 = f32x4.pmax(c40, zero); c41 = f32x4.pmax(c41, zero); }
    if (rows > 5) { c50 = f32x4.pmax(c50, zero); c51 = f32x4.pmax(c51, zero); }
  }

  v128.store(cPtr, c00); v128.store(cPtr, c01, 16);
  if (rows > 1) { cPtr += cStride; v128.store(cPtr, c10); v128.store(cPtr, c11, 16); }
  if (rows > 2) { cPtr += cStride; v128.store(cPtr, c20); v128.store(cPtr, c21, 16); }
  if (rows > 3) { cPtr += cStride; v128.store(cPtr, c30); v128.store(cPtr, c31, 16); }
  if (rows > 4) { cPtr += cStride; v128.store(cPtr, c40); v128.store(cPtr, c41, 16); }
  if (rows > 5) { cPtr += cStride; v128.store(cPtr, c50); v128.store(cPtr, c51, 16); }
}

function micro1(kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32): void {
  body(1, false, kc, a, b, s, ss, c, cs, r, rs, flags, 0, 0);
}
function micro2(kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32): void {
  body(2, false, kc, a, b, s, ss, c, cs, r, rs, flags, 0, 0);
}
function micro3(kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32): void {
  body(3, false, kc, a, b, s, ss, c, cs, r, rs, flags, 0, 0);
}
function micro4(kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32): void {
  body(4, false, kc, a, b, s, ss, c, cs, r, rs, flags, 0, 0);
}
function micro5(kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32): void {
  body(5, false, kc, a, b, s, ss, c, cs, r, rs, flags, 0, 0);
}
function micro6(kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32): void {
  body(6, false, kc, a, b, s, ss, c, cs, r, rs, flags, 0, 0);
}

/** The tile of `rows` (1 … 6) rows over a packed A panel; arguments as above. */
// @ts-ignore: decorator
@inline
export function micro(
  rows: i32, kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32,
): void {
  switch (rows) {
    case 6: micro6(kc, a, b, s, ss, c, cs, r, rs, flags); break;
    case 5: micro5(kc, a, b, s, ss, c, cs, r, rs, flags); break;
    case 4: micro4(kc, a, b, s, ss, c, cs, r, rs, flags); break;
    case 3: micro3(kc, a, b, s, ss, c, cs, r, rs, flags); break;
    case 2: micro2(kc, a, b, s, ss, c, cs, r, rs, flags); break;
    default: micro1(kc, a, b, s, ss, c, cs, r, rs, flags);
  }
}
function touch4(
  kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32, t: usize, ts: usize,
): void {
  body(4, true, kc, a, b, s, ss, c, cs, r, rs, flags, t, ts);
}
function touch5(
  kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32, t: usize, ts: usize,
): void {
  body(5, true, kc, a, b, s, ss, c, cs, r, rs, flags, t, ts);
}
function touch6(
  kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32, t: usize, ts: usize,
): void {
  body(6, true, kc, a, b, s, ss, c, cs, r, rs, flags, t, ts);
}

/** As `micro`; meanwhile reads `ts` bytes apart from `t` on, one byte for each k, which brings the next panel nearer. */
// @ts-ignore: decorator
@inline
export function microTouching(
  rows: i32, kc: i32, a: usize, b: usize, s: usize, ss: usize, c: usize, cs: usize, r: usize, rs: usize, flags: i32,
  t: usize, ts: usize,
): void {
  switch (rows) {
    case 6: touch6(kc, a, b, s, ss, c, cs, r, rs, flags, t, ts); break;
    case 5: touch5(kc, a, b, s, ss, c, cs, r, rs, flags, t, ts); break;
    case 4: touch4(kc, a, b, s, ss, c, cs, r, rs, flags, t, ts); break;
    default: micro(rows, kc, a, b, s, ss, c, cs, r, rs, flags);
  }
}
