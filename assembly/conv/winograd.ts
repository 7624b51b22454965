import { activateRows, isPass } from '../activation';
import { addsResidual, applyEpilogue } from '../epilogue';
import { packedBytes } from '../gemm/f32/pack';
import { multiply } from '../gemm/gemm';
import { Gemm, GEMM_BYTES, panelsOf } from '../gemm/macro-kernel';
import { madd, WIDE } from '../isa';
import { joined, partition } from '../partition';
import { ACTIVATION_NONE, FLAG_WIDE, Step } from '../step';
import { NR } from '../tile';
import { transformColumnWide, transformOutputWide } from './winograd-wide';

/**
 * Winograd's minimal filtering for 3×3 convolutions of stride 1, after Lavin & Gray 2015: F(m×m, 3×3) makes m × m
 * outputs of (m+2)² products, where the definition needs 9·m². m is 4 (36 products instead of 144) or 2 (16 instead of 36).
 *
 *   V[ξ][T, C] = Bᵀ d B   of each tile's (m+2)² pixels d       T tiles, C input channels
 *   M[ξ][T, N] = V[ξ] · U[ξ]                                   one GEMM per ξ = 0 … (m+2)²−1
 *   out        = epilogue(Aᵀ M A + bias)                       N output channels
 *
 * Tiles are computed in blocks whose V and M stay in L2. The transforms work on 4 channels per vector; what they
 * write are the panels that the GEMM reads, so there is no pass for packing. If few panels use each piece of U, they
 * prefetch the next: on small maps its way from memory shows (14×14, 256 channels: 2.1 ms instead of 2.3).
 */

/** Bytes of a block's V (but at least 16 tiles: all of a 14×14 map), and output channels of its M, if it has all its tiles. */
const V_BYTES: i32 = 384 * 1024;
export const N_BLOCK: i32 = 64;
/** At most so many panels of tiles are few, so that the way of U from memory shows. */
const FEW_PANELS: i32 = 4;

/** Bytes of a cache line, and of what winogradWeights keeps between its transforms: 18 vectors for each vector of a line. */
const LINE: usize = 64;
export const TRANSFORM_BYTES: i32 = <i32>LINE * 18;

/**
 * Scratch of a thread:
 *   Gemm | pixel addresses [36] | −4 in four lanes | a tile between its two transforms [36][4] | V | M | zeros
 * The one constant of the transforms lies in memory, since V8 makes a constant vector anew, in three instructions, at
 * each use.
 */
const ADDRESSES: usize = GEMM_BYTES;
const MINUS4: usize = ADDRESSES + 36 * sizeof<usize>();
const BETWEEN: usize = (MINUS4 + 16 + 63) & ~63;
const BLOCK: usize = BETWEEN + 36 * (WIDE ? 32 : 16);

// @ts-ignore: decorator
@inline
function points(m: i32): i32 {
  return (m + 2) * (m + 2);
}

/** Bytes of a tile in V[ξ], and one cache line more, so that V[ξ] and V[ξ+1] do not share the sets of a cache. */
// @ts-ignore: decorator
@inline
function vStride(c: i32): usize {
  return (<usize>c << 2) + 64;
}

function blockTiles(m: i32, c: i32): i32 {
  return max(16, V_BYTES / (points(m) * c * 4));
}

/** Bytes of the zeros, which stand for pixels outside the map and for the bias of the GEMM. */
// @ts-ignore: decorator
@inline
function zeroBytes(c: i32): i32 {
  return max(c, N_BLOCK) * 4;
}

/** Bytes of scratch that a thread needs for an input of `c` channels. */
export function winogradScratchBytes(m: i32, c: i32): i32 {
  const tiles = blockTiles(m, c);
  return <i32>BLOCK + points(m) * tiles * (<i32>vStride(c) + N_BLOCK * 4) + zeroBytes(c);
}

