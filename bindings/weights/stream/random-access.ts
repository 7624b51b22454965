/** Bytes at any place, without waiting: what HDF5 needs. */

import type { RandomBytes } from '../../platform/types.js';
import { EMPTY } from './byte-stream.js';

/** Reads the bytes of an array. */
export const randomBytes = (bytes: Uint8Array): RandomBytes => ({
  read(begin, into) {
    const part = bytes.subarray(begin, begin + into.length);
    into.set(part);
    return part.length;
  },
  close() {},
});

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

/** Makes a function that opens a Blob's bytes; undefined if this is no worker. */
export const blobBytes = (blob: Blob): (() => RandomBytes) | undefined =>
  typeof FileReaderSync === 'undefined' ? undefined : () => new BlobBytes(blob);
