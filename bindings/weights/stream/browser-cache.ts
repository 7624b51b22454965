/**
 * Weights that browsers keep: what URLs gave, in the Cache API, in parts, so that a download that was interrupted goes on
 * from the last whole one, and none is ever held whole in JavaScript.
 */

import { ResnetError } from '../../../models/errors.js';
import { type FileVersion, fetchBytes, type PartialDownload } from './http.js';
import type { ByteSource, OpenOptions, WeightCache } from './types.js';

const CACHE = 'resnet-wasm weights';

/** Bytes of a part; the last one has fewer. */
const PART_BYTES = 2 ** 21;

/** What is kept of one URL. */
interface Entry extends FileVersion {
  readonly url: string;
  readonly bytes: number;
  /** Bytes of the file, if its server tells. */
  readonly total: number | undefined;
  readonly parts: number;
  readonly isWhole: boolean;
}

// The keys of a cache are requests; this host does not exist.
const ENTRIES = 'https://weights.invalid/entry?';
const entryKey = (url: string): string => ENTRIES + encodeURIComponent(url);
const partKey = (url: string, i: number): string => `https://weights.invalid/part/${i}?${encodeURIComponent(url)}`;

/** How long to wait for a concurrent load of the same URL before downloading separately. */
const PATIENCE_MS = 2000;

/** Reads an http or https URL: the bytes that are kept, then the others, which are kept as they pass. */
export async function cachedBytes(url: URL, { signal, headers, retry }: OpenOptions): Promise<ByteSource> {
  const unlock = await lock(url.href, signal);
  const found = await lookUp(url.href);
  const kept = ({ cache, entry }: Found<Entry>): ByteSource => {
    unlock?.();
    return { name: url.href, total: entry.bytes, base: url, chunks: partsOf(cache, entry) };
  };
  if (found?.entry?.isWhole) return kept(found as Found<Entry>);
  // Storage is missing, forbidden or broken, or another load is writing parts of its own.
  if (!found || !unlock) {
    unlock?.();
    return fetchBytes(url, signal, { headers, retry });
  }
  const { cache, entry } = found;
  try {
    const begun: PartialDownload | undefined = entry && { ...entry, received: entry.bytes };
    // The browser's own cache need not keep them too.
    const { version, begin, total, chunks } = await fetchBytes(url, signal, {
      begun,
      cache: 'no-store',
      headers,
      retry,
    });
    const before = entry && begin > 0 ? entry : undefined;
    const keeper = new CacheWriter(
      cache,
      before ?? { ...NONE, ...version, url: url.href, total },
      version !== undefined,
    );
    const old = before && partsOf(cache, before);
    return { name: url.href, total, base: url, chunks: joined(old, chunks, keeper, unlock) };
  } catch (reason) {
    unlock();
    // Offline: use the suspect copy.
    if (entry && entry.bytes === entry.total && !signal?.aborted) return kept({ cache, entry });
    throw reason;
  }
}

