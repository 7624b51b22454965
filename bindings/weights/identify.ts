/** Which network of the registry a file's tensors are those of. */

import { type Network, type NetworkOptions, networks, parameters } from '../../models/index.js';
import { bodyOf, exactNetwork, type NetworkMatch, SHORTCUTS, shownOptions } from './exact.js';
import { type Entry, fitEntries, type Held, hasShapes, prefixesOf, tablesUnder } from './fit.js';
import type { TensorInfo } from './types.js';

export type { NetworkMatch } from './exact.js';

/**
 * Finds the network whose tensors these are, under its own names or its aliases, with the number of classes and of input
 * channels that they show. If several have them (strides, and shortcuts without parameters, leave no trace in tensors), it
 * is the first of the registry, and one with its own options before one with others. Other tensors may lie beside the
 * network's, which may have a prefix, and lack its last layer. Undefined if there is none.
 */
export const identifyNetwork = (tensors: readonly Pick<TensorInfo, 'name' | 'shape'>[]): NetworkMatch | undefined => {
  const found = exactNetwork(tensors) ?? networksIn({ tensors, skipped: [] })[0];
  return found && { network: found.network, options: found.options };
};

export interface NetworkAt extends NetworkMatch {
  /** What its tensors begin with in the file. */
  readonly prefix: string;
}

/** Finds the networks in a file, one for each prefix that has one. */
export const networksIn = (held: Held): NetworkAt[] =>
  prefixesOf(held).flatMap((prefix) => {
    const match = networkUnder(held, prefix);
    return match ? [{ ...match, prefix }] : [];
  });

function networkUnder(held: Held, prefix: string): NetworkMatch | undefined {
  const tables = tablesUnder(held, prefix);
  for (const shortcut of SHORTCUTS) {
    for (const [name, network] of Object.entries(networks)) {
      const { aliases, defaults } = network;
      const entries = tables(aliases);
      if (!entries || !bodyOf(name, network).every((each) => entries.has(each))) continue;
      const hasBias = entries.has('conv1.bias');
      if ((hasBias && !('convBias' in defaults)) || (shortcut && !('shortcut' in defaults))) continue;
      if (shortcut !== undefined && shortcut === defaults.shortcut) continue;
      const options: NetworkOptions = { ...(hasBias ? { convBias: true } : {}), ...(shortcut ? { shortcut } : {}) };
      const found = shownIn(entries, network, options);
      if (found) return { network: name, options: found };
    }
  }
  return undefined;
}

/** The options of a network that fits the entries in names and shapes. */
function shownIn(
  entries: ReadonlyMap<string, Entry>,
  network: Network,
  options: NetworkOptions,
): NetworkOptions | undefined {
  const graph = network.build(options);
  const fit = fitEntries(entries, graph, { isHeadFree: true, mayLackHead: true });
  if (!fit) return undefined;
  const shapes = new Map([...fit.names.values()].map(({ name, shape }) => [name, shape]));
  const shown = shownOptions(graph, parameters(graph), shapes);
  try {
    const seen = { ...options, ...shown };
    const whole = fitEntries(entries, network.build(seen), { isHeadFree: true, mayLackHead: true });
    return whole && hasShapes(whole) ? seen : undefined;
  } catch {
    // Shapes that no network can have.
    return undefined;
  }
}
