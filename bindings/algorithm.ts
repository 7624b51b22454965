/** Which algorithm computes a convolution: decided per layer, by its shape, before its weights are packed. */

import type { ConvOp, Node, Shape } from '../models/graph.js';

/** im2col + GEMM, or Winograd's F(2×2, 3×3) or F(4×4, 3×3) (assembly/conv). */
export type Algorithm = 'gemm' | 'winograd2' | 'winograd4';

/** Outputs of a Winograd tile along a side. */
export const winogradTile = (algorithm: Algorithm): 0 | 2 | 4 =>
  algorithm === 'winograd4' ? 4 : algorithm === 'winograd2' ? 2 : 0;

/** The algorithms that can compute a convolution of `input`. */
export function algorithmsFor(node: Node<ConvOp>, input: Shape): Algorithm[] {
  const ones = [...node.stride, ...node.dilation, node.groups].every((n) => n === 1);
  const isFit = ones && node.kernel[0] === 3 && node.kernel[1] === 3 && input.c >= 8;
  return isFit && input.c % 4 === 0 && node.shape.c % 4 === 0 ? ['gemm', 'winograd2', 'winograd4'] : ['gemm'];
}

/**
 * The fastest by a rule of shape. A Winograd tile costs its products, and the transformed weights, 4 (F(4×4)) or 1.8
 * times larger, cost their way from memory: on small maps F(2×2), which wastes less at the edges, wins.
 */
export function chooseAlgorithm(node: Node<ConvOp>, input: Shape): Algorithm {
  if (algorithmsFor(node, input).length === 1) return 'gemm';
  return Math.max(node.shape.h, node.shape.w) > 7 ? 'winograd4' : 'winograd2';
}
