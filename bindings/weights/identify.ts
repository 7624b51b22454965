/** Which network of the registry a file's tensors are those of. */

import {
  type Graph,
  graphInput,
  graphOutput,
  type Network,
  type NetworkOptions,
  networks,
  type Parameter,
  parameters,
  type Shortcut,
} from '../../models/index.js';
import { fnv1a32 } from '../util/hash.js';
import { sameShape } from '../util/shape.js';
import { torchvisionNames } from './torch-names.js';
import type { TensorInfo } from './types.js';

export interface NetworkMatch {
  readonly network: string;
  /** Those that differ from the network's defaults. */
  readonly options: NetworkOptions;
}

type Named = Pick<TensorInfo, 'name' | 'shape'>;

/** A file's tensors by the names that a network's aliases give them. */
interface Candidate {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly key: string;
  readonly hasBias: boolean;
}

/** Shortcuts to try: the network's own first. */
const SHORTCUTS: readonly (Shortcut | undefined)[] = [undefined, 'A', 'B', 'C'];

/**
 * Finds the network that has exactly these tensors, under its own names or its aliases, with the number of classes and
 * of input channels that they show. If several have (strides, and shortcuts without parameters, leave no trace in
 * tensors), it is the first of the registry, and one with its own options before one with others; undefined if none has.
 */
export function identifyNetwork(tensors: readonly Pick<TensorInfo, 'name' | 'shape'>[]): NetworkMatch | undefined {
  const candidates = new Map<Network['aliases'], Candidate | undefined>();
  for (const shortcut of SHORTCUTS) {
    for (const [name, network] of Object.entries(networks)) {
      const { aliases } = network;
      if (!candidates.has(aliases)) candidates.set(aliases, candidateOf(tensors, aliases));
      const candidate = candidates.get(aliases);
      const options = candidate && fittingOptions(name, network, shortcut, candidate);
      if (options) return { network: name, options };
    }
  }
  return undefined;
}

/** Names the tensors by aliases; undefined if two come to have one name. */
function candidateOf(tensors: readonly Named[], aliases: Network['aliases']): Candidate | undefined {
  try {
    const shapes = new Map(torchvisionNames(tensors, aliases).map(({ name, shape }) => [name, shape]));
    return { shapes, key: keyOf([...shapes.keys()]), hasBias: shapes.has('conv1.bias') };
  } catch {
    return undefined;
  }
}

/** Makes one text of a set of names, the same in any order; other sets hardly ever have it. */
const keyOf = (names: readonly string[]): string =>
  `${names.length} ${names.reduce((sum, name) => (sum + fnv1a32(name)) >>> 0, 0)}`;

/** Keys of the names of networks with options that decide which tensors there are: graphs take long to build. */
const keys = new Map<string, string>();

function keyOfNetwork(name: string, network: Network, options: NetworkOptions): string {
  const variant = `${name} ${JSON.stringify(options)}`;
  const known = keys.get(variant);
  if (known !== undefined) return known;
  const key = keyOf(parameters(network.build(options)).map((parameter) => parameter.name));
  keys.set(variant, key);
  return key;
}

/** The options that the tensors show; undefined if the network does not have just these tensors with this shortcut. */
function fittingOptions(
  name: string,
  network: Network,
  shortcut: Shortcut | undefined,
  { shapes, key, hasBias }: Candidate,
): NetworkOptions | undefined {
  const { defaults } = network;
  if ((hasBias && !('convBias' in defaults)) || (shortcut && !('shortcut' in defaults))) return undefined;
  if (shortcut !== undefined && shortcut === defaults.shortcut) return undefined;
  const options: NetworkOptions = { ...(hasBias ? { convBias: true } : {}), ...(shortcut ? { shortcut } : {}) };
  if (keyOfNetwork(name, network, options) !== key) return undefined;
  const graph = network.build(options);
  const list = parameters(graph);
  if (!list.every((parameter) => shapes.has(parameter.name))) return undefined;
  const seen = { ...options, ...shownOptions(graph, list, shapes) };
  try {
    const isFitting = parameters(network.build(seen)).every((parameter) =>
      sameShape(shapes.get(parameter.name) ?? [], parameter.shape),
    );
    return isFitting ? seen : undefined;
  } catch {
    // Shapes that no network can have.
    return undefined;
  }
}

/** Classes and input channels, if they are others than the graph's. */
function shownOptions(graph: Graph, list: readonly Parameter[], shapes: Candidate['shapes']): NetworkOptions {
  const classes = shapes.get(list.findLast(({ role }) => role === 'weight')?.name ?? '')?.[0];
  const inChannels = shapes.get(list.find(({ role }) => role === 'weight')?.name ?? '')?.[1];
  return {
    ...(classes !== undefined && classes !== graphOutput(graph).shape.c ? { classes } : {}),
    ...(inChannels !== undefined && inChannels !== graphInput(graph).c ? { inChannels } : {}),
  };
}
