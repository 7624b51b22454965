/** Weight sets from the Hugging Face hub. Node only. */

import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { HubSet } from '../../models/hub.js';
import { openSource } from '../weights/stream/open.js';
import { cacheDir as defaultCacheDir, type SetSource } from './weight-cache.js';

/** `HF_ENDPOINT` names another hub, as in Hugging Face's own programs. */
const endpoint = (): string => process.env.HF_ENDPOINT ?? 'https://huggingface.co';

const pathOf = ({ repository, file }: HubSet, cacheDir: string): string =>
  join(cacheDir, repository.replaceAll('/', '+'), file);

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
  const fetch: SetSource['fetch'] = async ({ onProgress, signal, cacheDir = defaultCacheDir() } = {}) => {
    signal?.throwIfAborted();
    const cached = await find({ cacheDir });
    if (cached) return cached;
    const url = `${endpoint()}/${set.repository}/resolve/main/${set.file}`;
    const path = pathOf(set, cacheDir);
    const partial = `${path}.${randomUUID()}.partial`;
    const hash = createHash('sha256');
    const stream = await openSource(url, { signal, cache: false });
    try {
      await mkdir(dirname(path), { recursive: true });
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
        throw new Error(`${url}: expected a file of SHA-256 ${set.sha256}, got ${digest}.`);
      }
      await rename(partial, path);
      return { path, labels: undefined };
    } catch (error) {
      await rm(partial, { force: true });
      signal?.throwIfAborted();
      throw error;
    } finally {
      await stream.close();
    }
  };
  return { find, fetch };
}
