import { WIDE } from './isa';

/**
 * Sizes of the GEMM's blocks, after Goto & van de Geijn 2008.
 *
 *           NR             A block: MC × KC, packed into panels of MR rows, stays in L2
 *        ┌──────┐          B panel: KC × NR, stays in L1 while the A block passes by
 *     KC │  B   │          C tile:  MR × NR, stays in registers
 *        └──────┘
 *   KC   ┌──────┐
 * ┌─────┐│  C   │ MR       V8 has 15 vector registers to give on x86-64: MR · NR/4 accumulators, NR/4 vectors of B
 * └──A──┘└──────┘          and one splat of A must fit in them.
 */

/** Columns of a tile and of a packed B panel: two vectors, in both binaries, so that packed weights are the same. */
export const NR: i32 = 8;

/** The most columns of a tile: two panels in the wide binary. */
export const NR_MAX: i32 = WIDE ? 2 * NR : NR;

/** The most rows of a tile. The caller chooses 4, 5 or 6 (`Step.mr`). */
export const MR_MAX: i32 = 6;

/** Depth of a block. 256: A panel (6 KiB) and B panel (8 KiB) share an L1 of 32 KiB with what passes by. */
export const KC: i32 = 256;

/** Rows of an A block; a multiple of 4, 5 and 6. 240 · KC · 4 bytes = 240 KiB, half of a small L2. */
export const MC: i32 = 240;
