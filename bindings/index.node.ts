/** resnet-wasm in Node: the same API with files, picture decoding and pulled weights. */

import { type LoadOptions as CoreLoadOptions, load as coreLoad } from './model/load.js';
import type { Model } from './model/types.js';
import { nodePlatform } from './node/platform.js';
import { pullAny } from './node/pretrained.js';
import { usePlatform } from './platform/platform.js';

export type { HubSet } from '../models/hub.js';
export type { NpmSource, WeightSet } from '../models/index.js';
export { measurePeak } from './engine/peak.js';
export * from './index.js';
export { decodeImage, encodePng } from './node/decode-image.js';
export { cachedFromHub } from './node/hugging-face.js';
export * from './node/npm-package.js';
export { pullAny } from './node/pretrained.js';
export { identifyNetwork as guessNetwork, type NetworkMatch as NetworkGuess } from './weights/identify.js';
export { inspectWeights, type TensorReport, type WeightReport } from './weights/inspect.js';
export { withNetworkNames } from './weights/network-names.js';
export { openWeights } from './weights/open.js';
export { seededInput, seededWeights } from './weights/random.js';
export { type WriteOptions, writeSafetensors } from './weights/write.js';

usePlatform(nodePlatform(new URL('../dist/thread.node.js', import.meta.url)));

/** As for `load` of the core; without `weights`, those that `pull(name)` fetches, with their preprocessing and labels. */
export interface LoadOptions extends Omit<CoreLoadOptions, 'weights'> {
  readonly weights?: CoreLoadOptions['weights'];
}

/** Loads a network by name, from any source of weights or, without one, from the weight set that is published for it. */
export async function load(name: string, options: LoadOptions = {}): Promise<Model> {
  const { weights } = options;
  if (weights !== undefined) return coreLoad(name, { ...options, weights });
  const pulled = await pullAny(name, { signal: options.signal });
  const { preprocessing, network, options: trained } = pulled.set;
  // What is given as undefined is not given.
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return coreLoad(network, {
    preprocessing,
    labels: pulled.labels,
    ...trained,
    ...given,
    weights: pulled.weights,
  });
}
