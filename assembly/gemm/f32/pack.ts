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
function panelColumnPtr(dstPtr: usize, k: i32, perGroup: i32, n: i32): usize {
  const g = n / perGroup;
  const local = n - g * perGroup;
  return dstPtr + packedBytes(k, perGroup) * g + <usize>(local / NR) * k * (NR * 4) + <usize>(local % NR) * 4;
}

// @ts-ignore: decorator
@inline
function gather(ptr: usize, stride: usize): v128 {
  let v = v128.load32_zero(ptr);
  v = v128.load32_lane(ptr + stride, v, 1);
  v = v128.load32_lane(ptr + stride * 2, v, 2);
  return v128.load32_lane(ptr + stride * 3, v, 3);
}

/**
 * Packs rows of W[O, I, S] (OIHW, S = KH·KW; or a linear layer over a map of S pixels) into B's columns.
 * `srcPtr`: `count` rows of float32 from row `o0` on. `perGroup`: outputs per group (O if there are no groups). The eight rows
 * of a whole panel are read side by side, others one by one.
 */
export function packOI(srcPtr: usize, dstPtr: usize, o0: i32, count: i32, perGroup: i32, inner: i32, taps: i32): void {
  const k = inner * taps;
  const rowBytes = <usize>k << 2, tapBytes = <usize>inner * (NR * 4);
  let columns = 1;
  for (let o = o0; o < o0 + count; o += columns) {
    const local = o % perGroup;
    columns = local % NR == 0 && min(perGroup - local, o0 + count - o) >= NR ? NR : 1;
    const columnPtr = panelColumnPtr(dstPtr, k, perGroup, o);
    let fromPtr = srcPtr;
    for (let i = 0; i < inner; i++) {
      let toPtr = columnPtr + <usize>i * (NR * 4);
      for (let s = 0; s < taps; s++) {
        if (columns == NR) {
          v128.store(toPtr, gather(fromPtr, rowBytes));
          v128.store(toPtr, gather(fromPtr + rowBytes * 4, rowBytes), 16);
        } else store<f32>(toPtr, load<f32>(fromPtr));
        fromPtr += 4;
        toPtr += tapBytes;
      }
    }
    srcPtr += rowBytes * columns;
  }
}

/**
 * Packs rows of W[K, O] (Keras's HWIO, [in, out]) into B. `srcPtr`: `count` rows of float32 from row `k0` of `k` on.
 */
export function packIO(srcPtr: usize, dstPtr: usize, k0: i32, count: i32, outputs: i32, perGroup: i32, k: i32): void {
  for (let row = k0; row < k0 + count; row++) {
    for (let n = 0; n < outputs; ) {
      const local = n % perGroup;
      const toPtr = panelColumnPtr(dstPtr, k, perGroup, n) + <usize>row * (NR * 4);
      if (local % NR == 0 && perGroup - local >= NR) {
        v128.store(toPtr, v128.load(srcPtr));
        v128.store(toPtr, v128.load(srcPtr, 16), 16);
        srcPtr += NR * 4;
        n += NR;
      } else {
        store<f32>(toPtr, load<f32>(srcPtr));
        srcPtr += 4;
        n++;
      }
    }
  }
}

/**
 * B[:, n] *= scale[n]: what folding a batch norm into a convolution does to its weights. `scalePtr`: the scales, packed as
 * a B of one row; `panels`: of all groups.
 */
export function scaleColumns(bPtr: usize, k: i32, panels: i32, scalePtr: usize): void {
  for (const end = scalePtr + <usize>panels * (NR * 4); scalePtr < end; scalePtr += NR * 4) {
    const low = v128.load(scalePtr), high = v128.load(scalePtr, 16);
    for (const endPtr = bPtr + <usize>k * (NR * 4); bPtr < endPtr; bPtr += NR * 4) {
      v128.store(bPtr, f32x4.mul(v128.load(bPtr), low));
      v128.store(bPtr, f32x4.mul(v128.load(bPtr, 16), high), 16);
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
