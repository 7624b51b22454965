/** resnet-wasm in Node: the same API with files, picture decoding and pulled weights. */

import { load as coreLoad, type LoadOptions } from './model/load.js';
import { isWeightSource, type NetworkLike } from './model/network-like.js';
import type { Model } from './model/types.js';
import { nodePlatform } from './node/platform.js';
import { isPretrained, pullAny } from './node/pretrained.js';
import { usePlatform } from './platform/platform.js';

export type { HubSet } from '../models/hub.js';
export type { NpmSource, WeightSet } from '../models/index.js';
export { measurePeak } from './engine/peak.js';
export * from './index.js';
export type { LoadOptions } from './model/load.js';
export { decodeImage, encodePng } from './node/decode-image.js';
export { cachedFromHub } from './node/hugging-face.js';
export * from './node/npm-package.js';
export { pullAny } from './node/pretrained.js';
export { identifyNetwork as guessNetwork, type NetworkMatch as NetworkGuess } from './weights/identify.js';
export { inspectWeights, type TensorReport, type WeightReport } from './weights/inspect.js';
export { openWeights } from './weights/open.js';
export { seededInput, seededWeights } from './weights/random.js';
export { type WriteOptions, writeSafetensors } from './weights/write.js';

usePlatform(nodePlatform(new URL('../dist/thread.node.js', import.meta.url)));

/**
 * Loads a network by its name, by its graph, or from a file that says which network it is of. The weights of a name come
 * from any source or, without one, are the weight set that is published for it.
 */
export async function load(network: NetworkLike, options: LoadOptions = {}): Promise<Model> {
  const isSet = typeof network === 'string' && (isPretrained(network) || !isWeightSource(network));
  if (options.weights !== undefined || !isSet) return coreLoad(network, options);
  const pulled = await pullAny(network, { signal: options.signal });
  const { preprocessing, network: name, options: trained } = pulled.set;
  const { preprocessing: own, inChannels = 3 } = options;
  const isInColour = inChannels === 3;
  // What is given as undefined is not given.
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return coreLoad(name, {
    labels: pulled.labels,
    ...trained,
    ...given,
    // What is given goes over the set's own.
    preprocessing: typeof own === 'string' || !isInColour ? own : { ...own, base: own?.base ?? preprocessing },
    weights: pulled.weights,
  });
}
