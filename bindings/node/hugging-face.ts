/** Weight sets from the Hugging Face hub. Node only. */

import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ResnetError } from '../../models/errors.js';
import { type HubSet, hubUrl } from '../../models/hub.js';
import { plain } from '../util/messages.js';
import { openWeights } from '../weights/open.js';
import { openSource } from '../weights/stream/open.js';
import { locked } from './lock.js';
import { withPath } from './system-error.js';
import { cacheDir as defaultCacheDir, type FetchOptions, type SetSource } from './weight-cache.js';

/** `HF_ENDPOINT` names another hub, as in Hugging Face's own programs. */
const endpoint = (): string => process.env.HF_ENDPOINT ?? 'https://huggingface.co';

/** `HF_TOKEN` is sent to the hub alone: `fetch` drops it if a redirect leads to another origin. */
const headers = (): Record<string, string> =>
  process.env.HF_TOKEN ? { authorization: `Bearer ${process.env.HF_TOKEN}` } : {};

const folderName = ({ repository }: HubSet): string => repository.replaceAll('/', '+');

const pathOf = (set: HubSet, cacheDir: string): string => join(cacheDir, folderName(set), set.file);

/** How long a partial file may lie untouched before another download takes it for that of a killed process. */
const STALE_MS = 24 * 60 * 60 * 1000;

/** Downloads of this process that are under way, by path. */
const underWay = new Map<string, Promise<unknown>>();

/** Resolves when `task` ends, however it does; rejects with the signal's reason once it is aborted. */
const ended = (task: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    task.catch(() => {}).then(() => resolve());
  });

async function removeStale(path: string): Promise<void> {
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(`${basename(path)}.`) || !name.endsWith('.partial')) continue;
    const partial = join(dirname(path), name);
    const { mtimeMs } = await stat(partial).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > STALE_MS) await rm(partial, { force: true });
  }
}

/**
 * Fetches a weight set's one file over HTTP: resumed where the connection broke, and checked against its SHA-256 if that
 * is known.
 */
export function hubSource(set: HubSet): SetSource {
  const find: SetSource['find'] = async ({ cacheDir = defaultCacheDir() } = {}) => {
    const path = pathOf(set, cacheDir);
    const file = await stat(path).catch(() => undefined);
    return file?.isFile() ? { path, labels: undefined } : undefined;
  };
  const fetch: SetSource['fetch'] = async (options = {}) => {
    const { signal, cacheDir = defaultCacheDir() } = options;
    signal?.throwIfAborted();
    const path = pathOf(set, cacheDir);
    for (let other = underWay.get(path); other; other = underWay.get(path)) await ended(other, signal);
    const cached = await find({ cacheDir });
    if (cached) return cached;
    await mkdir(dirname(path), { recursive: true });
    // Another call may have begun while this one looked.
    if (underWay.has(path)) return fetch(options);
    // Another process may have fetched it meanwhile.
    const task = locked(path, signal, async () => (await find({ cacheDir })) ?? download(set, path, options));
    underWay.set(path, task);
    try {
      await task;
    } finally {
      underWay.delete(path);
    }
    return { path, labels: undefined };
  };
  return { folder: folderName(set), find, fetch };
}

/** Downloads a set's file to `path`, where it comes whole and checked, or not at all. */
async function download(set: HubSet, path: string, { signal, onProgress }: FetchOptions): Promise<void> {
  const url = hubUrl(set, endpoint());
  const partial = `${path}.${randomUUID()}.partial`;
  const hash = createHash('sha256');
  const stream = await openSource(url, { signal, cache: false, headers: headers() }).catch((cause) => {
    signal?.throwIfAborted();
    throw new ResnetError('download', `${plain(cause)}${hint(plain(cause))}.`, { cause });
  });
  try {
    await removeStale(path);
    const { total } = stream;
    let loaded = 0;
    async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let bytes = await stream.next(); bytes; bytes = await stream.next()) {
        hash.update(bytes);
        loaded += bytes.length;
        if (total !== undefined) onProgress?.({ loaded, total });
        // The stream may use the chunk's memory for the next one.
        yield bytes.slice();
      }
    }
    await pipeline(Readable.from(chunks()), createWriteStream(partial), { signal });
    const digest = hash.digest('hex');
    if (set.sha256 !== undefined && digest !== set.sha256) {
      throw new ResnetError('download', `${url}: expected a file of SHA-256 ${set.sha256}, got ${digest}.`);
    }
    await checkOpens(url, partial);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    signal?.throwIfAborted();
    throw withPath(path, error);
  } finally {
    await stream.close();
  }
}

/** What may help if a hub does not give a file. */
function hint(message: string): string {
  if (/ got 40[13]\b/.test(message)) return '; HF_TOKEN may hold a token that this hub takes';
  const { NODE_USE_ENV_PROXY: isHeeded, ...env } = process.env;
  const proxy = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].find((name) => env[name]);
  if (!proxy || isHeeded) return '';
  return `; ${proxy} is set, which Node heeds with NODE_USE_ENV_PROXY=1 (from Node 22.21 and 24.5 on)`;
}

/** Rejects, with the URL first, if a file of weights does not open: a page to log in may come with status 200. */
async function checkOpens(url: string, path: string): Promise<void> {
  try {
    await (await openWeights(path)).close();
  } catch (cause) {
    const why = (cause as Error).message.replace(`${path}: `, '');
    throw new ResnetError('download', `${url}: what came is not kept, since it does not open: ${why}`, { cause });
  }
}
