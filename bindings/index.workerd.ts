/**
 * resnet-wasm in workerd (Cloudflare's Workers), which compiles no WebAssembly when it runs: `resnet-wasm/static` with the
 * binaries as modules of the script's.
 */

import int8 from '../build/int8-relaxed.wasm';
import more from '../build/more.wasm';
import relaxed from '../build/relaxed.wasm';
import { type LoadOptions, load as loadHere, useModules } from './index.static.js';
import type { NetworkLike } from './model/network-like.js';
import type { Model } from './model/types.js';

export * from './index.static.js';

useModules({ relaxed, 'int8-relaxed': int8, more });

/**
 * Loads a network as `resnet-wasm` does, on one thread. By default without Winograd's transform and without a cache of
 * weights: a Worker may take 128 MB, and each part of a cached file is a request of its own.
 */
export const load = (network: NetworkLike, options: LoadOptions = {}): Promise<Model> =>
  loadHere(network, { winograd: false, cache: false, ...options, wasm: options.wasm ?? relaxed });
