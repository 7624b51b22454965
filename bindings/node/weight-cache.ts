/** The folder that keeps fetched weights, and what each source of weights offers. Node only. */

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ResnetError } from '../../models/errors.js';

export interface CacheOptions {
  /** By default `$XDG_CACHE_HOME/resnet-wasm`, or `~/.cache/resnet-wasm`. */
  readonly cacheDir?: string;
}

export interface FetchOptions extends CacheOptions {
  /** Called with the bytes that came and the bytes in all; the last call has both equal. Not called if the cache has all. */
  readonly onProgress?: (progress: { loaded: number; total: number }) => void;
  readonly signal?: AbortSignal;
}

/** The files of a weight set in the cache. */
export interface CachedFiles {
  /** The file to give a reader of weights. */
  readonly path: string;
  /** One per class, if the set brings them. */
  readonly labels: readonly string[] | undefined;
}

/** Where the files of one weight set come from. */
export interface SetSource {
  /** The folder, within that of the cache, which holds the set alone. */
  readonly folder: string;
  /** Finds the files in the cache; undefined unless all of them are there. */
  find(options?: CacheOptions): Promise<CachedFiles | undefined>;
  /**
   * Finds the files in the cache, or else fetches and checks them. Rejects with the signal's reason once it is aborted;
   * leaves no partial files. Any number of processes may fetch at once.
   */
  fetch(options?: FetchOptions): Promise<CachedFiles>;
}

/** Finds the default folder. Throws if this user has none. */
export function cacheDir(): string {
  const base = process.env.XDG_CACHE_HOME ?? '';
  // The XDG specification says to ignore a relative path.
  if (isAbsolute(base)) return join(base, 'resnet-wasm');
  try {
    return join(homedir(), '.cache', 'resnet-wasm');
  } catch (cause) {
    throw new ResnetError('storage', 'Keeping weights needs a folder, and this user has no home: set XDG_CACHE_HOME.', {
      cause,
    });
  }
}
