/** Memory of one instance: bump allocation, and the only maker of views on it. */

import { ResnetError } from '../../models/errors.js';

const PAGE = 65536;
const ALIGN = 64;

/** The largest linear memory: 65,536 pages of 64 KiB. */
export const MAX_PAGES = 65536;

/** The first multiple of 64 (a cache line) from `bytes` on. */
export const align = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;

/**
 * Hands out linear memory from `base` up. Views are made anew at each call, since growing the memory detaches older
 * ones: keep addresses, not views.
 */
export class Arena {
  readonly memory: WebAssembly.Memory;
  #top: number;

  constructor(memory: WebAssembly.Memory, base: number) {
    this.memory = memory;
    this.#top = align(base);
  }

  /** The address of `bytes` new bytes, 64-byte aligned, their content undefined. Throws beyond 4 GiB. */
  alloc(bytes: number): number {
    const ptr = this.#top;
    this.reserve(bytes);
    this.#top = align(ptr + bytes);
    return ptr;
  }

  /** Grows the memory, so that the next `bytes` bytes take no growing. Throws beyond 4 GiB. */
  reserve(bytes: number): void {
    const top = align(this.#top + bytes);
    const missing = Math.ceil((top - this.memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      const pages = this.memory.buffer.byteLength / PAGE + missing;
      try {
        this.memory.grow(missing);
      } catch (cause) {
        const MiB = (n: number) => `${Math.ceil((n * PAGE) / 2 ** 20)} MiB`;
        throw new ResnetError(
          'memory',
          `memory: expected to grow to ${MiB(pages)}, got no more than ${MiB(pages - missing)}.`,
          {
            cause,
          },
        );
      }
    }
  }

  /** The present end; `release(mark)` frees all that was allocated since. */
  mark(): number {
    return this.#top;
  }

  release(mark: number): void {
    this.#top = mark;
  }

  f32(ptr: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, ptr, length);
  }

  i32(ptr: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, ptr, length);
  }

  i8(ptr: number, length: number): Int8Array {
    return new Int8Array(this.memory.buffer, ptr, length);
  }

  u8(ptr: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, ptr, length);
  }
}
