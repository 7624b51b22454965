/** Runs a plan: its records, activations and scratch in linear memory, for as many images as the last run had. */

import type { Node } from '../../models/graph.js';
import { winogradTile } from '../compile/conv-algorithm.js';
import type { Plan, PlanStep, PlanValue, View } from '../compile/plan.js';
import { align } from './arena.js';
import type { Core } from './core.js';
import { writeRecords } from './lower.js';
import type { PackedWeights, WeightAddresses } from './packed-weights.js';
import type { Job } from './thread-control.js';
import type { ThreadPool } from './thread-pool.js';

const BYTES = 4;

/** Bytes of scratch that a plan's most demanding step wants of each thread. */
export function scratchBytes({ constants, kernels }: Core, plan: Plan): number {
  const wanted = plan.steps.map(({ algorithm, input, node }) => {
    const tile = winogradTile(algorithm);
    if (tile) return kernels.winogradScratchBytes(tile, input.shape.c);
    if (algorithm !== 'grouped' || node.kind !== 'conv') return constants.SCRATCH_BYTES as number;
    return kernels.groupedScratchBytes(node.kernel[0] * node.kernel[1], input.shape.c);
  });
  return align(Math.max(0, ...wanted));
}

export class PlanExecutor {
  readonly core: Core;
  readonly plan: Plan;
  readonly threads: ThreadPool;
  readonly #store: PackedWeights;
  /** Where the weights end and all that depends on the batch begins. */
  readonly #base: number;
  readonly #scratchBytes: number;
  #batch = 0;
  #records = 0;
  #scratch = 0;
  #activations = 0;

  /** `threads`: started on `core`. All that comes after the present end of the arena is the session's. */
  constructor(core: Core, plan: Plan, store: PackedWeights, threads: ThreadPool) {
    this.core = core;
    this.plan = plan;
    this.threads = threads;
    this.#store = store;
    this.#scratchBytes = scratchBytes(core, plan);
    this.#base = core.arena.mark();
  }

  /** Bytes of packed weights and biases. */
  get weightBytes(): number {
    return this.#store.bytes;
  }

  /** Bytes of activations for `batch` images. */
  activationBytes(batch: number): number {
    return this.plan.arenaSize * batch * BYTES;
  }

  /** A view of the input, [batch, H, W, C], to be filled before `run(batch)`. Valid until memory grows. */
  input(batch: number): Float32Array {
    this.#prepare(batch);
    return this.#view(this.plan.inputs[0].view);
  }

  /** The input's address, for kernels that fill it. */
  inputPtr(batch: number): number {
    this.#prepare(batch);
    return this.#place(this.plan.inputs[0].view);
  }

  /** Runs all steps; returns a copy of the output, [batch, H, W, C]. */
  async run(batch: number): Promise<Float32Array> {
    this.#prepare(batch);
    await this.threads.run(this.#job(0, this.plan.steps.length));
    return new Float32Array(this.#view(this.plan.outputs[0].view));
  }

  /** As `run`, with the milliseconds that each step of the plan took. */
  async profile(batch: number): Promise<{ output: Float32Array; stepMs: number[] }> {
    this.#prepare(batch);
    const stepMs: number[] = [];
    for (let i = 0; i < this.plan.steps.length; i++) {
      const start = performance.now();
      await this.threads.run(this.#job(i, i + 1));
      stepMs.push(performance.now() - start);
    }
    return { output: new Float32Array(this.#view(this.plan.outputs[0].view)), stepMs };
  }

  /** Runs the steps up to the one that completes a value; returns a copy of the value, [batch, H, W, C]. */
  async value(batch: number, { step, view }: PlanValue): Promise<Float32Array> {
    this.#prepare(batch);
    await this.threads.run(this.#job(0, step + 1));
    return this.#copy(view);
  }

  /**
   * As `run` for one image, with one more step before step `at`: `extra` reads what lies there then, takes the weights of
   * its node without their bias, and writes a value of its own, [H, W, C], of which `values` is a copy.
   */
  async runWith(extra: PlanStep, at: number): Promise<{ output: Float32Array; values: Float32Array }> {
    this.#prepare(1);
    const { arena, constants, kernels } = this.core;
    const { h, w, c } = extra.output.shape;
    const mark = arena.mark();
    try {
      const recordPtr = arena.alloc(constants.STEP_BYTES as number);
      const biasBytes = kernels.packedBytes(1, c);
      const biasPtr = arena.alloc(biasBytes);
      arena.u8(biasPtr, biasBytes).fill(0);
      const outPtr = arena.alloc(h * w * c * BYTES);
      const place = (view: View): number => (view === extra.output ? outPtr : this.#place(view));
      const weights = (node: Node): WeightAddresses => ({ ...this.#store.at(node), biasPtr });
      writeRecords(this.core, { ...this.plan, steps: [extra] }, 1, recordPtr, place, weights);

      await this.threads.run(this.#job(0, at));
      await this.threads.run({ ...this.#job(0, 1), recordsPtr: recordPtr });
      await this.threads.run(this.#job(at, this.plan.steps.length));
      return {
        output: new Float32Array(this.#view(this.plan.outputs[0].view)),
        values: new Float32Array(arena.f32(outPtr, h * w * c)),
      };
    } finally {
      arena.release(mark);
    }
  }

  #job(first: number, last: number): Job {
    return { recordsPtr: this.#records, first, last, scratchPtr: this.#scratch, scratchBytes: this.#scratchBytes };
  }

  /** Lays out and writes the records for `batch` images, unless they stand. Throws a RangeError beyond 4 GiB. */
  #prepare(batch: number): void {
    if (batch === this.#batch) return;
    const { arena, constants } = this.core;
    this.#batch = 0;
    arena.release(this.#base);
    this.#records = arena.alloc((constants.STEP_BYTES as number) * this.plan.steps.length);
    this.#scratch = arena.alloc(this.#scratchBytes * this.threads.count);
    this.#activations = arena.alloc(this.activationBytes(batch));
    this.#batch = batch;
    writeRecords(
      this.core,
      this.plan,
      batch,
      this.#records,
      (view) => this.#place(view),
      (node) => this.#store.at(node),
    );
  }

  #place({ buffer, offset }: View): number {
    const start = (this.plan.buffers[buffer]?.offset ?? 0) * this.#batch;
    return this.#activations + (start + offset) * BYTES;
  }

  #view(view: View): Float32Array {
    const { h, w, c } = view.shape;
    return this.core.arena.f32(this.#place(view), this.#batch * h * w * c);
  }

  /** A copy of a value, without the other channels that may lie between its pixels. */
  #copy(view: View): Float32Array {
    const { ld, shape } = view;
    if (ld === shape.c) return new Float32Array(this.#view(view));
    const pixels = this.#batch * shape.h * shape.w;
    const from = this.core.arena.f32(this.#place(view), (pixels - 1) * ld + shape.c);
    const to = new Float32Array(pixels * shape.c);
    for (let i = 0; i < pixels; i++) to.set(from.subarray(i * ld, i * ld + shape.c), i * shape.c);
    return to;
  }
}
