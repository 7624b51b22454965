/** resnet-wasm in Node: the same API with files, picture decoding and pretrained weights. */

import { addNetworks, addOps } from '../models/index.js';
import { moreNetworks } from '../models/more-networks.js';
import { moreOps } from '../models/more-ops.js';
import { type LoadOptions as CoreLoadOptions, checkLoadOptions, load as coreLoad } from './model/load.js';
import { isWeightSource, type NetworkLike } from './model/network-like.js';
import { throttled } from './model/progress.js';
import { checkPublished, withSet } from './model/published.js';
import type { Model } from './model/types.js';
import { nodePlatform } from './node/platform.js';
import { type PretrainedWeights, pretrained } from './node/pretrained.js';
import { enableWideVectors, whyNarrow } from './node/wide-vectors.js';
import { usePlatform } from './platform/platform.js';
import type { WorkerResponse } from './worker/protocol.js';

export type { HubSet } from '../models/hub.js';
export type { NpmSource, WeightSet } from '../models/index.js';
export { measurePeak } from './engine/peak.js';
export * from './index.js';
export { type CalibrateOptions, calibrate } from './model/calibrate.js';
export type { PretrainedSet } from './model/published.js';
export { decodeImage, encodeImage } from './node/decode-image.js';
export { type PretrainedWeights, pretrained, weightCache } from './node/pretrained.js';
export type { CacheOptions, FetchOptions } from './node/weight-cache.js';
export { enableWideVectors, type WideVectors } from './node/wide-vectors.js';
export type { DecodeOptions } from './platform/types.js';
export { networkIn } from './weights/fitted.js';
export { type InspectOptions, inspectWeights, type TensorReport, type WeightReport } from './weights/inspect.js';
export { openWeights } from './weights/open.js';
export { seededWeights } from './weights/random.js';
export { asNetwork } from './weights/structure.js';
export { seededInput } from './weights/uniform.js';
export { type Calibration, type WriteOptions, writeSafetensors } from './weights/write.js';

// All networks, and all operations for graphs that are made by hand. A page awaits loadNetworks and loadOps.
addNetworks(moreNetworks);
addOps(moreOps);
usePlatform(nodePlatform(() => new URL('../dist/thread.node.js', import.meta.url)));

async function loadInThread(network: NetworkLike, options: CoreLoadOptions): Promise<Model> {
  const [{ loadInWorker, whenRunning }, { threadWorker }] = await Promise.all([
    import('./worker/client.js'),
    import('./node/model-worker.js'),
  ]);
  const started = await whenRunning(
    threadWorker<WorkerResponse>(() => new URL('../dist/worker.node.js', import.meta.url)),
  );
  // V8's flags are the process's, but a thread is not told of them.
  return loadInWorker(started, network, { wide: whyNarrow() === undefined, ...options });
}

export interface LoadOptions extends Omit<CoreLoadOptions, 'weights'> {
  /** By default `pretrained.fetch(name)`. Pretrained weights bring their preprocessing, labels and network options. */
  readonly weights?: CoreLoadOptions['weights'] | PretrainedWeights;
  /**
   * True runs the model in a worker thread, so that the event loop has its turn during runs too. False, the default in
   * Node, on the caller's thread, where it has its turn between runs.
   */
  readonly worker?: boolean;
  /** The folder that keeps pretrained weights: by default `pretrained.cacheDir()`. */
  readonly cacheDir?: string;
}

const isPretrained = (weights: unknown): weights is PretrainedWeights =>
  typeof weights === 'object' && weights !== null && 'set' in weights && 'path' in weights;

/** Pretrained weights, whose download is the first phase of a load. */
function fetched(name: string, { cacheDir, signal, onProgress }: LoadOptions): Promise<PretrainedWeights> {
  const report = onProgress && throttled(onProgress);
  const tell = report && ((bytes: { loaded: number; total: number }) => report({ phase: 'download', ...bytes }));
  return pretrained.fetch(name, { cacheDir, signal, onProgress: tell });
}

/**
 * Loads a network by its name, by its graph, or from a file that says which network it is of. The weights of a name come
 * from any source or, without one, are the pretrained weights of that name.
 */
export async function load(network: NetworkLike, given: LoadOptions = {}): Promise<Model> {
  const { worker = false, cacheDir, ...rest } = given ?? {};
  // What is no object is refused as it is.
  checkLoadOptions(network, Object(given) === given ? rest : given);
  const start = worker ? loadInThread : coreLoad;
  const options = rest.wide && !enableWideVectors().enabled ? { ...rest, wide: false } : rest;
  const isName = typeof network === 'string' && (pretrained().includes(network) || !isWeightSource(network));
  if (isName && options.weights === undefined) checkPublished(network, pretrained());
  const { weights = isName ? await fetched(network, { ...options, cacheDir }) : undefined } = options;
  if (!isPretrained(weights)) return start(network, { ...options, weights });
  const { set, labels, path } = weights;
  return start(set.network, withSet(set, { labels, weights: path }, options as CoreLoadOptions));
}
