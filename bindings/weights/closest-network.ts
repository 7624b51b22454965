/** What helps if no network fits a file: some of its names, and the network that comes closest. */

import { networks, parameters } from '../../models/index.js';
import { label } from '../util/messages.js';
import { sameShape } from '../util/shape.js';
import { type Held, prefixesOf, tablesUnder } from './fit.js';

const SHOWN = 3;

/** The first names of a list, for a sentence: `a, b, c and 94 more`. */
export function someOf(names: readonly string[]): string {
  const first = names.slice(0, SHOWN).map((name) => label(name));
  const more = names.length - first.length;
  if (names.length === 0) return 'no tensors';
  return more > 0 ? `${first.join(', ')} and ${more} more` : first.join(', ');
}

/**
 * Describes the network that has most of a file's tensors, by name and shape, under any prefix, and what sets it apart.
 * Undefined if there is none, or if it is the one called `except`.
 */
export function closestNetwork(held: Held, except?: string): string | undefined {
  let best: { readonly share: number; readonly network: string; readonly text: string } | undefined;
  const lists = Object.entries(networks).map(([network, { build }]) => [network, parameters(build())] as const);
  for (const prefix of prefixesOf(held)) {
    const tables = tablesUnder(held, prefix);
    for (const [network, list] of lists) {
      const entries = tables(networks[network]?.aliases);
      const common = list.filter(({ name, shape }) => sameShape(entries?.get(name)?.shape ?? [], shape));
      const share = common.length / (list.length + (entries?.size ?? 0) - common.length);
      if (common.length === 0 || share <= (best?.share ?? 0)) continue;
      const other = list.find((parameter) => !common.includes(parameter));
      const what = other && (entries?.has(other.name) ? `${other.name} in its shape` : other.name);
      const text = `${network}, of whose ${list.length} tensors ${common.length} are there${what ? `, but not ${what}` : ''}`;
      best = { share, network, text };
    }
  }
  return best?.network === except ? undefined : best?.text;
}
