/** Takes results out of Redis into a file of lines, each picture once. */

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { QueueConnection } from './queue.js';
import type { Result } from './work.js';

export interface CollectOptions {
  readonly out: string;
  /** Whether to go on until all that was submitted is collected. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (lines: number) => void;
}

export interface Collected {
  /** Lines in the file. */
  readonly lines: number;
  /** Of them, those that are new. */
  readonly added: number;
}

const LOCK_MS = 15_000;
const POLL_MS = 500;
/** Jobs that are asked for at a time. */
const COUNT = 32;

/** What tells a picture's result from all others, in 16 characters. */
const keyOf = ({ image, task }: Result): string =>
  createHash('sha256').update(`${task} ${image}`).digest('base64').slice(0, 16);

/** Reads the lines of a file that end in a newline. readline would also cut at U+2028, which names of files may have. */
async function* wholeLines(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const text of createReadStream(path, 'utf8') as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    yield* lines;
  }
}

/** A file of lines that survives being cut off at any byte. */
class LineFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #keys: Set<string>;

  private constructor(path: string, file: FileHandle, keys: Set<string>) {
    this.#path = path;
    this.#file = file;
    this.#keys = keys;
  }

  /** Opens a file, and reads which pictures it has. A last line that is not whole is dropped: its job is still in Redis. */
  static async open(path: string): Promise<LineFile> {
    const file = await open(path, 'a+');
    const keys = new Set<string>();
    try {
      const there = await file.stat();
      let whole = 0;
      // A device or pipe has nothing to go on with.
      for await (const line of there.isFile() ? wholeLines(path) : []) {
        keys.add(keyOf(parsed(path, line)));
        whole += Buffer.byteLength(line) + 1;
      }
      if (there.isFile() && whole < there.size) await file.truncate(whole);
    } catch (error) {
      await file.close();
      throw error;
    }
    return new LineFile(path, file, keys);
  }

  get lines(): number {
    return this.#keys.size;
  }

  /** Appends the lines of pictures that are not there yet, and waits until they are on the disk. */
  async append(lines: readonly string[]): Promise<number> {
    const fresh = lines.filter((line) => {
      const key = keyOf(parsed(this.#path, line));
      return !this.#keys.has(key) && this.#keys.add(key);
    });
    try {
      await this.#file.appendFile(fresh.map((line) => `${line}\n`).join(''));
      await this.#file.datasync();
    } catch (error) {
      // Of a write, it has none.
      throw Object.assign(error as Error, { path: this.#path });
    }
    return fresh.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function parsed(path: string, line: string): Result {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new Error(`${path}: expected lines of JSON that batch collect wrote, got another file.`, { cause });
  }
}

interface Lock {
  /** Rejects if another has it, since this process stood still. */
  check(): Promise<void>;
  release(): Promise<void>;
}

/** Takes the lock of a queue's collector, for which one that was killed a moment ago is waited for. */
async function lock({ redis, keys, queue, release }: QueueConnection, signal: AbortSignal): Promise<Lock> {
  const token = randomUUID();
  const taken = new Error(`${queue.name}: another batch collect is running.`);
  const take = () => redis.set(keys.collector, token, 'PX', LOCK_MS, 'NX');
  for (const end = Date.now() + LOCK_MS + 1000; (await take()) === null; await delay(POLL_MS, undefined, { signal })) {
    if (Date.now() > end) throw taken;
  }
  const timer = setInterval(() => void redis.pexpire(keys.collector, LOCK_MS).catch(() => {}), LOCK_MS / 3);
  return {
    async check() {
      if ((await redis.get(keys.collector)) !== token) throw taken;
    },
    async release() {
      clearInterval(timer);
      await release(keys.collector, token);
    },
  };
}

/** Collects what is there. A job's results leave Redis when they are on the disk. */
export async function collect(connection: QueueConnection, options: CollectOptions): Promise<Collected> {
  const { redis, keys, queue } = connection;
  const { out, follow, signal, onProgress } = options;
  const held = await lock(connection, signal);
  try {
    const file = await LineFile.open(out);
    let added = 0;
    try {
      for (;;) {
        // Asked for first: what is done later comes with the next round.
        const isOpen = (await queue.getJobCountByTypes('waiting', 'delayed', 'active')) > 0;
        let cursor = '0';
        do {
          signal.throwIfAborted();
          const [next, entries] = await redis.hscan(keys.results, cursor, 'COUNT', COUNT);
          cursor = next;
          const ids = entries.filter((_, i) => i % 2 === 0);
          const lines = entries.filter((_, i) => i % 2 === 1).flatMap((text) => text.split('\n').filter(Boolean));
          if (ids.length === 0) continue;
          await held.check();
          added += await file.append(lines);
          await redis.hdel(keys.results, ...ids);
          onProgress(file.lines);
        } while (cursor !== '0');
        if (!follow || (!isOpen && (await redis.hlen(keys.results)) === 0)) return { lines: file.lines, added };
        await delay(POLL_MS, undefined, { signal });
      }
    } finally {
      await file.close();
    }
  } finally {
    await held.release();
  }
}
