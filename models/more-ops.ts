/** Rows of operations that no built-in network has: loaded when a graph has one (`loadOps`). */

import { binary, matmul, unary } from './ops/arithmetic.js';
import { reduceAxes, softmaxAxes } from './ops/axes.js';
import { groupNorm, layerNorm, localResponseNorm } from './ops/norm.js';
import type { MoreOpKind, OpOf, OpRow } from './ops/op.js';
import { convTranspose, dilatedPool, resize } from './ops/sampling.js';
import { constant, expand, pad, rearrange, reshape, slice } from './ops/tensor.js';

export const moreOps: { readonly [Kind in MoreOpKind]: OpRow<OpOf<Kind>> } = {
  resize,
  reduceAxes,
  softmaxAxes,
  dilatedPool,
  constant,
  unary,
  binary,
  matmul,
  reshape,
  rearrange,
  slice,
  expand,
  pad,
  layerNorm,
  groupNorm,
  localResponseNorm,
  convTranspose,
};
