/** Where weights come from, all made one thing: a stream of bytes that can be peeked at, read, aborted and closed. */

import { platform, type RandomBytes } from '../../platform/platform.js';
import { label, shown } from '../../util/messages.js';

/**
 * Weights to be read once. A string is fetched where it is an http, https or blob URL, and a file's path or
 * file: URL otherwise.
 */
export type WeightSource =
  | string
  | URL
  | Response
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | ArrayBuffer
  | ArrayBufferView;

/** What a ByteStream is made of. */
export interface Origin {
  /** The subject of messages. */
  readonly name: string;
  /** Bytes in all, where that is certain. */
  readonly total?: number | undefined;
  /** The path or URL, beside which further files of the same model lie. */
  readonly base?: string | URL | undefined;
  /** A chunk is valid until the next one is asked for. `return` is called at once, even during `next`. */
  readonly chunks: AsyncIterator<Uint8Array>;
  /** The same at any place, where they lie still and can be had without waiting. */
  readonly random?: (() => RandomBytes) | undefined;
}

const EMPTY = new Uint8Array(0);

/** How sources are opened. */
export interface OpenOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * By default true: what http and https URLs give is kept by the Cache API, where there is one, and taken from there
   * the next time, from where it broke off if it did (weights/cache.ts).
   */
  readonly cache?: boolean | undefined;
  /**
   * URL of h5wasm's ES module (hdf5_hl.js, beside which hdf5_util.js lies; in a worker an absolute one), where a page
   * reads HDF5 files. Node finds the package by itself.
   */
  readonly hdf5?: string | URL | undefined;
}

/** Opens a source. Throws one sentence where it cannot be, or the signal's reason. */
export async function openSource(source: WeightSource | Origin, options: OpenOptions = {}): Promise<ByteStream> {
  const { signal } = options;
  const stream = new ByteStream(await originOf(source, options), signal);
  signal?.throwIfAborted();
  return stream;
}

/** What a source's bytes come from. Throws as `openSource` does. */
export async function originOf(source: WeightSource | Origin, { signal, cache = true }: OpenOptions): Promise<Origin> {
  if (typeof source === 'string' || source instanceof URL) {
    signal?.throwIfAborted();
    const location = typeof source === 'string' && /^(https?|blob|file):/i.test(source) ? urlOf(source) : source;
    if (location instanceof URL && location.protocol !== 'file:') {
      const isKept = cache && typeof caches !== 'undefined' && /^https?:$/.test(location.protocol);
      if (isKept) return (await import('./browser-cache.js')).cachedBytes(location, signal);
      return (await import('./http.js')).fetchBytes(location, signal);
    }
    const file = await platform.openFile(location);
    return {
      name: String(source),
      total: file.total,
      base: location,
      chunks: file.chunks[Symbol.asyncIterator](),
      random: file.random?.bind(file),
    };
  }
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return bytesOrigin('weights', bytesOf('weights', source));
  }
  if (source instanceof Response) return (await import('./http.js')).responseBytes(source, source.url || 'weights');
  if (source instanceof Blob) {
    const name = 'name' in source ? String(source.name) : 'weights';
    const random = typeof FileReaderSync === 'undefined' ? undefined : () => new BlobBytes(source);
    return { name, total: source.size, chunks: streamChunks(name, source.stream()), random };
  }
  if (typeof source === 'object' && source !== null) {
    if ('chunks' in source) return source;
    if ('getReader' in source) return { name: 'weights', chunks: streamChunks('weights', source) };
    if (Symbol.asyncIterator in source) return { name: 'weights', chunks: source[Symbol.asyncIterator]() };
  }
  throw new TypeError(
    `weights: expected a path, URL, Response, Blob, stream, async iterable or bytes, got ${shown(source)}.`,
  );
}

function urlOf(text: string): URL {
  if (!URL.canParse(text)) throw new TypeError(`${label(text)}: expected a URL, got one that is malformed.`);
  return new URL(text);
}

