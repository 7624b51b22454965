/** Sentences on what of a file is not read, or is not there. */

import { either, shown } from '../util/messages.js';
import { someOf } from './closest-network.js';
import type { Fit } from './fit.js';
import type { WeightFile } from './types.js';

/** Tells which of a checkpoint's sets of tensors was read, if there are several. */
export function selectionWarnings({ selection }: WeightFile): string[] {
  const { key = '', others = [], prefix } = selection ?? {};
  const keys = others.filter((other) => other !== '').map(shown);
  if (keys.length === 0 || prefix !== undefined) return [];
  return [`weights: ${shown(key)} is read of this checkpoint; the option prefix chooses ${either(keys)} instead.`];
}

/** Tells what is beside a network's tensors, and what of the network is not there. */
export function fitWarnings(network: string, { foreign, lacking }: Pick<Fit, 'foreign' | 'lacking'>): string[] {
  const [count, are] = foreign.length === 1 ? ['one tensor', 'is'] : [`${foreign.length} tensors`, 'are'];
  const left = `${count} of the file ${are} not the network's, and ${are} left out: ${someOf(foreign)}`;
  return [...(lacking ? [lacking] : []), ...(foreign.length > 0 ? [left] : [])].map((text) => `${network}: ${text}.`);
}
