/** A file's tensors under the names of a network. */

import { type Graph, networks } from '../../models/index.js';
import { exactly, exactNames, exactNetwork, hasAll, renamed } from './exact.js';
import { type Fit, type FitOptions, fitsOf, type Held } from './fit.js';
import { networksIn } from './identify.js';
import type { WeightFile } from './types.js';

/**
 * Gives a file's tensors the names and shapes of a network: of the registry's one called `network`, of a graph, or by
 * default of the one that the tensors are identified as. What comes before a network's names (`module.`) is cut off, unless
 * it is in a graph's own names; tensors that are not the network's keep their names. A file that brings its graph, one that
 * holds several networks, and any whose names fit already, is returned as it is. Throws if two tensors come to have one name.
 */
export function withNetworkNames(file: WeightFile, network?: string | Graph): WeightFile {
  if (file.graph) return file;
  const target = network ?? exactNetwork(file.tensors)?.network;
  const exact = exactly(file.tensors, target);
  if (exact && target !== undefined && (network === undefined || hasAll(exact, target))) return renamed(file, exact);
  const fit = onlyFit(file, network);
  if (!fit) return renamed(file, exactNames(file.tensors, target));
  const all = file.tensors.map((tensor) => fit.names.get(tensor.name) ?? tensor);
  // Another's tensor may have the name that one of the network's is given.
  return new Set(all.map(({ name }) => name)).size === all.length ? renamed(file, all) : file;
}

/** What of a file a network may be made of. */
export const heldIn = ({ tensors, selection }: WeightFile): Held => ({ tensors, skipped: selection?.skipped ?? [] });

/** The one place in a file where there is a network; undefined if there is none, or several. */
function onlyFit(file: WeightFile, network: string | Graph | undefined): Fit | undefined {
  const held = heldIn(file);
  const found = network === undefined ? networksIn(held) : [];
  const [only] = found;
  if (network === undefined && (!only || found.length > 1)) return undefined;
  const name = network ?? only?.network ?? '';
  const options = network === undefined ? only?.options : file.config;
  const graph = typeof name === 'object' ? name : networks[name]?.build(options);
  const fits = graph ? fitsOf(held, graph, fitOptionsOf(name)) : [];
  return fits.length === 1 ? fits[0] : undefined;
}

/** A network of the registry has aliases, and may lack its last layer unless told otherwise; a graph is as it is. */
export const fitOptionsOf = (network: string | Graph, mayLackHead = true): FitOptions =>
  typeof network === 'object'
    ? { isHeadFree: false, mayLackHead: false }
    : { isHeadFree: true, mayLackHead, aliases: networks[network]?.aliases ?? {} };
