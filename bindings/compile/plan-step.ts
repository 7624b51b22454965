/** One step of a plan. */

import type { Activation, ActivationOp, BatchNormOp, Node, Shape } from '../../models/index.js';
import type { AlgorithmName } from './conv-algorithm.js';
import type { StepKind } from './fuse.js';

/** Where a value lies: channels `offset` … `offset + shape.c` of pixels that are `ld` channels apart. */
export interface View {
  readonly buffer: number;
  readonly offset: number;
  readonly ld: number;
  readonly shape: Shape;
}

export interface PlanStep {
  readonly kind: StepKind;
  /** The node whose kind and parameters the step has; for a copy, the node whose value it makes. */
  readonly node: Node;
  /** The batch norm that is folded into a convolution or linear layer. */
  readonly folded: Node<BatchNormOp> | undefined;
  /** The batch norm that, with a ReLU, comes before a pointwise convolution and is applied as its input is packed. */
  readonly preActivation: Node<BatchNormOp> | undefined;
  /** What the result goes through at the end. */
  readonly activation: Activation | undefined;
  /** The node whose parameter the slopes of a PReLU are. */
  readonly slopes: Node<ActivationOp> | undefined;
  /** Of a convolution or linear layer; `gemm` for all else. */
  readonly algorithm: AlgorithmName;
  readonly input: View;
  /** What is added before the activation; the second operand of what takes two. */
  readonly residual: View | undefined;
  readonly output: View;
  /** Of the algorithm `int8`. */
  readonly quant?: Quant;
  /** The range of the output, by its number, that the step is to find. */
  readonly outRange?: number;
}

/** The whole numbers that a step's input becomes. */
export interface Quant {
  /** The least and the greatest. */
  readonly low: number;
  readonly high: number;
  /** The range of the input, by its number in the plan. */
  readonly range: number;
}
