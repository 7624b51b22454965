import { finish } from '../epilogue';
import { packedBytes } from '../gemm/pack';
import { micro, microTouching } from '../gemm/micro';
import { madd } from '../isa';
import { Step } from '../step';
import { share } from '../threads';
import { NR } from '../tile';

/**
 * Winograd's minimal filtering for 3×3 convolutions of stride 1, after Lavin & Gray 2015: F(m×m, 3×3) makes m × m
 * outputs of (m+2)² products, where the definition needs 9·m². m is 4 (36 products for 144) or 2 (16 for 36).
 *
 *   V[ξ][T, C] = Bᵀ d B   of each tile's (m+2)² pixels d       T tiles, C input channels
 *   M[ξ][T, N] = V[ξ] · U[ξ]                                   one GEMM for each ξ = 0 … (m+2)²−1
 *   out        = epilogue(Aᵀ M A + bias)                       N output channels
 *
 * Tiles go by in blocks whose V and M stay in L2. The transforms work on 4 channels a vector; what they write are the
 * panels that the GEMM reads, so there is no pass for packing. Where few panels use each piece of U, they read the next
 * one ahead: on small maps its way from memory shows (14×14, 256 channels: 2.1 ms for 2.3).
 */

/** Bytes of a block's V (but at least 16 tiles: all of a 14×14 map), and output channels of its M. */
const V_BYTES: i32 = 384 * 1024;
const N_BLOCK: i32 = 64;
/** At most so many panels of tiles are few, so that the way of U from memory shows. */
const FEW_PANELS: i32 = 4;

/**
 * Scratch of a thread: pixel addresses | −4 in four lanes | a tile between its two transforms | V | M | zeros [C]. The
 * one constant of the transforms lies in memory, since V8 makes a constant vector anew, in three instructions, at each
 * use.
 */
const ADDRESSES: usize = 0;
const MINUS4: usize = 36 * 4;
const BETWEEN: usize = 192;
const BLOCK: usize = BETWEEN + 36 * 16;

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

/** Bytes of scratch that a thread needs for an input of `c` channels. */
export function winogradScratchBytes(m: i32, c: i32): i32 {
  const tiles = blockTiles(m, c);
  return <i32>BLOCK + points(m) * tiles * (<i32>vStride(c) + N_BLOCK * 4) + c * 4;
}

/** Bytes of the transformed weights of a 3×3 convolution from `c` to `n` channels. */
export function winogradBytes(m: i32, c: i32, n: i32): usize {
  return packedBytes(c, n) * points(m);
}

// One-dimensional transforms: from `src`, elements `from` bytes apart, to `dst`, elements `to` bytes apart.

// Four channels of one tile in an A panel, whose k-th channel is `step` bytes after the one before.
// @ts-ignore: decorator
@inline
function put(inPanel: bool, dst: usize, v: v128, step: usize): void {
  if (inPanel) {
    v128.store32_lane(dst, v, 0);
    v128.store32_lane(dst + step, v, 1);
    v128.store32_lane(dst + step * 2, v, 2);
    v128.store32_lane(dst + step * 3, v, 3);
  } else {
    v128.store(dst, v);
  }
}

// @ts-ignore: decorator
@inline
function inputTransform4(
  inPanel: bool, d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, minus4: v128, dst: usize, to: usize,
  step: usize,
): void {
  const e = f32x4.sub(d4, d2), o = f32x4.sub(d3, d1);
  const even = madd(d2, minus4, d4), odd = madd(d1, minus4, d3), twice = f32x4.add(o, o);
  put(inPanel, dst, madd(f32x4.sub(d2, d0), minus4, e), step);
  put(inPanel, dst + to, f32x4.add(even, odd), step);
  put(inPanel, dst + to * 2, f32x4.sub(even, odd), step);
  put(inPanel, dst + to * 3, f32x4.add(e, twice), step);
  put(inPanel, dst + to * 4, f32x4.sub(e, twice), step);
  put(inPanel, dst + to * 5, madd(o, minus4, f32x4.sub(d5, d3)), step);
}

