import { kernel } from './run';
import { Step, STEP_BYTES } from './step';

/**
 * Records that threads run together. A step is cut into pieces; each thread claims one after the other until none is left,
 * and who finishes the last of them opens the next step. Nobody waits for a thread that has claimed nothing: one that
 * sleeps, or whose core is slow or busy, takes fewer pieces. Results do not depend on who takes which.
 *
 * What a claim needs is read after it is made: the job cannot end while a piece is not finished, so that a thread that comes
 * late takes part in the job that there is then.
 */
@unmanaged
class Job {
  recordsPtr: usize;
  /** The first record that is not the job's. */
  last: i32;
  /** Each thread's scratch, `scratchBytes` apart. */
  scratchPtr: usize;
  scratchBytes: i32;
  /** Of every step. */
  pieces: i32;
}

/**
 * The block of a job, three cache lines: its state | pieces finished of the step at hand | a `Job`. The state is 0 if there is
 * no job, negative if there will be none; otherwise (step + 1) << PIECE_BITS | pieces of the step that nobody has claimed. Threads sleep on it.
 * bindings/engine/thread-control.ts writes it.
 */
const FINISHED: usize = 64;
const JOB: usize = 128;
const PIECE_BITS: i32 = 12;

/** How often a thread looks at the state before it sleeps: some 25 µs, which most steps' ends are apart. */
const SPINS: i32 = 20000;

/** Takes part in the block's job until nothing of it is left to do. Returns whether this thread has finished it. */
export function work(blockPtr: usize, thread: i32): bool {
  const job = changetype<Job>(blockPtr + JOB);
  let seen = 0, spins = 0;
  for (let state = atomic.load<i32>(blockPtr); state > 0; state = atomic.load<i32>(blockPtr)) {
    const left = state & ((1 << PIECE_BITS) - 1);
    if (left > 0) {
      if (atomic.cmpxchg<i32>(blockPtr, state, state - 1) != state) continue;
      const i = (state >>> PIECE_BITS) - 1;
      const pieces = job.pieces;
      const step = changetype<Step>(job.recordsPtr + <usize>(i * STEP_BYTES));
      kernel(step, pieces - left, pieces, job.scratchPtr + <usize>(job.scratchBytes * thread));
      if (atomic.add<i32>(blockPtr + FINISHED, 1) < pieces - 1) continue;
      atomic.store<i32>(blockPtr + FINISHED, 0);
      const isEnd = i + 1 == job.last;
      atomic.store<i32>(blockPtr, isEnd ? 0 : ((i + 2) << PIECE_BITS) | pieces);
      atomic.notify(blockPtr, -1);
      if (isEnd) return true;
    } else if (state != seen) {
      seen = state;
      spins = SPINS;
    } else if (--spins < 0) {
      atomic.wait<i32>(blockPtr, state, -1);
    }
  }
  return false;
}
