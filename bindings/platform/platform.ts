/** What differs between a browser (bindings/browser) and Node (bindings/node). */

import type { BinaryName, DecodeOptions, FileBytes, Pixels, ThreadMessage, ThreadStart } from './types.js';

/** The first message of every worker of this package: its script runs. */
export const RUNNING = 'running';

/** A worker that runs engine/thread-loop.ts. */
export interface Thread {
  terminate(): void;
}

export interface Platform {
  /** The number of cores that threads may use. */
  readonly cores: number;
  /** Identifies this CPU and engine: measurements hold only for them. */
  readonly machine: string;
  /** Returns what `putCached` kept under a key; undefined if there is nothing, or nothing can be kept. */
  getCached(key: string): Promise<string | undefined>;
  /** Keeps a value, if the platform can. */
  putCached(key: string, value: string): Promise<void>;
  /** Why memory cannot be shared with threads, in one sentence; undefined if it can. */
  readonly whyNoSharedMemory: string | undefined;
  /** True if this thread may sleep in Atomics.wait, and so be one of the threads itself. */
  readonly mayBlock: boolean;
  /** Starts a worker that takes part in a model's runs. */
  startThread(
    start: ThreadStart,
    onMessage: (message: ThreadMessage) => void,
    onError: (reason: unknown) => void,
  ): Thread;
  /** True for V8 before version 13, which hoists splats so that the largest GEMM tiles spill registers. */
  readonly v8HoistsSplats: boolean;
  /** Why this engine does not join vectors to 256 bits; undefined if it was told to (V8's revectorize pass). */
  whyNarrow(): string | undefined;
  /** Reads one of this package's binaries. */
  fetchBinary(binary: BinaryName): Promise<Uint8Array<ArrayBuffer> | WebAssembly.Module>;
  /** Makes a value one that means the same in a worker: a page's relative URL, a Blob that another than Node made. */
  postable<Value>(value: Value): Promise<Value | string | Blob> | Value | string;
  /** Reads the file of a URL. */
  fetchAsset(url: URL): Promise<Uint8Array<ArrayBuffer>>;
  /** Opens a file by its path or file: URL. Rejects if there is no file system. */
  openFile(path: string | URL): Promise<FileBytes>;
  /** Returns the URL of h5wasm's ES module, on platforms that find packages. Throws if it is not installed. */
  hdf5?(): string;
  /** Decodes a picture of any type that the platform knows to upright 8-bit RGB or RGBA. */
  decodeImage(image: unknown, options?: DecodeOptions): Promise<Pixels>;
}

/** Set by an entry (index.node.ts, index.web.ts, index.static.ts, index.workerd.ts, worker/entry.ts) before anything is loaded. */
export let platform!: Platform;

/** Sets the platform. */
export function usePlatform(other: Platform): void {
  platform = other;
}
