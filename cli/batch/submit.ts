/** Puts pictures into a queue. */

import { setTimeout as delay } from 'node:timers/promises';
import { type Chunk, chunksOf } from './chunks.js';
import { isFull, type QueueConnection, type Reference, type Task } from './queue.js';
import { picturesOf } from './sources.js';

export interface SubmitOptions {
  readonly task: Task;
  /** Jobs that may wait in Redis. */
  readonly maxJobs: number;
  readonly signal: AbortSignal;
  /** Called when the producer has to wait, and for how many jobs. */
  readonly onWaiting: (jobs: number) => void;
}

export interface Submitted {
  readonly pictures: number;
  readonly jobs: number;
  /** Jobs that were in the queue already, or had been done. */
  readonly known: number;
}

/** Jobs that are added at a time. */
const GROUP = 64;
const POLL_MS = 250;

/** Tried again after 1, 2, 4, … seconds: some two minutes in all. */
const RETRIES = { attempts: 8, backoff: { type: 'exponential', delay: 1000 } } as const;

async function* allPictures(sources: readonly string[]): AsyncGenerator<Reference> {
  for (const source of sources) yield* picturesOf(source);
}

/** Waits until the queue has room. */
async function untilRoom({ queue, redis }: QueueConnection, options: SubmitOptions): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    const jobs = await queue.getJobCountByTypes('waiting', 'delayed', 'active');
    if (jobs + GROUP <= Math.max(options.maxJobs, GROUP) && !(await isFull(redis))) return;
    if (isFirst) options.onWaiting(jobs);
    await delay(POLL_MS, undefined, { signal: options.signal });
  }
}

/** Submits the pictures that sources stand for. What was submitted before adds nothing. */
export async function submit(
  connection: QueueConnection,
  sources: readonly string[],
  options: SubmitOptions,
): Promise<Submitted> {
  const { redis, queue, keys } = connection;
  const { task, signal } = options;
  let [pictures, jobs, known] = [0, 0, 0];
  const add = async (group: readonly Chunk[]): Promise<void> => {
    const ids = group.map(({ id }) => id);
    const isKnown = await redis.smismember(keys.submitted, ...ids);
    const fresh = group.filter((_, i) => isKnown[i] === 0);
    known += group.length - fresh.length;
    if (fresh.length === 0) return;
    await untilRoom(connection, options);
    // First into the queue, where an id that is there already adds nothing: nothing is counted that is not there.
    await queue.addBulk(
      fresh.map(({ id, references }) => ({
        name: task.kind,
        data: { task, references },
        opts: { jobId: id, ...RETRIES, removeOnComplete: { count: 100 }, removeOnFail: false },
      })),
    );
    jobs += await connection.countSubmitted(fresh.map(({ id, references }) => [id, references.length]));
    pictures += fresh.reduce((sum, { references }) => sum + references.length, 0);
  };
  let group: Chunk[] = [];
  for await (const chunk of chunksOf(allPictures(sources), task)) {
    signal.throwIfAborted();
    group.push(chunk);
    if (group.length < GROUP) continue;
    await add(group);
    group = [];
  }
  if (group.length > 0) await add(group);
  return { pictures, jobs, known };
}
