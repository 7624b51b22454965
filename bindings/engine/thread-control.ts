/** The control block: what threads are told through shared memory. */

/** Words of the control block, from its start; the barrier's own lines follow. */
export const CONTROL = {
  /** Counts the jobs; workers sleep on it. */
  job: 0,
  records: 1,
  first: 2,
  last: 3,
  scratch: 4,
  scratchBytes: 5,
  stop: 6,
} as const;

export const CONTROL_BYTES = 64;

/** Which records to run, and each thread's scratch: `scratchBytes` apart. */
export interface Job {
  readonly recordsPtr: number;
  readonly first: number;
  readonly last: number;
  readonly scratchPtr: number;
  readonly scratchBytes: number;
}
