/** Threads: workers that run the same records over one shared memory, and claim pieces of each step. */

import { ResnetError } from '../../models/errors.js';
import { platform, type Thread } from '../platform/platform.js';
import type { ThreadStart } from '../platform/types.js';
import { nextTask } from '../util/next-task.js';
import type { Core } from './core.js';
import { CONTROL, CONTROL_BYTES, type Job, stateAt } from './thread-control.js';

/** Of each step and thread: enough for one whose core is half as fast or half busy to take half as much. */
const PIECES = 4;

/**
 * The threads of one model. If this thread may sleep (Node, a Web Worker) it is thread 0 itself; on a browser's main
 * thread all are workers, even one alone, and `run` resolves when the worker that finishes a job says so: the page goes on.
 * Without shared memory it has its turn after each step.
 */
export class ThreadPool {
  readonly count: number;
  /** Why there is one thread only, if more were to start. */
  readonly note: string | undefined;
  readonly #core: Core;
  readonly #controlPtr: number;
  readonly #workers: Thread[] = [];
  #done: { resolve: () => void; reject: (reason: unknown) => void } | undefined;

  private constructor(core: Core, count: number, note?: string) {
    this.#core = core;
    this.count = count;
    this.note = note;
    this.#controlPtr = core.arena.alloc(CONTROL_BYTES);
  }

  /**
   * Starts `count` threads on the core's new memory. If it is not shared, `count` must be 1, and this thread is it.
   * If a worker does not start, this thread runs alone, and `note` says why.
   */
  static async start(core: Core, count: number, note?: string): Promise<ThreadPool> {
    const threads = new ThreadPool(core, count, note);
    try {
      // A module that the caller compiled has shared memory anywhere.
      const first = platform.mayBlock || !core.shared || platform.whyNoSharedMemory ? 1 : 0;
      await Promise.all(Array.from({ length: count - first }, (_, i) => threads.#startWorker(i + first)));
      return threads;
    } catch (reason) {
      threads.stop();
      return new ThreadPool(core, 1, `One thread, since no worker started (${(reason as Error).message}).`);
    }
  }

  #startWorker(thread: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const start: ThreadStart = {
        modules: this.#core.modules,
        memory: this.#core.arena.memory,
        controlPtr: this.#controlPtr,
        thread,
        isAwaited: !platform.mayBlock,
      };
      const worker = platform.startThread(
        start,
        (message) => {
          if (message === 'ready') resolve();
          else this.#done?.resolve();
        },
        (error) => {
          reject(error);
          this.#done?.reject(error);
        },
      );
      this.#workers.push(worker);
    });
  }

  /** Runs a job on all threads. Resolves when it is done; one at a time. */
  async run({ recordsPtr, first, last, scratchPtr, scratchBytes }: Job): Promise<void> {
    const { kernels, arena } = this.#core;
    if (this.#workers.length === 0) {
      // A page's main thread without workers goes on between the steps.
      const stride = platform.mayBlock ? last - first : 1;
      for (let step = first; step < last; step += stride) {
        if (step > first) await nextTask();
        kernels.run(recordsPtr, step, step + stride, 0, 1, scratchPtr);
      }
      return;
    }
    const pieces = this.count > 1 ? PIECES * this.count : 1;
    const control = arena.i32(this.#controlPtr, CONTROL_BYTES / 4);
    control[CONTROL.records] = recordsPtr;
    control[CONTROL.last] = last;
    control[CONTROL.scratch] = scratchPtr;
    control[CONTROL.scratchBytes] = scratchBytes;
    control[CONTROL.pieces] = pieces;
    const done = platform.mayBlock
      ? undefined
      : new Promise<void>((resolve, reject) => {
          this.#done = { resolve, reject };
        });
    Atomics.store(control, CONTROL.state, stateAt(first, pieces));
    Atomics.notify(control, CONTROL.state);
    if (done) await done;
    else kernels.work(this.#controlPtr, 0);
  }

  /** Ends the workers. */
  stop(): void {
    if (this.#workers.length > 0) {
      const control = this.#core.arena.i32(this.#controlPtr, CONTROL_BYTES / 4);
      Atomics.store(control, CONTROL.stop, 1);
      Atomics.compareExchange(control, CONTROL.state, 0, -1);
      Atomics.notify(control, CONTROL.state);
    }
    for (const worker of this.#workers.splice(0)) worker.terminate();
    this.#done?.reject(new ResnetError('disposed', 'the model was disposed during a run.'));
  }
}

/** How many threads a model gets, and why not as many as asked for. */
export interface ThreadCount {
  readonly count: number;
  readonly note: string | undefined;
}

/** More than this share too little work each, in networks of this size. */
const AUTO_MAX = 8;

/** `auto`: as many as there are cores, up to 8. Throws if `threads` is no number of threads. */
export function threadCount(threads: number | 'auto'): ThreadCount {
  if (threads !== 'auto' && !(Number.isInteger(threads) && threads >= 1 && threads <= 64)) {
    throw new ResnetError('argument', `threads: expected auto or a whole number from 1 to 64, got ${threads}.`);
  }
  const count = threads === 'auto' ? Math.min(platform.cores, AUTO_MAX) : threads;
  const { whyNoSharedMemory: notShared } = platform;
  return count > 1 && notShared ? { count: 1, note: notShared } : { count, note: undefined };
}
