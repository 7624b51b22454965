import { madd } from '../isa';
import { FLAG_ADD, FLAG_RELU } from '../step';
import { share } from '../threads';
import { KC, MC, MR_MAX, NR } from '../tile';
import { micro, microTouching } from './micro';
import { packPanel } from './pack';

/**
 * A thread's scratch, from its pointer on:
 *   A block [MC · KC] | C tile [MR_MAX · NR] | residual tile [MR_MAX · NR] | zeros [KC] | row table [4 · MR_MAX] (i32)
 *   | activated rows [MR_MAX · KC]
 */
const C_TILE: usize = MC * KC * 4;
const R_TILE: usize = C_TILE + MR_MAX * NR * 4;
export const ZEROS: usize = R_TILE + MR_MAX * NR * 4;
export const ROW_TABLE: usize = ZEROS + KC * 4;

const ACTIVATED: usize = ROW_TABLE + 4 * MR_MAX * 4;

/** Bytes of scratch that each thread needs. */
export const SCRATCH_BYTES: i32 = <i32>ACTIVATED + MR_MAX * KC * 4;

/** At most so many A panels are few: in a ResNet those of 7×7 maps. */
const FEW_PANELS: i32 = 12;

/** Depth of a block of K: as few blocks as KC allows, of nearly equal depth, whole vectors. */
// @ts-ignore: decorator
@inline
export function depthOf(k: i32): i32 {
  const blocks = (k + KC - 1) / KC;
  return min(k, ((k + blocks - 1) / blocks + 7) & ~7);
}

/**
 * The epilogue of a block of K: the first adds the residual, so that C may lie where the residual does; the last clamps.
 */
// @ts-ignore: decorator
@inline
export function blockFlags(flags: i32, first: bool, last: bool): i32 {
  return (first ? flags & FLAG_ADD : 0) | (last ? flags & FLAG_RELU : 0);
}

/**
 * The macro-kernel: C[m, panels j0 … j1) = epilogue(start + A block · B), with the start as in micro.ts.
 *
 *   scratchPtr  holds the packed A block of `m` rows and depth `kc`, as panels of nearly equal height (49 rows as
 *               4 × 6 + 5 × 5, not 8 × 6 + 1: a tile of one row takes as long as one of four)
 *   bPtr        B panel 0 at this block's first k; `bStride` bytes to the next panel
 *   cPtr        C's first row of the block, column 0; so rPtr
 *   n           all columns of C: a last panel that is not whole goes through a tile in scratch
 */
export function macroKernel(
  scratchPtr: usize, mr: i32, m: i32, j0: i32, j1: i32, n: i32, kc: i32, bPtr: usize, bStride: usize, biasPtr: usize,
  cPtr: usize, cStride: usize, rPtr: usize, rStride: usize, flags: i32, first: bool,
): void {
  const panels = (m + mr - 1) / mr;
  // Few tiles use each B panel, so that its way from memory shows: they share the reading of the next.
  const touching = panels <= FEW_PANELS;
  const touchStep = <usize>((NR * 4 + panels - 1) / panels);
  for (let j = j0; j < j1; j++) {
    const column = <usize>j * (NR * 4);
    const b = bPtr + bStride * j;
    const cols = n - j * NR;
    let next = j + 1 < j1 ? b + bStride : b;
    for (let i = 0; i < panels; i++) {
      const row0 = share(m, i, panels);
      const rows = share(m, i + 1, panels) - row0;
      const a = scratchPtr + (<usize>(row0 * kc) << 2);
      const c = cPtr + column + cStride * row0;
      const r = rPtr + column + rStride * row0;
      if (cols >= NR && touching) {
        microTouching(
          rows, kc, a, b, first ? biasPtr + column : c, first ? 0 : cStride, c, cStride, r, rStride, flags, next, touchStep,
        );
        next += touchStep * kc;
      } else if (cols >= NR) {
        micro(rows, kc, a, b, first ? biasPtr + column : c, first ? 0 : cStride, c, cStride, r, rStride, flags);
      } else {
        const width = <usize>cols << 2;
        const tile = scratchPtr + C_TILE;
        const residual = scratchPtr + R_TILE;
        for (let row: usize = 0; row < <usize>rows; row++) {
          if (!first) memory.copy(tile + row * (NR * 4), c + row * cStride, width);
          if (flags & FLAG_ADD) memory.copy(residual + row * (NR * 4), r + row * rStride, width);
        }
        micro(rows, kc, a, b, first ? biasPtr + column : tile, first ? 0 : NR * 4, tile, NR * 4, residual, NR * 4, flags);
        for (let row: usize = 0; row < <usize>rows; row++) {
          memory.copy(c + row * cStride, tile + row * (NR * 4), width);
        }
      }
    }
  }
}

