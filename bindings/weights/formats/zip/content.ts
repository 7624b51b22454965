/** The content of an entry at any place: as it lies in the archive, or inflated in memory. */

import type { RandomBytes } from '../../../platform/types.js';
import { randomBytes } from '../../stream/random-access.js';
import type { Directory, PlacedEntry } from './directory.js';
import { DEFLATED } from './fields.js';

export interface Content {
  readonly size: number;
  readonly bytes: Pick<RandomBytes, 'read'>;
}

/** Bytes that are inflated at once. */
const PART = 65536;

/** Reads an entry of at most `most` bytes. Throws one sentence if it is packed in another way, or damaged. */
export async function contentOf(
  directory: Directory,
  entry: PlacedEntry,
  bytes: RandomBytes,
  most: number,
): Promise<Content> {
  const { method, bytes: size } = entry.packing;
  if (size > most) throw directory.error(entry.name, `at most ${most} bytes`, `${size}`);
  const { start, length } = directory.place(entry);
  const packed = {
    read: (begin: number, into: Uint8Array): number =>
      begin < length ? bytes.read(start + begin, into.subarray(0, length - begin)) : 0,
  };
  if (method !== DEFLATED) return { size, bytes: packed };
  const inflated = await inflate(packed, length, size);
  if (inflated?.length !== size) {
    throw directory.error(entry.name, `${size} bytes when it is inflated`, inflated ? `${inflated.length}` : 'damage');
  }
  return { size, bytes: randomBytes(inflated) };
}

/** Inflates what should come to `size` bytes; undefined if it is damaged or comes to more. */
async function inflate(packed: Content['bytes'], length: number, size: number): Promise<Uint8Array | undefined> {
  let at = 0;
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const part = new Uint8Array(Math.min(PART, length - at));
      const count = packed.read(at, part);
      if (count === 0) return controller.close();
      at += count;
      return controller.enqueue(part.subarray(0, count));
    },
  });
  const reader = source.pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  let whole = new Uint8Array(0);
  let filled = 0;
  try {
    for (let { value } = await reader.read(); value; { value } = await reader.read()) {
      if (filled + value.length > size) return undefined;
      if (filled + value.length > whole.length) {
        const grown = new Uint8Array(Math.min(size, Math.max(2 * whole.length, filled + value.length)));
        grown.set(whole.subarray(0, filled));
        whole = grown;
      }
      whole.set(value, filled);
      filled += value.length;
    }
  } catch {
    return undefined;
  } finally {
    reader.cancel().catch(() => {});
  }
  return whole.subarray(0, filled);
}
