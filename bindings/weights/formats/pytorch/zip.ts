/**
 * ZIP archives of stored (not compressed) entries, read front to back: local headers tell of the entries as they come,
 * and the central directory at the end has to agree with all of them. Checksums are not computed: PyTorch can be told
 * to leave them out. After APPNOTE.TXT 6.3.10 of PKWARE.
 */

import { label } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';

const LOCAL_HEADER = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const CENTRAL_HEADER = 0x02014b50;
const CENTRAL_END_64 = 0x06064b50;
const CENTRAL_LOCATOR_64 = 0x07064b50;
const CENTRAL_END = 0x06054b50;

const IS_ENCRYPTED = 1;
const HAS_DESCRIPTOR = 8;
const EXTRA_64 = 1;
/** Stands in a field of 32 bits for a value that is in the 64-bit extra field. */
const IN_EXTRA = 0xffffffff;

const MAX_ENTRIES = 100_000;
/** Bytes that are searched for the end of an entry whose size stands after it. */
const MAX_SEARCH = 65536;

interface ZipEntry {
  readonly name: string;
  /** Undefined if it stands after the entry. */
  readonly bytes: number | undefined;
}

interface Found extends ZipEntry {
  readonly at: number;
  readonly start: number;
  readonly hasDescriptor: boolean;
}

