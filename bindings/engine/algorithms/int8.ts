/** Whole numbers: int8 weights by activations that become whole numbers as they are packed (assembly/int8). */

import type { Pair } from '../../../models/shape.js';
import type { PlanStep } from '../../compile/plan.js';
import type { Core } from '../core.js';
import type { AlgorithmKernel, Matrix } from './types.js';

/** The most that K may be, so that no sum leaves int32 (assembly/int8/micro.ts). */
const MAX_K = 65536;

/** Narrower groups, depthwise ones above all, are faster in float32, and their weights are few. */
const LEAST_GROUP = 16;

/** What the layer has of a convolution; a linear layer is one whose kernel is the whole map. */
function windowOf({ node, input }: PlanStep) {
  if (node.kind === 'conv') return node;
  const kernel: Pair = [input.shape.h, input.shape.w];
  return { kernel, stride: [1, 1] as Pair, dilation: [1, 1] as Pair, groups: 1 };
}

/** Whether A and B are packed for products of bytes, as assembly/int8/quant.ts decides. */
const isBytes = ({ constants }: Core, quant: Matrix['quant']): boolean =>
  constants.QUANT_BYTES === 1 && quant?.low === 0 && quant.high <= 127;

function packing(core: Core, { outputs, groups, inner, taps, quant }: Matrix) {
  const bytes = isBytes(core, quant);
  const words = core.kernels.quantWords(bytes, taps, inner);
  return { bytes, words, packedBytes: groups * core.kernels.packedQuantBytes(bytes, words, outputs / groups) };
}

export const int8: AlgorithmKernel = {
  name: 'int8',
  fits(node, input) {
    if (node.kind === 'linear') return input.h * input.w * input.c <= MAX_K;
    const inner = input.c / node.groups;
    return inner * node.kernel[0] * node.kernel[1] <= MAX_K && (node.groups === 1 || inner >= LEAST_GROUP);
  },
  kind: 'KIND_QUANT_CONV',
  kernelSet: 'int8',
  isInt8: true,
  fields(core, step) {
    const { kernel, stride, dilation, groups } = windowOf(step);
    const { low = 0, high = 0 } = step.quant ?? {};
    // Tiles of int16 have a row fewer: assembly/int8/micro.ts.
    const rows = core.binary === 'baseline' ? core.tileRows : core.tileRows - 1;
    return {
      mr: isBytes(core, step.quant) ? (core.constants.MR_MAX as number) : rows,
      low,
      high,
      kh: kernel[0],
      kw: kernel[1],
      strideH: stride[0],
      strideW: stride[1],
      dilationH: dilation[0],
      dilationW: dilation[1],
      groups,
    };
  },
  scratchBytes(core, step) {
    const { kernels } = core;
    const { input, output, quant } = step;
    const { kernel, stride, dilation, groups } = windowOf(step);
    const bytes = isBytes(core, quant);
    const words = kernels.quantWords(bytes, kernel[0] * kernel[1], input.shape.c / groups);
    const pixelWords = kernels.quantWords(bytes, 1, input.shape.c / groups);
    const { h, w } = output.shape;
    return (
      kernels.quantScratchBytes(words) +
      kernels.quantMapBytes(kernels.quantBlockRows(words), h, w, ...kernel, ...stride, ...dilation, pixelWords)
    );
  },
  weightBytes(core, matrix) {
    return packing(core, matrix).packedBytes + core.kernels.packedBytes(1, matrix.outputs);
  },
  pack(core, matrix, { ptr, first, count, order, scales }, weightPtr) {
    const { arena, kernels } = core;
    const { outputs, groups, inner, taps } = matrix;
    const { bytes, words, packedBytes } = packing(core, matrix);
    const scalePtr = weightPtr + packedBytes;
    if (scales) {
      arena.f32(scalePtr, outputs).set(scales);
      kernels.packI8(bytes, ptr, weightPtr, first, count, outputs / groups, inner, taps, words);
      return;
    }
    const mark = arena.mark();
    const rowPtr = arena.alloc(inner * taps);
    let oiPtr = ptr;
    if (order === 'IO') {
      oiPtr = arena.alloc(outputs * inner * taps * 4);
      kernels.transposeIO(ptr, oiPtr, outputs, inner, taps);
    }
    const [o0, rows] = order === 'IO' ? [0, outputs] : [first, count];
    kernels.packF32(bytes, oiPtr, weightPtr, o0, rows, outputs / groups, inner, taps, words, scalePtr, rowPtr);
    arena.release(mark);
  },
  finish(core, matrix, weightPtr, factors) {
    if (!factors) return;
    const scales = core.arena.f32(weightPtr + packing(core, matrix).packedBytes, matrix.outputs);
    factors.forEach((factor, o) => {
      scales[o] = (scales[o] as number) * factor;
    });
  },
};