/** Bytes of the transformed weights of a 3×3 convolution from `c` to `n` channels. */
export function winogradBytes(m: i32, c: i32, n: i32): usize {
  return packedBytes(c, n) * points(m);
}

/**
 * The transforms are applied to the columns of a tile, then to the rows of what comes out. Columns of Bᵀ d come from the
 * table of pixel addresses, `offset` bytes from each; rows from the tile between the transforms.
 */
// @ts-ignore: decorator
@inline
function element(m: i32, isColumn: bool, vectors: usize, srcPtr: usize, i: usize, offset: usize): v128 {
  if (isColumn) return v128.load(load<usize>(srcPtr + i * (m + 2) * sizeof<usize>()) + offset);
  return v128.load(srcPtr + i * vectors * 16);
}

/** Stores four channels: side by side, or of an A panel, whose next channel is `laneStride` bytes on. */
// @ts-ignore: decorator
@inline
function storeLanes(isColumn: bool, dstPtr: usize, v: v128, laneStride: usize): void {
  if (isColumn) {
    v128.store(dstPtr, v);
  } else {
    v128.store32_lane(dstPtr, v, 0);
    v128.store32_lane(dstPtr + laneStride, v, 1);
    v128.store32_lane(dstPtr + laneStride * 2, v, 2);
    v128.store32_lane(dstPtr + laneStride * 3, v, 3);
  }
}

/** Bᵀ of F(4×4) times a column, or a row times B: six elements to six, `stride` bytes apart. */
// @ts-ignore: decorator
@inline
function inputTransform4(
  isColumn: bool, vectors: usize, srcPtr: usize, offset: usize, minus4: v128, dstPtr: usize, stride: usize, laneStride: usize,
): void {
  const d0 = element(4, isColumn, vectors, srcPtr, 0, offset), d1 = element(4, isColumn, vectors, srcPtr, 1, offset);
  const d2 = element(4, isColumn, vectors, srcPtr, 2, offset), d3 = element(4, isColumn, vectors, srcPtr, 3, offset);
  const d4 = element(4, isColumn, vectors, srcPtr, 4, offset), d5 = element(4, isColumn, vectors, srcPtr, 5, offset);
  const e = f32x4.sub(d4, d2), o = f32x4.sub(d3, d1);
  const even = madd(d2, minus4, d4), odd = madd(d1, minus4, d3), twice = f32x4.add(o, o);
  storeLanes(isColumn, dstPtr, madd(f32x4.sub(d2, d0), minus4, e), laneStride);
  storeLanes(isColumn, dstPtr + stride, f32x4.add(even, odd), laneStride);
  storeLanes(isColumn, dstPtr + stride * 2, f32x4.sub(even, odd), laneStride);
  storeLanes(isColumn, dstPtr + stride * 3, f32x4.add(e, twice), laneStride);
  storeLanes(isColumn, dstPtr + stride * 4, f32x4.sub(e, twice), laneStride);
  storeLanes(isColumn, dstPtr + stride * 5, madd(o, minus4, f32x4.sub(d5, d3)), laneStride);
}

/** As inputTransform4, of F(2×2): four elements to four. */
// @ts-ignore: decorator
@inline
function inputTransform2(
  isColumn: bool, vectors: usize, srcPtr: usize, offset: usize, dstPtr: usize, stride: usize, laneStride: usize,
): void {
  const d0 = element(2, isColumn, vectors, srcPtr, 0, offset), d1 = element(2, isColumn, vectors, srcPtr, 1, offset);
  const d2 = element(2, isColumn, vectors, srcPtr, 2, offset), d3 = element(2, isColumn, vectors, srcPtr, 3, offset);
  storeLanes(isColumn, dstPtr, f32x4.sub(d0, d2), laneStride);
  storeLanes(isColumn, dstPtr + stride, f32x4.add(d1, d2), laneStride);
  storeLanes(isColumn, dstPtr + stride * 2, f32x4.sub(d2, d1), laneStride);
  storeLanes(isColumn, dstPtr + stride * 3, f32x4.sub(d1, d3), laneStride);
}