/** Locks the parts of a URL against other loads, in any page or worker of this origin; undefined if one has them for long. */
async function lock(url: string, signal: AbortSignal | undefined): Promise<(() => void) | undefined> {
  const waiting = new AbortController();
  const stop = () => waiting.abort();
  const timer = setTimeout(stop, PATIENCE_MS);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<() => void>((resolve, reject) => {
      const held = () => new Promise<void>((unlock) => resolve(unlock));
      navigator.locks.request(`resnet-wasm ${url}`, { signal: waiting.signal }, held).catch(reject);
    });
  } catch {
    signal?.throwIfAborted();
    return undefined;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

const NONE = { etag: null, modified: null, bytes: 0, parts: 0, isWhole: false };

interface Found<Kept> {
  readonly cache: Cache;
  readonly entry: Kept;
}

async function lookUp(url: string): Promise<Found<Entry | undefined> | undefined> {
  try {
    const cache = await caches.open(CACHE);
    const entry = (await (await cache.match(entryKey(url)))?.json()) as Entry | undefined;
    if (!entry) return { cache, entry };
    const there = await Promise.all(Array.from({ length: entry.parts }, (_, i) => cache.match(partKey(url, i))));
    return { cache, entry: there.every(Boolean) ? entry : undefined };
  } catch {
    return undefined;
  }
}

async function entriesOf(cache: Cache): Promise<Entry[]> {
  const keys = (await cache.keys()).filter(({ url }) => url.startsWith(ENTRIES));
  return Promise.all(keys.map(async (key) => (await (await cache.match(key))?.json()) as Entry));
}

async function* partsOf(cache: Cache, { url, parts }: Entry): AsyncGenerator<Uint8Array, void, undefined> {
  for (let i = 0; i < parts; i++) {
    const part = await cache.match(partKey(url, i));
    if (!part) throw new ResnetError('storage', `${url}: this browser has deleted bytes that it kept; load it again.`);
    yield new Uint8Array(await part.arrayBuffer());
  }
}

/** Reads cached parts first, then the download, which is written to the cache as it passes. Always calls `unlock`. */
function joined(
  parts: AsyncIterator<Uint8Array> | undefined,
  fresh: AsyncIterator<Uint8Array>,
  keeper: CacheWriter,
  unlock: () => void,
): AsyncIterator<Uint8Array> {
  let old = parts;
  return {
    async next() {
      try {
        const part = await old?.next();
        if (part && !part.done) return part;
        old = undefined;
        const chunk = await fresh.next();
        await (chunk.done ? keeper.end() : keeper.add(chunk.value));
        if (chunk.done) unlock();
        return chunk;
      } catch (reason) {
        unlock();
        throw reason;
      }
    },
    // At once, even during `next`.
    async return(reason) {
      unlock();
      await fresh.return?.(reason);
      return { done: true, value: undefined };
    },
  };
}

/** Puts bytes into the cache, a part at a time. If the cache refuses one (it is full), no more are kept. */
class CacheWriter {
  readonly #cache: Cache;
  #entry: Entry;
  /** Whether a later download can go on from what is kept before the end. */
  readonly #canGoOn: boolean;
  #part = new Uint8Array(PART_BYTES);
  #filled = 0;
  #isRefused = false;

  constructor(cache: Cache, entry: Entry, canGoOn: boolean) {
    this.#cache = cache;
    this.#entry = entry;
    this.#canGoOn = canGoOn;
  }

  async add(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#isRefused; ) {
      const count = Math.min(bytes.length - at, PART_BYTES - this.#filled);
      this.#part.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === PART_BYTES) await this.#put(this.#canGoOn);
    }
  }

  async end(): Promise<void> {
    if (!this.#isRefused) await this.#put(true, true);
  }

  async #put(writesEntry: boolean, isWhole = false): Promise<void> {
    const { url, parts, bytes, total } = this.#entry;
    try {
      if (this.#filled > 0) {
        await this.#cache.put(partKey(url, parts), new Response(this.#part.slice(0, this.#filled)));
        this.#entry = { ...this.#entry, parts: parts + 1, bytes: bytes + this.#filled };
        this.#filled = 0;
      }
      this.#entry = { ...this.#entry, isWhole, total: isWhole ? this.#entry.bytes : total };
      if (writesEntry) await this.#cache.put(entryKey(url), Response.json(this.#entry));
      // They are of a longer file that the URL gave before.
      if (isWhole) await deleteParts(this.#cache, url, this.#entry.parts);
    } catch {
      this.#isRefused = true;
    }
  }
}

/**
 * Marks the files of a URL's folder, of which a set may consist, to be compared with the server's the next time: after a
 * failed load, the server may have others.
 */
export async function revalidateCachedWeights(url: string | URL): Promise<void> {
  try {
    const cache = await caches.open(CACHE);
    for (const entry of await entriesOf(cache)) {
      const isBeside = entry.url.startsWith(new URL('.', url).href);
      if (isBeside && entry.isWhole) await cache.put(entryKey(entry.url), Response.json({ ...entry, isWhole: false }));
    }
  } catch {
    // A cache that cannot be read is not used either.
  }
}

/** Opens the cache; undefined if there is none, or the page may store nothing: plain HTTP, a sandboxed frame, blocked cookies. */
async function existing(): Promise<Cache | undefined> {
  try {
    return (await caches.has(CACHE)) ? await caches.open(CACHE) : undefined;
  } catch {
    return undefined;
  }
}

/** What this browser keeps, by URL: nothing if the page may not store anything. */
export const browserCache: WeightCache = {
  async list() {
    const cache = await existing();
    return cache ? (await entriesOf(cache)).map(({ url, bytes, total }) => ({ name: url, bytes, total })) : [];
  },
  has: async (url) => (await lookUp(String(url)))?.entry?.isWhole ?? false,
  async clear(url) {
    const cache = await existing();
    if (!cache) return;
    if (url === undefined) {
      await caches.delete(CACHE);
      return;
    }
    await cache.delete(entryKey(String(url)));
    await deleteParts(cache, String(url), 0);
  },
};

/** Deletes the parts of a URL from number `first` on, also those that no entry tells of. */
async function deleteParts(cache: Cache, url: string, first: number): Promise<void> {
  let i = first;
  while (await cache.delete(partKey(url, i))) i += 1;
}
