/** The models of one name, each in a worker: pictures are decoded ahead of them, and an idle model takes what waits as a batch. */

import { totalmem } from 'node:os';
import { type Model, ResnetError } from '../bindings/index.node.js';
import { answerBatch, batchKey, type Input, type Results, type Task } from './answer.js';

/** When each step of an answer was done, in milliseconds since 1970. */
export interface Timing {
  readonly queued: number;
  readonly opening: number;
  readonly opened: number;
  readonly begun: number;
  readonly done: number;
  /** How many were answered by the same call. */
  readonly batch: number;
}

export interface Answer<Value> {
  readonly value: Value;
  readonly timing: Timing;
}

export interface PoolOptions {
  /** Opens a model; called once per worker, and again if one dies. */
  readonly open: () => Promise<Model>;
  readonly workers: number;
  readonly maxBatch: number;
  /** How long an input that is ready waits for others that are being decoded, if there are fewer idle models than inputs. */
  readonly windowMs: number;
}

interface Item {
  readonly task: Task;
  readonly open: () => Promise<Input>;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answer: Answer<never>) => void;
  readonly reject: (reason: unknown) => void;
  readonly queued: number;
  opening: number;
  opened: number;
  /** Once it is opened. */
  input?: Input;
  isRetried?: boolean;
}

interface Slot {
  model: Model;
}

/** The share of the machine's memory that the models of a name may take. */
const MEMORY_SHARE = 0.5;

const now = (): number => performance.timeOrigin + performance.now();

export class ModelPool {
  readonly #options: PoolOptions;
  readonly #slots: Slot[];
  readonly #idle: Slot[];
  /** Not decoded yet. */
  readonly #waiting: Item[] = [];
  readonly #ready: Item[] = [];
  #opening = 0;
  #running = 0;
  #timer: NodeJS.Timeout | undefined;
  #onIdle: (() => void) | undefined;
  #isClosed = false;
  /** Of one input on one model; a moving mean. */
  #msEach = 0;

  private constructor(options: PoolOptions, models: readonly Model[]) {
    this.#options = options;
    this.#slots = models.map((model) => ({ model }));
    this.#idle = [...this.#slots];
  }

