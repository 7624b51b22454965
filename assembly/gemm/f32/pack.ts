import { NR } from '../../tile';

/**
 * Packed operands, drawn for NR = 8 and MR = 6; every cell is one float32.
 *
 *   B panel j          [K][8]   k=0: b(0,8j) … b(0,8j+7) | k=1: b(1,8j) … b(1,8j+7) | …
 *   packed B           panels j = 0 … ceil(N/8)−1, one after the other; columns beyond N are zero
 *   grouped weights    the packed B of each group, one after the other
 *
 *   A panel i          [kc][6]  k=0: a(6i,0) … a(6i+5,0) | k=1: a(6i,1) … a(6i+5,1) | …
 *   packed A block     panels one after the other; the last has only the rows that are left
 *
 * k counts taps first, then channels: k = (kh·KW + kw)·Cin + ci, the order in which NHWC stores a patch.
 */

/** Bytes of a packed B of `n` columns. */
// @ts-ignore: decorator
@inline
export function packedBytes(k: i32, n: i32): usize {
  return <usize>((n + NR - 1) / NR) * k * (NR * 4);
}

// @ts-ignore: decorator
@inline
function columnPtr(dstPtr: usize, k: i32, perGroup: i32, n: i32): usize {
  const g = n / perGroup;
  const local = n - g * perGroup;
  return dstPtr + packedBytes(k, perGroup) * g + <usize>(local / NR) * k * (NR * 4) + <usize>(local % NR) * 4;
}

/**
 * Packs rows of W[O, I, S] (OIHW, S = KH·KW; or a linear layer over a map of S pixels) into B's columns.
 * `srcPtr`: `count` rows of float32 from row `o0` on. `perGroup`: outputs in a group (O where there are none).
 */
export function packOI(srcPtr: usize, dstPtr: usize, o0: i32, count: i32, perGroup: i32, inner: i32, taps: i32): void {
  const k = inner * taps;
  for (let o = o0; o < o0 + count; o++) {
    let dst = columnPtr(dstPtr, k, perGroup, o);
    for (let s = 0; s < taps; s++) {
      let src = srcPtr + <usize>s * 4;
      for (let i = 0; i < inner; i++) {
        store<f32>(dst, load<f32>(src));
        src += <usize>taps * 4;
        dst += NR * 4;
      }
    }
    srcPtr += <usize>k * 4;
  }
}

/**
 * Packs rows of W[K, O] (Keras's HWIO, [in, out]) into B. `srcPtr`: `count` rows of float32 from row `k0` of `k` on.
 */
export function packIO(srcPtr: usize, dstPtr: usize, k0: i32, count: i32, outputs: i32, perGroup: i32, k: i32): void {
  for (let row = k0; row < k0 + count; row++) {
    for (let n = 0; n < outputs; ) {
      const left = perGroup - (n % perGroup);
      const dst = columnPtr(dstPtr, k, perGroup, n) + <usize>row * (NR * 4);
      const width = min(NR, left);
      memory.copy(dst, srcPtr, <usize>width * 4);
      srcPtr += <usize>width * 4;
      n += width;
    }
  }
}

/** B[:, n] *= scale[n]: what folding a batch norm into a convolution does to its weights. */
export function scaleColumns(bPtr: usize, k: i32, outputs: i32, perGroup: i32, scalePtr: usize): void {
  for (let n = 0; n < outputs; n++) {
    const scale = load<f32>(scalePtr + (<usize>n << 2));
    let ptr = columnPtr(bPtr, k, perGroup, n);
    for (let i = 0; i < k; i++) {
      store<f32>(ptr, load<f32>(ptr) * scale);
      ptr += NR * 4;
    }
  }
}

/** `count` bfloat16 to float32. The source may be the second half of the destination. */
export function bf16ToF32(srcPtr: usize, dstPtr: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    store<u32>(dstPtr + (<usize>i << 2), <u32>load<u16>(srcPtr + (<usize>i << 1)) << 16);
  }
}

/** `count` IEEE half floats to float32, exactly: subnormals, infinities and NaN too. The source may be as above. */
export function f16ToF32(srcPtr: usize, dstPtr: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    const half = <u32>load<u16>(srcPtr + (<usize>i << 1));
    const magnitude = (half & 0x7fff) << 13;
    // Rebiases the exponent by 2^112, subnormals included.
    let bits = reinterpret<u32>(reinterpret<f32>(magnitude) * reinterpret<f32>(<u32>0x77800000));
    if (magnitude >= 0x0f800000) bits = magnitude | 0x7f800000;
    store<u32>(dstPtr + (<usize>i << 2), bits | ((half & 0x8000) << 16));
  }
}

