/** Which network of the registry a file's tensors are those of. */

import {
  type Graph,
  graphInput,
  graphOutput,
  type NetworkOptions,
  networks,
  type Parameter,
  parameters,
  type Shortcut,
} from '../../models/index.js';
import type { TensorInfo } from './types.js';

export interface NetworkMatch {
  readonly network: string;
  /** Those that differ from the network's defaults. */
  readonly options: NetworkOptions;
}

type Tensors = ReadonlyMap<string, readonly number[]>;

const SHORTCUTS: readonly Shortcut[] = ['A', 'B', 'C'];

/**
 * The network that has exactly these tensors, with the number of classes and of input channels that they show. Where
 * several have (strides, and shortcuts without parameters, leave no trace in tensors), the first of the registry, one
 * with its own options before one with others. Undefined where none has.
 */
export function identifyNetwork(tensors: readonly Pick<TensorInfo, 'name' | 'shape'>[]): NetworkMatch | undefined {
  const shapes: Tensors = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const names = Object.keys(networks);
  for (const options of variants(shapes)) {
    for (const network of names) {
      const fitting = fittingOptions(network, options, shapes);
      if (fitting) return { network, options: fitting };
    }
  }
  return undefined;
}

/** Options that change which tensors there are: the networks' own first. */
function variants(shapes: Tensors): NetworkOptions[] {
  const hasBias = shapes.has('conv1.bias');
  const own: NetworkOptions = hasBias ? { convBias: true } : {};
  return [own, ...SHORTCUTS.map((shortcut) => ({ ...own, shortcut }))];
}

/** `options` and those that the shapes show; undefined where the network does not have just these tensors then. */
function fittingOptions(name: string, options: NetworkOptions, shapes: Tensors): NetworkOptions | undefined {
  const network = networks[name];
  const { defaults } = network ?? {};
  if (!network || !defaults) return undefined;
  const isKnown = Object.entries(options).every(([key]) => key in defaults);
  if (!isKnown || Object.entries(options).some(([key, value]) => key === 'shortcut' && value === defaults.shortcut)) {
    return undefined;
  }
  const graph = network.build(options);
  const list = parameters(graph);
  if (list.length !== shapes.size || !list.every((parameter) => shapes.has(parameter.name))) return undefined;
  const seen = { ...options, ...shownOptions(graph, list, shapes) };
  try {
    const isFitting = parameters(network.build(seen)).every((parameter) => sameShape(parameter, shapes));
    return isFitting ? seen : undefined;
  } catch {
    // Shapes that no network can have.
    return undefined;
  }
}

/** Classes and input channels, where they are others than the graph's. */
function shownOptions(graph: Graph, list: readonly Parameter[], shapes: Tensors): NetworkOptions {
  const classes = shapes.get(list.findLast(({ role }) => role === 'weight')?.name ?? '')?.[0];
  const inChannels = shapes.get(list.find(({ role }) => role === 'weight')?.name ?? '')?.[1];
  return {
    ...(classes !== undefined && classes !== graphOutput(graph).shape.c ? { classes } : {}),
    ...(inChannels !== undefined && inChannels !== graphInput(graph).c ? { inChannels } : {}),
  };
}

const sameShape = ({ name, shape }: Parameter, shapes: Tensors): boolean => {
  const other = shapes.get(name);
  return other?.length === shape.length && shape.every((size, i) => other[i] === size);
};
