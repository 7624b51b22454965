/** Named tensors -> fold batch norm -> pack -> linear memory, as their bytes come. */

import { ResnetError } from '../../models/errors.js';
import type { BatchNormOp, Graph, Node } from '../../models/graph.js';
import { nodeParameters } from '../../models/graph.js';
import type { Fields } from '../../models/index.js';
import { rowOf } from '../../models/ops.js';
import { DTYPE_BYTES, type TensorInfo, type WeightFile } from '../weights/types.js';
import type { Core } from './core.js';
import { constant, writeRecord } from './lower.js';
import type { PackedWeights, Slot } from './packed-weights.js';
import type { ThreadPool } from './thread-pool.js';

/** Bytes are staged, converted and packed in pieces of whole rows of about this size. */
const STAGING_BYTES = 2 ** 20;

type Vectors = Partial<Record<'bias' | 'gamma' | 'beta' | 'mean' | 'variance' | 'kept', Float32Array>>;

const NORM_VECTORS = { weight: 'gamma', bias: 'beta', running_mean: 'mean', running_var: 'variance' } as const;

/** A slot that still waits for tensors. */
interface Pending {
  readonly slot: Slot;
  readonly vectors: Vectors;
  missing: number;
}

/** What a tensor is for. Tensors that several nodes share have several. */
interface Target {
  readonly pending: Pending;
  /** The vector to keep; undefined for a matrix to pack. */
  readonly vector: keyof Vectors | undefined;
}

/** Which slots a tensor goes to, by its name. */
function targetsOf(graph: Graph, slots: Iterable<Slot>): Map<string, Target[]> {
  const targets = new Map<string, Target[]>();
  for (const slot of slots) {
    const pending: Pending = { slot, vectors: {}, missing: 0 };
    const expect = (name: string, vector: Target['vector']): void => {
      targets.set(name, [...(targets.get(name) ?? []), { pending, vector }]);
      pending.missing += 1;
    };
    const { node, matrix, norm, kept } = slot;
    const weight = kept ? 'kept' : undefined;
    if (matrix || kept)
      for (const { name, role } of nodeParameters(graph, node)) expect(name, role === 'bias' ? 'bias' : weight);
    if (norm) for (const { name, role } of nodeParameters(graph, norm)) expect(name, NORM_VECTORS[role]);
  }
  return targets;
}

/**
 * Packs the tensors of `file`, whose names and shapes have been checked, into `packed` in file order. Holds at most one
 * piece of about 1 MiB beside the packed weights, and vectors until their layer is complete. `onTensor`: called after each
 * piece with the bytes so far. Rejects with the file's error or the signal's reason; the weights are of no use then.
 */