function bytesOrigin(name: string, bytes: Uint8Array): Origin {
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    yield bytes;
  }
  return { name, total: bytes.length, chunks: chunks(), random: () => randomBytes(bytes) };
}

export const randomBytes = (bytes: Uint8Array): RandomBytes => ({
  read(begin, into) {
    const part = bytes.subarray(begin, begin + into.length);
    into.set(part);
    return part.length;
  },
  close() {},
});

/** Of the workers' library of types, which does not go with the pages'. */
declare const FileReaderSync: new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer };

/** The bytes of a Blob in a worker, which may wait for them. */
class BlobBytes implements RandomBytes {
  /** What is read at once, since to ask for a Blob's bytes takes long. */
  static readonly #AHEAD = 2 ** 16;
  readonly #blob: Blob;
  readonly #reader = new FileReaderSync();
  #page: Uint8Array = EMPTY;
  #place = 0;

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  read(begin: number, into: Uint8Array): number {
    const end = Math.min(begin + into.length, this.#blob.size);
    if (begin < this.#place || end > this.#place + this.#page.length) {
      const slice = this.#blob.slice(begin, Math.max(end, begin + BlobBytes.#AHEAD));
      this.#page = new Uint8Array(this.#reader.readAsArrayBuffer(slice));
      this.#place = begin;
    }
    const part = this.#page.subarray(begin - this.#place, end - this.#place);
    into.set(part);
    return part.length;
  }

  close(): void {
    this.#page = EMPTY;
  }
}

/** A stream as an iterator whose `return` cancels at once: a stream's own iterator would wait for a read under way. */
function streamChunks(name: string, stream: ReadableStream<Uint8Array>): AsyncIterator<Uint8Array> {
  if (stream.locked) throw new TypeError(`${name}: expected a stream that nobody reads, got a locked one.`);
  const reader = stream.getReader();
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done, value };
    },
    async return(reason) {
      await reader.cancel(reason);
      return { done: true, value: undefined };
    },
  };
}

function bytesOf(name: string, chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(`${name}: expected chunks of bytes, got ${shown(chunk)}.`);
}

/**
 * The path of a file beside another. Throws one sentence, `subject` first, where it leads elsewhere: what names it is a
 * download, and may not choose what else is read.
 */
export function checkedPath(subject: string, path: unknown): string {
  const isBeside =
    typeof path === 'string' &&
    !/[\\:\p{Cc}\p{Cs}]/u.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '..');
  if (!isBeside) throw new Error(`${subject}: expected paths of files beside it, got ${shown(path)}.`);
  return path;
}

/** The file that a model's `path` (relative, "/" between folders) names beside the file at `base`. */
export function sibling(base: string | URL, path: string): string | URL {
  if (typeof base === 'string') return base.replace(/[^/\\]*$/, '') + path;
  const url = new URL(path.split('/').map(encodeURIComponent).join('/'), base);
  // Access tokens and the like are asked for on every file.
  url.search = base.search;
  return url;
}

/** Settles as `promise` does, or rejects with the signal's reason as soon as it aborts. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** One pass over a source's bytes, holding no more than the present chunk and what was peeked at. */
export class ByteStream {
  readonly name: string;
  readonly total: number | undefined;
  readonly base: string | URL | undefined;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #random: Origin['random'];
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this.#release(this.#signal?.reason);
  /** Bytes copied out of earlier chunks by `peek`; they come before those of `#chunk`. */
  #ahead: Uint8Array = EMPTY;
  #chunk: Uint8Array = EMPTY;
  #received = 0;
  #state: 'open' | 'reading' | 'ended' | 'closed' = 'open';

