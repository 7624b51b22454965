/**
 * resnet-wasm in a browser: models run in a Web Worker each, so that the page never waits; in a worker of the page's own
 * they run in that.
 */

import { browser } from './browser/platform.js';
import { type Binary, supportsRelaxed } from './engine/binary.js';
import type { LoadOptions as CoreLoadOptions } from './model/load.js';
import { isWeightSource, type NetworkLike } from './model/network-like.js';
import type { Model } from './model/types.js';
import { platform, usePlatform } from './platform/platform.js';
import type { OpenOptions, WeightFile, WeightSource } from './weights/open.js';
import { absolute, loadInWorker, measurePeakInWorker } from './worker/client.js';

export * from './index.js';
export { identifyNetwork as guessNetwork, type NetworkMatch as NetworkGuess } from './weights/identify.js';
export { seededInput } from './weights/random.js';
export type { CachedWeights } from './weights/stream/browser-cache.js';

const newWorker = (): Worker => new Worker(new URL('../dist/worker.js', import.meta.url), { type: 'module' });

usePlatform(browser(newWorker));

export interface LoadOptions extends CoreLoadOptions {
  /** By default true: the model runs in a Web Worker. False: in the page, which has its turn between the layers. */
  readonly worker?: boolean;
}

/** Settles when a worker's script has begun to run, or could not. */
function up(start: () => Worker): Promise<Worker> {
  return new Promise((resolve, reject) => {
    const worker = start();
    worker.onmessage = () => resolve(worker);
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      reject(new Error(event.message || 'no script'));
    };
  });
}

interface Started {
  readonly worker: Worker;
  /** Where the worker would not find it. */
  readonly wasm?: Uint8Array<ArrayBuffer>;
}

/** A worker, from the file beside this script or, where that is not there, from text; undefined where none may run. */
async function startWorker(binary: Binary | undefined): Promise<Started | undefined> {
  if (typeof document === 'undefined') return undefined;
  try {
    return { worker: await up(newWorker) };
  } catch {}
  try {
    const { inlineWorker, inlineWasm } = await import('./worker/inline-assets.js');
    return { worker: await up(inlineWorker), wasm: inlineWasm(binary ?? (supportsRelaxed() ? 'relaxed' : 'baseline')) };
  } catch (reason) {
    const notShared = `One thread, in the page itself, since no worker starts here (${(reason as Error).message}).`;
    usePlatform({ ...platform, whyNoSharedMemory: notShared });
    return undefined;
  }
}

/**
 * Loads a network by its name, by its graph, or from a file that says which network it is of. Weights are packed as their bytes come: no copy of them is kept in JavaScript. What the
 * file says of its network (a Keras model's strides, biases and epsilon) holds unless an option says otherwise.
 * Rejects with one sentence where the name, an option or the file does not fit; nothing is left of the model then.
 */
export async function load(network: NetworkLike, options: LoadOptions = {}): Promise<Model> {
  const { worker = true, ...given } = options;
  const what = isWeightSource(network) ? absolute(network) : network;
  const { weights, wasm, hdf5 } = given;
  const known = { ...given, weights: absolute(weights), wasm: absolute(wasm), hdf5: absolute(hdf5) };
  const started = worker ? await startWorker(known.binary) : undefined;
  if (started) return loadInWorker(started.worker, what, { ...known, wasm: known.wasm ?? started.wasm });
  return (await import('./model/load.js')).load(what, known);
}

/** As the core's: reads what a weight file says of itself, up to its first value. */
export const openWeights = async (source: WeightSource, options: OpenOptions = {}): Promise<WeightFile> =>
  (await import('./weights/open.js')).openWeights(absolute(source), { ...options, hdf5: absolute(options.hdf5) });

/** GFLOP/s of one thread in a loop of multiply–adds that touches registers alone: the best within 0.4 s. */
export async function measurePeak(binary?: Binary): Promise<number> {
  const started = await startWorker(binary);
  if (started) return measurePeakInWorker(started.worker, { binary, wasm: started.wasm });
  return (await import('./engine/peak.js')).measurePeak(binary);
}

/** The weights that this browser keeps, whole or in part. Rejects where the page may not store anything. */
export const cachedWeights = async () => (await import('./weights/stream/browser-cache.js')).cachedWeights();

/** Forgets the weights of one URL, or all. Rejects where the page may not store anything. */
export const clearCachedWeights = async (url?: string | URL): Promise<void> =>
  (await import('./weights/stream/browser-cache.js')).clearCachedWeights(absolute(url));
