/** What an algorithm is: everything that one way to compute a convolution or linear layer needs, in one object. */

import type { Fields, KernelSet } from '../../../models/index.js';
import type { Algorithm } from '../../compile/conv-algorithm.js';
import type { PlanStep } from '../../compile/plan.js';
import type { Quant } from '../../compile/plan-step.js';
import type { TensorInfo } from '../../weights/types.js';
import type { Core } from '../core.js';

/** A layer's weights as a matrix B[K, N] per group: K counts taps, then channels (assembly/gemm/pack.ts). */
export interface Matrix {
  /** N of all groups. */
  readonly outputs: number;
  readonly groups: number;
  /** Input channels of a group. */
  readonly inner: number;
  /** KH · KW; for a linear layer over a map, its pixels. */
  readonly taps: number;
  /** The whole numbers that the layer's input becomes, if it does. */
  readonly quant?: Pick<Quant, 'low' | 'high'> | undefined;
}

/** Rows of a tensor in linear memory: float32 or, with scales, int8. */
export interface Rows {
  readonly ptr: number;
  /** The first row, and how many: outputs if `order` is OI, else K. */
  readonly first: number;
  readonly count: number;
  readonly order: TensorInfo['order'];
  /** What a row of int8 is multiplied by, for every output. */
  readonly scales?: Float32Array | undefined;
}

/** One way to compute. Addresses are of linear memory. */
export interface AlgorithmKernel extends Algorithm {
  /** The kernel's kind in assembly/step.ts; undefined if it is that of the operation. */
  readonly kind: string | undefined;
  /** The further set that the kernel is in; undefined for the core. */
  readonly kernelSet?: KernelSet;
  /** What its record has beside the operation's own fields. */
  fields(core: Core, step: PlanStep): Fields;
  /** Bytes of scratch that each thread needs. */
  scratchBytes(core: Core, step: PlanStep): number;
  /** Bytes of the weights in the kernel's layout. */
  weightBytes(core: Core, matrix: Matrix): number;
  /** Whether it packs rows of int8 as they are, and needs rows of K (`IO`) all at once. */
  readonly isInt8?: boolean;
  /** Packs some rows at `weightPtr`. Rows come in any number of parts, in order. */
  pack(core: Core, matrix: Matrix, rows: Rows, weightPtr: number): void;
  /**
   * Makes packed rows what the kernel reads, once all have come. `scales`: one factor per output, by which a batch norm is
   * folded into the weights; undefined if there is none. Returns the record of a step, if one is still to run on all threads,
   * with TRANSFORM_BYTES of scratch each. May allocate; what it allocates is released after that.
   */
  finish(core: Core, matrix: Matrix, weightPtr: number, scales: Float32Array | undefined): Fields | undefined;
}
