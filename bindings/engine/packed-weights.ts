/** Named tensors -> fold batch norm -> pack -> arena: the weights of one network in linear memory. */

import type { BatchNormOp, Graph, Node, NodeId, Parameter, Shape } from '../../models/graph.js';
import { inputShape, nodeParameters } from '../../models/graph.js';
import { winogradTile } from '../compile/conv-algorithm.js';
import type { Plan, PlanStep } from '../compile/plan.js';
import { DTYPE_BYTES, type TensorInfo, type WeightFile } from '../weights/types.js';
import type { Core } from './core.js';

/** Where a step's weights lie: packed B, or a batch norm's scale; bias or shift, zero-padded to whole tiles. */
export interface WeightAddresses {
  readonly weightPtr: number;
  readonly biasPtr: number;
}

/** Bytes are staged, converted and packed in pieces of whole rows of about this size. */
const STAGING_BYTES = 2 ** 20;

/** What assembly/conv/winograd.ts wants for the transform of weights. */
const WINOGRAD_SCRATCH = 288;

/** A packed matrix: B[k, outputs], k counting taps, then channels (assembly/gemm/f32/pack.ts). */
interface Matrix {
  readonly outputs: number;
  readonly perGroup: number;
  /** Input channels of a group. */
  readonly inner: number;
  readonly taps: number;
  /** Outputs of a Winograd tile along a side, whose transformed weights are stored; 0 for packed B. */
  readonly winograd: 0 | 2 | 4;
}

type Vectors = Partial<Record<'bias' | 'gamma' | 'beta' | 'mean' | 'variance', Float32Array>>;

/** All the tensors that one step needs, and what is there of them. */
interface Slot extends WeightAddresses {
  readonly node: Node;
  readonly matrix: Matrix | undefined;
  readonly norm: Node<BatchNormOp> | undefined;
  readonly vectors: Vectors;
  missing: number;
}

interface Target {
  readonly slot: Slot;
  /** The vector to keep; undefined for a matrix to pack. */
  readonly vector: keyof Vectors | undefined;
}

const NORM_VECTORS = { weight: 'gamma', bias: 'beta', running_mean: 'mean', running_var: 'variance' } as const;

function matrixOf(graph: Graph, { node, algorithm }: PlanStep): Matrix | undefined {
  if (node.kind !== 'conv' && node.kind !== 'linear') return undefined;
  const from: Shape = inputShape(graph, node);
  const outputs = node.shape.c;
  const winograd = winogradTile(algorithm);
  if (node.kind === 'linear') return { outputs, perGroup: outputs, inner: from.c, taps: from.h * from.w, winograd };
  return {
    outputs,
    perGroup: outputs / node.groups,
    inner: from.c / node.groups,
    taps: node.kernel[0] * node.kernel[1],
    winograd,
  };
}

/** Bytes of all groups' packed B. */
const packedBytes = ({ kernels }: Core, { outputs, perGroup, inner, taps }: Matrix): number =>
  (outputs / perGroup) * kernels.packedBytes(inner * taps, perGroup);

/**
 * Allocates a network's packed weights in the memory of a new core (all zeros, as the padding must be), and fills them
 * from a file whose tensors have been checked.
 */
export class WeightStore {
  readonly #core: Core;
  readonly #slots = new Map<NodeId, Slot>();
  readonly #targets = new Map<string, Target>();
  /** Bytes of packed weights and biases. */
  readonly bytes: number;

  constructor(core: Core, plan: Plan) {
    this.#core = core;
    const before = core.arena.mark();
    for (const step of plan.steps) {
      // A copy makes the value of a node that has its weights elsewhere.
      if (step.kind === 'copy') continue;
      const { preActivation } = step;
      this.#reserve(plan.graph, step.node, matrixOf(plan.graph, step), step.folded);
      if (preActivation) this.#reserve(plan.graph, preActivation, undefined, undefined);
    }
    this.bytes = core.arena.mark() - before;
  }

  /** The addresses of a node's weights; zeros for a node that has none. */
  at(node: Node): WeightAddresses {
    const { weightPtr, biasPtr } = this.#slots.get(node.id) ?? { weightPtr: 0, biasPtr: 0 };
    return { weightPtr, biasPtr };
  }

