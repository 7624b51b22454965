/**
 * resnet-wasm in one script, binaries and all, that imports nothing when it runs: for service workers, which forbid
 * `import()`, and so for extensions of browsers (Manifest V3). A model runs in the script that loads it, on one thread;
 * events have their turn between the layers.
 */

import { ResnetError } from '../models/errors.js';
import { absolute } from './browser/absolute.js';
import { browserPlatform } from './browser/platform.js';
import { inlineWasm } from './inline-binaries.js';
import { namedCache, resolveLoad } from './model/hub.js';
import { load as coreLoad, type LoadOptions } from './model/load.js';
import type { NetworkLike } from './model/network-like.js';
import type { Model } from './model/types.js';
import { usePlatform } from './platform/platform.js';
import { type OpenOptions, openWeights as openSource, type WeightFile, type WeightSource } from './weights/open.js';
import { browserCache } from './weights/stream/browser-cache.js';

export type { HubSet } from '../models/hub.js';
export { measurePeak } from './engine/peak.js';
export * from './index.js';
export { pretrained } from './model/hub.js';
export type { LoadOptions } from './model/load.js';
export { seededInput } from './weights/uniform.js';

function noWorker(): Worker {
  throw new ResnetError('unsupported', 'resnet-wasm/static starts no workers.');
}

let modules: Readonly<Record<string, WebAssembly.Module>> = {};

/** Takes compiled binaries, by their names in build/, in the place of those in this script: for runtimes that compile none. */
export function useModules(given: Readonly<Record<string, WebAssembly.Module>>): void {
  modules = given;
}

usePlatform({
  ...browserPlatform(noWorker, async (binary) => modules[binary] ?? inlineWasm(binary)),
  whyNoSharedMemory: 'One thread, since resnet-wasm/static starts no workers.',
  // So that a run gives way between the layers.
  mayBlock: false,
});

/** Loads a network as `resnet-wasm` does, in this very script. Reading HDF5 files needs `import()`, which may be forbidden. */
export const load = async (network: NetworkLike, options: LoadOptions = {}): Promise<Model> =>
  coreLoad(...(await resolveLoad(network, options, absolute)));

/** Opens a weight file and reads what it says of itself, up to its first value. */
export const openWeights = (source: WeightSource, options: OpenOptions = {}): Promise<WeightFile> =>
  openSource(absolute(source), { ...options, hdf5: absolute(options.hdf5) });

/** The weights that this browser keeps: none if the script may not store anything. */
export const weightCache = namedCache(async () => browserCache, absolute);
