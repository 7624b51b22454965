/** The central directory of a ZIP archive whose bytes are to be had at any place: where its entries are, in any order. */

import { ResnetError } from '../../../../models/errors.js';
import type { RandomBytes } from '../../../platform/types.js';
import { label } from '../../../util/messages.js';
import { ByteStream } from '../../stream/byte-stream.js';
import {
  CENTRAL_BYTES,
  CENTRAL_END,
  CENTRAL_END_64,
  CENTRAL_HEADER,
  CENTRAL_LOCATOR_64,
  deflatedFault,
  END_64_BYTES,
  END_BYTES,
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

const MAX_COMMENT = 65535;
const PAGE = 65536;

export interface PlacedEntry {
  readonly name: string;
  readonly packing: Packing;
  /** Where its local header begins. */
  readonly at: number;
}

export class Directory {
  readonly #subject: string;
  readonly #random: RandomBytes;
  /** In the order of the file. */
  readonly entries: readonly PlacedEntry[];
  /** Where the entries end. */
  readonly begin: number;

  /** Reads the directory of a file of `size` bytes. Throws one sentence, `subject` first, if there is none. */
  constructor(subject: string, size: number, random: RandomBytes) {
    this.#subject = subject;
    this.#random = random;
    const end = this.#findEnd(size);
    const { begin, bytes, count } = this.#locate(end);
    if (count > MAX_ENTRIES || begin + bytes > end.at) {
      const expected = `a directory of at most ${MAX_ENTRIES} entries before its end`;
      throw new ResnetError('weights', `${subject}: expected ${expected}, got ${count} in ${bytes} bytes at ${begin}.`);
    }
    this.begin = begin;
    this.entries = this.#read(this.#take(begin, bytes), count).sort((a, b) => a.at - b.at);
  }

  /** The content of an entry. Throws one sentence if it is packed, or not where the directory says. */
  open(entry: PlacedEntry): ByteStream {
    this.checkStored(entry);
    const { start, length: total } = this.#placeOf(entry);
    const random = this.#random;
    async function* chunks(): AsyncGenerator<Uint8Array, void> {
      const page = new Uint8Array(Math.min(PAGE, total));
      for (let at = 0; at < total; at += page.length) {
        const part = page.subarray(0, Math.min(page.length, total - at));
        yield part.subarray(0, random.read(start + at, part));
      }
    }
    return new ByteStream({ name: this.#subject, total, chunks: chunks() });
  }

  /** Where the bytes of an entry are, stored or deflated. Throws one sentence if they are packed in another way. */
  place(entry: PlacedEntry): { start: number; length: number } {
    const fault = deflatedFault(entry.packing);
    if (fault) throw this.error(entry.name, ...fault);
    return this.#placeOf(entry);
  }

  #placeOf({ name, at, packing }: PlacedEntry): { start: number; length: number } {
    const header = this.#take(at, LOCAL_BYTES);
    if (u32(header, 0) !== LOCAL_HEADER) throw this.error(name, `its header ${at} bytes in`, 'none');
    const start = at + LOCAL_BYTES + u16(header, 26) + u16(header, 28);
    if (start + packing.packed > this.begin) throw this.error(name, 'its end before the directory', 'it behind');
    return { start, length: packing.packed };
  }

  checkStored({ name, packing }: PlacedEntry): void {
    const fault = packingFault(packing);
    if (fault) throw this.error(name, ...fault);
  }

  error(name: string, expected: string, got: string): Error {
    return new ResnetError('weights', `${this.#subject}: ${label(name)}: expected ${expected}, got ${got}.`);
  }

  #take(at: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    return bytes.subarray(0, this.#random.read(at, bytes));
  }

  /** The last record of the file, behind which there is nothing but a comment. */
  #findEnd(size: number): { at: number; record: Uint8Array } {
    const tail = this.#take(Math.max(0, size - END_BYTES - MAX_COMMENT), Math.min(size, END_BYTES + MAX_COMMENT));
    for (let at = tail.length - END_BYTES; at >= 0; at--) {
      if (u32(tail, at) !== CENTRAL_END || at + END_BYTES + u16(tail, at + 20) !== tail.length) continue;
      return { at: size - tail.length + at, record: tail.subarray(at) };
    }
    throw new ResnetError(
      'weights',
      `${this.#subject}: expected a ZIP archive to its end, got one that is cut or goes on.`,
    );
  }

  #locate({ at, record }: { at: number; record: Uint8Array }): { begin: number; bytes: number; count: number } {
    const locator = at >= LOCATOR_BYTES ? this.#take(at - LOCATOR_BYTES, LOCATOR_BYTES) : record;
    if (u32(locator, 0) !== CENTRAL_LOCATOR_64) {
      return { begin: u32(record, 16), bytes: u32(record, 12), count: u16(record, 10) };
    }
    const place = u64(locator, 8);
    const wider = place + END_64_BYTES <= at ? this.#take(place, END_64_BYTES) : record;
    if (u32(wider, 0) !== CENTRAL_END_64) {
      throw new ResnetError(
        'weights',
        `${this.#subject}: expected the end of the directory ${place} bytes in, got something else.`,
      );
    }
    return { begin: u64(wider, 48), bytes: u64(wider, 40), count: u64(wider, 32) };
  }

  #read(bytes: Uint8Array, count: number): PlacedEntry[] {
    const names = new Set<string>();
    const entries: PlacedEntry[] = [];
    let at = 0;
    const text = new TextDecoder();
    while (at < bytes.length) {
      const header = bytes.subarray(at, at + CENTRAL_BYTES);
      const [nameBytes, extraBytes] = [u16(header, 28), u16(header, 30)];
      const extraAt = at + CENTRAL_BYTES + nameBytes;
      at = extraAt + extraBytes + u16(header, 32);
      if (u32(header, 0) !== CENTRAL_HEADER || at > bytes.length) break;
      const name = text.decode(bytes.subarray(extraAt - nameBytes, extraAt));
      const extra = bytes.subarray(extraAt, extraAt + extraBytes);
      const [size = 0, packed = 0, place = 0] = wide(extra, [u32(header, 24), u32(header, 20), u32(header, 42)]);
      if (names.has(name)) throw this.error(name, 'every entry once', 'it twice');
      if (place >= this.begin) throw this.error(name, 'a place before the directory', `${place} bytes in`);
      names.add(name);
      entries.push({
        name,
        packing: { flags: u16(header, 8), method: u16(header, 10), packed, bytes: size },
        at: place,
      });
    }
    if (at !== bytes.length || entries.length !== count) {
      throw new ResnetError(
        'weights',
        `${this.#subject}: expected ${count} entries in its directory, got ${entries.length}.`,
      );
    }
    return entries;
  }
}