// @ts-ignore: decorator
@inline
function inputTransform2(
  inPanel: bool, d0: v128, d1: v128, d2: v128, d3: v128, dst: usize, to: usize, step: usize,
): void {
  put(inPanel, dst, f32x4.sub(d0, d2), step);
  put(inPanel, dst + to, f32x4.add(d1, d2), step);
  put(inPanel, dst + to * 2, f32x4.sub(d2, d1), step);
  put(inPanel, dst + to * 3, f32x4.sub(d1, d3), step);
}

// @ts-ignore: decorator
@inline
function pixel(addresses: usize, i: i32, offset: usize): v128 {
  return v128.load(load<usize>(addresses + (<usize>i << 2)) + offset);
}

/**
 * V of one tile, one of the `rows` of a panel: `v` is its place in V[0], `xi` bytes from V[ξ] to V[ξ+1]. `scratchPtr`
 * holds the pixels' addresses.
 */
// @ts-ignore: decorator
@inline
function transformInput(m: i32, c: i32, scratchPtr: usize, v: usize, xi: usize, rows: i32): void {
  const addresses = scratchPtr + ADDRESSES;
  const between = scratchPtr + BETWEEN;
  const minus4 = v128.load(scratchPtr + MINUS4);
  const step = <usize>rows << 2;
  for (let offset: usize = 0, end = <usize>c << 2; offset < end; offset += 16) {
    if (m == 4) {
      for (let j = 0; j < 6; j++) {
        const a = addresses + (<usize>j << 2);
        inputTransform4(
          false, pixel(a, 0, offset), pixel(a, 6, offset), pixel(a, 12, offset), pixel(a, 18, offset), pixel(a, 24, offset),
          pixel(a, 30, offset), minus4, between + (<usize>j << 4), 96, 0,
        );
      }
      let dst = v + offset * rows;
      for (let row = between; row < between + 576; row += 96) {
        inputTransform4(
          true, v128.load(row), v128.load(row, 16), v128.load(row, 32), v128.load(row, 48), v128.load(row, 64),
          v128.load(row, 80), minus4, dst, xi, step,
        );
        dst += xi * 6;
      }
    } else {
      for (let j = 0; j < 4; j++) {
        const a = addresses + (<usize>j << 2);
        inputTransform2(
          false, pixel(a, 0, offset), pixel(a, 4, offset), pixel(a, 8, offset), pixel(a, 12, offset),
          between + (<usize>j << 4), 64, 0,
        );
      }
      let dst = v + offset * rows;
      for (let row = between; row < between + 256; row += 64) {
        inputTransform2(
          true, v128.load(row), v128.load(row, 16), v128.load(row, 32), v128.load(row, 48), dst, xi, step,
        );
        dst += xi * 4;
      }
    }
  }
}

/** A row of outputs from a row between the transforms; `cols` of them lie in the map. */
// @ts-ignore: decorator
@inline
function outputRow4(
  row: usize, bias: v128, minus4: v128, out: usize, outStep: usize, residual: usize, residualStep: usize, cols: i32, flags: i32,
): void {
  const m1 = v128.load(row, 16), m2 = v128.load(row, 32), m3 = v128.load(row, 48), m4 = v128.load(row, 64);
  const s = f32x4.add(m1, m2), d = f32x4.sub(m1, m2), u = f32x4.add(m3, m4), w = f32x4.sub(m3, m4);
  const twice = f32x4.add(w, w);
  finish(f32x4.add(bias, f32x4.add(f32x4.add(v128.load(row), s), u)), out, residual, flags);
  if (cols > 1) finish(f32x4.add(bias, f32x4.add(twice, d)), out + outStep, residual + residualStep, flags);
  if (cols > 2) {
    finish(f32x4.add(bias, f32x4.sub(s, f32x4.mul(u, minus4))), out + outStep * 2, residual + residualStep * 2, flags);
  }
  if (cols > 3) {
    const y = f32x4.sub(f32x4.add(d, v128.load(row, 80)), f32x4.mul(twice, minus4));
    finish(f32x4.add(bias, y), out + outStep * 3, residual + residualStep * 3, flags);
  }
}

