/** A thread's program: waits for jobs on the control block, and runs its share of each. */

import type { ThreadMessage, ThreadStart } from '../platform/types.js';
import { attach } from './core.js';
import { CONTROL } from './thread-control.js';

/** Runs until told to stop. Blocks this thread. */
export async function runThread(start: ThreadStart, post: (message: ThreadMessage) => void): Promise<void> {
  const { thread, threads, controlPtr, barrierPtr } = start;
  const { kernels, arena } = await attach(start.modules, start.memory);
  const control = () => arena.i32(controlPtr, 16);
  let seen = Atomics.load(control(), CONTROL.job);
  post('ready');
  for (;;) {
    Atomics.wait(control(), CONTROL.job, seen);
    const words = control();
    const job = Atomics.load(words, CONTROL.job);
    if (job === seen) continue;
    seen = job;
    if (Atomics.load(words, CONTROL.stop)) return;
    const scratchPtr = (words[CONTROL.scratch] as number) + thread * (words[CONTROL.scratchBytes] as number);
    const [records, first, last] = [words[CONTROL.records], words[CONTROL.first], words[CONTROL.last]] as number[];
    kernels.run(records as number, first as number, last as number, thread, threads, scratchPtr, barrierPtr);
    if (thread === 0) post('done');
  }
}
