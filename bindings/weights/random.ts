/** Bytes of a file by their place: for formats that point to and fro. */

import { ByteStream, bytesOrigin } from './source.js';

/** A stretch that is read at once, and how many of them are kept. */
const PAGE = 2 ** 16;
const PAGES = 64;

/**
 * A file's bytes as they are wanted. Where a source gives its bytes only once (a response, a stream), all of them are
 * taken into memory first.
 */
export class RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #stream: ByteStream;
  readonly #pages = new Map<number, Uint8Array>();

  private constructor(stream: ByteStream, size: number) {
    this.name = stream.name;
    this.size = size;
    this.#stream = stream;
  }

  /** A file of which at most `most` bytes are of interest. */
  static async of(stream: ByteStream, most: number, signal: AbortSignal | undefined): Promise<RandomAccess> {
    const { name, total } = stream;
    if (total !== undefined && stream.canSeek) return new RandomAccess(stream, total);
    const bytes = await stream.take(most);
    await stream.close();
    return new RandomAccess(new ByteStream(bytesOrigin(name, bytes), signal), bytes.length);
  }

  /** `count` bytes from `begin` on, fewer at the file's end. Valid until the next call. For small counts. */
  async read(begin: number, count: number): Promise<Uint8Array> {
    const first = Math.floor(begin / PAGE);
    const page = await this.#page(first);
    const at = begin - first * PAGE;
    if (at + count <= page.length || page.length < PAGE) return page.subarray(at, at + count);
    const stream = this.from(begin);
    const bytes = await stream.take(count);
    await stream.close();
    return bytes;
  }

  /** A stream of the bytes from `begin` on. */
  from(begin: number): ByteStream {
    return this.#stream.seek(begin);
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#stream.close();
    this.#pages.clear();
  }

  async #page(index: number): Promise<Uint8Array> {
    const known = this.#pages.get(index);
    if (known) return known;
    const stream = this.from(index * PAGE);
    const page = await stream.take(PAGE);
    await stream.close();
    const [oldest] = this.#pages.keys();
    if (this.#pages.size >= PAGES && oldest !== undefined) this.#pages.delete(oldest);
    this.#pages.set(index, page);
    return page;
  }
}