  #reserve(graph: Graph, node: Node, matrix: Matrix | undefined, folded: Node<BatchNormOp> | undefined): void {
    const { arena, kernels } = this.#core;
    const norm = node.kind === 'batchNorm' ? node : folded;
    if ((!matrix && !norm) || this.#slots.has(node.id)) return;
    const padded = kernels.packedBytes(1, node.shape.c);
    const weightBytes = !matrix
      ? padded
      : matrix.winograd
        ? kernels.winogradBytes(matrix.winograd, matrix.inner, matrix.outputs)
        : packedBytes(this.#core, matrix);
    const weightPtr = arena.alloc(weightBytes);
    const biasPtr = arena.alloc(padded);
    const owned = (owner: Node): Parameter[] => nodeParameters(graph, owner);
    const slot: Slot = { node, matrix, norm, weightPtr, biasPtr, vectors: {}, missing: 0 };
    const expect = (name: string, vector: Target['vector']): void => {
      this.#targets.set(name, { slot, vector });
      slot.missing += 1;
    };
    if (matrix) for (const { name, role } of owned(node)) expect(name, role === 'bias' ? 'bias' : undefined);
    if (norm) for (const { name, role } of owned(norm)) expect(name, NORM_VECTORS[role]);
    this.#slots.set(node.id, slot);
  }

  /**
   * Packs the tensors of `file` as their bytes come, in file order. Holds at most one piece of about 1 MiB beside the
   * packed weights, and of a layer for Winograd its packed tensor. Rejects with the file's error or the signal's reason; the store is of no use then.
   */
  async load(
    file: WeightFile,
    onTensor: (tensor: TensorInfo, loaded: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { arena } = this.#core;
    const mark = arena.mark();
    try {
      let staging: Staging | undefined;
      let loaded = 0;
      for await (const { tensor, bytes } of file.pieces()) {
        signal?.throwIfAborted();
        if (staging?.tensor !== tensor) {
          arena.release(mark);
          staging = new Staging(this.#core, tensor, this.#target(tensor.name));
        }
        staging.push(bytes);
        loaded += bytes.length;
        if (staging.isWhole) this.#arrived(this.#target(tensor.name).slot);
        onTensor(tensor, loaded);
      }
    } finally {
      arena.release(mark);
    }
    for (const { node, missing } of this.#slots.values()) {
      if (missing > 0) throw new Error(`${node.name}: expected all of its tensors, got ${missing} too few.`);
    }
  }

  #target(name: string): Target {
    const target = this.#targets.get(name);
    if (!target) throw new Error(`${name}: expected a tensor of the network, got one that it does not have.`);
    return target;
  }

  #arrived(slot: Slot): void {
    slot.missing -= 1;
    if (slot.missing === 0) this.#finish(slot);
  }

  /** Folds: y = γ · (x·W + b − mean) / √(variance + ε) + β, as W · scale and one bias. */
  #finish({ node, matrix, norm, vectors, weightPtr, biasPtr }: Slot): void {
    const { arena, kernels } = this.#core;
    const channels = node.shape.c;
    const { bias, gamma, beta, mean, variance } = vectors;
    const shifts = arena.f32(biasPtr, channels);
    if (!norm) {
      if (bias) shifts.set(bias);
      return;
    }
    const scales = new Float32Array(channels);
    for (let c = 0; c < channels; c++) {
      const scale = (gamma?.[c] ?? 1) / Math.sqrt((variance?.[c] ?? 1) + norm.eps);
      scales[c] = scale;
      shifts[c] = (beta?.[c] ?? 0) + ((bias?.[c] ?? 0) - (mean?.[c] ?? 0)) * scale;
    }
    if (matrix) {
      const mark = arena.mark();
      const scalePtr = arena.alloc(scales.byteLength);
      arena.f32(scalePtr, channels).set(scales);
      const { winograd, inner, outputs, perGroup, taps } = matrix;
      if (winograd) {
        // Every U[ξ] is a packed B of its own.
        const bytes = kernels.packedBytes(inner, outputs);
        for (let ptr = weightPtr, i = 0; i < (winograd + 2) ** 2; i++, ptr += bytes) {
          kernels.scaleColumns(ptr, inner, outputs, outputs, scalePtr);
        }
      } else {
        kernels.scaleColumns(weightPtr, inner * taps, outputs, perGroup, scalePtr);
      }
      arena.release(mark);
    } else {
      arena.f32(weightPtr, channels).set(scales);
    }
  }
}

