/** What runs a plan: the interface that models use, and its implementation on the wasm core. */

import { ResnetError } from '../../models/errors.js';
import type { Plan, PlanStep, PlanValue, View } from '../compile/plan.js';
import { algorithms } from './algorithms/index.js';
import { align } from './arena.js';
import type { Binary } from './binary.js';
import type { Core, Vectors } from './core.js';
import { writeRecords } from './lower.js';
import type { PackedWeights } from './packed-weights.js';
import type { Job } from './thread-control.js';
import type { ThreadPool } from './thread-pool.js';

const BYTES = Float32Array.BYTES_PER_ELEMENT;

/** Writes an input, [batch, H, W, C] float32, at an address of linear memory. May allocate what it releases itself. */
export type InputWriter = (core: Core, inputPtr: number) => void;

/** One more step than the plan has, with the weights of its node and no bias. */
export interface ExtraStep {
  readonly step: PlanStep;
  /** The step of the plan that it runs before, which finds the extra step's input still there. */
  readonly before: number;
}

/** What a run is to give beside the output. */
export interface Wanted {
  readonly values?: readonly PlanValue[];
  readonly extra?: ExtraStep | undefined;
  /** Stops when the values are there; there are no outputs then. */
  readonly isPartial?: boolean;
}

/** Copies of what a run made, each [batch, H, W, C]; outputs in the plan's order. */
export interface RunResult {
  readonly outputs: readonly Float32Array[];
  /** In the order of `Wanted.values`. */
  readonly values: readonly Float32Array[];
  readonly extra: Float32Array | undefined;
}

/** Runs one network, one run at a time. The batch is that of the last `setInput`. */
export interface Executor {
  readonly plan: Plan;
  readonly binary: Binary;
  readonly threads: number;
  readonly vectors: Vectors;
  /** Why there are fewer threads than asked for; undefined if there are not. */
  readonly threadsNote: string | undefined;
  /** Bytes of packed weights and biases. */
  readonly weightBytes: number;
  /** Bytes of all memory that it holds now. */
  readonly memoryBytes: number;
  /** Bytes of activations for `batch` images. */
  activationBytes(batch: number): number;
  /**
   * Fills the inputs for `batch` images, in the plan's order: NHWC values, or what writes them. Throws beyond
   * 4 GiB.
   */
  setInput(batch: number, ...inputs: readonly (Float32Array | InputWriter)[]): void;
  /** Returns what a writer makes of one image, as values for the first input. */
  written(write: InputWriter): Float32Array;
  /** Runs all steps, or those that `wanted` needs. */
  run(wanted?: Wanted): Promise<RunResult>;
  /** Runs all steps, with the milliseconds that each step of the plan took. */
  profile(): Promise<RunResult & { readonly stepMs: readonly number[] }>;
  /** Gives back threads and memory. A run that is under way rejects. */
  dispose(): void;
}

/** Bytes of scratch that a plan's most demanding step needs of each thread. */
const scratchBytes = (core: Core, { steps }: Plan): number =>
  align(Math.max(0, ...steps.map((step) => algorithms[step.algorithm].scratchBytes(core, step))));

/** Keeps records, activations and scratch in linear memory, for as many images as the last run had. */
export class PlanExecutor implements Executor {
  readonly plan: Plan;
  readonly #core: Core;
  readonly #pool: ThreadPool;
  readonly #weights: PackedWeights;
  /** Where the weights end and all that depends on the batch begins. */
  readonly #base: number;
  readonly #scratchBytes: number;
  #batch = 0;
  #records = 0;
  #scratch = 0;
  #activations = 0;
  #ranges = 0;

  /** `pool`: started on `core`. All that comes after the present end of the arena is the session's. */
  constructor(core: Core, plan: Plan, weights: PackedWeights, pool: ThreadPool) {
    this.#core = core;
    this.plan = plan;
    this.#pool = pool;
    this.#weights = weights;
    this.#scratchBytes = scratchBytes(core, plan);
    this.#base = core.arena.mark();
  }

  get weightBytes(): number {
    return this.#weights.bytes;
  }

  activationBytes(batch: number): number {
    return this.plan.arenaSize * batch * BYTES;
  }

  get binary(): Binary {
    return this.#core.binary;
  }

  get vectors(): Vectors {
    return this.#core.vectors;
  }

  get threads(): number {
    return this.#pool.count;
  }

  get threadsNote(): string | undefined {
    return this.#pool.note;
  }

  get memoryBytes(): number {
    return this.#core.arena.memory.buffer.byteLength;
  }

