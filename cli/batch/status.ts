/** How far a queue is. */

import type { QueueConnection } from './queue.js';

export interface Status {
  readonly pictures: number;
  readonly done: number;
  /** Pictures whose result is an error. */
  readonly failed: number;
  /** Over the last minute. */
  readonly picturesPerSecond: number;
  readonly secondsLeft: number | undefined;
  readonly jobs: Readonly<Record<'waiting' | 'active' | 'delayed' | 'failed', number>>;
  /** Jobs whose results wait to be collected. */
  readonly uncollected: number;
  /** Why jobs failed, of some. */
  readonly reasons: readonly string[];
}

const WINDOW_SECONDS = 60;
const REASONS = 3;

export async function statusOf({ redis, queue, keys }: QueueConnection): Promise<Status> {
  const [totals, recent, [now], uncollected, counts, failedJobs] = await Promise.all([
    redis.hgetall(keys.totals),
    redis.lrange(keys.recent, 0, -1),
    redis.time(),
    redis.hlen(keys.results),
    queue.getJobCounts('waiting', 'active', 'delayed', 'failed'),
    queue.getFailed(0, REASONS - 1),
  ]);
  const {
    pictures = 0,
    done = 0,
    failed = 0,
  } = Object.fromEntries(Object.entries(totals).map(([name, value]) => [name, Number(value)]));
  const begin = Number(now) - WINDOW_SECONDS;
  const within = recent.map((each) => each.split(' ').map(Number) as [number, number]).filter(([at]) => at >= begin);
  // The oldest job was done at the beginning of the time that is counted.
  const oldest = within.at(-1);
  const seconds = oldest ? Math.max(1, Number(now) - oldest[0]) : 1;
  const count = within.slice(0, -1).reduce((sum, [, each]) => sum + each, 0);
  const picturesPerSecond = count / seconds;
  const left = pictures - done;
  return {
    ...{ pictures, done, failed, picturesPerSecond },
    secondsLeft: left === 0 ? 0 : picturesPerSecond > 0 ? left / picturesPerSecond : undefined,
    jobs: {
      waiting: counts.waiting ?? 0,
      active: counts.active ?? 0,
      delayed: counts.delayed ?? 0,
      failed: counts.failed ?? 0,
    },
    uncollected,
    reasons: failedJobs.map(({ id, failedReason }) => `${id}: ${failedReason}`),
  };
}
