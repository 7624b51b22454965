import { activateRows, isPass } from '../activation';
import { addsResidual } from '../epilogue';
import { macroKernel, panelsOf, TILES_BYTES } from '../gemm/macro-kernel';
import { RELAXED, WIDE } from '../isa';
import { ACTIVATION_NONE, FLAG_WIDE } from '../step';
import { MR_MAX, NR } from '../tile';
import { perWordOf, stepBytesOf } from './dot';
import { ByteTile, Int16Tile } from './micro';
import { greater, greatestLane, isBytesOf, QUANT_GEMM_BYTES, QuantGemm, QuantStep, raise } from './quant';
import { ByteWideTile, Int16WideTile } from './wide';

/**
 * A thread's scratch, from its pointer on:
 *   QuantGemm | tiles of C and the residual | greatest magnitudes [2] vectors | row table [MR_MAX] of addresses
 *   | rows [MR_MAX][K] of the panel at hand | A block | for im2col, the part of the map that the block reads
 */
const TILES: usize = QUANT_GEMM_BYTES;
const GREATEST: usize = TILES + TILES_BYTES;
const ROW_TABLE: usize = GREATEST + 32;
const ROWS: usize = ROW_TABLE + 64;

/** Bytes that a block of A has at most, if MR_MAX rows have less: half of a small L2. */
const BLOCK_BYTES: i32 = 262144;

/** Rows of a block at most: with their C, [240][64] at a time, they stay in L2. */
const BLOCK_ROWS: i32 = 240;

/** Bytes of whole vectors that hold `count` values, and one more, since a row is written and read by vectors. */
// @ts-ignore: decorator
@inline
export function rowBytes(words: i32): i32 {
  return ((words << 2) + 31) & ~15;
}

/** Rows of A that a block has at most: all of K is packed, since sums stay in registers. */
export function blockRows(words: i32): i32 {
  return max(MR_MAX, min(BLOCK_ROWS, BLOCK_BYTES / (words << 2)));
}

/** Bytes of scratch of a thread, without the part of a map that im2col needs. */
export function quantScratchBytes(words: i32): i32 {
  return <i32>ROWS + MR_MAX * rowBytes(words) + blockRows(words) * (words << 2) + 16;
}

/** Words of A's rows: `taps` taps of `channels` channels each, every tap in whole words. */
// @ts-ignore: decorator
@inline
export function wordsOf(isBytes: bool, taps: i32, channels: i32): i32 {
  const perWord = perWordOf(isBytes);
  return taps * ((channels + perWord - 1) / perWord);
}

// @ts-ignore: decorator
@inline
export function rowTableOf(g: QuantGemm): usize {
  return changetype<usize>(g) + ROW_TABLE;
}

/** Room for a panel's rows as whole numbers, `rowBytes(words)` apart. */
// @ts-ignore: decorator
@inline
export function rowsOf(g: QuantGemm): usize {
  return changetype<usize>(g) + ROWS;
}

/** Room for the part of the map that a block reads. */
// @ts-ignore: decorator
@inline
export function mapOf(g: QuantGemm): usize {
  return changetype<usize>(g) + <usize>quantScratchBytes(g.k);
}

/** A new product of `s` at the start of a thread's scratch. `words`: of a row of A. */
export function newQuantGemm(s: QuantStep, n: i32, words: i32, scratchPtr: usize): QuantGemm {
  const g = changetype<QuantGemm>(scratchPtr);
  g.step = s;
  g.n = n;
  g.k = words;
  g.k0 = 0;
  g.depth = words;
  g.aPtr = s.inPtr;
  g.aStride = <usize>s.ldIn << 2;
  g.afterPtr = 0;
  g.bStride = stepBytesOf(isBytesOf(s)) * words;
  g.cStride = <usize>s.ldOut << 2;
  g.residualStride = <usize>s.ldResidual << 2;
  g.packedPtr = rowsOf(g) + <usize>(MR_MAX * rowBytes(words));
  g.tilePtr = scratchPtr + TILES;
  g.adds = addsResidual(s);
  g.activation = isPass(s.activation) ? ACTIVATION_NONE : s.activation;
  g.greatestPtr = scratchPtr + GREATEST;
  // Columns beyond N take part in the greatest magnitude: they are zero if their residual is.
  memory.fill(g.tilePtr, 0, TILES_BYTES);
  return g;
}