// @ts-ignore: decorator
@inline
function outputColumn4(src: usize, xi: usize, minus4: v128, dst: usize): void {
  const m1 = v128.load(src + xi * 6), m2 = v128.load(src + xi * 12);
  const m3 = v128.load(src + xi * 18), m4 = v128.load(src + xi * 24);
  const s = f32x4.add(m1, m2), d = f32x4.sub(m1, m2), u = f32x4.add(m3, m4), w = f32x4.sub(m3, m4);
  const twice = f32x4.add(w, w);
  v128.store(dst, f32x4.add(f32x4.add(v128.load(src), s), u));
  v128.store(dst, f32x4.add(twice, d), 96);
  v128.store(dst, f32x4.sub(s, f32x4.mul(u, minus4)), 192);
  v128.store(dst, f32x4.sub(f32x4.add(d, v128.load(src + xi * 30)), f32x4.mul(twice, minus4)), 288);
}

/**
 * The outputs of one tile, `n` channels (a multiple of 4) from M: `src` is the tile's row in M[0], `xi` bytes from M[ξ]
 * to M[ξ+1]. `rows` × `cols` of the tile's pixels lie in the map; `out…` and `residual…` as Step has them.
 */
// @ts-ignore: decorator
@inline
function transformOutput(
  m: i32, n: i32, scratchPtr: usize, src: usize, xi: usize, biasPtr: usize, out: usize, outLine: usize, outStep: usize,
  residual: usize, residualLine: usize, residualStep: usize, rows: i32, cols: i32, flags: i32,
): void {
  const between = scratchPtr + BETWEEN;
  const minus4 = v128.load(scratchPtr + MINUS4);
  for (let offset: usize = 0, end = <usize>n << 2; offset < end; offset += 16) {
    const bias = v128.load(biasPtr + offset);
    let o = out + offset;
    let r = residual + offset;
    if (m == 4) {
      for (let j: usize = 0; j < 6; j++) outputColumn4(src + offset + xi * j, xi, minus4, between + (j << 4));
      for (let i = 0; i < rows; i++) {
        outputRow4(between + <usize>i * 96, bias, minus4, o, outStep, r, residualStep, cols, flags);
        o += outLine;
        r += residualLine;
      }
    } else {
      for (let j: usize = 0; j < 4; j++) {
        const at = src + offset + xi * j;
        const m0 = v128.load(at), m1 = v128.load(at + xi * 4), m2 = v128.load(at + xi * 8), m3 = v128.load(at + xi * 12);
        v128.store(between + (j << 4), f32x4.add(f32x4.add(m0, m1), m2));
        v128.store(between + (j << 4), f32x4.sub(f32x4.sub(m1, m2), m3), 64);
      }
      for (let i = 0; i < rows; i++) {
        const row = between + (<usize>i << 6);
        const m0 = v128.load(row), m1 = v128.load(row, 16), m2 = v128.load(row, 32), m3 = v128.load(row, 48);
        finish(f32x4.add(bias, f32x4.add(f32x4.add(m0, m1), m2)), o, r, flags);
        if (cols > 1) {
          finish(f32x4.add(bias, f32x4.sub(f32x4.sub(m1, m2), m3)), o + outStep, r + residualStep, flags);
        }
        o += outLine;
        r += residualLine;
      }
    }
  }
}

/** Addresses of a tile's pixels, row by row: those outside the map point to zeros. */
function addressTile(s: Step, m: i32, image: usize, top: i32, left: i32, zeros: usize, addresses: usize): void {
  const ih = s.ih, iw = s.iw;
  const pixelBytes = <usize>s.ldIn << 2;
  for (let y = top; y < top + m + 2; y++) {
    for (let x = left; x < left + m + 2; x++) {
      const inside = <u32>y < <u32>ih && <u32>x < <u32>iw;
      store<usize>(addresses, inside ? image + pixelBytes * (y * iw + x) : zeros);
      addresses += 4;
    }
  }
}

