/** What differs between a browser (bindings/browser) and Node (bindings/node). */

import type { FileBytes, Pixels, ThreadMessage, ThreadStart } from './types.js';

/** A worker that runs engine/thread-loop.ts. */
export interface Thread {
  terminate(): void;
}

export interface Platform {
  /** Cores that threads may use. */
  readonly cores: number;
  /** What tells this CPU and engine from others, for what is measured on it. */
  readonly machine: string;
  /** What `remember` kept under a key; undefined where there is nothing, or nothing can be kept. */
  getCached(key: string): Promise<string | undefined>;
  putCached(key: string, value: string): Promise<void>;
  /** Why memory cannot be shared with threads; undefined where it can. */
  readonly whyNoSharedMemory: string | undefined;
  /** Whether this thread may sleep in Atomics.wait, and so be one of the threads itself. */
  readonly mayBlock: boolean;
  startThread(
    start: ThreadStart,
    onMessage: (message: ThreadMessage) => void,
    onError: (reason: unknown) => void,
  ): Thread;
  /** True for an old V8, which orders loads so that the largest GEMM tiles spill. */
  readonly v8HoistsSplats: boolean;
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

/** Set by an entry (index.node.ts, index.web.ts, worker/entry.ts) before anything is loaded. */
export let platform!: Platform;

export function usePlatform(other: Platform): void {
  platform = other;
}
