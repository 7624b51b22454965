/**
 * One pass over a model's bytes, front to back. What is large is passed over: found again by its place where bytes can be
 * read at any place (files, Blobs in a worker, bytes), and held in memory where they come once (streams, downloads).
 */

import { ResnetError } from '../../../../models/errors.js';
import type { RandomBytes } from '../../../platform/types.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import type { Held } from './types.js';

export interface Source {
  readonly name: string;
  /** Bytes read or passed so far. */
  readonly position: number;
  /** The next bytes, up to `count`, without moving on. Valid until the next call. */
  peek(count: number): Promise<Uint8Array>;
  /** The next `count` bytes, in memory of their own. Rejects if there are fewer. */
  take(count: number): Promise<Uint8Array>;
  /** Moves on by `count` bytes, which can be read later. Rejects if there are fewer. */
  pass(count: number): Promise<Held>;
  /** Gives up what the source holds open. */
  close(): Promise<void>;
}

/** Makes the source of a stream from which nothing was read. */
export function sourceOf(stream: ByteStream): Source {
  const random = stream.random();
  return random && stream.total !== undefined
    ? new PlacedSource(stream, random, stream.total)
    : new PassingSource(stream);
}

const ended = (name: string, expected: number, got: number): ResnetError =>
  new ResnetError('weights', `${name}: expected ${expected} bytes, got ${got}.`);

/** Bytes of a file that are read at once. */
const PAGE = 2 ** 16;
/** Bytes of a tensor in a part. */
const PART = 2 ** 18;

class PlacedSource implements Source {
  readonly name: string;
  readonly #stream: ByteStream;
  readonly #random: RandomBytes;
  readonly #total: number;
  readonly #page: Uint8Array;
  #isOpen = true;
  #pageAt = 0;
  #pageBytes = 0;
  position = 0;

  constructor(stream: ByteStream, random: RandomBytes, total: number) {
    this.name = stream.name;
    this.#stream = stream;
    this.#random = random;
    this.#total = total;
    this.#page = new Uint8Array(Math.min(PAGE, total));
  }

  async peek(count: number): Promise<Uint8Array> {
    const end = Math.min(this.position + count, this.#total);
    if (this.position < this.#pageAt || end > this.#pageAt + this.#pageBytes) {
      this.#pageAt = this.position;
      this.#pageBytes = this.#random.read(this.position, this.#page);
    }
    return this.#page.subarray(this.position - this.#pageAt, Math.min(end - this.#pageAt, this.#pageBytes));
  }

  async take(count: number): Promise<Uint8Array> {
    this.#check(count);
    if (count <= this.#page.length) {
      const bytes = (await this.peek(count)).slice();
      this.position += count;
      return bytes;
    }
    const bytes = this.#read(this.position, count);
    this.position += count;
    return bytes;
  }

  async pass(count: number): Promise<Held> {
    this.#check(count);
    const begin = this.position;
    this.position += count;
    const part = (from: number) => this.#read(begin + from, Math.min(PART, count - from));
    function* parts(): Generator<Uint8Array, void, undefined> {
      for (let from = 0; from < count; from += PART) yield part(from);
    }
    return { bytes: count, parts };
  }

  async close(): Promise<void> {
    if (this.#isOpen) this.#random.close();
    this.#isOpen = false;
    await this.#stream.close();
  }

  #check(count: number): void {
    if (count > this.#total - this.position) throw ended(this.name, this.position + count, this.#total);
  }

  #read(begin: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    const got = this.#random.read(begin, bytes);
    if (got < count) throw ended(this.name, begin + count, begin + got);
    return bytes;
  }
}

class PassingSource implements Source {
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get name(): string {
    return this.#stream.name;
  }

  get position(): number {
    return this.#stream.position;
  }

  peek(count: number): Promise<Uint8Array> {
    return this.#stream.peek(count);
  }

  async take(count: number): Promise<Uint8Array> {
    const bytes = await this.#stream.take(count);
    if (bytes.length < count) throw ended(this.name, this.position + count - bytes.length, this.position);
    return bytes;
  }

  async pass(count: number): Promise<Held> {
    const list: Uint8Array[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.#stream.next(left);
      if (!part) throw ended(this.name, this.position + left, this.position);
      list.push(part.slice());
      left -= part.length;
    }
    return { bytes: count, parts: () => list };
  }

  close(): Promise<void> {
    return this.#stream.close();
  }
}