  setInput(batch: number, ...inputs: readonly (Float32Array | InputWriter)[]): void {
    this.#prepare(batch);
    this.plan.inputs.forEach(({ name, view }, i) => {
      const input = inputs[i];
      if (input === undefined) throw new ResnetError('argument', `${name}: expected values for this input, got none.`);
      if (typeof input === 'function') input(this.#core, this.#place(view));
      else this.#view(view).set(input);
    });
  }

  written(write: InputWriter): Float32Array {
    const { arena } = this.#core;
    const [{ view }] = this.plan.inputs;
    const { h, w, c } = view.shape;
    const mark = arena.mark();
    try {
      const ptr = arena.alloc(h * w * c * BYTES);
      write(this.#core, ptr);
      return new Float32Array(arena.f32(ptr, h * w * c));
    } finally {
      arena.release(mark);
    }
  }

  async run({ values = [], extra, isPartial = false }: Wanted = {}): Promise<RunResult> {
    const copies: Float32Array[] = [];
    let extraCopy: Float32Array | undefined;
    // Where the run stops for a while, since what is wanted may be overwritten later.
    const stops = [...values.keys()].map((i) => ({ at: (values[i]?.step ?? -1) + 1, value: i }));
    if (extra) stops.push({ at: extra.before, value: -1 });
    let done = 0;
    for (const { at, value } of stops.sort((a, b) => a.at - b.at)) {
      await this.#runSteps(done, at);
      done = at;
      const wanted = values[value];
      if (wanted) copies[value] = this.#copy(wanted.view);
      else if (extra) extraCopy = await this.#runExtra(extra.step);
    }
    if (!isPartial) await this.#runSteps(done, this.plan.steps.length);
    return { outputs: isPartial ? [] : this.#outputs(), values: copies, extra: extraCopy };
  }

  async profile(): Promise<RunResult & { readonly stepMs: readonly number[] }> {
    const stepMs: number[] = [];
    for (let i = 0; i < this.plan.steps.length; i++) {
      const start = performance.now();
      await this.#runSteps(i, i + 1);
      stepMs.push(performance.now() - start);
    }
    return { outputs: this.#outputs(), values: [], extra: undefined, stepMs };
  }

  async #runSteps(first: number, last: number): Promise<void> {
    // Steps only raise them.
    if (first === 0) this.#core.arena.i32(this.#ranges, this.plan.ranges * this.#batch).fill(0);
    if (first < last) await this.#pool.run(this.#job(first, last));
  }

  async #runExtra(step: PlanStep): Promise<Float32Array> {
    return (await import('./extra-step.js')).runExtra(step, {
      core: this.#core,
      plan: this.plan,
      weights: this.#weights,
      batch: this.#batch,
      place: (view) => this.#place(view),
      run: (recordsPtr, count) => this.#pool.run({ ...this.#job(0, count), recordsPtr }),
    });
  }

  dispose(): void {
    this.#pool.stop();
  }

  #job(first: number, last: number): Job {
    return { recordsPtr: this.#records, first, last, scratchPtr: this.#scratch, scratchBytes: this.#scratchBytes };
  }

  /** Lays out and writes the records for `batch` images, unless they stand. Throws beyond 4 GiB. */
  #prepare(batch: number): void {
    if (batch === this.#batch) return;
    const { arena, constants } = this.#core;
    this.#batch = 0;
    arena.release(this.#base);
    this.#records = arena.alloc((constants.STEP_BYTES as number) * this.plan.steps.length);
    this.#scratch = arena.alloc(this.#scratchBytes * this.#pool.count);
    this.#activations = arena.alloc(this.activationBytes(batch));
    this.#ranges = arena.alloc(this.plan.ranges * batch * BYTES);
    this.#batch = batch;
    writeRecords(
      this.#core,
      this.plan,
      batch,
      this.#records,
      (view) => this.#place(view),
      (node) => this.#weights.at(node),
      (index) => this.#ranges + index * batch * BYTES,
    );
  }

  #place({ buffer, offset }: View): number {
    const start = (this.plan.buffers[buffer]?.offset ?? 0) * this.#batch;
    return this.#activations + (start + offset) * BYTES;
  }

  #view(view: View): Float32Array {
    const { h, w, c } = view.shape;
    return this.#core.arena.f32(this.#place(view), this.#batch * h * w * c);
  }

  #outputs(): Float32Array[] {
    return this.plan.outputs.map(({ view }) => this.#copy(view));
  }

  /** A copy of a value, without the other channels that may lie between its pixels. */
  #copy(view: View): Float32Array {
    const { ld, shape } = view;
    if (ld === shape.c) return new Float32Array(this.#view(view));
    const pixels = this.#batch * shape.h * shape.w;
    const from = this.#core.arena.f32(this.#place(view), (pixels - 1) * ld + shape.c);
    const to = new Float32Array(pixels * shape.c);
    for (let i = 0; i < pixels; i++) to.set(from.subarray(i * ld, i * ld + shape.c), i * shape.c);
    return to;
  }
}