/**
 * V of one tile, one of the `rows` of a panel: `vPtr` is its place in V[0], `xi` bytes from V[ξ] to V[ξ+1]. The scratch
 * holds the pixels' addresses.
 */
// @ts-ignore: decorator
@inline
function transformInput(m: i32, isWide: bool, c: i32, scratchPtr: usize, vPtr: usize, xi: usize, rows: i32): void {
  const addressesPtr = scratchPtr + ADDRESSES, betweenPtr = scratchPtr + BETWEEN;
  const minus4 = v128.load(scratchPtr + MINUS4);
  const side = m + 2;
  const lineBytes = <usize>side << 4;
  const laneStride = <usize>rows << 2;
  if (WIDE && isWide) {
    const minusFour = v128.load32_splat(scratchPtr + MINUS4);
    for (let offset: usize = 0, end = <usize>c << 2; offset < end; offset += 32) {
      for (let j: usize = 0; j < <usize>side; j++) {
        transformColumnWide(m, addressesPtr + j * sizeof<usize>(), offset, minusFour, betweenPtr + (j << 5));
      }
      for (let half: usize = 0; half < 32; half += 16) {
        let dstPtr = vPtr + (offset + half) * rows;
        const firstPtr = betweenPtr + half;
        for (let rowPtr = firstPtr; rowPtr < firstPtr + lineBytes * side * 2; rowPtr += lineBytes * 2) {
          if (m == 4) inputTransform4(false, 2, rowPtr, 0, minus4, dstPtr, xi, laneStride);
          else inputTransform2(false, 2, rowPtr, 0, dstPtr, xi, laneStride);
          dstPtr += xi * side;
        }
      }
    }
    return;
  }
  for (let offset: usize = 0, end = <usize>c << 2; offset < end; offset += 16) {
    for (let j: usize = 0; j < <usize>side; j++) {
      const columnPtr = addressesPtr + j * sizeof<usize>();
      if (m == 4) inputTransform4(true, 1, columnPtr, offset, minus4, betweenPtr + (j << 4), lineBytes, 0);
      else inputTransform2(true, 1, columnPtr, offset, betweenPtr + (j << 4), lineBytes, 0);
    }
    let dstPtr = vPtr + offset * rows;
    for (let rowPtr = betweenPtr; rowPtr < betweenPtr + lineBytes * side; rowPtr += lineBytes) {
      if (m == 4) inputTransform4(false, 1, rowPtr, 0, minus4, dstPtr, xi, laneStride);
      else inputTransform2(false, 1, rowPtr, 0, dstPtr, xi, laneStride);
      dstPtr += xi * side;
    }
  }
}

/** Aᵀ of F(4×4) times a column of M: six elements, `stride` bytes apart, to four between the transforms. */
// @ts-ignore: decorator
@inline
function outputColumn4(mPtr: usize, stride: usize, minus4: v128, dstPtr: usize): void {
  const m1 = v128.load(mPtr + stride), m2 = v128.load(mPtr + stride * 2);
  const m3 = v128.load(mPtr + stride * 3), m4 = v128.load(mPtr + stride * 4);
  const s = f32x4.add(m1, m2), d = f32x4.sub(m1, m2), u = f32x4.add(m3, m4), w = f32x4.sub(m3, m4);
  const twice = f32x4.add(w, w);
  v128.store(dstPtr, f32x4.add(f32x4.add(v128.load(mPtr), s), u));
  v128.store(dstPtr, f32x4.add(twice, d), 96);
  v128.store(dstPtr, f32x4.sub(s, f32x4.mul(u, minus4)), 192);
  v128.store(dstPtr, f32x4.sub(f32x4.add(d, v128.load(mPtr + stride * 5)), f32x4.mul(twice, minus4)), 288);
}

