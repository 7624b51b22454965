/** What platforms exchange with the rest: pixels, files, threads. */

/** Decoded 8-bit pixels, row by row from the top left. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** 3 for RGB, 4 for RGBA with straight alpha; by default told from the length of `data`. */
  readonly channels?: 3 | 4;
}

/** What a worker is told when it starts. */
export interface ThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly controlPtr: number;
  readonly barrierPtr: number;
  readonly thread: number;
  readonly threads: number;
}

/** Workers say this once they wait for jobs, and thread 0 (where it is a worker) after each job. */
export type ThreadMessage = 'ready' | 'done';

/**
 * A file's bytes in order. A chunk is valid until the next one is asked for. The file is held open from the first chunk
 * that is asked for until the end or `return`, so that one never read need not be closed.
 */
export interface FileBytes {
  readonly total: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The same at any place, for who has to have them at once. */
  random?(): RandomBytes;
}

/** Bytes at any place, without waiting. */
export interface RandomBytes {
  /** Fills `into` from `begin` on; returns how many bytes there were. */
  read(begin: number, into: Uint8Array): number;
  /** Lets go of the file. */
  close(): void;
}
