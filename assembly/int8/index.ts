/**
 * The export list of the set `int8`: kernels on whole numbers. `KERNEL_X(step, piece, pieces, scratchPtr)` runs steps of
 * kind `KIND_X`, which are places in the table through which the core calls them: no other set has these.
 */

export { quantConv2d as KERNEL_QUANT_CONV, quantMapBytes } from './conv2d';
export { MAX_K as QUANT_MAX_K } from './dot';
export { blockRows as quantBlockRows, quantScratchBytes, wordsOf as quantWords } from './gemm';
export { packedQuantBytes, packF32, packI8, transposeIO } from './pack';
export { STEP_high, STEP_inScale, STEP_low, STEP_outRangePtr, STEP_rangePtr } from './quant';
export { findRange as KERNEL_RANGE } from './range';
export { heapBase } from '../heap-base';

/** 1 if products of bytes are there: in the builds with relaxed SIMD. */
export const QUANT_BYTES: i32 = i32(ASC_FEATURE_RELAXED_SIMD);

export const KIND_QUANT_CONV: i32 = 32;
export const KIND_RANGE: i32 = 33;