/** A row between the transforms times A of F(4×4): the row's outputs, `columns` of which lie in the map. */
// @ts-ignore: decorator
@inline
function outputRow4(
  s: Step, rowPtr: usize, bias: v128, minus4: v128, outPtr: usize, residualPtr: usize, columns: i32,
): void {
  const adds = addsResidual(s), activation = s.activation;
  const outStride = <usize>s.ldOut << 2, residualStride = <usize>s.ldResidual << 2;
  const m1 = v128.load(rowPtr, 16), m2 = v128.load(rowPtr, 32), m3 = v128.load(rowPtr, 48), m4 = v128.load(rowPtr, 64);
  const p = f32x4.add(m1, m2), d = f32x4.sub(m1, m2), u = f32x4.add(m3, m4), w = f32x4.sub(m3, m4);
  const twice = f32x4.add(w, w);
  applyEpilogue(s, adds, activation, f32x4.add(bias, f32x4.add(f32x4.add(v128.load(rowPtr), p), u)), outPtr, residualPtr);
  if (columns > 1) {
    const y = f32x4.add(bias, f32x4.add(twice, d));
    applyEpilogue(s, adds, activation, y, outPtr + outStride, residualPtr + residualStride);
  }
  if (columns > 2) {
    const y = f32x4.add(bias, f32x4.sub(p, f32x4.mul(u, minus4)));
    applyEpilogue(s, adds, activation, y, outPtr + outStride * 2, residualPtr + residualStride * 2);
  }
  if (columns > 3) {
    const y = f32x4.add(bias, f32x4.sub(f32x4.add(d, v128.load(rowPtr, 80)), f32x4.mul(twice, minus4)));
    applyEpilogue(s, adds, activation, y, outPtr + outStride * 3, residualPtr + residualStride * 3);
  }
}

/** As outputColumn4, of F(2×2): four elements to two. */
// @ts-ignore: decorator
@inline
function outputColumn2(mPtr: usize, stride: usize, dstPtr: usize): void {
  const m0 = v128.load(mPtr), m1 = v128.load(mPtr + stride), m2 = v128.load(mPtr + stride * 2);
  v128.store(dstPtr, f32x4.add(f32x4.add(m0, m1), m2));
  v128.store(dstPtr, f32x4.sub(f32x4.sub(m1, m2), v128.load(mPtr + stride * 3)), 64);
}

/** As outputRow4, of F(2×2). */
// @ts-ignore: decorator
@inline
function outputRow2(s: Step, rowPtr: usize, bias: v128, outPtr: usize, residualPtr: usize, columns: i32): void {
  const adds = addsResidual(s), activation = s.activation;
  const m0 = v128.load(rowPtr), m1 = v128.load(rowPtr, 16), m2 = v128.load(rowPtr, 32), m3 = v128.load(rowPtr, 48);
  applyEpilogue(s, adds, activation, f32x4.add(bias, f32x4.add(f32x4.add(m0, m1), m2)), outPtr, residualPtr);
  if (columns > 1) {
    const y = f32x4.add(bias, f32x4.sub(f32x4.sub(m1, m2), m3));
    applyEpilogue(s, adds, activation, y, outPtr + (<usize>s.ldOut << 2), residualPtr + (<usize>s.ldResidual << 2));
  }
}

/**
 * The outputs of tile `tile` of the step, channels c0 … c0 + n (multiples of 4), from M: `mPtr` is the tile's row in
 * M[0], `xi` bytes from M[ξ] to M[ξ+1].
 */
