/** Files that hold a network's tensors and nothing else, which is what most do. */

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
import { sameShape, size } from '../util/shape.js';
import { COUNTER, torchvisionNames } from './torch-names.js';
import { DTYPE_BYTES, type Piece, type TensorInfo, type WeightFile } from './types.js';

export interface NetworkMatch {
  readonly network: string;
  /** Those that differ from the network's defaults. */
  readonly options: NetworkOptions;
}

export type Named = Pick<TensorInfo, 'name' | 'shape'>;

/** A file's tensors by the names that a network's aliases give them. */
interface Candidate {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly key: string;
  readonly hasBias: boolean;
}

/** What is there, or not, by the shortcut. */
const SHORTCUT_NAME = /\.downsample\./;

/** Shortcuts to try: the network's own first. */
export const SHORTCUTS: readonly (Shortcut | undefined)[] = [undefined, 'A', 'B', 'C'];

/** Finds the network that has exactly these tensors. */
export function exactNetwork(tensors: readonly Named[]): NetworkMatch | undefined {
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

/** Names of a network's tensors before its last layers that it has with any shortcut: graphs take long to build. */
const bodies = new Map<string, readonly string[]>();

export function bodyOf(name: string, network: Network): readonly string[] {
  const known = bodies.get(name);
  if (known) return known;
  const graph = network.build();
  const before = parameters(graph).filter(({ node }) => graph.nodes[node]?.kind !== 'linear');
  const body = before.map((parameter) => parameter.name).filter((each) => !SHORTCUT_NAME.test(each));
  bodies.set(name, body);
  return body;
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
  if (!bodyOf(name, network).every((each) => shapes.has(each))) return undefined;
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
export function shownOptions(graph: Graph, list: readonly Parameter[], shapes: Candidate['shapes']): NetworkOptions {
  const classes = shapes.get(list.findLast(({ role }) => role === 'weight')?.name ?? '')?.[0];
  const inChannels = shapes.get(list.find(({ role }) => role === 'weight')?.name ?? '')?.[1];
  return {
    ...(classes !== undefined && classes !== graphOutput(graph).shape.c ? { classes } : {}),
    ...(inChannels !== undefined && inChannels !== graphInput(graph).c ? { inChannels } : {}),
  };
}

/** Names by a network's aliases, without a prefix that all have. Throws if two tensors come to have one name. */
export function exactNames(tensors: readonly Named[], network: string | Graph | undefined): readonly Named[] {
  if (typeof network !== 'object') return torchvisionNames(tensors, networks[network ?? '']?.aliases);
  return hasAll(tensors, network) ? tensors : torchvisionNames(tensors);
}

/** As `exactNames`; undefined if two tensors come to have one name. */
export function exactly(tensors: readonly Named[], network: string | Graph | undefined): readonly Named[] | undefined {
  try {
    return exactNames(tensors, network);
  } catch {
    return undefined;
  }
}

/** Whether names are all those of a network, or more. */
export function hasAll(named: readonly Named[], network: string | Graph): boolean {
  const graph = typeof network === 'object' ? network : networks[network]?.build();
  const names = new Set(named.map(({ name }) => name));
  const wanted = graph ? parameters(graph) : [];
  return wanted.every(({ name }) => names.has(name));
}

/** The file with other names and shapes, one for each of its tensors. */
export function renamed(file: WeightFile, named: readonly Named[]): WeightFile {
  if (named.every(({ name, shape }, i) => name === file.tensors[i]?.name && shape === file.tensors[i]?.shape)) {
    return file;
  }
  return withTensors(file, new Map(file.tensors.map((tensor, i) => [tensor, { ...tensor, ...named[i] }])));
}

/** The file with these tensors in the place of its own; those without another are passed over. */
export function withTensors(file: WeightFile, others: ReadonlyMap<TensorInfo, TensorInfo>): WeightFile {
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    for await (const { tensor, bytes } of file.pieces()) {
      const other = others.get(tensor);
      if (other) yield { tensor: other, bytes };
    }
  }
  const tensors = file.tensors.flatMap((tensor) => others.get(tensor) ?? []);
  const total = tensors.reduce((sum, { shape, dtype }) => sum + size(shape) * DTYPE_BYTES[dtype], 0);
  return { ...file, tensors, total, pieces, close: () => file.close() };
}

/**
 * Gives a file the names of a network, if they are exactly those of its tensors and there is nothing else to tell of it;
 * undefined if not.
 */
export function exactFile(file: WeightFile, network: string | Graph, graph: Graph): WeightFile | undefined {
  const { others = [], skipped = [] } = file.selection ?? {};
  if (others.length > 0 || !skipped.every((name) => COUNTER.test(name))) return undefined;
  const exact = exactly(file.tensors, network);
  const names = new Set(parameters(graph).map(({ name }) => name));
  return exact?.length === names.size && hasAll(exact, graph) ? renamed(file, exact) : undefined;
}