  constructor({ name, total, base, chunks, random }: Origin, signal?: AbortSignal) {
    this.name = name;
    this.#random = random;
    this.total = total;
    this.base = base;
    this.#chunks = chunks;
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Bytes handed out so far. */
  get position(): number {
    return this.#received - this.#ahead.length - this.#chunk.length;
  }

  /** The source's bytes at any place, whatever was read; undefined where they are not to be had so. */
  random(): RandomBytes | undefined {
    this.#check();
    return this.total === undefined ? undefined : this.#random?.();
  }

  /**
   * The next bytes as they came: at least one and at most `most`; undefined at the end. A view, valid until the next
   * call. Throws one sentence where the source ends before, or goes on after, the total that it promised.
   */
  async next(most = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    this.#check();
    if (this.#ahead.length > 0) {
      const bytes = this.#ahead.subarray(0, most);
      this.#ahead = this.#ahead.subarray(bytes.length);
      return bytes;
    }
    if (this.#chunk.length === 0 && !(await this.#pull())) return undefined;
    const bytes = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(bytes.length);
    return bytes;
  }

  /** The next `count` bytes, fewer at the end, without moving on. Valid until the next call. For small counts. */
  async peek(count: number): Promise<Uint8Array> {
    this.#check();
    if (this.#ahead.length === 0) {
      if (this.#chunk.length === 0) await this.#pull();
      if (this.#chunk.length >= count) return this.#chunk.subarray(0, count);
    }
    if (this.#ahead.length < count) this.#ahead = await this.take(count);
    return this.#ahead.subarray(0, count);
  }

  /** The next `count` bytes, fewer at the end, in one array. Takes memory for bytes that came, not for `count`. */
  async take(count: number): Promise<Uint8Array> {
    this.#check();
    let buffer: Uint8Array = new Uint8Array(Math.min(count, 65536));
    let filled = 0;
    while (filled < count) {
      const part = await this.next(count - filled);
      if (!part) break;
      if (filled + part.length > buffer.length) {
        const grown = new Uint8Array(Math.min(count, Math.max(2 * buffer.length, filled + part.length)));
        grown.set(buffer.subarray(0, filled));
        buffer = grown;
      }
      buffer.set(part, filled);
      filled += part.length;
    }
    return buffer.subarray(0, filled);
  }

  /** Lets go of the source without reading on; never throws. */
  async close(): Promise<void> {
    const busy = this.#state === 'reading';
    const released = this.#release(undefined);
    this.#state = 'closed';
    this.#ahead = EMPTY;
    this.#chunk = EMPTY;
    // A generator answers only after the read that it is busy with.
    if (!busy) await untilAborted(released, this.#signal).catch(() => {});
  }

  #check(): void {
    this.#signal?.throwIfAborted();
    if (this.#state === 'closed') throw new Error(`${this.name}: expected an open source, got a closed one.`);
    if (this.#state === 'reading') throw new Error(`${this.name}: expected one read at a time, got a second.`);
  }

  /** Asks for the next chunk that is not empty; false at the end. */
  async #pull(): Promise<boolean> {
    while (this.#state === 'open') {
      this.#state = 'reading';
      let result: IteratorResult<Uint8Array>;
      try {
        result = await untilAborted(Promise.resolve(this.#chunks.next()), this.#signal);
      } catch (error) {
        this.#end();
        throw error;
      }
      if (this.#state === 'reading') this.#state = 'open';
      this.#check();
      if (result.done) {
        this.#end();
        break;
      }
      this.#chunk = bytesOf(this.name, result.value);
      this.#received += this.#chunk.length;
      if (this.total !== undefined && this.#received > this.total) {
        throw new Error(`${this.name}: expected ${this.total} bytes, got more.`);
      }
      if (this.#chunk.length > 0) return true;
    }
    if (this.total !== undefined && this.#received < this.total) {
      throw new Error(`${this.name}: expected ${this.total} bytes, got ${this.#received}.`);
    }
    return false;
  }

  #end(): void {
    this.#signal?.removeEventListener('abort', this.#abort);
    if (this.#state !== 'closed') this.#state = 'ended';
  }

  /** Tells the source, once, that no more is wanted. */
  async #release(reason: unknown): Promise<void> {
    const open = this.#state === 'open' || this.#state === 'reading';
    this.#end();
    try {
      if (open) await this.#chunks.return?.(reason);
    } catch {
      // Whatever it is, it concerns bytes that nobody wants any more.
    }
  }
}
