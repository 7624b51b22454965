/**
 * resnet-wasm in a browser. Each model runs in a Web Worker of its own, so that the page never waits; in a worker of the
 * page's own, models run in that one.
 */

import { binaryUrl } from './assets.js';
import { absolute } from './browser/absolute.js';
import { browserPlatform, fetchAsset } from './browser/platform.js';
import { type Binary, supportsRelaxed } from './engine/binary.js';
import { namedCache, resolveLoad } from './model/hub.js';
import type { LoadOptions as CoreLoadOptions } from './model/load.js';
import type { NetworkLike } from './model/network-like.js';
import { checkOptions } from './model/options.js';
import type { Model } from './model/types.js';
import { platform, usePlatform } from './platform/platform.js';
import type { OpenOptions, WeightFile, WeightSource } from './weights/open.js';
import { loadInWorker, measurePeakInWorker, webWorker, whenRunning } from './worker/client.js';
import type { ModelWorker } from './worker/protocol.js';

export type { HubSet } from '../models/hub.js';
export * from './index.js';
export { pretrained } from './model/hub.js';
export { seededInput } from './weights/uniform.js';

const newWorker = (): Worker => new Worker(new URL('../dist/worker.js', import.meta.url), { type: 'module' });

usePlatform(
  browserPlatform(
    (request) => {
      const worker = newWorker();
      worker.postMessage(request, [request.port]);
      return worker;
    },
    async (binary) => {
      try {
        return await fetchAsset(binaryUrl(binary));
      } catch {
        return (await import('./worker/inline-assets.js')).inlineWasm(binary);
      }
    },
  ),
);

export interface LoadOptions extends CoreLoadOptions {
  /** True (the default) runs the model in a Web Worker; false in the page, which has its turn between the layers. */
  readonly worker?: boolean;
}

interface StartedWorker {
  readonly worker: ModelWorker;
  /** The binary, if the worker cannot find it. */
  readonly wasm?: Uint8Array<ArrayBuffer>;
}

/** Starts a worker from the file beside this script or, if that is missing, from text; undefined if none may run. */
async function startWorker(binary: Binary | undefined): Promise<StartedWorker | undefined> {
  if (typeof document === 'undefined') return undefined;
  try {
    return { worker: await whenRunning(webWorker(newWorker)) };
  } catch {}
  try {
    const { inlineWorker, inlineWasm } = await import('./worker/inline-assets.js');
    return {
      worker: await whenRunning(webWorker(inlineWorker)),
      wasm: inlineWasm(binary ?? (supportsRelaxed() ? 'relaxed' : 'baseline')),
    };
  } catch (reason) {
    const notShared = `One thread, in the page itself, since no worker starts here (${(reason as Error).message}).`;
    usePlatform({ ...platform, whyNoSharedMemory: notShared });
    return undefined;
  }
}

/**
 * Loads a network by its name, by its graph, or from a file that says which network it is of. Weights are packed as their
 * bytes come: JavaScript keeps no copy of them. What the file says of its network (a Keras model's strides, biases and
 * epsilon) holds unless an option says otherwise. Without weights, those of a name that `pretrained` has come from the hub,
 * with their preprocessing and labels, and are kept by the browser. Rejects if the name, an option or the file does not fit; nothing is left
 * of the model then.
 */
export async function load(network: NetworkLike, options: LoadOptions = {}): Promise<Model> {
  if (typeof options !== 'object' || options === null) checkOptions('load', options, []);
  const { worker = true, ...own } = options;
  const [what, known] = await resolveLoad(network, own, absolute);
  const started = worker ? await startWorker(known.binary) : undefined;
  if (started) return loadInWorker(started.worker, what, { ...known, wasm: known.wasm ?? started.wasm });
  return (await import('./model/load.js')).load(what, known);
}

/** Opens a weight file and reads what it says of itself, up to its first value. */
export const openWeights = async (source: WeightSource, options: OpenOptions = {}): Promise<WeightFile> =>
  (await import('./weights/open.js')).openWeights(absolute(source), { ...options, hdf5: absolute(options.hdf5) });

/** Measures the GFLOP/s of one thread in a loop of multiply–adds on registers alone: the best within 0.4 s. */
export async function measurePeak(binary?: Binary): Promise<number> {
  const started = await startWorker(binary);
  if (started) return measurePeakInWorker(started.worker, { binary, wasm: started.wasm });
  return (await import('./engine/peak.js')).measurePeak(binary);
}

/** The weights that this browser keeps: none if the page may not store anything. */
export const weightCache = namedCache(
  async () => (await import('./weights/stream/browser-cache.js')).browserCache,
  absolute,
);
