/** Published weights: what a set of them brings to `load`. */

import type { HubSet } from '../../models/hub.js';
import type { WeightSet } from '../../models/index.js';
import type { LoadOptions } from './load.js';

/** What is known of pretrained weights before they are fetched. */
export type PretrainedSet = WeightSet | HubSet;

/**
 * Returns the options to load a set with: its network's own, its preprocessing and what `brought` says. What the caller
 * gives goes over them.
 */
export function withSet(
  { preprocessing, options: trained }: PretrainedSet,
  brought: Pick<LoadOptions, 'weights'> & { readonly labels: readonly string[] | undefined },
  options: LoadOptions,
): LoadOptions {
  // An option that is given as undefined is not given.
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { preprocessing: own, inChannels = 3 } = options;
  const { labels, weights } = brought;
  return {
    ...(labels && { labels }),
    ...trained,
    ...given,
    preprocessing: typeof own === 'string' || inChannels !== 3 ? own : { ...own, base: own?.base ?? preprocessing },
    weights,
  };
}
