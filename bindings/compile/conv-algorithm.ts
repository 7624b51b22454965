/** Which algorithm computes a convolution or linear layer: decided per layer, by its shape, before its weights are packed. */

import type { Node, Shape } from '../../models/graph.js';
import type { MatrixOp } from './fuse.js';

/**
 * im2col + GEMM; the same on whole numbers; depthwise; the indirect grouped convolution; Winograd's F(2×2, 3×3) or
 * F(4×4, 3×3) (assembly/conv, assembly/int8).
 */
export type AlgorithmName = 'gemm' | 'int8' | 'depthwise' | 'grouped' | 'winograd2' | 'winograd4';

/** What the choice needs to know; bindings/engine/algorithms has the rest. */
export interface Algorithm {
  readonly name: AlgorithmName;
  /** Whether it can compute a layer of `input`. */
  fits(node: Node<MatrixOp>, input: Shape): boolean;
}

/** The algorithm for a layer of an input of this shape. */
export type Choose = (node: Node<MatrixOp>, input: Shape) => AlgorithmName;

/** Which layers have whole numbers: all that can, or those that are not faster in float32. */
export type Int8Layers = 'all' | 'faster';

export interface RuleOptions {
  /** By default true: 3×3 convolutions by Winograd's algorithm. */
  readonly winograd?: boolean;
  /** By default none. */
  readonly int8?: Int8Layers | undefined;
}

/** From the one that is taken first to the one that computes anything. */
const ORDER: readonly AlgorithmName[] = ['depthwise', 'grouped', 'winograd4', 'winograd2', 'gemm'];

const ORDERS: Readonly<Record<Int8Layers, readonly AlgorithmName[]>> = {
  all: ['int8', ...ORDER],
  faster: ['depthwise', 'grouped', 'winograd4', 'winograd2', 'int8', 'gemm'],
};

/**
 * Chooses the fastest of `algorithms` by a rule of shape. F(4×4) is taken if a map has room for its tiles, although its
 * transformed weights are 4 times as large (7×7, 512 channels: 2.2 ms with 38 MB of weights; F(2×2) 3.4 ms with 17, GEMM
 * 4.4 ms with 9). Groups are too narrow for im2col's packing to pay. Without `winograd`, sums are nearer to the
 * definition's rounding, and weights take less memory.
 */
export function chooseByRule(algorithms: readonly Algorithm[], { winograd = true, int8 }: RuleOptions = {}): Choose {
  const order = int8 ? ORDERS[int8] : ORDER;
  return (node, input) => {
    const isSmall = Math.max(node.shape.h, node.shape.w) <= 4;
    const isWanted = (name: AlgorithmName): boolean =>
      name === 'winograd4' ? winograd && !isSmall : name === 'winograd2' ? winograd : true;
    const fitting = algorithms.filter((algorithm) => isWanted(algorithm.name) && algorithm.fits(node, input));
    return order.find((name) => fitting.some((algorithm) => algorithm.name === name)) ?? 'gemm';
  };
}
