/** Numbers as people read them. */

/** Millions of bytes, as a download shows them: `51.2 MB`. */
export function megabytes(bytes: number): string {
  const mb = bytes / 1e6;
  return `${mb < 100 ? mb.toFixed(1) : Math.round(mb)} MB`;
}

/** `76.4 %`, `< 0.1 %`. */
export function percent(share: number): string {
  // Kept on one line, however short that is.
  return share > 0 && share < 0.0005 ? '<\u00a00.1\u00a0%' : `${(100 * share).toFixed(1)}\u00a0%`;
}

/** `8 s left`, `2 min left`. */
export function timeLeft(seconds: number): string {
  return seconds < 90
    ? `${Math.max(1, Math.ceil(seconds))}\u00a0s\u00a0left`
    : `${Math.ceil(seconds / 60)}\u00a0min\u00a0left`;
}

export function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** `1 thread`, `4 threads`. */
export const threadsText = (count: number): string => `${count} ${count === 1 ? 'thread' : 'threads'}`;
