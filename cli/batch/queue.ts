/**
 * The queue of a batch in Redis: BullMQ has the jobs that are not done, and beside them lie what was submitted, what was
 * done, and results until they are collected.
 */

import type { Queue } from 'bullmq';
import type { Redis, RedisOptions } from 'ioredis';
import { peer } from '../../server/peer.js';

/** What is wanted of each picture. */
export type Task =
  | { readonly kind: 'classify'; readonly topK: number }
  | { readonly kind: 'embed'; readonly normalise: boolean };

/** A picture: a path or URL, or a part of an archive. */
export type Reference =
  | string
  | { readonly name: string; readonly archive: string; readonly offset: number; readonly bytes: number };

export const nameOf = (reference: Reference): string => (typeof reference === 'string' ? reference : reference.name);

export interface JobData {
  readonly task: Task;
  readonly references: readonly Reference[];
}

/** Where a queue is: `--queue` and `--name`. */
export interface QueueFlags {
  readonly queue: string;
  readonly name: string;
}

/** Of BullMQ's keys and ours. */
const PREFIX = 'resnet-wasm';

/** The keys of a queue that are not BullMQ's; its own have no second colon after the name. */
const keysOf = (name: string) => {
  const key = (what: string): string => `${PREFIX}:${name}:batch:${what}`;
  return {
    /** Set: ids of jobs that were added. */
    submitted: key('submitted'),
    /** Set: ids of jobs whose results were stored. */
    done: key('done'),
    /** Hash: lines of results by the job's id, until they are collected. */
    results: key('results'),
    /** Hash: `pictures` submitted, `done`, `failed`, and the `model`. */
    totals: key('totals'),
    /** List: `seconds pictures` of the last jobs that were done. */
    recent: key('recent'),
    /** Text: who collects now. */
    collector: key('collector'),
  };
};

/** Stores what a job gave, once: a job that two workers did, since one of them was thought dead, counts as one. */
const STORE = `
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1] .. '~')
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[3], 'done', ARGV[3])
redis.call('HINCRBY', KEYS[3], 'failed', ARGV[4])
redis.call('LPUSH', KEYS[4], redis.call('TIME')[1] .. ' ' .. ARGV[3])
redis.call('LTRIM', KEYS[4], 0, 255)
return 1`;

/** Counts jobs as submitted, each once. */
const SUBMIT = `
local added = 0
for i = 1, #ARGV, 2 do
  if redis.call('SADD', KEYS[1], ARGV[i]) == 1 then
    added = added + 1
    redis.call('HINCRBY', KEYS[2], 'pictures', ARGV[i + 1])
  end
end
return added`;

/** Deletes a key if it still holds this value. */
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

export interface QueueConnection extends AsyncDisposable {
  readonly redis: Redis;
  readonly queue: Queue<JobData>;
  readonly keys: ReturnType<typeof keysOf>;
  readonly prefix: string;
  /** Stores the lines of a job's results. Returns whether they were not there yet. */
  store(id: string, lines: string, pictures: number, failed: number): Promise<boolean>;
  /** Counts jobs, by their ids and numbers of pictures, as submitted. Returns how many were not yet. */
  countSubmitted(jobs: readonly (readonly [id: string, pictures: number])[]): Promise<number>;
  release(key: string, token: string): Promise<void>;
}

/** A URL for messages, without its password. */
function shown(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname.replace(/^\/$/, '')}`;
}

/** Says why no connection came about, in one sentence. */
function sentenceOf(url: string, error: NodeJS.ErrnoException): string {
  const { code, message } = error;
  if (/WRONGPASS|invalid password/i.test(message)) return `${shown(url)}: the name or password is wrong.`;
  if (/NOAUTH/.test(message)) return `${shown(url)}: expected a password in the URL, got none.`;
  if (/NOPERM/.test(message)) return `${shown(url)}: this user may not do that (${message}).`;
  if (code === 'ENOTFOUND') return `${shown(url)}: there is no such host.`;
  return `${shown(url)}: no Redis answers (${code ?? message.replace(/\.$/, '')}).`;
}

/** Reconnects after so many milliseconds. */
const RECONNECT_MS = 500;

/**
 * Connects. Rejects with one sentence if that fails at first; later on a connection that is lost comes back by itself, and
 * commands wait for it.
 */
async function connected(url: string): Promise<Redis> {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw new Error(`--queue: expected a URL such as redis://127.0.0.1:6379, got ${url.replace(/\/\/.*@/, '//…@')}.`);
  }
  const { Redis } = await peer('ioredis', 'A queue', () => import('ioredis'));
  let isConnected = false;
  let last: Error | undefined;
  const options: RedisOptions = {
    lazyConnect: true,
    connectTimeout: 5000,
    maxRetriesPerRequest: null,
    retryStrategy: () => (isConnected ? RECONNECT_MS : null),
  };
  const redis = new Redis(url, options);
  redis.on('error', (error: Error) => {
    last = error;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    redis.disconnect();
    throw new Error(sentenceOf(url, last ?? (error as Error)), { cause: error });
  }
  isConnected = true;
  let isLost = false;
  redis.on('close', () => {
    if (isLost || redis.status === 'end') return;
    isLost = true;
    process.stderr.write(`${shown(url)}: the connection is lost; waiting for it to come back\n`);
  });
  redis.on('ready', () => {
    if (isLost) process.stderr.write(`${shown(url)}: connected again\n`);
    isLost = false;
  });
  return redis;
}

/** Opens a queue. Needs the packages bullmq and ioredis. Rejects with one sentence if no Redis answers or lets us in. */
export async function openQueue({ queue: url, name }: QueueFlags): Promise<QueueConnection> {
  const { Queue } = await peer('bullmq', 'A queue', () => import('bullmq'));
  const redis = await connected(url);
  const [, policy] = (await redis.config('GET', 'maxmemory-policy').catch(() => [])) as string[];
  if (policy !== undefined && policy !== 'noeviction') {
    redis.disconnect();
    throw new Error(`${shown(url)}: expected maxmemory-policy noeviction, got ${policy}, which drops jobs.`);
  }
  const queue = new Queue<JobData>(name, { connection: redis, prefix: PREFIX });
  // The connection tells of its own errors.
  queue.on('error', () => {});
  await queue.waitUntilReady();
  const keys = keysOf(name);
  return {
    redis,
    queue,
    keys,
    prefix: PREFIX,
    async store(id, lines, pictures, failed) {
      const { done, results, totals, recent } = keys;
      return (await redis.eval(STORE, 4, done, results, totals, recent, id, lines, pictures, failed)) === 1;
    },
    async countSubmitted(jobs) {
      return Number(await redis.eval(SUBMIT, 2, keys.submitted, keys.totals, ...jobs.flat()));
    },
    async release(key, token) {
      await redis.eval(RELEASE, 1, key, token);
    },
    async [Symbol.asyncDispose]() {
      await queue.close();
      redis.disconnect();
    },
  };
}

/** Of the memory that Redis may have, if it has a limit; else of 2 GiB. */
const MEMORY_SHARE = 0.8;
const MEMORY_BYTES = 2 ** 31;

/** Whether Redis holds so much that no more should come. */
export async function isFull(redis: Redis): Promise<boolean> {
  const info = await redis.info('memory');
  const bytesOf = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const limit = bytesOf('maxmemory') * MEMORY_SHARE || MEMORY_BYTES;
  return bytesOf('used_memory') > limit;
}
