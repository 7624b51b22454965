import { activateRows, isPass } from '../activation';
import { addsResidual } from '../epilogue';
import { madd, WIDE } from '../isa';
import { partition } from '../partition';
import { ACTIVATION_NONE, FLAG_WIDE, Step } from '../step';
import { KC, MC, MR_MAX, NR } from '../tile';
import { F32PrefetchingTile, F32Tile } from './f32/micro';
import { packPanel } from './f32/pack';
import { F32WideTile } from './f32/wide';
import { Gemm, GEMM_BYTES, macroKernel, panelsOf, TILES_BYTES } from './macro-kernel';

/**
 * A thread's scratch, from its pointer on:
 *   Gemm | A block [MC][KC] | tiles of C and the residual | zeros [KC] | row table [4][MR_MAX] of addresses and i32
 *   | activated rows [MR_MAX][KC]
 */
const A_BLOCK: usize = GEMM_BYTES;
const TILES: usize = A_BLOCK + MC * KC * 4;
const ZEROS: usize = TILES + TILES_BYTES;
const ROW_TABLE: usize = ZEROS + KC * 4;
const ACTIVATED: usize = ROW_TABLE + 4 * MR_MAX * sizeof<usize>();

/** Bytes of scratch that each thread needs. */
export const SCRATCH_BYTES: i32 = <i32>ACTIVATED + MR_MAX * KC * 4;

/** At most so many A panels are few: in a ResNet those of 7×7 maps. */
const FEW_PANELS: i32 = 12;

/** Columns that are finished before a pass activates them: 240 rows of 64 are 60 KiB, which L2 still holds. */
const PASS_PANELS: i32 = 64 / NR;

/** Where im2col finds zeros [KC] for pixels outside the map. */
// @ts-ignore: decorator
@inline
export function zerosOf(g: Gemm): usize {
  return changetype<usize>(g) + ZEROS;
}

/** Room for four words per row of a panel. */
// @ts-ignore: decorator
@inline
export function rowTableOf(g: Gemm): usize {
  return changetype<usize>(g) + ROW_TABLE;
}

/** A new product of `s` at the start of a thread's scratch: all of it, no group. */
export function newGemm(s: Step, n: i32, k: i32, scratchPtr: usize): Gemm {
  const g = changetype<Gemm>(scratchPtr);
  g.step = s;
  g.n = n;
  g.k = k;
  g.aPtr = s.inPtr;
  g.aStride = <usize>s.ldIn << 2;
  g.afterPtr = 0;
  g.bPtr = s.weightPtr;
  g.bStride = <usize>k * (NR * 4);
  g.biasPtr = s.biasPtr;
  g.cPtr = s.outPtr;
  g.cStride = <usize>s.ldOut << 2;
  g.residualPtr = s.residualPtr;
  g.residualStride = <usize>s.ldResidual << 2;
  g.packedPtr = scratchPtr + A_BLOCK;
  g.tilePtr = scratchPtr + TILES;
  return g;
}

/** Depth of a block of K: as few blocks as KC allows, of nearly equal depth, whole vectors. */
function depthOf(k: i32): i32 {
  const blocks = (k + KC - 1) / KC;
  return min(k, ((k + blocks - 1) / blocks + 7) & ~7);
}

/**
 * Computes a share of C[M,N] = epilogue(A[M,K] · B[K,N] + bias[N]), block by block, after Goto & van de Geijn 2008.
 * `P` packs A: a class without fields whose method pack(g) writes the block's panels to `g.packedPtr`.
 */
export function gemm<P>(g: Gemm): void {
  const s = g.step;
  const depth = depthOf(g.k);
  const j0 = g.j0, j1 = g.j1;
  for (let k0 = 0; k0 < g.k; k0 += depth) {
    g.k0 = k0;
    g.depth = min(depth, g.k - k0);
    const isLast = k0 + g.depth == g.k;
    const passes = isLast && isPass(s.activation);
    g.adds = k0 == 0 && addsResidual(s);
    g.activation = isLast && !passes ? s.activation : ACTIVATION_NONE;
    for (let i0 = g.m0; i0 < g.m1; i0 += MC) {
      g.i0 = i0;
      g.rows = min(MC, g.m1 - i0);
      changetype<P>(0).pack(g);
      const columnPanels = passes ? PASS_PANELS : j1 - j0;
      for (let j = j0; j < j1; j += columnPanels) {
        g.j0 = j;
        g.j1 = min(j1, j + columnPanels);
        // Few tiles use each B panel, so that its way from memory shows.
        multiply(g, panelsOf(g) <= FEW_PANELS);
        if (passes) {
          const c = <i32>((g.cPtr - s.outPtr) >> 2);
          activateRows(s, i0, g.rows, c + j * NR, c + min(g.n, g.j1 * NR));
        }
      }
    }
  }
}

/**
 * Multiplies the block at hand by the widest tile that the step may have. One panel of A uses each panel of B once, so that
 * the way from memory is all: two panels at a time come more slowly than one after the other (2.7 ms for 1.7, 7×7 and 512
 * channels by Winograd).
 */
// @ts-ignore: decorator
@inline
export function multiply(g: Gemm, prefetches: bool): void {
  if (WIDE && (g.step.flags & FLAG_WIDE) && panelsOf(g) > 1) macroKernel<F32WideTile>(g);
  else if (prefetches) macroKernel<F32PrefetchingTile>(g);
  else macroKernel<F32Tile>(g);
}

/** Packs rows of A as they lie, `g.aStride` bytes apart, through the step's pre-activation if it has one. */
@final
@unmanaged
export class Rows {
  // @ts-ignore: decorator
  @inline
  pack(g: Gemm): void {
    packRows(g);
  }
}

function packRows(g: Gemm): void {
  const s = g.step;
  const tablePtr = rowTableOf(g);
  const offset = <usize>g.k0 << 2;
  const panels = panelsOf(g);
  let packedPtr = g.packedPtr;
  for (let i = 0; i < panels; i++) {
    const row0 = partition(g.rows, i, panels);
    const rows = partition(g.rows, i + 1, panels) - row0;
    for (let r = 0; r < rows; r++) {
      let rowPtr = g.aPtr + g.aStride * (g.i0 + row0 + r) + offset;
      if (s.preScalePtr) {
        const activatedPtr = changetype<usize>(g) + ACTIVATED + <usize>(r * KC) * 4;
        preActivate(rowPtr, g.depth, s.preScalePtr + offset, s.preShiftPtr + offset, activatedPtr);
        rowPtr = activatedPtr;
      }
      store<usize>(tablePtr + <usize>r * sizeof<usize>(), rowPtr);
    }
    packedPtr = packPanel(tablePtr, rows, g.depth, packedPtr);
  }
}

/** out[k] = max(in[k] · scale[k] + shift[k], 0): batch norm and ReLU of a row on its way into a panel. */
function preActivate(inPtr: usize, k: i32, scalePtr: usize, shiftPtr: usize, outPtr: usize): void {
  const bytes = <usize>k << 2;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    const y = madd(v128.load(inPtr + i), v128.load(scalePtr + i), v128.load(shiftPtr + i));
    v128.store(outPtr + i, f32x4.pmax(y, f32x4.splat(0)));
  }
  for (; i < bytes; i += 4) {
    const y = load<f32>(inPtr + i) * load<f32>(scalePtr + i) + load<f32>(shiftPtr + i);
    store<f32>(outPtr + i, y < 0 ? 0 : y);
  }
}