// @ts-ignore: decorator
@inline
function transformOutput(
  s: Step, m: i32, isWide: bool, tile: i32, c0: i32, n: i32, scratchPtr: usize, mPtr: usize, xi: usize,
): void {
  const oh = s.oh, ow = s.ow;
  const tilesX = (ow + m - 1) / m, perImage = tilesX * ((oh + m - 1) / m);
  const image = tile / perImage;
  const place = tile - image * perImage;
  const oy = (place / tilesX) * m, ox = (place % tilesX) * m;
  const pixel = (image * oh + oy) * ow + ox;
  const rows = min(m, oh - oy), columns = min(m, ow - ox);

  const column = <usize>c0 << 2;
  const biasPtr = s.biasPtr + column;
  const outLine = (<usize>s.ldOut << 2) * ow, residualLine = (<usize>s.ldResidual << 2) * ow;
  const tileOutPtr = s.outPtr + column + (<usize>s.ldOut << 2) * pixel;
  const tileResidualPtr = s.residualPtr + column + (<usize>s.ldResidual << 2) * pixel;
  const betweenPtr = scratchPtr + BETWEEN;
  const minus4 = v128.load(scratchPtr + MINUS4);
  const side = m + 2;
  if (WIDE && isWide) {
    const minusFour = v128.load32_splat(scratchPtr + MINUS4);
    transformOutputWide(
      s, m, rows, columns, n, betweenPtr, minusFour, mPtr, xi, biasPtr, tileOutPtr, tileResidualPtr,
    );
  }
  for (let offset: usize = 0, end: usize = WIDE && isWide ? 0 : <usize>n << 2; offset < end; offset += 16) {
    for (let j: usize = 0; j < <usize>side; j++) {
      if (m == 4) outputColumn4(mPtr + offset + xi * j, xi * side, minus4, betweenPtr + (j << 4));
      else outputColumn2(mPtr + offset + xi * j, xi * side, betweenPtr + (j << 4));
    }
    const bias = v128.load(biasPtr + offset);
    let outPtr = tileOutPtr + offset, residualPtr = tileResidualPtr + offset;
    for (let i = 0; i < rows; i++) {
      const rowPtr = betweenPtr + (<usize>(i * side) << 4);
      if (m == 4) outputRow4(s, rowPtr, bias, minus4, outPtr, residualPtr, columns);
      else outputRow2(s, rowPtr, bias, outPtr, residualPtr, columns);
      outPtr += outLine;
      residualPtr += residualLine;
    }
  }
  if (isPass(s.activation)) {
    for (let i = 0; i < rows; i++) activateRows(s, pixel + i * ow, columns, c0, c0 + n);
  }
}

/** Stores the addresses of the pixels of tile `tile`, row by row: those outside the map point to zeros. */
function addressTile(s: Step, m: i32, tile: i32, zerosPtr: usize, addressesPtr: usize): void {
  const ih = s.ih, iw = s.iw;
  const tilesX = (s.ow + m - 1) / m, perImage = tilesX * ((s.oh + m - 1) / m);
  const image = tile / perImage;
  const place = tile - image * perImage;
  const row = place / tilesX;
  const top = row * m - s.padTop, left = (place - row * tilesX) * m - s.padLeft;
  const pixelBytes = <usize>s.ldIn << 2;
  const imagePtr = s.inPtr + pixelBytes * (ih * iw) * image;
  for (let y = top; y < top + m + 2; y++) {
    for (let x = left; x < left + m + 2; x++) {
      const isInside = <u32>y < <u32>ih && <u32>x < <u32>iw;
      store<usize>(addressesPtr, isInside ? imagePtr + pixelBytes * (y * iw + x) : zerosPtr);
      addressesPtr += sizeof<usize>();
    }
  }
}