export class ZipReader {
  readonly #stream: ByteStream;
  /** Names and bytes of the entries that were read, by the place of their headers. */
  readonly #entries = new Map<number, { name: string; bytes: number }>();
  #open: Found | undefined;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Reads the next local header: the stream is at the entry's first byte then. Undefined at the central directory. */
  async next(): Promise<ZipEntry | undefined> {
    const at = this.#stream.position;
    const signature = u32(await this.#stream.peek(4), 0);
    if (signature === CENTRAL_HEADER) return undefined;
    if (signature !== LOCAL_HEADER) this.#fail('an entry or the central directory', at);
    if (this.#entries.size >= MAX_ENTRIES) this.#fail(`at most ${MAX_ENTRIES} entries`, at);
    const header = await this.#take(30);
    const [flags, method] = [u16(header, 6), u16(header, 8)];
    const sizes = { packed: u32(header, 18), bytes: u32(header, 22) };
    const name = await this.#text(u16(header, 26));
    const extra = await this.#take(u16(header, 28));
    if (flags & IS_ENCRYPTED) throw this.#error(name, 'an entry as it is', 'an encrypted one');
    if (method !== 0)
      throw this.#error(name, 'a stored entry, as PyTorch writes', `one compressed by method ${method}`);
    const hasDescriptor = (flags & HAS_DESCRIPTOR) !== 0;
    const [bytes, packed] = wide(extra, [sizes.bytes, sizes.packed]);
    if (bytes !== packed) throw this.#error(name, 'a stored entry', `${bytes} bytes in ${packed}`);
    const size = hasDescriptor && bytes === 0 ? undefined : bytes;
    this.#open = { name, bytes: size, at, start: this.#stream.position, hasDescriptor };
    return { name, bytes: size };
  }

  /** Ends the open entry at the stream's position. Throws if its size, stated before or after it, is another. */
  async finish(): Promise<void> {
    const { name, bytes, at, start, hasDescriptor } = this.#open as Found;
    const read = this.#stream.position - start;
    if (bytes !== undefined && bytes !== read) throw this.#error(name, `${read} bytes`, `${bytes} in its header`);
    this.#entries.set(at, { name, bytes: read });
    this.#open = undefined;
    if (!hasDescriptor) return;
    // It has two forms, and no sign of which; and PyTorch leaves it out after an entry without bytes.
    const ahead = await this.#stream.peek(24 + 4);
    const length = descriptorLength(ahead, 0, read);
    if (length > 0) await this.#stream.take(length);
    else if (read > 0) throw this.#error(name, `${read} bytes, as its data descriptor says`, 'another number or none');
  }

  /** Reads the content of the open entry, of at most `most` bytes. */
  async content(most: number): Promise<Uint8Array> {
    const { name, bytes } = this.#open as Found;
    const length = bytes ?? (await this.#searchedLength(name));
    if (length > most) throw this.#error(name, `at most ${most} bytes`, `${length}`);
    const content = await this.#take(length);
    await this.finish();
    return content;
  }

  /** Passes over the open entry. */
  async skip(): Promise<void> {
    const { name, bytes } = this.#open as Found;
    const length = bytes ?? (await this.#searchedLength(name));
    for (let left = length; left > 0; ) {
      const part = await this.#stream.next(left);
      if (!part) throw this.#error(name, `${length} bytes`, `${length - left}`);
      left -= part.length;
    }
    await this.finish();
  }

  /** Reads the central directory to the end of the file, and compares it with what was read. */
  async end(): Promise<void> {
    const missing = new Map(this.#entries);
    for (;;) {
      const at = this.#stream.position;
      const signature = u32(await this.#stream.peek(4), 0);
      if (signature !== CENTRAL_HEADER) break;
      const header = await this.#take(46);
      const name = await this.#text(u16(header, 28));
      const extra = await this.#take(u16(header, 30));
      await this.#take(u16(header, 32));
      const [bytes, packed, place] = wide(extra, [u32(header, 24), u32(header, 20), u32(header, 42)]);
      const entry = missing.get(place ?? -1);
      if (entry?.name !== name || entry.bytes !== bytes || bytes !== packed) {
        const expected = 'the central directory to agree with the entries';
        throw this.#error(name, expected, `${bytes} bytes at ${place}, ${at} bytes in`);
      }
      missing.delete(place ?? -1);
    }
    const [left] = missing.values();
    if (left) throw this.#error(left.name, 'to be in the central directory', 'no mention there');
    await this.#tail();
  }

  async #tail(): Promise<void> {
    for (;;) {
      const at = this.#stream.position;
      const signature = u32(await this.#stream.peek(4), 0);
      if (signature === CENTRAL_END_64) {
        const size = u64(await this.#take(12), 4);
        if (size > MAX_SEARCH) this.#fail(`an end of at most ${MAX_SEARCH} bytes`, at);
        await this.#take(size);
      } else if (signature === CENTRAL_LOCATOR_64) await this.#take(20);
      else if (signature === CENTRAL_END) {
        await this.#take(u16(await this.#take(22), 20));
        if (await this.#stream.next(1)) this.#fail("the file's end", this.#stream.position - 1);
        return;
      } else this.#fail('the end of the central directory', at);
    }
  }

  /** Finds the length of a small entry whose size stands after it, by the descriptor that fits. */
  async #searchedLength(name: string): Promise<number> {
    const ahead = await this.#stream.peek(MAX_SEARCH);
    for (let at = 0; at + 4 <= ahead.length; at++) {
      const signature = u32(ahead, at);
      if (at === 0 && (signature === LOCAL_HEADER || signature === CENTRAL_HEADER)) return 0;
      if (signature === DESCRIPTOR && descriptorLength(ahead, at, at) > 0) return at;
    }
    throw this.#error(name, `its end in ${MAX_SEARCH} bytes`, 'none');
  }

  async #take(count: number): Promise<Uint8Array> {
    const bytes = await this.#stream.take(count);
    if (bytes.length < count) this.#fail('more', this.#stream.position);
    return bytes;
  }

  async #text(length: number): Promise<string> {
    return new TextDecoder().decode(await this.#take(length));
  }

  #error(name: string, expected: string, got: string): Error {
    return new Error(`${this.#stream.name}: ${label(name)}: expected ${expected}, got ${got}.`);
  }

  #fail(expected: string, at: number): never {
    throw new Error(`${this.#stream.name}: expected ${expected}, got something else ${at} bytes in.`);
  }
}

/** Measures the data descriptor at `at`, after an entry of `size` bytes; 0 if there is none that fits. */
function descriptorLength(bytes: Uint8Array, at: number, size: number): number {
  if (u32(bytes, at) !== DESCRIPTOR) return 0;
  const follows = (length: number) => [LOCAL_HEADER, CENTRAL_HEADER].includes(u32(bytes, at + length));
  if (u32(bytes, at + 8) === size && u32(bytes, at + 12) === size && follows(16)) return 16;
  if (u64(bytes, at + 8) === size && u64(bytes, at + 16) === size && follows(24)) return 24;
  return 0;
}

/** Replaces values that 32 bits cannot hold by those of 64 bits in the extra field. */
function wide(extra: Uint8Array, values: readonly number[]): number[] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + u16(extra, at + 2)) {
    if (u16(extra, at) !== EXTRA_64) continue;
    let field = at + 4;
    return values.map((value) => {
      if (value !== IN_EXTRA) return value;
      field += 8;
      return u64(extra, field - 8);
    });
  }
  return [...values];
}

// Beyond the bytes there are zeros, which no field means.
const u16 = (bytes: Uint8Array, at: number): number =>
  at + 2 <= bytes.length ? (bytes[at] as number) | ((bytes[at + 1] as number) << 8) : 0;

const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) + u16(bytes, at + 2) * 0x10000;

const u64 = (bytes: Uint8Array, at: number): number => u32(bytes, at) + u32(bytes, at + 4) * 2 ** 32;
