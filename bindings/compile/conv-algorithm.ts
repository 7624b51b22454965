/** Which algorithm computes a convolution: decided per layer, by its shape, before its weights are packed. */

import type { ConvOp, Node, Shape } from '../../models/graph.js';

/** im2col + GEMM; the indirect grouped convolution; Winograd's F(2×2, 3×3) or F(4×4, 3×3) (assembly/conv). */
export type Algorithm = 'gemm' | 'grouped' | 'winograd2' | 'winograd4';

/** Outputs of a Winograd tile along a side. */
export const winogradTile = (algorithm: Algorithm): 0 | 2 | 4 =>
  algorithm === 'winograd4' ? 4 : algorithm === 'winograd2' ? 2 : 0;

/** The algorithms that can compute a convolution of `input`. */
export function algorithmsFor(node: Node<ConvOp>, input: Shape): Algorithm[] {
  if (node.groups > 1) return (node.shape.c / node.groups) % 4 === 0 ? ['gemm', 'grouped'] : ['gemm'];
  const ones = [...node.stride, ...node.dilation].every((n) => n === 1);
  const isFit = ones && node.kernel[0] === 3 && node.kernel[1] === 3 && input.c >= 8;
  return isFit && input.c % 4 === 0 && node.shape.c % 4 === 0 ? ['gemm', 'winograd2', 'winograd4'] : ['gemm'];
}

/**
 * The fastest by a rule of shape: F(4×4) where a map has room for its tiles, although its transformed weights are 4 times
 * as large (7×7, 512 channels: 2.2 ms with 38 MB of weights; F(2×2) 3.4 ms with 17, GEMM 4.4 ms with 9). Groups are too
 * narrow for im2col's packing to pay.
 */
export function chooseAlgorithm(node: Node<ConvOp>, input: Shape): Algorithm {
  const able = algorithmsFor(node, input);
  if (!able.includes('winograd4')) return able.at(-1) ?? 'gemm';
  return Math.max(node.shape.h, node.shape.w) > 4 ? 'winograd4' : 'winograd2';
}

/** As `chooseAlgorithm`, without Winograd: nearer to the definition's rounding, with less memory for weights. */
export function chooseWithoutWinograd(node: Node<ConvOp>, input: Shape): Algorithm {
  return algorithmsFor(node, input).includes('grouped') ? 'grouped' : 'gemm';
}
