/** Pretrained weights as browsers fetch them: all from the Hugging Face hub. */

import { type HubSet, hubSet, hubSets, hubUrl } from '../../models/hub.js';
import { lookup, networkNames } from '../../models/index.js';
import type { WeightCache } from '../weights/stream/types.js';
import { imagenetLabels } from './imagenet-labels.js';
import type { LoadOptions } from './load.js';
import { isWeightSource, type NetworkLike } from './network-like.js';
import { checkPublished, withSet } from './published.js';

/** Lists the names that `load` takes without weights: first those of networks, then timm's names of sets. */
const names = (): string[] => [...networkNames().filter((name) => hubSet(name)), ...Object.keys(hubSets)];

/** Lists the names of pretrained weights, all from the Hugging Face hub, and describes them. */
export const pretrained = Object.assign(names, {
  /** Describes the weights of a name: network, preprocessing, licence and source. Throws if there are none. */
  describe: (name: string): HubSet => hubSet(name) ?? lookup('pretrained weights', hubSets, name),
});

/** A cache of URLs as one of names too: those of the hub's sets stand for their URLs. */
export function namedCache(
  open: () => Promise<WeightCache>,
  absolute: <Source>(source: Source) => Source | string,
): WeightCache {
  const urlOf = (name: string | URL): string => {
    const set = typeof name === 'string' ? hubSet(name) : undefined;
    return set ? hubUrl(set) : String(absolute(name));
  };
  const nameOf = (url: string): string => Object.keys(hubSets).find((name) => urlOf(name) === url) ?? url;
  return {
    list: async () => (await (await open()).list()).map((kept) => ({ ...kept, name: nameOf(kept.name) })),
    has: async (name) => (await open()).has(urlOf(name)),
    clear: async (name) => (await open()).clear(name === undefined ? undefined : urlOf(name)),
  };
}

/** Those of the hub's sets, unless the page has its own, or another number of classes. */
const hubLabels = async ({ labels, classes }: LoadOptions): Promise<readonly string[] | undefined> =>
  labels || classes !== undefined ? undefined : imagenetLabels();

/**
 * Finds what to load: of a name without weights, the network and the options of the hub's set; else what is given.
 * `absolute` makes whole URLs of relative ones.
 */
export async function resolveLoad(
  network: NetworkLike,
  options: LoadOptions,
  absolute: <Source>(source: Source) => Source | string,
): Promise<[NetworkLike, LoadOptions]> {
  const set = typeof network === 'string' && !options.weights ? hubSet(network) : undefined;
  const isName = typeof network === 'string' && !options.weights && !isWeightSource(network);
  if (isName) checkPublished(network, pretrained());
  const given = set ? withSet(set, { weights: hubUrl(set), labels: await hubLabels(options) }, options) : options;
  const what = set ? set.network : isWeightSource(network) ? absolute(network) : network;
  const { weights, wasm, hdf5 } = given;
  return [what, { ...given, weights: absolute(weights), wasm: absolute(wasm), hdf5: absolute(hdf5) }];
}
