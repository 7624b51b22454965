/** From what a caller names to a file of weights and the graph that they are for. */

import { ResnetError } from '../../models/errors.js';
import {
  buildNetwork,
  type Graph,
  graphInput,
  loadNetworks,
  loadOps,
  type NetworkOptions,
  parameters,
} from '../../models/index.js';
import { type OpenOptions, openWeights, prefixed, type WeightFile, type WeightSource } from '../weights/open.js';
import { isWeightSource, type NetworkLike } from './network-like.js';

/** Weights that are a function of a whole number and their names, uniform and scaled after He et al. 2015. */
export interface RandomWeights {
  readonly seed: number;
}

interface Opened {
  /** Its tensors have the graph's names. */
  readonly file: WeightFile;
  /** Of a named network without what the file lacks of its last layer. */
  readonly graph: Graph;
}

/** Opens the weights, and finds or builds the graph that they are for. A file that does not fit is closed. */
export async function openNetwork(
  network: NetworkLike,
  weights: WeightSource | WeightFile | RandomWeights | undefined,
  options: OpenOptions,
  networkOptions: NetworkOptions,
): Promise<Opened> {
  if (isWeightSource(network)) return openIdentified(network, options, networkOptions);
  if (typeof network === 'object') await loadOps(network.nodes.map(({ kind }) => kind));
  const build = (config: NetworkOptions): Graph =>
    typeof network === 'string'
      ? buildNetwork(network, { ...config, ...networkOptions })
      : withoutOptions(network, networkOptions);
  if (typeof weights === 'object' && 'seed' in weights) {
    const { seed } = weights;
    if (!Number.isInteger(seed))
      throw new ResnetError('argument', `weights: expected seed to be a whole number, got ${seed}.`);
    const graph = build({});
    return { file: (await import('../weights/random.js')).randomWeights(graph, seed), graph };
  }
  return closedOnError(await openFile(weights as WeightSource | WeightFile, options), async (file) => {
    const graph = build(file.config);
    if (!file.graph) return fittedTo(file, network, graph, networkOptions);
    checkOwn(file, graph);
    return { file, graph };
  });
}

/** Opens weights that tell their network. */
export async function openIdentified(
  weights: WeightSource,
  options: OpenOptions,
  networkOptions: NetworkOptions,
): Promise<Opened> {
  const subject = typeof weights === 'string' ? weights : 'weights';
  const sized = { ...options, size: networkOptions.size };
  return closedOnError(await openFile(weights, sized), (file) => identified(file, subject, networkOptions));
}

/** Takes a network's tensors out of a file. Whoever asks for a number of classes wants a last layer. */
async function fittedTo(
  file: WeightFile,
  network: string | Graph,
  graph: Graph,
  { classes }: NetworkOptions,
): Promise<Opened> {
  const exact = (await import('../weights/exact.js')).exactFile(file, network, graph);
  if (exact) return { file: exact, graph };
  return (await import('../weights/fitted.js')).fitted(file, network, graph, classes === undefined);
}

/** Opens a file of weights; what is one already is handed on. */
async function openFile(weights: WeightSource | WeightFile, options: OpenOptions): Promise<WeightFile> {
  const isFile = typeof weights === 'object' && weights !== null && 'pieces' in weights;
  const file = isFile ? weights : await openWeights(weights, options);
  // What a file brings may come from another script, which has its own table.
  await loadOps(file.graph?.nodes.map(({ kind }) => kind) ?? []);
  return isFile && options.prefix !== undefined ? prefixed(file, options.prefix) : file;
}

/** The graph that a file brings, or that of the network whose tensors it has. */
async function identified(file: WeightFile, subject: string, options: NetworkOptions): Promise<Opened> {
  if (file.graph) return { file, graph: withoutOptions(file.graph, sizeless(file.graph, options)) };
  const { exactNetwork } = await import('../weights/exact.js');
  let found = exactNetwork(file.tensors);
  if (!found) {
    await loadNetworks();
    found = exactNetwork(file.tensors) ?? (await import('../weights/fitted.js')).networkIn(file, subject);
  }
  const graph = buildNetwork(found.network, { ...file.config, ...found.options, ...options });
  return fittedTo(file, found.network, graph, options);
}

/** Throws if the file brings another network than `graph`, which its tensors' names tell. */
function checkOwn({ graph: own, tensors }: WeightFile, graph: Graph): void {
  const names = own && new Set(tensors.map(({ name }) => name));
  if (names && !parameters(graph).every(({ name }) => names.has(name))) {
    throw new ResnetError('weights', `${graph.name}: the file is of another network; load it without a name.`);
  }
}

/** The options but for the size, if the graph was made of it. */
function sizeless(graph: Graph, { size, ...options }: NetworkOptions): NetworkOptions {
  const { h, w } = graphInput(graph);
  const [rows, columns] = typeof size === 'number' ? [size, size] : (size ?? []);
  return rows === h && columns === w ? options : { ...options, size };
}

/** A graph takes no options: they are in it. */
function withoutOptions(graph: Graph, options: NetworkOptions): Graph {
  const [option] = Object.entries(options).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  if (option !== undefined)
    throw new ResnetError('argument', `${graph.name}: a graph takes no network options, got ${option}.`);
  return graph;
}

async function closedOnError(file: WeightFile, make: (file: WeightFile) => Promise<Opened>): Promise<Opened> {
  try {
    return await make(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}
