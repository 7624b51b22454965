/**
 * The export list of the set `more`: kernels that few networks need. `KERNEL_X(step, piece, pieces, scratchPtr)` runs
 * steps of kind `KIND_X`. Kinds are places in the table through which the core calls them, and so no two sets share one.
 */

export { reduceAxes as KERNEL_REDUCE_AXES } from './axes';
export { binary as KERNEL_BINARY } from './binary';
export { convTranspose as KERNEL_CONV_TRANSPOSE } from './conv-transpose';
export { matmul as KERNEL_MATMUL } from './matmul';
export { constant as KERNEL_CONSTANT, pad as KERNEL_PAD, rearrange as KERNEL_REARRANGE, slice as KERNEL_SLICE } from './move';
export {
  groupNorm as KERNEL_GROUP_NORM, layerNorm as KERNEL_LAYER_NORM, localResponseNorm as KERNEL_LOCAL_RESPONSE_NORM,
} from './norm';
export { dilatedPool as KERNEL_DILATED_POOL } from './pool';
export { resize as KERNEL_RESIZE } from './resize';
export { softmax as KERNEL_SOFTMAX, softmaxAxes as KERNEL_SOFTMAX_AXES } from './softmax';
export { unary as KERNEL_UNARY } from './unary';
export { heapBase } from '../heap-base';
export * from './step';

export const KIND_RESIZE: i32 = 16;
export const KIND_SOFTMAX: i32 = 17;
export const KIND_REDUCE_AXES: i32 = 18;
export const KIND_SOFTMAX_AXES: i32 = 19;
export const KIND_DILATED_POOL: i32 = 20;
export const KIND_CONSTANT: i32 = 21;
export const KIND_UNARY: i32 = 22;
export const KIND_BINARY: i32 = 23;
export const KIND_MATMUL: i32 = 24;
export const KIND_REARRANGE: i32 = 25;
export const KIND_SLICE: i32 = 26;
export const KIND_PAD: i32 = 27;
export const KIND_LAYER_NORM: i32 = 28;
export const KIND_GROUP_NORM: i32 = 29;
export const KIND_LOCAL_RESPONSE_NORM: i32 = 30;
export const KIND_CONV_TRANSPOSE: i32 = 31;
