/**
 * Global heaps, in which HDF5 keeps texts: a collection is objects one behind the other. In one that has an object of no
 * size, or of one that 32 bits cannot hold, libhdf5 2.0 goes in circles. What it reads is searched for those before.
 */

import type { RandomBytes } from '../../../platform/types.js';

/** "GCOL", version 1. */
const HEAD = [0x47, 0x43, 0x4f, 0x4c, 1];
const HEADER_BYTES = 16;

/** Whether a collection that is damaged has its head among the bytes from `begin` to `end`. */
export function hasDamagedHeap(bytes: RandomBytes, begin: number, end: number): boolean {
  // A head may have come in part with the bytes before.
  const first = Math.max(0, begin - HEAD.length + 1);
  const part = new Uint8Array(end + HEAD.length - 1 - first);
  const length = bytes.read(first, part);
  for (let at = part.indexOf(HEAD[0] as number); at >= 0 && at < length; at = part.indexOf(HEAD[0] as number, at + 1)) {
    if (HEAD.every((byte, i) => part[at + i] === byte) && isDamaged(bytes, first + at)) return true;
  }
  return false;
}

/** Whether the objects of the collection at `place` leave it, or one of them has no size. */
function isDamaged(bytes: RandomBytes, place: number): boolean {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  // Zero, which no size may be, beyond the file's end.
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