// @ts-ignore: decorator
@inline
function convolve(s: Step, m: i32, thread: i32, threads: i32, scratchPtr: usize): void {
  const c = s.ic, n = s.oc, oh = s.oh, ow = s.ow;
  const tilesX = (ow + m - 1) / m, tilesY = (oh + m - 1) / m;
  const perImage = tilesX * tilesY;
  const count = points(m);
  const limit = blockTiles(m, c);
  const panels = n / NR + ((n & (NR - 1)) ? 1 : 0);

  // Threads share the tiles, or the columns where tiles are few: then each transforms all of the input for itself.
  let t0 = 0, t1 = s.batch * perImage, j0 = 0, j1 = panels;
  if (t1 >= threads * 24 || panels < threads) {
    const all = t1;
    t0 = share(all, thread, threads);
    t1 = share(all, thread + 1, threads);
  } else {
    j0 = share(panels, thread, threads);
    j1 = share(panels, thread + 1, threads);
  }
  if (t0 >= t1 || j0 >= j1) return;

  const rowBytes = vStride(c);
  const vXi = rowBytes * limit;
  const mXi = <usize>(limit * N_BLOCK) << 2;
  const vPtr = scratchPtr + BLOCK;
  const mPtr = vPtr + vXi * count;
  const zeros = mPtr + mXi * count;
  memory.fill(zeros, 0, <usize>c << 2);
  v128.store(scratchPtr + MINUS4, f32x4.splat(-4));
  const bXi = packedBytes(c, n);
  const bStride = <usize>c * (NR * 4);
  const imageBytes = (<usize>s.ldIn << 2) * (s.ih * s.iw);
  const outStep = <usize>s.ldOut << 2, residualStep = <usize>s.ldResidual << 2;
  const blocks = (t1 - t0 + limit - 1) / limit;

  for (let block = 0; block < blocks; block++) {
    const first = t0 + share(t1 - t0, block, blocks);
    const tiles = t0 + share(t1 - t0, block + 1, blocks) - first;
    const tilePanels = (tiles + s.mr - 1) / s.mr;
    const touching = tilePanels > 1 && tilePanels <= FEW_PANELS;
    const touchStep = <usize>((NR * 4 + tilePanels - 1) / tilePanels);
    for (let i = 0; i < tilePanels; i++) {
      const row0 = share(tiles, i, tilePanels);
      const rows = share(tiles, i + 1, tilePanels) - row0;
      for (let r = row0; r < row0 + rows; r++) {
        const image = (first + r) / perImage;
        const place = first + r - image * perImage;
        const ty = place / tilesX;
        const tx = place - ty * tilesX;
        const from = s.inPtr + imageBytes * image;
        addressTile(s, m, from, ty * m - s.padTop, tx * m - s.padLeft, zeros, scratchPtr + ADDRESSES);
        transformInput(m, c, scratchPtr, vPtr + (<usize>(row0 * c + r - row0) << 2), vXi, rows);
      }
    }
    for (let j = j0; j < j1; j += N_BLOCK / NR) {
      const jEnd = min(j + N_BLOCK / NR, j1);
      for (let xi = 0; xi < count; xi++) {
        const v = vPtr + vXi * xi;
        for (let jj = j; jj < jEnd; jj++) {
          const b = s.weightPtr + bXi * xi + bStride * jj;
          const to = mPtr + mXi * xi + (<usize>((jj - j) * NR) << 2);
          let next = jj + 1 < jEnd ? b + bStride : b;
          for (let i = 0; i < tilePanels; i++) {
            const row = share(tiles, i, tilePanels);
            const rows = share(tiles, i + 1, tilePanels) - row;
            const at = to + <usize>row * (N_BLOCK * 4);
            const a = v + (<usize>(row * c) << 2);
            if (touching) {
              microTouching(rows, c, a, b, zeros, 0, at, N_BLOCK * 4, 0, 0, 0, next, touchStep);
              next += touchStep * c;
            } else {
              micro(rows, c, a, b, zeros, 0, at, N_BLOCK * 4, 0, 0, 0);
            }
          }
        }
      }
      const column = <usize>(j * NR) << 2;
      const width = min(n - j * NR, (jEnd - j) * NR);
      for (let t = 0; t < tiles; t++) {
        const image = (first + t) / perImage;
        const place = first + t - image * perImage;
        const oy = (place / tilesX) * m;
        const ox = (place % tilesX) * m;
        const at = (image * oh + oy) * ow + ox;
        transformOutput(
          m, width, scratchPtr, mPtr + <usize>t * (N_BLOCK * 4), mXi, s.biasPtr + column,
          s.outPtr + column + outStep * at, outStep * ow, outStep, s.residualPtr + column + residualStep * at,
          residualStep * ow, residualStep, min(m, oh - oy), min(m, ow - ox), s.flags,
        );
      }
    }
  }
}

