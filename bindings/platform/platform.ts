/** What differs between a browser (bindings/browser.ts) and Node (bindings/node.ts). */

import type { ThreadMessage, ThreadStart } from '../engine/thread-pool.js';
import type { Pixels } from '../image/preprocess.js';

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

/** A worker that runs bindings/thread.ts. */
export interface Thread {
  terminate(): void;
}

export interface Platform {
  /** Cores that threads may use. */
  readonly cores: number;
  /** What tells this CPU and engine from others, for what is measured on it. */
  readonly machine: string;
  /** What `remember` kept under a key; undefined where there is nothing, or nothing can be kept. */
  recall(key: string): Promise<string | undefined>;
  remember(key: string, value: string): Promise<void>;
  /** Why memory cannot be shared with threads; undefined where it can. */
  readonly notShared: string | undefined;
  /** Whether this thread may sleep in Atomics.wait, and so be one of the threads itself. */
  readonly mayBlock: boolean;
  startThread(
    start: ThreadStart,
    onMessage: (message: ThreadMessage) => void,
    onError: (reason: unknown) => void,
  ): Thread;
  /** True for an old V8, which orders loads so that the largest GEMM tiles spill. */
  readonly hoistsLoads: boolean;
  /** The URL of one of this package's binaries. */
  binaryUrl(binary: 'baseline' | 'relaxed'): URL;
  /** The bytes of a file of this package. */
  fetchAsset(url: URL): Promise<Uint8Array<ArrayBuffer>>;
  /** Opens a file by path or file: URL; throws one sentence where there is no file system. */
  openFile(path: string | URL): Promise<FileBytes>;
  /** The URL of the ES module of h5wasm, where the platform finds packages; throws one sentence where it is not there. */
  hdf5?(): string;
  /** Decodes a picture of any type the platform knows into upright 8-bit RGB or RGBA. */
  decodeImage(image: unknown): Promise<Pixels>;
}

/** Set by an entry (bindings/node.ts, web.ts, worker.web.ts) before anything is loaded. */
export let platform!: Platform;

export function usePlatform(other: Platform): void {
  platform = other;
}
