/** One pass over the bytes of a source. */

import { ResnetError } from '../../../models/errors.js';
import type { RandomBytes } from '../../platform/types.js';
import { bytesOf } from '../../util/bytes.js';
import type { ByteSource } from './types.js';

export const EMPTY = new Uint8Array(0);

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
  readonly #random: ByteSource['random'];
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this.#release(this.#signal?.reason);
  /** Bytes copied out of earlier chunks by `peek`; they come before those of `#chunk`. */
  #ahead: Uint8Array = EMPTY;
  #chunk: Uint8Array = EMPTY;
  #received = 0;
  #state: 'open' | 'reading' | 'ended' | 'closed' = 'open';

  constructor({ name, total, base, chunks, random }: ByteSource, signal?: AbortSignal) {
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

  /** Opens the source's bytes for random access, whatever was read; undefined if that is not possible. */
  random(): RandomBytes | undefined {
    this.#check();
    return this.total === undefined ? undefined : this.#random?.();
  }

  /**
   * Returns the next bytes as they came: at least one and at most `most`; undefined at the end. A view, valid until the
   * next call. Rejects if the source ends before, or goes on after, the total that it promised.
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

  /** Returns the next `count` bytes, fewer at the end, without moving on. Valid until the next call. For small counts. */
  async peek(count: number): Promise<Uint8Array> {
    this.#check();
    if (this.#ahead.length === 0) {
      if (this.#chunk.length === 0) await this.#pull();
      if (this.#chunk.length >= count) return this.#chunk.subarray(0, count);
    }
    if (this.#ahead.length < count) this.#ahead = await this.take(count);
    return this.#ahead.subarray(0, count);
  }

  /** Returns the next `count` bytes, fewer at the end, in one array. Takes memory for bytes that came, not for `count`. */
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

  /** Closes the source without reading on; never rejects. */
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
    if (this.#state === 'closed') throw new ResnetError('weights', `${this.name}: this source is closed.`);
    if (this.#state === 'reading') throw new ResnetError('weights', `${this.name}: another read is under way.`);
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
        throw new ResnetError('weights', `${this.name}: expected ${this.total} bytes, got more.`);
      }
      if (this.#chunk.length > 0) return true;
    }
    if (this.total !== undefined && this.#received < this.total) {
      throw new ResnetError('weights', `${this.name}: expected ${this.total} bytes, got ${this.#received}.`);
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
      // It concerns bytes that nobody wants any more.
    }
  }
}