/** dst[k] = max(src[k] · scale[k] + shift[k], 0): batch norm and ReLU of a row on its way into a panel. */
function activate(src: usize, k: i32, scalePtr: usize, shiftPtr: usize, dst: usize): void {
  const bytes = <usize>k << 2;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    const y = madd(v128.load(src + i), v128.load(scalePtr + i), v128.load(shiftPtr + i));
    v128.store(dst + i, f32x4.pmax(y, f32x4.splat(0)));
  }
  for (; i < bytes; i += 4) {
    const y = load<f32>(src + i) * load<f32>(scalePtr + i) + load<f32>(shiftPtr + i);
    store<f32>(dst + i, y < 0 ? 0 : y);
  }
}

/**
 * C[M,N] = epilogue(A[M,K] · B[K,N] + bias[N]), the epilogue being FLAG_ADD's residual R[M,N], then FLAG_RELU.
 * Computes rows m0 … m1 and panels j0 … j1 (of NR columns) alone, for threads. `ld…`: elements between rows.
 * `bPtr`: packed B; `biasPtr`: zero-padded to whole panels; C may be R, and is not read otherwise. Where `preScalePtr` is
 * not 0, A is max(A · scale[K] + shift[K], 0) as it is packed (DenseNet's batch norm and ReLU before a convolution). After Goto & van de Geijn 2008.
 */
export function gemm(
  m0: i32, m1: i32, j0: i32, j1: i32, n: i32, k: i32, aPtr: usize, lda: i32, bPtr: usize, biasPtr: usize, cPtr: usize,
  ldc: i32, rPtr: usize, ldr: i32, flags: i32, mr: i32, scratchPtr: usize, preScalePtr: usize,
  preShiftPtr: usize,
): void {
  const depth = depthOf(k);
  const table = scratchPtr + ROW_TABLE;
  const aStride = <usize>lda << 2;
  const cStride = <usize>ldc << 2;
  const rStride = <usize>ldr << 2;
  for (let k0 = 0; k0 < k; k0 += depth) {
    const kc = min(depth, k - k0);
    for (let i0 = m0; i0 < m1; i0 += MC) {
      const m = min(MC, m1 - i0);
      const panels = (m + mr - 1) / mr;
      let dst = scratchPtr;
      for (let i = 0; i < panels; i++) {
        const row0 = share(m, i, panels);
        const rows = share(m, i + 1, panels) - row0;
        for (let r = 0; r < rows; r++) {
          let row = aPtr + aStride * (i0 + row0 + r) + (<usize>k0 << 2);
          if (preScalePtr) {
            const activated = scratchPtr + ACTIVATED + <usize>(r * KC) * 4;
            activate(row, kc, preScalePtr + (<usize>k0 << 2), preShiftPtr + (<usize>k0 << 2), activated);
            row = activated;
          }
          store<usize>(table + (<usize>r << 2), row);
        }
        dst = packPanel(table, rows, kc, dst);
      }
      macroKernel(
        scratchPtr, mr, m, j0, j1, n, kc, bPtr + <usize>k0 * (NR * 4), <usize>k * (NR * 4), biasPtr,
        cPtr + cStride * i0, cStride, rPtr + rStride * i0, rStride, blockFlags(flags, k0 == 0, k0 + kc == k), k0 == 0,
      );
    }
  }
}
