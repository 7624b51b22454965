/**
 * resnet-wasm in a browser. Each model runs in a Web Worker of its own, so that the page never waits; in a worker of the
 * page's own, models run in that one.
 */

import { type HubSet, hubSet, hubSets, hubUrl } from '../models/hub.js';
import { lookup, networkNames } from '../models/index.js';
import { browserPlatform } from './browser/platform.js';
import { type Binary, supportsRelaxed } from './engine/binary.js';
import { imagenetLabels } from './model/imagenet-labels.js';
import type { LoadOptions as CoreLoadOptions } from './model/load.js';
import { isWeightSource, type NetworkLike } from './model/network-like.js';
import { withSet } from './model/published.js';
import type { Model } from './model/types.js';
import { platform, usePlatform } from './platform/platform.js';
import type { OpenOptions, WeightFile, WeightSource } from './weights/open.js';
import type { WeightCache } from './weights/stream/types.js';
import { absolute, loadInWorker, measurePeakInWorker, webWorker, whenRunning } from './worker/client.js';
import type { ModelWorker } from './worker/protocol.js';

export type { HubSet } from '../models/hub.js';
export * from './index.js';
export { seededInput } from './weights/uniform.js';

const newWorker = (): Worker => new Worker(new URL('../dist/worker.js', import.meta.url), { type: 'module' });

usePlatform(browserPlatform(newWorker));

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
    return { worker: await whenRunning(webWorker(newWorker())) };
  } catch {}
  try {
    const { inlineWorker, inlineWasm } = await import('./worker/inline-assets.js');
    return {
      worker: await whenRunning(webWorker(inlineWorker())),
      wasm: inlineWasm(binary ?? (supportsRelaxed() ? 'relaxed' : 'baseline')),
    };
  } catch (reason) {
    const notShared = `One thread, in the page itself, since no worker starts here (${(reason as Error).message}).`;
    usePlatform({ ...platform, whyNoSharedMemory: notShared });
    return undefined;
  }
}

/** Those of the hub's sets, unless the page has its own, or another number of classes. */
const hubLabels = async ({ labels, classes }: LoadOptions): Promise<readonly string[] | undefined> =>
  labels || classes !== undefined ? undefined : imagenetLabels();

/** Pretrained weights, all from the Hugging Face hub. */
export const pretrained = {
  /** Lists the names that `load` takes without weights: first those of networks, then timm's names of sets. */
  names: (): string[] => [...networkNames().filter((name) => hubSet(name)), ...Object.keys(hubSets)],

  /** Describes the weights of a name: network, preprocessing, licence and source. Throws if there are none. */
  describe: (name: string): HubSet => hubSet(name) ?? lookup('pretrained weights', hubSets, name),
};

/**
 * Loads a network by its name, by its graph, or from a file that says which network it is of. Weights are packed as their
 * bytes come: JavaScript keeps no copy of them. What the file says of its network (a Keras model's strides, biases and
 * epsilon) holds unless an option says otherwise. Without weights, those of a name that `pretrained` has come from the hub,
 * with their preprocessing and labels, and are kept by the browser. Rejects if the name, an option or the file does not fit; nothing is left
 * of the model then.
 */
export async function load(network: NetworkLike, options: LoadOptions = {}): Promise<Model> {
  const { worker = true, ...own } = options;
  const set = typeof network === 'string' && !own.weights ? hubSet(network) : undefined;
  const given = set ? withSet(set, { weights: hubUrl(set), labels: await hubLabels(own) }, own) : own;
  const what = set ? set.network : isWeightSource(network) ? absolute(network) : network;
  const { weights, wasm, hdf5 } = given;
  const known = { ...given, weights: absolute(weights), wasm: absolute(wasm), hdf5: absolute(hdf5) };
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

/** Names the weights of a URL: the hub's sets by timm's names. */
const nameOf = (url: string): string => Object.keys(hubSets).find((name) => urlOf(name) === url) ?? url;

/** The URL of a set's name, or of a URL that may be relative to the page's. */
const urlOf = (name: string | URL): string => {
  const set = typeof name === 'string' ? hubSet(name) : undefined;
  return set ? hubUrl(set) : String(absolute(name));
};

const browserCache = async () => (await import('./weights/stream/browser-cache.js')).browserCache;

/** The weights that this browser keeps. Rejects if the page may not store anything. */
export const weightCache: WeightCache = {
  list: async () => (await (await browserCache()).list()).map((kept) => ({ ...kept, name: nameOf(kept.name) })),
  has: async (name) => (await browserCache()).has(urlOf(name)),
  clear: async (name) => (await browserCache()).clear(name === undefined ? undefined : urlOf(name)),
};
