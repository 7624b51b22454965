/** The export list of both binaries. */

export { groupedScratchBytes } from './conv/grouped';
export { winogradBytes, winogradScratchBytes, winogradWeights } from './conv/winograd';
export { gemm, SCRATCH_BYTES } from './gemm/gemm';
export { gemv } from './gemm/gemv';
export { bf16ToF32, f16ToF32, packedBytes, packIO, packOI, scaleColumns } from './gemm/pack';
export { peak } from './peak';
export { composeOnWhite, normalise, normaliseGrey, resizeColumn, resizeGreyRow, resizeRow, toGrey } from './resize';
export { run } from './run';
export * from './step';
export { BARRIER_BYTES } from './threads';

/** 1 in the relaxed binary, 0 in the baseline. */
export const RELAXED: i32 = i32(ASC_FEATURE_RELAXED_SIMD);

/** The first address that static data does not use. */
export function heapBase(): usize {
  return __heap_base;
}
