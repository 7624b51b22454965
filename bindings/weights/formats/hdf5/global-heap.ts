/**
 * Global heaps, in which HDF5 keeps texts: a collection is a row of objects. An object without a size, or with one that
 * 32 bits cannot hold, sends libhdf5 2.0 in circles: what it is about to read is searched for such objects first.
 */

import type { RandomBytes } from '../../../platform/types.js';

/** "GCOL", version 1. */
const HEAD = [0x47, 0x43, 0x4f, 0x4c, 1];
const HEADER_BYTES = 16;

/** Tells whether a damaged collection has its head among the bytes from `begin` to `end`. */
export function hasDamagedHeap(bytes: RandomBytes, begin: number, end: number): boolean {
  // The first bytes of a head may lie before `begin`.
  const first = Math.max(0, begin - HEAD.length + 1);
  const part = new Uint8Array(end + HEAD.length - 1 - first);
  const length = bytes.read(first, part);
  for (let at = part.indexOf(HEAD[0] as number); at >= 0 && at < length; at = part.indexOf(HEAD[0] as number, at + 1)) {
    if (HEAD.every((byte, i) => part[at + i] === byte) && isDamaged(bytes, first + at)) return true;
  }
  return false;
}

/** Tells whether an object of the collection at `place` reaches beyond it, or has no size. */
function isDamaged(bytes: RandomBytes, place: number): boolean {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  // Beyond the file's end it is 0, which no size may be.
  const sizeAt = (at: number) => (bytes.read(at, header) === HEADER_BYTES ? Number(view.getBigUint64(8, true)) : 0);
  const end = place + sizeAt(place);
  if (end === place || !bytes.read(end - 1, new Uint8Array(1))) return true;
  for (let at = place + HEADER_BYTES; at + HEADER_BYTES <= end; ) {
    const size = sizeAt(at);
    // Object 0 is the space that is free, its header in it; others are padded to multiples of 8.
    const step = view.getUint16(0, true) === 0 ? size : HEADER_BYTES + Math.ceil(size / 8) * 8;
    if (step === 0 || at + step > end) return true;
    at += step;
  }
  return false;
}
