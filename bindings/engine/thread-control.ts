/** The control block: what threads are told through shared memory, as assembly/job.ts reads it. */

/** Words of the control block. */
export const CONTROL = {
  /** 0 if there is no job; workers sleep on it. */
  state: 0,
  records: 32,
  last: 33,
  scratch: 34,
  scratchBytes: 35,
  pieces: 36,
  stop: 40,
} as const;

export const CONTROL_BYTES = 192;

/** The state of a job at the beginning of step `first`. */
export const stateAt = (first: number, pieces: number): number => ((first + 1) << 12) | pieces;

/** Which records to run, and each thread's scratch: `scratchBytes` apart. */
export interface Job {
  readonly recordsPtr: number;
  readonly first: number;
  readonly last: number;
  readonly scratchPtr: number;
  readonly scratchBytes: number;
}
