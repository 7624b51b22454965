/** How far a load has come. */

/** What `load` tells of its progress: at most some 20 times per second, and when a phase begins and ends. */
export interface Progress {
  /**
   * `download`: weights come from a server; in a page they are packed as they come. `pack`: they come from a file or from
   * memory. `tune`: convolutions are timed.
   */
  readonly phase: 'download' | 'pack' | 'tune';
  /** Bytes of weights so far, or convolutions timed so far. */
  readonly loaded: number;
  /** Bytes of all weights, or all convolutions to time. */
  readonly total: number;
  /** The tensor that came last, if one did. */
  readonly tensor?: string | undefined;
}

/** Milliseconds between two reports of one phase. */
const BETWEEN_MS = 50;

/** Passes on the first and the last report of each phase, and of those in between one per 50 ms. */
export function throttled(report: (progress: Progress) => void): (progress: Progress) => void {
  let phase: Progress['phase'] | undefined;
  let last = 0;
  return (progress) => {
    const now = performance.now();
    const isBetween = progress.phase === phase && progress.loaded < progress.total;
    if (isBetween && now - last < BETWEEN_MS) return;
    phase = progress.phase;
    last = now;
    report(progress);
  };
}