/**
 * out[B,OH,OW,N] = epilogue(conv3×3(in[B,IH,IW,C]) + bias), stride 1, any padding; C and N are multiples of 4, C at
 * least 8 (the zeros also serve as the GEMM's start). `weightPtr`: U, as winogradWeights makes it.
 */
export function winograd(s: Step, thread: i32, threads: i32, scratchPtr: usize): void {
  if (s.winogradTile == 4) convolve(s, 4, thread, threads, scratchPtr);
  else convolve(s, 2, thread, threads, scratchPtr);
}

// @ts-ignore: decorator
@inline
function weightTransform4(g0: v128, g1: v128, g2: v128, dst: usize, to: usize): void {
  const sum = f32x4.mul(f32x4.add(g0, g2), f32x4.splat(-1.0 / 6.0)), odd = f32x4.mul(g1, f32x4.splat(-1.0 / 6.0));
  v128.store(dst, f32x4.mul(g0, f32x4.splat(0.25)));
  v128.store(dst + to, f32x4.add(sum, odd));
  v128.store(dst + to * 2, f32x4.sub(sum, odd));
  const even = f32x4.add(f32x4.mul(g0, f32x4.splat(1.0 / 24.0)), f32x4.mul(g2, f32x4.splat(1.0 / 6.0)));
  const twelfth = f32x4.mul(g1, f32x4.splat(1.0 / 12.0));
  v128.store(dst + to * 3, f32x4.add(even, twelfth));
  v128.store(dst + to * 4, f32x4.sub(even, twelfth));
  v128.store(dst + to * 5, g2);
}

// @ts-ignore: decorator
@inline
function weightTransform2(g0: v128, g1: v128, g2: v128, dst: usize, to: usize): void {
  const even = f32x4.mul(f32x4.add(g0, g2), f32x4.splat(0.5)), odd = f32x4.mul(g1, f32x4.splat(0.5));
  v128.store(dst, g0);
  v128.store(dst + to, f32x4.add(even, odd));
  v128.store(dst + to * 2, f32x4.sub(even, odd));
  v128.store(dst + to * 3, g2);
}

/**
 * U[ξ] = G g Gᵀ, each a packed B[c, n], from the packed B[9·c, n] of a 3×3 convolution at `srcPtr`. `scratchPtr`: 288
 * bytes. 4 output channels a vector.
 */
export function winogradWeights(m: i32, srcPtr: usize, dstPtr: usize, c: i32, n: i32, scratchPtr: usize): void {
  const side = m + 2;
  const tap = <usize>c * (NR * 4);
  const bXi = packedBytes(c, n);
  const panels = (n + NR - 1) / NR;
  for (let j = 0; j < panels; j++) {
    const src = srcPtr + tap * 9 * j;
    const dst = dstPtr + tap * j;
    for (let offset: usize = 0; offset < tap; offset += 16) {
      const g = src + offset;
      for (let x: usize = 0; x < 3; x++) {
        const g0 = v128.load(g + tap * x), g1 = v128.load(g + tap * (x + 3)), g2 = v128.load(g + tap * (x + 6));
        if (m == 4) weightTransform4(g0, g1, g2, scratchPtr + (x << 4), 48);
        else weightTransform2(g0, g1, g2, scratchPtr + (x << 4), 48);
      }
      for (let y = 0; y < side; y++) {
        const row = scratchPtr + <usize>y * 48;
        const g0 = v128.load(row), g1 = v128.load(row, 16), g2 = v128.load(row, 32);
        const to = dst + offset + bXi * (y * side);
        if (m == 4) weightTransform4(g0, g1, g2, to, bXi);
        else weightTransform2(g0, g1, g2, to, bXi);
      }
    }
  }
}