// @ts-ignore: decorator
@inline
function convolve(s: Step, m: i32, piece: i32, pieces: i32, scratchPtr: usize): void {
  const c = s.ic, n = s.oc;
  const count = points(m);
  const limit = blockTiles(m, c);
  const panels = (n + NR - 1) / NR;

  // Pieces are tiles, or columns if tiles are few: then each transforms all of the input for itself.
  let t0 = 0, t1 = s.batch * ((s.ow + m - 1) / m) * ((s.oh + m - 1) / m), j0 = 0, j1 = panels;
  const isWide = WIDE && (s.flags & FLAG_WIDE) != 0 && ((c | n) & 7) == 0;
  if (t1 * 4 > n) {
    const all = t1;
    pieces = joined(pieces, all / 6);
    t0 = partition(all, piece, pieces);
    t1 = partition(all, piece + 1, pieces);
  } else {
    pieces = joined(pieces, n / 128);
    j0 = partition(panels, piece, pieces);
    j1 = partition(panels, piece + 1, pieces);
  }
  if (piece >= pieces || t0 >= t1 || j0 >= j1) return;

  const vXi = vStride(c) * limit;
  const mXi = <usize>(limit * N_BLOCK) << 2;
  const vPtr = scratchPtr + BLOCK;
  const mPtr = vPtr + vXi * count;
  const zerosPtr = mPtr + mXi * count;
  memory.fill(zerosPtr, 0, zeroBytes(c));
  v128.store(scratchPtr + MINUS4, f32x4.splat(-4));
  const bXi = packedBytes(c, n);
  const blocks = (t1 - t0 + limit - 1) / limit;

  // Fewer tiles leave room in M for more channels: longer runs of U come faster (7×7, 512 channels: 1.5 ms instead of 1.6).
  const room = limit * N_BLOCK / ((t1 - t0 + blocks - 1) / blocks) / N_BLOCK * (N_BLOCK / NR);
  const columnPanels = min(room, max(c, N_BLOCK) / NR);
  const mStride = <usize>columnPanels * (NR * 4);

  const g = changetype<Gemm>(scratchPtr);
  g.step = s;
  g.bStride = <usize>c * (NR * 4);
  g.biasPtr = zerosPtr;
  g.cStride = mStride;
  g.i0 = 0;
  g.k0 = 0;
  g.depth = c;
  g.j0 = 0;
  g.adds = false;
  g.activation = ACTIVATION_NONE;

  for (let block = 0; block < blocks; block++) {
    const first = t0 + partition(t1 - t0, block, blocks);
    const tiles = t0 + partition(t1 - t0, block + 1, blocks) - first;
    g.rows = tiles;
    const tilePanels = panelsOf(g);
    for (let i = 0; i < tilePanels; i++) {
      const row0 = partition(tiles, i, tilePanels);
      const rows = partition(tiles, i + 1, tilePanels) - row0;
      for (let r = 0; r < rows; r++) {
        addressTile(s, m, first + row0 + r, zerosPtr, scratchPtr + ADDRESSES);
        transformInput(m, isWide, c, scratchPtr, vPtr + (<usize>(row0 * c + r) << 2), vXi, rows);
      }
    }
    for (let j = j0; j < j1; j += columnPanels) {
      g.j1 = min(columnPanels, j1 - j);
      g.n = g.j1 * NR;
      for (let xi = 0; xi < count; xi++) {
        g.packedPtr = vPtr + vXi * xi;
        g.bPtr = s.weightPtr + bXi * xi + g.bStride * j;
        g.cPtr = mPtr + mXi * xi;
        if (WIDE) {
          const next = xi + 1 < count ? g.bPtr + bXi : s.weightPtr + g.bStride * (j + columnPanels);
          g.afterPtr = g.j1 > 1 && (xi + 1 < count || j + columnPanels + 1 < j1) ? next : 0;
        }
        multiply(g, tilePanels > 1 && tilePanels <= FEW_PANELS);
      }
      const width = min(n - j * NR, g.n);
      for (let t = 0; t < tiles; t++) {
        transformOutput(s, m, isWide, first + t, j * NR, width, scratchPtr, mPtr + mStride * t, mXi);
      }
    }
  }
}

/**
 * out[B,OH,OW,N] = epilogue(conv3×3(in[B,IH,IW,C]) + bias), stride 1, any padding; C and N are multiples of 4.
 * `weightPtr`: U, as winogradWeights makes it.
 */
export function winograd(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  if (s.winogradTile == 4) convolve(s, 4, piece, pieces, scratchPtr);
  else convolve(s, 2, piece, pieces, scratchPtr);
}

