/** Answers the jobs of a queue. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { decodeImage, type Pixels } from '../../bindings/index.node.js';
import { peer } from '../../server/peer.js';
import type { Answer, ModelPool } from '../../server/pool.js';
import { readFromArchive } from './archive.js';
import { isFull, type JobData, nameOf, type QueueConnection, type Reference, type Task } from './queue.js';

/** One line of the results. */
export interface Result {
  readonly image: string;
  readonly task: Task['kind'];
  readonly model?: string;
  readonly topK?: readonly unknown[];
  readonly embedding?: readonly number[];
  /** Why there is no answer, and never will be. */
  readonly error?: string;
}

export interface WorkOptions {
  readonly pool: ModelPool;
  /** What results call the model. */
  readonly model: string;
  /** Jobs at a time. */
  readonly concurrency: number;
  readonly maxPixels: number | undefined;
  /** Seconds after which the jobs of a worker that is silent are taken over. */
  readonly takeoverSeconds: number;
  readonly signal: AbortSignal;
  readonly onAnswer: (answer: Answer<unknown>) => void;
  readonly onFailure: () => void;
  readonly onMessage: (message: string) => void;
}

/** Whether another attempt may succeed. What is wrong with a picture stays wrong; files, servers and memory come back. */
function mayPass(reason: unknown): boolean {
  const { code, message } = reason as { code?: unknown; message: string };
  if (['picture', 'argument', 'values'].includes(String(code))) return false;
  // 4xx, but for those that tell to come again.
  return !(code === 'download' && /got 4(?!08|25|29)\d\d\b/.test(message));
}

const shortest = (value: number): number => Number(value.toPrecision(9));

async function decode(reference: Reference, maxPixels: number | undefined): Promise<Pixels> {
  const image = typeof reference === 'string' ? reference : await readFromArchive(reference);
  return decodeImage(image, { maxPixels });
}

async function answerOf(reference: Reference, task: Task, options: WorkOptions): Promise<Result> {
  const { pool, model, maxPixels, onAnswer } = options;
  const open = () => decode(reference, maxPixels);
  const about = { image: nameOf(reference), task: task.kind, model };
  if (task.kind === 'embed') {
    const answer = await pool.submit(task, open);
    onAnswer(answer);
    return { ...about, embedding: Array.from(answer.value, shortest) };
  }
  const answer = await pool.submit(task, open);
  onAnswer(answer);
  return { ...about, topK: answer.value };
}

const linesOf = (results: readonly Result[]): string => results.map((result) => `${JSON.stringify(result)}\n`).join('');

/** How often a worker looks whether results were collected, if Redis is full. */
const POLL_MS = 1000;

async function untilRoom({ redis }: QueueConnection, onMessage: WorkOptions['onMessage']): Promise<void> {
  for (let isFirst = true; await isFull(redis); isFirst = false) {
    if (isFirst) onMessage('Redis is full of results; waiting for resnet-wasm batch collect');
    await delay(POLL_MS);
  }
}

/** Answers one job, and stores its results. Throws if something may pass, so that the job is tried again. */
async function answerJob(connection: QueueConnection, job: Job<JobData>, options: WorkOptions): Promise<void> {
  const { redis, keys } = connection;
  const id = job.id as string;
  // A worker that was thought dead may have done it.
  if ((await redis.sismember(keys.done, id)) === 1) return;
  const { task, references } = job.data;
  const settled = await Promise.allSettled(references.map((reference) => answerOf(reference, task, options)));
  const results: Result[] = [];
  const passing: Error[] = [];
  let failed = 0;
  for (const [i, each] of settled.entries()) {
    if (each.status === 'fulfilled') results.push(each.value);
    else if (mayPass(each.reason)) passing.push(each.reason);
    else {
      const error = String(each.reason.message).replace(/maxPixels(?= can allow more\.$)/, '--max-pixels');
      results.push({ image: nameOf(references[i] as Reference), task: task.kind, error });
      failed++;
    }
  }
  await untilRoom(connection, options.onMessage);
  const [first] = passing;
  if (!first) {
    const isNew = await connection.store(id, linesOf(results), references.length, failed);
    if (isNew) for (let i = 0; i < failed; i++) options.onFailure();
    return;
  }
  // The last attempt leaves what it has, until the job is tried again by hand.
  const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
  if (isLast && results.length > 0) await redis.hset(keys.results, `${id}~`, linesOf(results));
  const more = passing.length > 1 ? ` (and ${passing.length - 1} more)` : '';
  throw new Error(`${first.message}${more}`, { cause: first });
}

/** Refuses to mix the results of two models in one queue. */
async function claimModel({ redis, keys, queue }: QueueConnection, model: string): Promise<void> {
  if ((await redis.hsetnx(keys.totals, 'model', model)) === 1) return;
  const other = await redis.hget(keys.totals, 'model');
  if (other === model) return;
  throw new Error(
    `${queue.name}: expected the model ${other} as other workers have, got ${model}; --name makes another queue.`,
  );
}

/** Works until the signal aborts; then the jobs at hand are finished. */
export async function work(connection: QueueConnection, options: WorkOptions): Promise<void> {
  const { Worker } = await peer('bullmq', 'A queue', () => import('bullmq'));
  const { signal, concurrency, takeoverSeconds, onMessage } = options;
  await claimModel(connection, options.model);
  const { redis, queue, prefix } = connection;
  const worker = new Worker<JobData>(queue.name, (job) => answerJob(connection, job, options), {
    connection: redis,
    prefix,
    concurrency,
    lockDuration: takeoverSeconds * 1000,
    stalledInterval: takeoverSeconds * 1000,
    // Machines go away more than once; a job that ends each worker that has it stops here.
    maxStalledCount: 10,
    removeOnComplete: { count: 100 },
  });
  // The connection tells of its own errors.
  worker.on('error', (error: NodeJS.ErrnoException) => {
    if (!error.syscall && !/connection is closed/i.test(error.message)) onMessage(error.message);
  });
  worker.on('stalled', (id) => onMessage(`${id}: its worker is silent; the job is taken over`));
  worker.on('failed', (job, { message }) => onMessage(`${job?.id}: ${message}`));
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await worker.close();
}
