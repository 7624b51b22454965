/** Sources of weights, and how they are opened. */

import type { RandomBytes } from '../../platform/types.js';

/**
 * Weights to be read once. A string is fetched if it is an http, https or blob URL, and otherwise a file's path or
 * file: URL.
 */
export type WeightSource =
  | string
  | URL
  | Response
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | ArrayBuffer
  | ArrayBufferView;

/** What a ByteStream is made of. */
export interface ByteSource {
  /** The subject of messages. */
  readonly name: string;
  /** Bytes in all, if that is certain. */
  readonly total?: number | undefined;
  /** The path or URL, beside which further files of the same model lie. */
  readonly base?: string | URL | undefined;
  /** A chunk is valid until the next one is asked for. `return` is called at once, even during `next`. */
  readonly chunks: AsyncIterator<Uint8Array>;
  /** Opens the same bytes for random access, if they are at hand without waiting. */
  readonly random?: (() => RandomBytes) | undefined;
}

/** How long a download goes on without success. */
export interface RetryOptions {
  /** Requests in a row that bring nothing; by default 5. */
  readonly attempts?: number;
  /** Requests in all; by default 100. */
  readonly requests?: number;
  /** Milliseconds to wait before the next request, after `n` in a row that brought nothing; by default 250 · 2ⁿ. */
  readonly delay?: (n: number) => number;
  /** The longest wait that a server may ask for, in milliseconds; by default a minute. */
  readonly longest?: number;
  /** Milliseconds without a byte after which a connection counts as broken; by default a minute. */
  readonly silence?: number;
}

/** Weights that are kept, whole or in part. */
export interface CachedWeights {
  /** A name that `pretrained` has, or a URL. */
  readonly name: string;
  /** Kept so far. */
  readonly bytes: number;
  /** Bytes in all; undefined if that is not known before all are here. */
  readonly total: number | undefined;
}

/** Weights that a browser or a folder keeps for the next time. Where nothing may be stored, there is nothing. */
export interface WeightCache<Options = undefined> {
  list(options?: Options): Promise<CachedWeights[]>;
  /** Tells whether the weights of a name or URL are all here. */
  has(name: string | URL, options?: Options): Promise<boolean>;
  /** Deletes the weights of a name or URL, or all. */
  clear(name?: string | URL, options?: Options): Promise<void>;
}

/** How sources are opened. */
export interface OpenOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * By default true: what http and https URLs give is kept by the Cache API, if there is one, and taken from there the
   * next time; a download that broke off goes on from there (browser-cache.ts).
   */
  readonly cache?: boolean | undefined;
  /**
   * URL of h5wasm's ES module (hdf5_hl.js, beside which hdf5_util.js lies; in a worker an absolute one), if a page is to
   * read HDF5 files. Node finds the package by itself.
   */
  readonly hdf5?: string | URL | undefined;
  /** Headers of the requests for http and https URLs: `authorization`, for example. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * What the names of the tensors to read begin with, as a file calls them: `student`, if it holds a teacher too. Of a
   * PyTorch checkpoint it is, or begins with, the key of a state_dict: `state_dict_ema`.
   */
  readonly prefix?: string | undefined;
  /** Rows and columns of an ONNX model's input, one number or both, if the file leaves them open. */
  readonly size?: number | readonly [number, number] | undefined;
  /** The file that an ONNX model has its tensors in (`model.onnx.data`), if it does not lie beside the model. */
  readonly data?: string | URL | Blob | ArrayBuffer | Uint8Array | undefined;
  /** When downloads are tried again, and when they are given up. */
  readonly retry?: RetryOptions | undefined;
}