/**
 * G of F(m×m, 3×3) times three vectors, `stride` bytes apart and scaled: m + 2 vectors, `dstStride` bytes apart. A function of its
 * own rather than inlined twice: 0.3 KB smaller, and no slower.
 */
function weightTransform(m: i32, gPtr: usize, stride: usize, scale: v128, dstPtr: usize, dstStride: usize): void {
  const g0 = f32x4.mul(scale, v128.load(gPtr));
  const g1 = f32x4.mul(scale, v128.load(gPtr + stride));
  const g2 = f32x4.mul(scale, v128.load(gPtr + stride * 2));
  if (m == 4) {
    const sum = f32x4.mul(f32x4.add(g0, g2), f32x4.splat(-1.0 / 6.0)), odd = f32x4.mul(g1, f32x4.splat(-1.0 / 6.0));
    v128.store(dstPtr, f32x4.mul(g0, f32x4.splat(0.25)));
    v128.store(dstPtr + dstStride, f32x4.add(sum, odd));
    v128.store(dstPtr + dstStride * 2, f32x4.sub(sum, odd));
    const even = f32x4.add(f32x4.mul(g0, f32x4.splat(1.0 / 24.0)), f32x4.mul(g2, f32x4.splat(1.0 / 6.0)));
    const twelfth = f32x4.mul(g1, f32x4.splat(1.0 / 12.0));
    v128.store(dstPtr + dstStride * 3, f32x4.add(even, twelfth));
    v128.store(dstPtr + dstStride * 4, f32x4.sub(even, twelfth));
    v128.store(dstPtr + dstStride * 5, g2);
  } else {
    const even = f32x4.mul(f32x4.add(g0, g2), f32x4.splat(0.5)), odd = f32x4.mul(g1, f32x4.splat(0.5));
    v128.store(dstPtr, g0);
    v128.store(dstPtr + dstStride, f32x4.add(even, odd));
    v128.store(dstPtr + dstStride * 2, f32x4.sub(even, odd));
    v128.store(dstPtr + dstStride * 3, g2);
  }
}

/**
 * U[ξ] = G g Gᵀ of g scaled, each a packed B[ic, oc] at `outPtr`, from the packed B[9·ic, oc] of a 3×3 convolution at `inPtr`.
 * `weightPtr`: one factor per output, packed as a B of one row. Scratch: TRANSFORM_BYTES. Threads share the panels. 4 output
 * channels per vector; four vectors, a cache line, at a time: of the 36 lines that they go to, all at multiples of a large power
 * of two, a cache of 8 or 12 ways would keep too few for their other parts.
 */
export function winogradWeights(s: Step, thread: i32, threads: i32, scratchPtr: usize): void {
  const m = s.winogradTile, side = m + 2;
  const tap = <usize>s.ic * (NR * 4);
  const bXi = packedBytes(s.ic, s.oc);
  const panels = (s.oc + NR - 1) / NR;
  for (let j = partition(panels, thread, threads), end = partition(panels, thread + 1, threads); j < end; j++) {
    const srcPtr = s.inPtr + tap * 9 * j, dstPtr = s.outPtr + tap * j, scalePtr = s.weightPtr + <usize>j * (NR * 4);
    for (let offset: usize = 0; offset < tap; offset += LINE) {
      for (let v: usize = 0; v < LINE; v += 16) {
        const scale = v128.load(scalePtr + (v & 16));
        for (let x: usize = 0; x < 3; x++) {
          weightTransform(m, srcPtr + offset + v + tap * x, tap * 3, scale, scratchPtr + v * 18 + (x << 4), 48);
        }
      }
      for (let y = 0; y < side; y++) {
        for (let v: usize = 0; v < LINE; v += 16) {
          const rowPtr = scratchPtr + v * 18 + <usize>y * 48;
          weightTransform(m, rowPtr, 16, f32x4.splat(1), dstPtr + offset + v + bXi * (y * side), bXi);
        }
      }
    }
  }
}