  /** Opens the models, fewer than asked for if they would take more than half of the memory. */
  static async open(options: PoolOptions): Promise<ModelPool> {
    const first = await options.open();
    const most = Math.floor((MEMORY_SHARE * memoryBytes()) / first.info().memoryBytes);
    const others = Math.max(0, Math.min(options.workers, most) - 1);
    const opened = await Promise.allSettled(Array.from({ length: others }, options.open));
    const models = [first, ...opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))];
    const failed = opened.find((each) => each.status === 'rejected');
    if (!failed) return new ModelPool(options, models);
    for (const model of models) model.dispose();
    throw failed.reason;
  }

  /** One of the models, for what they all say of themselves. */
  get model(): Model {
    return (this.#slots[0] as Slot).model;
  }

  get workers(): number {
    return this.#slots.length;
  }

  /** Inputs that no model has taken yet. */
  get queued(): number {
    return this.#waiting.length + this.#opening + this.#ready.length;
  }

  get running(): number {
    return this.#running;
  }

  /** Milliseconds until what waits now will be done. */
  get backlogMs(): number {
    return ((this.queued + this.#running) * this.#msEach) / this.workers;
  }

  /** Answers one input, which `open` decodes when its turn is near. Rejects with the signal's reason if that comes first. */
  submit<Wanted extends Task>(
    task: Wanted,
    open: () => Promise<Input>,
    signal?: AbortSignal,
  ): Promise<Answer<Results[Wanted['kind']]>> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new ResnetError('disposed', 'The models are closed.'));
      if (signal?.aborted) return reject(signal.reason);
      const queued = now();
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#waiting.push({ task, open, signal, resolve, reject, queued, opening: queued, opened: queued });
      this.#openNext();
    });
  }

  /** Resolves when nothing waits or runs. */
  async drained(): Promise<void> {
    while (this.queued + this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
  }

  /** Ends the workers; what is not answered is rejected. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const reason = new ResnetError('disposed', 'The models are closed.');
    for (const { reject } of [...this.#waiting.splice(0), ...this.#ready.splice(0)]) reject(reason);
    for (const { model } of this.#slots) model.dispose();
  }

  /** Decodes as many ahead as the models can take next, so that few lie in memory as pixels. */
  #openNext(): void {
    const ahead = this.workers * this.#options.maxBatch;
    while (this.#waiting.length > 0 && this.#opening + this.#ready.length < ahead) {
      const item = this.#waiting.shift() as Item;
      if (!item.signal?.aborted) void this.#openOne(item);
    }
    if (this.queued + this.#running === 0) this.#onIdle?.();
  }

  async #openOne(item: Item): Promise<void> {
    this.#opening++;
    item.opening = now();
    try {
      item.input = await item.open();
      item.opened = now();
      this.#ready.push(item);
    } catch (reason) {
      item.reject(reason);
    }
    this.#opening--;
    this.#dispatch();
    this.#openNext();
  }

  /** Gives idle models what is ready. */
  #dispatch(): void {
    clearTimeout(this.#timer);
    while (this.#idle.length > 0 && !this.#isClosed) {
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      const [first] = batch as [Item];
      const isShort = batch.length < this.#options.maxBatch && this.#idle.length < this.#ready.length + this.#opening;
      const left = this.#opening > 0 && isShort ? first.opened + this.#options.windowMs - now() : 0;
      if (left > 0) {
        this.#timer = setTimeout(() => this.#dispatch(), left);
        return;
      }
      for (const item of batch) this.#ready.splice(this.#ready.indexOf(item), 1);
      void this.#run(this.#idle.shift() as Slot, batch);
    }
  }

  /** The oldest input that is ready, and those that can be run with it: a model's share of all that is ready. */
  #nextBatch(): Item[] {
    for (let i = this.#ready.length - 1; i >= 0; i--) {
      if (this.#ready[i]?.signal?.aborted) this.#ready.splice(i, 1);
    }
    const keyOf = ({ task, input }: Item): string => batchKey(task, input as Input);
    const [first] = this.#ready;
    const fitting = first ? this.#ready.filter((item) => keyOf(item) === keyOf(first)) : [];
    return fitting.slice(0, Math.min(this.#options.maxBatch, Math.ceil(fitting.length / this.workers)));
  }

  async #run(slot: Slot, batch: readonly Item[]): Promise<void> {
    this.#running += batch.length;
    await this.#answer(slot, batch);
    this.#running -= batch.length;
    this.#idle.push(slot);
    this.#dispatch();
    this.#openNext();
  }

  async #answer(slot: Slot, batch: readonly Item[]): Promise<void> {
    const begun = now();
    try {
      const inputs = batch.map(({ input }) => input as Input);
      const tasks = batch.map(({ task }) => task);
      const values = await answerBatch(slot.model, tasks, inputs);
      const done = now();
      const each = (done - begun) / batch.length;
      this.#msEach = this.#msEach === 0 ? each : 0.9 * this.#msEach + 0.1 * each;
      batch.forEach(({ resolve, queued, opening, opened }, i) => {
        const timing = { queued, opening, opened, begun, done, batch: batch.length };
        resolve({ value: values[i] as never, timing });
      });
    } catch (reason) {
      await this.#answerFailed(slot, batch, reason);
    }
  }

  /** Tells the one that fails from those beside it, and opens another model in place of one that died. */
  async #answerFailed(slot: Slot, batch: readonly Item[], reason: unknown): Promise<void> {
    const isDead = reason instanceof ResnetError && reason.code === 'worker';
    if (isDead && !this.#isClosed) {
      try {
        slot.model = await this.#options.open();
      } catch (cause) {
        for (const { reject } of batch) reject(cause);
        return;
      }
    }
    for (const item of batch) {
      if (item.signal?.aborted) continue;
      const mayPass = batch.length > 1 || (isDead && !item.isRetried);
      item.isRetried ||= isDead;
      if (mayPass && !this.#isClosed) await this.#answer(slot, [item]);
      else item.reject(reason);
    }
  }
}

/** Bytes that this process may take: the machine's, or its container's. */
const memoryBytes = (): number => Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem());