// @ts-ignore: decorator
@inline
function lo(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 4, 1, 5);
}
// @ts-ignore: decorator
@inline
function hi(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 2, 6, 3, 7);
}
// @ts-ignore: decorator
@inline
function lo64(a: v128, b: v128): v128 {
  return v128.shuffle<f64>(a, b, 0, 2);
}
// @ts-ignore: decorator
@inline
function hi64(a: v128, b: v128): v128 {
  return v128.shuffle<f64>(a, b, 1, 3);
}

/** Runs from this length on are touched before they are packed. */
const TOUCHED: i32 = 64;

/**
 * Appends `k` columns to an A panel: dst[i·rows + r] = (the row at rowsPtr[r])[i]. `rowsPtr`: `rows` addresses of
 * float32 runs. Transposes 4 × 4 blocks in registers. Returns the address after the last column. Long runs are touched
 * line by line first: more of them are on their way at once than the transposition asks for (1 % of most layers, 2 % of a ResNet-50).
 */
export function packPanel(rowsPtr: usize, rows: i32, k: i32, dst: usize): usize {
  if (rows < 4) {
    for (let r = 0; r < rows; r++) {
      const src = load<usize>(rowsPtr + (<usize>r << 2));
      for (let i = 0; i < k; i++) {
        store<f32>(dst + (<usize>(i * rows + r) << 2), load<f32>(src + (<usize>i << 2)));
      }
    }
    return dst + (<usize>(k * rows) << 2);
  }
  if (k >= TOUCHED) {
    for (let r = 0; r < rows; r++) {
      let p = load<usize>(rowsPtr + (<usize>r << 2));
      for (const end = p + (<usize>k << 2); p < end; p += 64) load<u8>(p);
    }
  }
  let p0 = load<usize>(rowsPtr);
  let p1 = load<usize>(rowsPtr, 4);
  let p2 = load<usize>(rowsPtr, 8);
  let p3 = load<usize>(rowsPtr, 12);
  let p4 = rows > 4 ? load<usize>(rowsPtr, 16) : p0;
  let p5 = rows > 5 ? load<usize>(rowsPtr, 20) : p0;
  const step = <usize>rows << 2;
  let i = 0;
  for (; i + 4 <= k; i += 4) {
    const r0 = v128.load(p0);
    const r1 = v128.load(p1);
    const r2 = v128.load(p2);
    const r3 = v128.load(p3);
    const a = lo(r0, r1);
    const b = hi(r0, r1);
    const c = lo(r2, r3);
    const d = hi(r2, r3);
    const at1 = dst + step;
    const at2 = at1 + step;
    const at3 = at2 + step;
    v128.store(dst, lo64(a, c));
    v128.store(at1, hi64(a, c));
    v128.store(at2, lo64(b, d));
    v128.store(at3, hi64(b, d));
    if (rows == 6) {
      const r4 = v128.load(p4);
      const r5 = v128.load(p5);
      const e = lo(r4, r5);
      const f = hi(r4, r5);
      v128.store64_lane(dst, e, 0, 16);
      v128.store64_lane(at1, e, 1, 16);
      v128.store64_lane(at2, f, 0, 16);
      v128.store64_lane(at3, f, 1, 16);
      p5 += 16;
    } else if (rows == 5) {
      const r4 = v128.load(p4);
      v128.store32_lane(dst, r4, 0, 16);
      v128.store32_lane(at1, r4, 1, 16);
      v128.store32_lane(at2, r4, 2, 16);
      v128.store32_lane(at3, r4, 3, 16);
    }
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
    p4 += 16;
    dst = at3 + step;
  }
  for (; i < k; i++) {
    store<f32>(dst, load<f32>(p0));
    store<f32>(dst, load<f32>(p1), 4);
    store<f32>(dst, load<f32>(p2), 8);
    store<f32>(dst, load<f32>(p3), 12);
    if (rows > 4) store<f32>(dst, load<f32>(p4), 16);
    if (rows > 5) store<f32>(dst, load<f32>(p5), 20);
    p0 += 4;
    p1 += 4;
    p2 += 4;
    p3 += 4;
    p4 += 4;
    p5 += 4;
    dst += step;
  }
  return dst;
}
