/** A thread's program: waits for jobs on the control block, and takes part in each. */

import type { ThreadMessage, ThreadStart } from '../platform/types.js';
import { attach } from './core.js';
import { CONTROL, CONTROL_BYTES } from './thread-control.js';

/** Runs until told to stop. Blocks this thread. */
export async function runThread(start: ThreadStart, post: (message: ThreadMessage) => void): Promise<void> {
  const { thread, controlPtr, isAwaited } = start;
  const { kernels, arena } = await attach(start.modules, start.memory);
  const control = arena.i32(controlPtr, CONTROL_BYTES / 4);
  post('ready');
  while (!Atomics.load(control, CONTROL.stop)) {
    Atomics.wait(control, CONTROL.state, 0);
    if (kernels.work(controlPtr, thread) && isAwaited) post('done');
  }
}
