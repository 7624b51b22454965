import { NR } from '../../tile';

/**
 * Packed operands, drawn for NR = 8 and MR = 6; every cell is one float32.
 *
 *   B panel j          [K][8]   k=0: b(0,8j) … b(0,8j+7) | k=1: b(1,8j) … b(1,8j+7) | …
 *   packed B           panels j = 0 … ceil(N/8)−1, one after the other; columns beyond N are zero
 *   grouped weights    the packed B of each group, one after the other
 *   depthwise weights  the packed B[KH·KW, C]: packOI and packIO with C outputs of one group, and one input
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
 * `srcPtr`: `count` rows of float32 from row `o0` on. `perGroup`: outputs per group (O if there are no groups).
 */
export function packOI(srcPtr: usize, dstPtr: usize, o0: i32, count: i32, perGroup: i32, inner: i32, taps: i32): void {
  const k = inner * taps;
  for (let o = o0; o < o0 + count; o++) {
    let toPtr = columnPtr(dstPtr, k, perGroup, o);
    for (let s = 0; s < taps; s++) {
      let fromPtr = srcPtr + <usize>s * 4;
      for (let i = 0; i < inner; i++) {
        store<f32>(toPtr, load<f32>(fromPtr));
        fromPtr += <usize>taps * 4;
        toPtr += NR * 4;
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
      const toPtr = columnPtr(dstPtr, k, perGroup, n) + <usize>row * (NR * 4);
      const width = min(NR, left);
      memory.copy(toPtr, srcPtr, <usize>width * 4);
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

/** Runs from this length on are prefetched before they are packed. */
const PREFETCHED: i32 = 64;

/**
 * Appends `k` columns to an A panel: packed[i·rows + r] = (the row at rowsPtr[r])[i]. `rowsPtr`: `rows` addresses of
 * float32 runs. Transposes 4 × 4 blocks in registers. Returns the address after the last column. Long runs are
 * prefetched, a byte per cache line: more lines are on their way at once than the transposition asks for (1 % of most
 * layers, 2 % of a ResNet-50).
 */
export function packPanel(rowsPtr: usize, rows: i32, k: i32, packedPtr: usize): usize {
  if (rows < 4) {
    for (let r = 0; r < rows; r++) {
      const rowPtr = load<usize>(rowsPtr + <usize>r * sizeof<usize>());
      for (let i = 0; i < k; i++) {
        store<f32>(packedPtr + (<usize>(i * rows + r) << 2), load<f32>(rowPtr + (<usize>i << 2)));
      }
    }
    return packedPtr + (<usize>(k * rows) << 2);
  }
  if (k >= PREFETCHED) {
    for (let r = 0; r < rows; r++) {
      let linePtr = load<usize>(rowsPtr + <usize>r * sizeof<usize>());
      for (const end = linePtr + (<usize>k << 2); linePtr < end; linePtr += 64) load<u8>(linePtr);
    }
  }
  let row0Ptr = load<usize>(rowsPtr);
  let row1Ptr = load<usize>(rowsPtr, sizeof<usize>());
  let row2Ptr = load<usize>(rowsPtr, 2 * sizeof<usize>());
  let row3Ptr = load<usize>(rowsPtr, 3 * sizeof<usize>());
  let row4Ptr = rows > 4 ? load<usize>(rowsPtr, 4 * sizeof<usize>()) : row0Ptr;
  let row5Ptr = rows > 5 ? load<usize>(rowsPtr, 5 * sizeof<usize>()) : row0Ptr;
  const columnBytes = <usize>rows << 2;
  let i = 0;
  for (; i + 4 <= k; i += 4) {
    const r0 = v128.load(row0Ptr);
    const r1 = v128.load(row1Ptr);
    const r2 = v128.load(row2Ptr);
    const r3 = v128.load(row3Ptr);
    const a = lo(r0, r1);
    const b = hi(r0, r1);
    const c = lo(r2, r3);
    const d = hi(r2, r3);
    const column1Ptr = packedPtr + columnBytes;
    const column2Ptr = column1Ptr + columnBytes;
    const column3Ptr = column2Ptr + columnBytes;
    v128.store(packedPtr, lo64(a, c));
    v128.store(column1Ptr, hi64(a, c));
    v128.store(column2Ptr, lo64(b, d));
    v128.store(column3Ptr, hi64(b, d));
    if (rows == 6) {
      const r4 = v128.load(row4Ptr);
      const r5 = v128.load(row5Ptr);
      const e = lo(r4, r5);
      const f = hi(r4, r5);
      v128.store64_lane(packedPtr, e, 0, 16);
      v128.store64_lane(column1Ptr, e, 1, 16);
      v128.store64_lane(column2Ptr, f, 0, 16);
      v128.store64_lane(column3Ptr, f, 1, 16);
      row5Ptr += 16;
    } else if (rows == 5) {
      const r4 = v128.load(row4Ptr);
      v128.store32_lane(packedPtr, r4, 0, 16);
      v128.store32_lane(column1Ptr, r4, 1, 16);
      v128.store32_lane(column2Ptr, r4, 2, 16);
      v128.store32_lane(column3Ptr, r4, 3, 16);
    }
    row0Ptr += 16;
    row1Ptr += 16;
    row2Ptr += 16;
    row3Ptr += 16;
    row4Ptr += 16;
    packedPtr = column3Ptr + columnBytes;
  }
  for (; i < k; i++) {
    store<f32>(packedPtr, load<f32>(row0Ptr));
    store<f32>(packedPtr, load<f32>(row1Ptr), 4);
    store<f32>(packedPtr, load<f32>(row2Ptr), 8);
    store<f32>(packedPtr, load<f32>(row3Ptr), 12);
    if (rows > 4) store<f32>(packedPtr, load<f32>(row4Ptr), 16);
    if (rows > 5) store<f32>(packedPtr, load<f32>(row5Ptr), 20);
    row0Ptr += 4;
    row1Ptr += 4;
    row2Ptr += 4;
    row3Ptr += 4;
    row4Ptr += 4;
    row5Ptr += 4;
    packedPtr += columnBytes;
  }
  return packedPtr;
}
