/** Weight sets from the Hugging Face hub, in the cache of bindings/pull.ts. Node only. */

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { HubSet } from '../../models/hub.js';
import { openSource } from '../weights/stream/open.js';
import { defaultCacheDir, type PullOptions } from './npm-package.js';

/** `HF_ENDPOINT` names another hub, as it does for Hugging Face's own programs. */
const endpoint = (): string => process.env.HF_ENDPOINT ?? 'https://huggingface.co';

const pathOf = ({ repository, file }: HubSet, cacheDir: string): string =>
  join(cacheDir, repository.replaceAll('/', '+'), file);

/** The path of a set's file, if the cache has it. */
export async function cachedFromHub(set: HubSet, cacheDir = defaultCacheDir()): Promise<string | undefined> {
  const path = pathOf(set, cacheDir);
  const file = await stat(path).catch(() => undefined);
  return file?.isFile() ? path : undefined;
}

/**
 * The path of a set's file, from the cache or else fetched into it: taken up where the connection broke, and checked
 * against its SHA-256 where that is known. Rejects with one sentence, or the signal's reason; leaves no partial file.
 */
export async function pullFromHub(
  set: HubSet,
  { onProgress, signal, cacheDir = defaultCacheDir() }: PullOptions = {},
): Promise<string> {
  const there = await cachedFromHub(set, cacheDir);
  if (there) return there;
  const url = `${endpoint()}/${set.repository}/resolve/main/${set.file}`;
  const path = pathOf(set, cacheDir);
  const partial = `${path}.${process.pid}.partial`;
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
        // The next chunk may lie where this one does.
        yield bytes.slice();
      }
    }
    await pipeline(Readable.from(chunks()), createWriteStream(partial), { signal });
    const digest = hash.digest('hex');
    if (set.sha256 !== undefined && digest !== set.sha256) {
      throw new Error(`${url}: expected a file of SHA-256 ${set.sha256}, got ${digest}.`);
    }
    await rename(partial, path);
    return path;
  } catch (error) {
    await rm(partial, { force: true });
    signal?.throwIfAborted();
    throw error;
  } finally {
    await stream.close();
  }
}