/** One tensor on its way: bytes are gathered in linear memory to whole rows, made float32, and packed or kept. */
class Staging {
  readonly tensor: TensorInfo;
  readonly #core: Core;
  readonly #target: Target;
  readonly #rows: number;
  readonly #rowLength: number;
  readonly #capacity: number;
  /** Float32 values; 16-bit ones are gathered in the second half. */
  readonly #ptr: number;
  readonly #rawPtr: number;
  /** Where rows are packed: at home, or here first where Winograd transforms the whole. */
  readonly #packPtr: number;
  #row = 0;
  #filled = 0;

  constructor(core: Core, tensor: TensorInfo, target: Target) {
    this.#core = core;
    this.tensor = tensor;
    this.#target = target;
    const count = tensor.shape.reduce((product, n) => product * n, 1);
    const { matrix } = target.slot;
    if (target.vector === undefined && matrix) {
      this.#rows = tensor.order === 'OI' ? matrix.outputs : matrix.inner * matrix.taps;
    } else {
      this.#rows = count;
    }
    this.#rowLength = count / this.#rows;
    this.#capacity = Math.min(this.#rows, Math.max(1, Math.floor(STAGING_BYTES / (this.#rowLength * 4))));
    const values = this.#capacity * this.#rowLength;
    this.#ptr = core.arena.alloc(values * 4);
    this.#rawPtr = this.#ptr + values * (4 - DTYPE_BYTES[tensor.dtype]);
    const isTransformed = matrix !== undefined && target.vector === undefined && matrix.winograd > 0;
    this.#packPtr = isTransformed ? core.arena.alloc(packedBytes(core, matrix)) : target.slot.weightPtr;
  }

  get isWhole(): boolean {
    return this.#row === this.#rows;
  }

  push(bytes: Uint8Array): void {
    const rowBytes = this.#rowLength * DTYPE_BYTES[this.tensor.dtype];
    for (let from = 0; from < bytes.length; ) {
      const count = Math.min(this.#capacity, this.#rows - this.#row);
      const part = bytes.subarray(from, from + count * rowBytes - this.#filled);
      this.#core.arena.u8(this.#rawPtr + this.#filled, part.length).set(part);
      this.#filled += part.length;
      from += part.length;
      if (this.#filled === count * rowBytes) this.#flush(count);
    }
  }

  #flush(count: number): void {
    const { kernels, arena } = this.#core;
    const { slot, vector } = this.#target;
    const values = count * this.#rowLength;
    if (this.tensor.dtype === 'F16') kernels.f16ToF32(this.#rawPtr, this.#ptr, values);
    if (this.tensor.dtype === 'BF16') kernels.bf16ToF32(this.#rawPtr, this.#ptr, values);
    if (vector !== undefined) {
      const kept = slot.vectors[vector] ?? new Float32Array(this.#rows);
      kept.set(arena.f32(this.#ptr, values), this.#row);
      slot.vectors[vector] = kept;
    } else if (slot.matrix) {
      const { outputs, perGroup, inner, taps } = slot.matrix;
      if (this.tensor.order === 'OI') {
        kernels.packOI(this.#ptr, this.#packPtr, this.#row, count, perGroup, inner, taps);
      } else {
        kernels.packIO(this.#ptr, this.#packPtr, this.#row, count, outputs, perGroup, inner * taps);
      }
    }
    this.#row += count;
    this.#filled = 0;
    if (this.isWhole && this.#packPtr !== slot.weightPtr && vector === undefined && slot.matrix) {
      const { winograd, inner, outputs } = slot.matrix;
      kernels.winogradWeights(winograd, this.#packPtr, slot.weightPtr, inner, outputs, arena.alloc(WINOGRAD_SCRATCH));
    }
  }
}
