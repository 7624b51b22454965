/** The export list of all binaries. */

export { DEPTHWISE_PIXELS } from './conv/depthwise';
export { GROUPED_ROWS, groupedScratchBytes } from './conv/grouped';
export { N_BLOCK as WINOGRAD_N_BLOCK, TRANSFORM_BYTES, winogradBytes, winogradScratchBytes } from './conv/winograd';
export { SCRATCH_BYTES } from './gemm/gemm';
export { heapBase } from './heap-base';
export { bf16ToF32, f16ToF32, packedBytes, packIO, packOI, scaleColumns } from './gemm/f32/pack';
export { work } from './job';
export { peak, peakWide } from './peak';
export { composeOnWhite, normalise, normaliseGrey, resizeColumn, resizeGreyRow, resizeRow, toGrey } from './image/resize';
export { run } from './run';
export * from './step';
export * from './tile';

/** 1 in the relaxed and the wide binary, 0 in the baseline. */
export const RELAXED: i32 = i32(ASC_FEATURE_RELAXED_SIMD);

/** 1 in the wide binary, 0 in the others. */
export const WIDE: i32 = ASC_WIDE;
