/** Streams and Blobs as sources of bytes. */

import { ResnetError } from '../../../models/errors.js';
import type { RandomBytes } from '../../platform/types.js';
import { byteReader } from './byte-reader.js';
import { EMPTY } from './byte-stream.js';
import type { ByteSource } from './types.js';

/** Reads a stream. `return` cancels at once: a stream's own iterator would wait for a read under way. */
export function streamSource(name: string, stream: ReadableStream<Uint8Array>): ByteSource {
  if (stream.locked) throw new ResnetError('argument', `${name}: this stream has a reader already.`);
  const reader = byteReader(stream);
  const chunks: AsyncIterator<Uint8Array> = {
    async next() {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done, value };
    },
    async return(reason) {
      await reader.cancel(reason);
      return { done: true, value: undefined };
    },
  };
  return { name, chunks };
}

/** Declared here, since the types of workers and those of pages cannot be used together. */
declare const FileReaderSync: new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer };

/** The bytes of a Blob in a worker, which may wait for them. */
class BlobBytes implements RandomBytes {
  /** Bytes to read at least: each request to a Blob takes long. */
  static readonly #AHEAD = 2 ** 16;
  readonly #blob: Blob;
  readonly #reader = new FileReaderSync();
  #page: Uint8Array = EMPTY;
  #place = 0;

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  read(begin: number, into: Uint8Array): number {
    const end = Math.min(begin + into.length, this.#blob.size);
    if (begin < this.#place || end > this.#place + this.#page.length) {
      const slice = this.#blob.slice(begin, Math.max(end, begin + BlobBytes.#AHEAD));
      this.#page = new Uint8Array(this.#reader.readAsArrayBuffer(slice));
      this.#place = begin;
    }
    const part = this.#page.subarray(begin - this.#place, end - this.#place);
    into.set(part);
    return part.length;
  }

  close(): void {
    this.#page = EMPTY;
  }
}

/** Reads a Blob; at any place only in a worker. */
export function blobSource(blob: Blob): ByteSource {
  const name = 'name' in blob ? String(blob.name) : 'weights';
  const random = typeof FileReaderSync === 'undefined' ? undefined : () => new BlobBytes(blob);
  return { ...streamSource(name, blob.stream()), total: blob.size, random };
}
