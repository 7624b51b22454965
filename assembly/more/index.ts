/**
 * The export list of the set `more`: kernels that few networks need. `KERNEL_X(step, piece, pieces, scratchPtr)` runs
 * steps of kind `KIND_X`. Kinds are places in the table through which the core calls them, and so no two sets share one.
 */

export { resize as KERNEL_RESIZE } from './resize';
export { softmax as KERNEL_SOFTMAX } from './softmax';
export { heapBase } from '../heap-base';

export const KIND_RESIZE: i32 = 16;
export const KIND_SOFTMAX: i32 = 17;
