/** A file's tensors under the names of a network. */

import { type Graph, networks, parameters } from '../../models/index.js';
import { identifyNetwork } from './identify.js';
import { torchvisionNames } from './torch-names.js';
import type { Piece, TensorInfo, WeightFile } from './types.js';

/**
 * Gives a file's tensors the names and shapes of a network: of the registry's one called `network`, of a graph, or by
 * default of the one that the tensors are identified as. Wrappers' prefixes (`module.`) are cut off, unless they are in
 * a graph's own names. A file that brings its graph, and any whose names fit already, is returned as it is. Throws if
 * two tensors come to have one name.
 */
export function withNetworkNames(file: WeightFile, network?: string | Graph): WeightFile {
  if (file.graph) return file;
  const named = namesFor(file.tensors, network);
  if (named.every(({ name, shape }, i) => name === file.tensors[i]?.name && shape === file.tensors[i]?.shape)) {
    return file;
  }
  const tensors = file.tensors.map((tensor, i) => ({ ...tensor, ...named[i] }));
  const renamed = new Map(file.tensors.map((tensor, i) => [tensor, tensors[i]]));
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    for await (const { tensor, bytes } of file.pieces()) yield { tensor: renamed.get(tensor) ?? tensor, bytes };
  }
  return { ...file, tensors, pieces, close: () => file.close() };
}

function namesFor(
  tensors: readonly TensorInfo[],
  network: string | Graph | undefined,
): readonly Pick<TensorInfo, 'name' | 'shape'>[] {
  if (typeof network === 'object') {
    const names = new Set(tensors.map(({ name }) => name));
    const isFitting = parameters(network).every(({ name }) => names.has(name));
    return isFitting ? tensors : torchvisionNames(tensors);
  }
  const name = network ?? identifyNetwork(tensors)?.network;
  return torchvisionNames(tensors, name === undefined ? {} : networks[name]?.aliases);
}
