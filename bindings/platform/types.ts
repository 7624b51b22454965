/** What platforms exchange with the rest: pixels, files, threads. */

/** Decoded 8-bit pixels, row by row from the top left. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** 3 for RGB, 4 for RGBA with straight alpha; by default derived from the length of `data`. */
  readonly channels?: 3 | 4;
}

/** How pictures are decoded. */
export interface DecodeOptions {
  /** The most pixels that a picture may have: a small file can decode to gigabytes. */
  readonly maxPixels?: number | undefined;
}

/** The file of a binary in build/, without `.wasm`: one of the core, or a set of further kernels, perhaps one for each of the core's. */
export type BinaryName = 'baseline' | 'relaxed' | 'wide' | 'more' | `int8-${'baseline' | 'relaxed' | 'wide'}`;

/** What a thread needs to take part in a model's runs. */
export interface ThreadStart {
  /** The core's, then those of further kernels. */
  readonly modules: readonly WebAssembly.Module[];
  readonly memory: WebAssembly.Memory;
  readonly controlPtr: number;
  readonly thread: number;
  /** Whether it is to tell of the jobs that it finishes. */
  readonly isAwaited: boolean;
}

/** Makes a worker of a browser a thread, whose start comes through the port, and so what it says. */
export interface ThreadRequest {
  readonly kind: 'thread';
  readonly port: MessagePort;
}

/** `ready`: a thread waits for jobs. `done`: a job is finished. */
export type ThreadMessage = 'ready' | 'done';

/**
 * A file's bytes in order. A chunk is valid until the next one is requested. The file is open from the first request until
 * the end or `return`, so that a file that is never read need not be closed.
 */
export interface FileBytes {
  /** Undefined for a pipe or device. */
  readonly total: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Synchronous random access, which HDF5 needs. */
  random?(): RandomBytes;
}

/** Synchronous random access to a file's bytes. */
export interface RandomBytes {
  /** Fills `into` with the bytes from `begin` on; returns how many there were. */
  read(begin: number, into: Uint8Array): number;
  /** Closes the file. */
  close(): void;
}
