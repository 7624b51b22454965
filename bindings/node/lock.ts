/** One process at a time: a file beside what is written, which its holder touches for as long as it lives. Node only. */

import { open, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 100;
const TOUCH_MS = 1000;

/** How long a lock may lie untouched before it counts as that of a killed process. */
const STALE_MS = 5000;

/** Takes a lock; false if another process has it. */
async function take(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx')).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Runs `task` while no other process, of this machine or another that shares the folder, runs one for the same path.
 * Rejects with the signal's reason once it is aborted. Of processes that find the lock of a killed one, two may run at
 * once: what a task writes has to bear it.
 */
export async function locked<Result>(
  path: string,
  signal: AbortSignal | undefined,
  task: () => Promise<Result>,
  staleMs = STALE_MS,
): Promise<Result> {
  const lock = `${path}.lock`;
  // Clocks of machines differ: what counts is whether the time of the file moves on.
  let seen = { mtimeMs: -1, since: 0 };
  while (!(await take(lock))) {
    const { mtimeMs } = await stat(lock).catch(() => ({ mtimeMs: -1 }));
    if (mtimeMs !== seen.mtimeMs) seen = { mtimeMs, since: performance.now() };
    else if (performance.now() - seen.since > staleMs) await rm(lock, { force: true });
    await delay(POLL_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
  const touch = (): void => void utimes(lock, new Date(), new Date()).catch(() => {});
  const timer = setInterval(touch, TOUCH_MS);
  timer.unref();
  try {
    signal?.throwIfAborted();
    return await task();
  } finally {
    clearInterval(timer);
    await rm(lock, { force: true });
  }
}
