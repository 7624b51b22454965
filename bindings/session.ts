/** Runs a plan: its records, activations and scratch in linear memory, for as many images as the last run had. */

import { winogradTile } from './algorithm.js';
import { align } from './arena.js';
import { writeRecords } from './lower.js';
import type { Plan, View } from './plan.js';
import type { Job, Threads } from './threads.js';
import type { Core } from './wasm.js';
import type { WeightStore } from './weights/store.js';

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

export class Session {
  readonly core: Core;
  readonly plan: Plan;
  readonly threads: Threads;
  readonly #store: WeightStore;
  /** Where the weights end and all that depends on the batch begins. */
  readonly #base: number;
  readonly #scratchBytes: number;
  #batch = 0;
  #records = 0;
  #scratch = 0;
  #activations = 0;

  /** `threads`: started on `core`. All that comes after the present end of the arena is the session's. */
  constructor(core: Core, plan: Plan, store: WeightStore, threads: Threads) {
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
    return this.#view(this.plan.input);
  }

  /** The input's address, for kernels that fill it. */
  inputPtr(batch: number): number {
    this.#prepare(batch);
    return this.#place(this.plan.input);
  }

  /** Runs all steps; returns a copy of the output, [batch, H, W, C]. */
  async run(batch: number): Promise<Float32Array> {
    this.#prepare(batch);
    await this.threads.run(this.#job(0, this.plan.steps.length));
    return new Float32Array(this.#view(this.plan.output));
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
    return { output: new Float32Array(this.#view(this.plan.output)), stepMs };
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
}
