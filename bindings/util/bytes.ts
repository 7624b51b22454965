/** Bytes, and numbers as the bytes of files, which have the low byte first. */

import { ResnetError } from '../../models/errors.js';
import { shown } from './messages.js';
import { isA } from './realm.js';

/** Whether this machine keeps the low byte first too. */
export const IS_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Reverses the bytes of each value of `width` bytes, in place. */
export function swap(bytes: Uint8Array, width: number): void {
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

/** Views numbers as little-endian bytes; on a big-endian machine they are copied. */
export function bytesOfNumbers(values: Float32Array | Uint16Array): Uint8Array {
  const own = IS_LITTLE ? values : values.slice();
  const bytes = new Uint8Array(own.buffer, own.byteOffset, own.byteLength);
  if (!IS_LITTLE) swap(bytes, values.BYTES_PER_ELEMENT);
  return bytes;
}

/** Copies bytes one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Views memory as bytes. Throws, `name` first, if it is none, or shared with other threads. */
export function bytesOf(name: string, chunk: unknown): Uint8Array {
  const memory = ArrayBuffer.isView(chunk) ? chunk.buffer : chunk;
  if (isA(memory, 'SharedArrayBuffer')) {
    throw new ResnetError(
      'argument',
      `${name}: expected memory that no thread can change, got a SharedArrayBuffer; copy its bytes.`,
    );
  }
  if (isA(chunk, 'Uint8Array')) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (isA(chunk, 'ArrayBuffer')) return new Uint8Array(chunk);
  throw new ResnetError('argument', `${name}: expected chunks of bytes, got ${shown(chunk)}.`);
}