/** Greatest magnitude below which an image is taken for zero: its reciprocal would not be finite. */
const LEAST: f32 = 1e-30;

/**
 * What image `image` of the input is a multiple of: NaN if it has a value that is not finite, so that all of the output
 * is NaN, as it would be of floats.
 */
export function scaleOf(s: QuantStep, image: i32): f32 {
  const greatest = load<f32>(s.rangePtr + (<usize>image << 2));
  // ∞ − ∞ and NaN − NaN are NaN; all else gives 0.
  const scale: f32 = s.inScale != 0 ? s.inScale : greatest < LEAST ? 0 : greatest / <f32>s.high;
  return scale + (greatest - greatest);
}

/** By what an image's values are multiplied to be whole numbers. */
// @ts-ignore: decorator
@inline
export function factorOf(scale: f32): f32 {
  return scale == 0 ? 0 : 1 / scale;
}

/**
 * Computes rows m0 … m1 and panels j0 … j1 of C = epilogue(A · B · scale + bias), block by block; no block has rows of two
 * images, each of which has a scale of its own. `pixels`: rows of an image. `P` packs A: a class without fields whose
 * method pack(g, image) writes the block's panels to `g.packedPtr`.
 */
export function quantGemm<P>(g: QuantGemm, pixels: i32): void {
  const s = changetype<QuantStep>(g.step);
  const most = blockRows(g.k);
  for (let i0 = g.m0; i0 < g.m1; i0 += g.rows) {
    const image = i0 / pixels;
    // Blocks of nearly equal height.
    const left = min(g.m1, (image + 1) * pixels) - i0;
    const blocks = (left + most - 1) / most;
    g.i0 = i0;
    g.rows = (left + blocks - 1) / blocks;
    g.inScale = scaleOf(s, image);
    changetype<P>(0).pack(g, image);
    v128.store(g.greatestPtr, i32x4.splat(0));
    v128.store(g.greatestPtr, i32x4.splat(0), 16);
    multiply(g);
    const column = <i32>((g.cPtr - s.outPtr) >> 2);
    const c0 = column + g.j0 * NR, c1 = column + min(g.n, g.j1 * NR);
    const passes = isPass(s.activation);
    if (passes) activateRows(s, i0, g.rows, c0, c1);
    if (!s.outRangePtr) continue;
    // The tiles saw values before a pass, and behind the channels of a group the bias of the next.
    const isUnseen = passes || (s.groups > 1 && g.n % NR != 0);
    const bits = isUnseen
      ? greatestOf(s.outPtr, s.ldOut, i0, g.rows, c0, c1)
      : greatestLane(i32x4.max_s(v128.load(g.greatestPtr), v128.load(g.greatestPtr, 16)));
    raise(s.outRangePtr + (<usize>image << 2), bits);
  }
}

/** Multiplies the block at hand by the widest tile that the step may have; one panel of A, as in ../gemm/gemm.ts, not. */
function multiply(g: QuantGemm): void {
  const isBytes = isBytesOf(changetype<QuantStep>(g.step));
  const isWide = WIDE && (g.step.flags & FLAG_WIDE) != 0 && panelsOf(g) > 1;
  if (RELAXED && isBytes) {
    if (isWide) macroKernel<ByteWideTile>(g);
    else macroKernel<ByteTile>(g);
  } else if (isWide) macroKernel<Int16WideTile>(g);
  else macroKernel<Int16Tile>(g);
}

/** The bits of the greatest magnitude of channels c0 … c1 of some pixels. */
export function greatestOf(ptr: usize, ld: i32, pixel: i32, pixels: i32, c0: i32, c1: i32): i32 {
  const stride = <usize>ld << 2;
  let rowPtr = ptr + stride * pixel + (<usize>c0 << 2);
  const bytes = <usize>(c1 - c0) << 2;
  let even = i32x4.splat(0), odd = even;
  for (let p = 0; p < pixels; p++) {
    let i: usize = 0;
    for (; i + 32 <= bytes; i += 32) {
      even = greater(even, v128.load(rowPtr + i));
      odd = greater(odd, v128.load(rowPtr + i, 16));
    }
    for (; i < bytes; i += 4) even = greater(even, v128.load32_zero(rowPtr + i));
    rowPtr += stride;
  }
  return greatestLane(i32x4.max_s(even, odd));
}
