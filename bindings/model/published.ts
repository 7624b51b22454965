/** Published weights: what a set of them brings to `load`. */

import { ResnetError } from '../../models/errors.js';
import type { HubSet } from '../../models/hub.js';
import type { WeightSet } from '../../models/index.js';
import { closest, networkNames, networks } from '../../models/index.js';
import { label, shown } from '../util/messages.js';
import type { LoadOptions } from './load.js';

/** What is known of pretrained weights before they are fetched. */
export type PretrainedSet = WeightSet | HubSet;

/** Throws if `name` is none that has weights to load it with, which are `published`. */
export function checkPublished(name: string, published: readonly string[]): void {
  if (published.includes(name)) return;
  if (Object.hasOwn(networks, name)) {
    const expected = 'weights (a path, URL, Response, Blob, stream or bytes)';
    throw new ResnetError(
      'argument',
      `${name}: expected ${expected}, got none; there are pretrained ones of ${published.join(', ')}.`,
    );
  }
  const names = [...new Set([...networkNames(), ...published])];
  const near = closest(names, name);
  throw new ResnetError(
    'argument',
    `network: expected one of ${names.join(', ')}, got ${label(name)}; the closest is ${near}.`,
  );
}

/**
 * Returns the options to load a set with: its network's own, its preprocessing and what `brought` says. What the caller
 * gives goes over them. Throws if that is another number of classes.
 */
export function withSet(
  { network, preprocessing, options: trained }: PretrainedSet,
  brought: Pick<LoadOptions, 'weights'> & { readonly labels: readonly string[] | undefined },
  options: LoadOptions,
): LoadOptions {
  // An option that is given as undefined is not given.
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { preprocessing: own, inChannels = 3, classes } = options;
  const there = trained.classes ?? networks[network]?.defaults.classes;
  if (classes !== undefined && classes !== there) {
    const why = 'other numbers need weights of your own';
    throw new ResnetError(
      'argument',
      `${network}: expected the ${there} classes of its pretrained weights, got ${shown(classes)}; ${why}.`,
    );
  }
  const { labels, weights } = brought;
  return {
    ...(labels && { labels }),
    ...trained,
    ...given,
    preprocessing: typeof own === 'string' || inChannels !== 3 ? own : { ...own, base: own?.base ?? preprocessing },
    weights,
  };
}
