/**
 * Global heaps, in which HDF5 keeps texts: a collection is objects one behind the other, and libhdf5 2.0 never comes past
 * free space of no size. What it reads is searched for those before it has it.
 */

import type { RandomBytes } from '../platform.js';

/** "GCOL", version 1, three bytes that are zero. */
const HEAD = [0x47, 0x43, 0x4f, 0x4c, 1, 0, 0, 0];
const HEADER_BYTES = 16;

/** Whether some of the bytes from `begin` to `end` belong to a collection, from its head on, that has no end. */
export function hasEndlessHeap(bytes: RandomBytes, begin: number, end: number): boolean {
  // A head may have come in part with the bytes before.
  const first = Math.max(0, begin - HEAD.length + 1);
  const part = new Uint8Array(end + HEAD.length - 1 - first);
  const length = bytes.read(first, part);
  for (let at = part.indexOf(HEAD[0] as number); at >= 0 && at < length; at = part.indexOf(HEAD[0] as number, at + 1)) {
    if (HEAD.every((byte, i) => part[at + i] === byte) && isEndless(bytes, first + at)) return true;
  }
  return false;
}

function isEndless(bytes: RandomBytes, place: number): boolean {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  const sizeAt = (at: number) =>
    bytes.read(at, header) === HEADER_BYTES ? Number(view.getBigUint64(8, true)) : undefined;
  const end = place + (sizeAt(place) ?? 0);
  for (let at = place + HEADER_BYTES; at + HEADER_BYTES <= end; ) {
    const size = sizeAt(at);
    if (size === undefined) return false;
    // Object 0 is the space that is free, its header in it; others are padded to multiples of 8.
    const step = view.getUint16(0, true) === 0 ? size : HEADER_BYTES + Math.ceil(size / 8) * 8;
    if (step === 0) return true;
    at += step;
  }
  return false;
}
