/**
 * ZIP archives read front to back: local headers tell of the entries as they come, and the central directory at the end
 * has to agree with all of them. Checksums are not computed: PyTorch can be told to leave them out.
 */

import { ResnetError } from '../../../../models/errors.js';
import { label } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import {
  CENTRAL_BYTES,
  CENTRAL_END,
  CENTRAL_END_64,
  CENTRAL_HEADER,
  CENTRAL_LOCATOR_64,
  DESCRIPTOR,
  END_BYTES,
  hasDescriptor,
  LOCAL_BYTES,
  LOCAL_HEADER,
  LOCATOR_BYTES,
  MAX_ENTRIES,
  type Packing,
  packingFault,
  u16,
  u32,
  u64,
  wide,
} from './fields.js';

/** An entry whose size stands behind it is searched for its end only so far. */
const MAX_SEARCH = 65536;

export interface ZipEntry {
  readonly name: string;
  /** As they lie in the archive; undefined if that stands behind the entry. */
  readonly bytes: number | undefined;
}

interface Found extends ZipEntry {
  readonly packing: Packing;
  readonly at: number;
  readonly start: number;
}

export class ZipReader {
  readonly #stream: ByteStream;
  /** Bytes of the entries that were read, by where their headers begin. */
  readonly #entries = new Map<number, { name: string; bytes: number }>();
  readonly #names = new Set<string>();
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
    const header = await this.#take(LOCAL_BYTES);
    const name = await this.#text(u16(header, 26));
    const extra = await this.#take(u16(header, 28));
    const [bytes = 0, packed = 0] = wide(extra, [u32(header, 22), u32(header, 18)]);
    const packing = { flags: u16(header, 6), method: u16(header, 8), packed, bytes };
    if (this.#names.has(name)) throw this.#error(name, 'every entry once', 'it twice');
    this.#names.add(name);
    const size = hasDescriptor(packing) && packed === 0 ? undefined : packed;
    this.#open = { name, bytes: size, packing, at, start: this.#stream.position };
    return { name, bytes: size };
  }

  /** Throws one sentence if the bytes of the open entry are not there as they are. */
  checkStored(): void {
    const { name, packing } = this.#open as Found;
    const fault = packingFault(packing);
    if (fault) throw this.#error(name, ...fault);
  }

  /** Ends the entry where the stream now is. Throws one sentence where its size, before or behind it, is another. */
  async finish(): Promise<void> {
    const { name, bytes, packing, at, start } = this.#open as Found;
    const read = this.#stream.position - start;
    if (bytes !== undefined && bytes !== read) throw this.#error(name, `${read} bytes`, `${bytes} in its header`);
    this.#entries.set(at, { name, bytes: read });
    this.#open = undefined;
    if (!hasDescriptor(packing)) return;
    // Two forms, and no sign of which; and PyTorch leaves it out behind an entry of no bytes.
    const ahead = await this.#stream.peek(24 + 4);
    const length = descriptorLength(ahead, 0, read);
    if (length > 0) await this.#stream.take(length);
    else if (read > 0) throw this.#error(name, `${read} bytes, as its data descriptor says`, 'another number or none');
  }

  /** The content of the open entry, which must be of at most `most` bytes; of `known` ones, if that is known. */
  async content(most: number, known?: number): Promise<Uint8Array> {
    const { name, bytes } = this.#open as Found;
    this.checkStored();
    const length = bytes ?? known ?? (await this.#searchedLength(name));
    if (length > most) throw this.#error(name, `at most ${most} bytes`, `${length}`);
    const content = await this.#take(length);
    await this.finish();
    return content;
  }

  /** Passes over the open entry, of `known` bytes if that is known. */
  async skip(known?: number): Promise<void> {
    const { name, bytes } = this.#open as Found;
    const length = bytes ?? known ?? (await this.#searchedLength(name));
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
      const header = await this.#take(CENTRAL_BYTES);
      const name = await this.#text(u16(header, 28));
      const extra = await this.#take(u16(header, 30));
      await this.#take(u16(header, 32));
      const [, packed, place] = wide(extra, [u32(header, 24), u32(header, 20), u32(header, 42)]);
      const entry = missing.get(place ?? -1);
      if (entry?.name !== name || entry.bytes !== packed) {
        const expected = 'the central directory to agree with the entries';
        throw this.#error(name, expected, `${packed} bytes at ${place}, ${at} bytes in`);
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
      } else if (signature === CENTRAL_LOCATOR_64) await this.#take(LOCATOR_BYTES);
      else if (signature === CENTRAL_END) {
        await this.#take(u16(await this.#take(END_BYTES), 20));
        if (await this.#stream.next(1)) this.#fail("the file's end", this.#stream.position - 1);
        return;
      } else this.#fail('the end of the central directory', at);
    }
  }

  /** The length of an entry whose size stands behind it, by the descriptor that fits. For small entries. */
  async #searchedLength(name: string): Promise<number> {
    const ahead = await this.#stream.peek(MAX_SEARCH);
    for (let at = 0; at + 4 <= ahead.length; at++) {
      const signature = u32(ahead, at);
      if (at === 0 && (signature === LOCAL_HEADER || signature === CENTRAL_HEADER)) return 0;
      if (signature === DESCRIPTOR && descriptorLength(ahead, at, at) > 0) return at;
    }
    throw this.#error(name, `its end in ${MAX_SEARCH} bytes, since a stream does not tell it before`, 'none');
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
    return new ResnetError('weights', `${this.#stream.name}: ${label(name)}: expected ${expected}, got ${got}.`);
  }

  #fail(expected: string, at: number): never {
    throw new ResnetError('weights', `${this.#stream.name}: expected ${expected}, got something else ${at} bytes in.`);
  }
}

/** Bytes of the data descriptor at `at` behind an entry of `size` bytes; 0 where there is none that fits. */
function descriptorLength(bytes: Uint8Array, at: number, size: number): number {
  if (u32(bytes, at) !== DESCRIPTOR) return 0;
  const follows = (length: number) => [LOCAL_HEADER, CENTRAL_HEADER].includes(u32(bytes, at + length));
  if (u32(bytes, at + 8) === size && u32(bytes, at + 12) === size && follows(16)) return 16;
  if (u64(bytes, at + 8) === size && u64(bytes, at + 16) === size && follows(24)) return 24;
  return 0;
}