export async function packWeights(
  core: Core,
  pool: ThreadPool,
  graph: Graph,
  packed: PackedWeights,
  file: WeightFile,
  onTensor: (tensor: TensorInfo, loaded: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const targets = targetsOf(graph, packed.slots);
  const { arena } = core;
  const mark = arena.mark();
  try {
    let staging: Staging | undefined;
    let loaded = 0;
    for await (const { tensor, bytes } of file.pieces()) {
      signal?.throwIfAborted();
      if (staging?.tensor !== tensor) {
        const its = targets.get(tensor.name);
        if (!its) throw new ResnetError('weights', `${tensor.name}: the network has no such tensor.`);
        arena.release(mark);
        staging = new Staging(core, tensor, its);
      }
      staging.push(bytes);
      loaded += bytes.length;
      if (staging.isWhole) {
        for (const { pending } of targets.get(tensor.name) ?? []) await arrived(core, pool, pending);
        targets.delete(tensor.name);
      }
      onTensor(tensor, loaded);
    }
  } finally {
    arena.release(mark);
  }
  const [missing] = targets.keys();
  if (missing !== undefined) throw new ResnetError('weights', `${missing}: the file ended before this tensor came.`);
}

async function arrived(core: Core, pool: ThreadPool, pending: Pending): Promise<void> {
  pending.missing -= 1;
  if (pending.missing > 0) return;
  const { arena } = core;
  const mark = arena.mark();
  const fields = finish(core, pending);
  if (fields) {
    const recordsPtr = arena.alloc(constant(core, 'STEP_BYTES'));
    writeRecord(core, recordsPtr, fields);
    const scratchBytes = constant(core, 'TRANSFORM_BYTES');
    const scratchPtr = arena.alloc(scratchBytes * pool.count);
    await pool.run({ recordsPtr, first: 0, last: 1, scratchPtr, scratchBytes });
  }
  arena.release(mark);
}

/**
 * Folds a batch norm: y = γ · (x·W + b − mean) / √(variance + ε) + β, as W · scale and one bias. Returns the record of a step
 * that is still to run.
 */
function finish(core: Core, { slot, vectors }: Pending): Fields | undefined {
  const { node, matrix, norm, weightPtr, biasPtr } = slot;
  const channels = node.shape.c;
  if (vectors.kept) {
    const values = rowOf(node).inKernelOrder?.(node, vectors.kept) ?? vectors.kept;
    core.arena.f32(weightPtr, values.length).set(values);
  }
  const shifts = core.arena.f32(biasPtr, channels);
  if (!norm) {
    if (vectors.bias) shifts.set(vectors.bias);
    return matrix?.algorithm.finish(core, matrix.size, weightPtr, undefined);
  }
  const scales = foldNorm(norm, vectors, shifts);
  if (matrix) return matrix.algorithm.finish(core, matrix.size, weightPtr, scales);
  core.arena.f32(weightPtr, channels).set(scales);
  return undefined;
}

/** Writes a norm's shifts; returns its scales. */
function foldNorm({ eps }: Node<BatchNormOp>, vectors: Vectors, shifts: Float32Array): Float32Array {
  const { bias, gamma, beta, mean, variance } = vectors;
  return Float32Array.from(shifts, (_, c) => {
    const scale = (gamma?.[c] ?? 1) / Math.sqrt((variance?.[c] ?? 1) + eps);
    shifts[c] = (beta?.[c] ?? 0) + ((bias?.[c] ?? 0) - (mean?.[c] ?? 0)) * scale;
    return scale;
  });
}

/** One tensor on its way: bytes are gathered in linear memory to whole rows, made float32, and packed or kept. */
class Staging {
  readonly tensor: TensorInfo;
  readonly #core: Core;
  readonly #targets: readonly Target[];
  readonly #rows: number;
  readonly #rowLength: number;
  readonly #capacity: number;
  /** Float32 values; 16-bit ones are gathered in the second half. */
  readonly #ptr: number;
  readonly #rawPtr: number;
  #row = 0;
  #filled = 0;

  constructor(core: Core, tensor: TensorInfo, targets: readonly Target[]) {
    this.#core = core;
    this.tensor = tensor;
    this.#targets = targets;
    const count = tensor.shape.reduce((product, n) => product * n, 1);
    // Tensors that nodes share have one shape, and so one matrix.
    const matrix = targets.find(({ vector }) => vector === undefined)?.pending.slot.matrix?.size;
    this.#rows = !matrix ? count : tensor.order === 'OI' ? matrix.outputs : matrix.inner * matrix.taps;
    this.#rowLength = count / this.#rows;
    const fitting = Math.max(1, Math.floor(STAGING_BYTES / (this.#rowLength * 4)));
    // The rows of a panel are packed side by side.
    const panel = constant(core, 'NR');
    const piece = fitting < panel ? fitting : fitting - (fitting % panel);
    const isWhole = tensor.order === 'IO' && targets.some(({ pending }) => pending.slot.matrix?.algorithm.isInt8);
    this.#capacity = isWhole ? this.#rows : Math.min(this.#rows, piece);
    const values = this.#capacity * this.#rowLength;
    this.#ptr = core.arena.alloc(values * 4);
    this.#rawPtr = this.#ptr + values * (4 - DTYPE_BYTES[tensor.dtype]);
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
    const values = count * this.#rowLength;
    const { dtype, order } = this.tensor;
    if (dtype === 'F16') kernels.f16ToF32(this.#rawPtr, this.#ptr, values);
    if (dtype === 'BF16') kernels.bf16ToF32(this.#rawPtr, this.#ptr, values);
    if (dtype === 'I8') this.#packWhole(count);
    for (const { pending, vector } of this.#targets) {
      const { slot, vectors } = pending;
      if (dtype === 'I8' && slot.matrix?.algorithm.isInt8) continue;
      if (vector !== undefined) {
        const kept = vectors[vector] ?? new Float32Array(this.#rows * this.#rowLength);
        kept.set(arena.f32(this.#ptr, values), this.#row * this.#rowLength);
        vectors[vector] = kept;
      } else if (slot.matrix) {
        const rows = { ptr: this.#ptr, first: this.#row, count, order };
        slot.matrix.algorithm.pack(this.#core, slot.matrix.size, rows, slot.weightPtr);
      }
    }
    this.#row += count;
    this.#filled = 0;
  }

  /** Has layers on whole numbers take int8 as it is, with its scales; then makes floats of it, for others. */
  #packWhole(count: number): void {
    const { arena } = this.#core;
    const { order, scales } = this.tensor;
    const weight = scales?.weight ?? new Float32Array([1]);
    for (const { pending, vector } of this.#targets) {
      const { slot } = pending;
      if (vector !== undefined || !slot.matrix?.algorithm.isInt8) continue;
      const rows = { ptr: this.#rawPtr, first: this.#row, count, order, scales: weight };
      slot.matrix.algorithm.pack(this.#core, slot.matrix.size, rows, slot.weightPtr);
      if (scales?.input) slot.inScale = scales.input[0];
    }
    const values = count * this.#rowLength;
    const whole = arena.i8(this.#rawPtr, values);
    const floats = arena.f32(this.#ptr, values);
    const before = this.#row * this.#rowLength;
    const perOutput = (this.#rows * this.#rowLength) / weight.length;
    // Forwards: a float lies before the bytes that are still to be read.
    for (let i = 0; i < values; ) {
      const output = Math.floor((before + i) / perOutput);
      const scale = weight[output] as number;
      for (const end = Math.min(values, (output + 1) * perOutput - before); i < end; i++) {
        floats[i] = (whole[i] as number) * scale;
      }
    }
  }
}
