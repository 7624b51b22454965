/** The file of a network's own tensors that `load` reads, out of whatever else a file holds. */

import { ResnetError } from '../../models/errors.js';
import { type Graph, parameters } from '../../models/index.js';
import { plain, shown } from '../util/messages.js';
import { closestNetwork, someOf } from './closest-network.js';
import { exactNames, exactNetwork, type NetworkMatch, withTensors } from './exact.js';
import { type Fit, fitsOf } from './fit.js';
import { networksIn } from './identify.js';
import { checkTensors } from './match.js';
import { fitOptionsOf, heldIn } from './network-names.js';
import type { TensorInfo, WeightFile } from './types.js';
import { fitWarnings, selectionWarnings } from './warnings.js';

export interface Fitted {
  /** Its tensors have the graph's names; its warnings tell of all others. */
  readonly file: WeightFile;
  /** Without a bias or layers that the file does not have. */
  readonly graph: Graph;
}

/**
 * Finds the network in a file, whatever lies beside it. Throws, `subject` first, if there is none, with some of the file's names and the closest
 * network, or if there are several.
 */
export function networkIn(file: WeightFile, subject: string): NetworkMatch {
  const found = exactNetwork(file.tensors) ?? chosen(subject, file, networksIn(heldIn(file)));
  if (found) return { network: found.network, options: found.options };
  const close = closestNetwork(heldIn(file));
  const nothing = `no known network has these tensors (${someOf(file.tensors.map(({ name }) => name))})`;
  const most = close ? `the closest is ${close}; ` : '';
  throw new ResnetError('weights', `${subject}: ${nothing}; ${most}name the network, or give its graph.`);
}

/**
 * Takes a network's tensors out of a file that holds others too, or not all, under its names. `mayLackHead`: whether its
 * last layer may be missing. Throws if a tensor is missing, if one of its modules has more than the network has, or if the file holds
 * several such networks.
 */
export function fitted(file: WeightFile, network: string | Graph, graph: Graph, mayLackHead: boolean): Fitted {
  const held = heldIn(file);
  const all = fitsOf(held, graph, fitOptionsOf(network, mayLackHead));
  const fit = chosen(
    graph.name,
    file,
    all.map((each) => ({ ...each, network: graph.name })),
  );
  if (!fit) return refuse(file, network, graph);
  const own = (tensor: TensorInfo): [TensorInfo, TensorInfo][] => {
    const place = fit.names.get(tensor.name);
    return place ? [[tensor, { ...tensor, ...place }]] : [];
  };
  return { file: warned(withTensors(file, new Map(file.tensors.flatMap(own))), graph.name, fit), graph: fit.graph };
}

const warned = (file: WeightFile, network: string, fit: Pick<Fit, 'foreign' | 'lacking'>): WeightFile => ({
  ...file,
  warnings: [...(file.warnings ?? []), ...selectionWarnings(file), ...fitWarnings(network, fit)],
});

/** The only one of several networks, or the one that has the prefix that was asked for and no more. */
function chosen<Place extends { readonly prefix: string; readonly network: string }>(
  subject: string,
  { selection }: WeightFile,
  found: readonly Place[],
): Place | undefined {
  const asked = selection?.prefix === undefined ? undefined : found.find(({ prefix }) => prefix === '');
  if (asked || found.length < 2) return asked ?? found[0];
  const places = found.map(({ network, prefix }) => `${network} at ${shown(prefix.replace(/\.$/, ''))}`);
  throw new ResnetError(
    'weights',
    `${subject}: expected one network, got ${places.join(', ')}; choose one by its prefix.`,
  );
}

/** Throws for the first tensor that does not fit. */
function refuse(file: WeightFile, network: string | Graph, graph: Graph): never {
  const tensors = exactNames(file.tensors, network).map((named, i) => ({ ...file.tensors[i], ...named }) as TensorInfo);
  let reason = '';
  try {
    checkTensors({ tensors }, parameters(graph));
  } catch (error) {
    reason = plain(error);
  }
  const close = closestNetwork(heldIn(file), graph.name);
  const some = `the file has ${someOf(file.tensors.map(({ name }) => name))}`;
  throw new ResnetError('weights', `${reason}; ${some}${close ? `; the closest network is ${close}` : ''}.`);
}
