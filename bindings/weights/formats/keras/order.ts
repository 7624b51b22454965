/** Layers that Keras names itself, counting by class: conv2d, conv2d_1 …, in the order in which they were made. */

import {
  buildNetwork,
  type Graph,
  graphInput,
  graphOutput,
  type NetworkOptions,
  networks,
  nodeParameters,
  type Shortcut,
} from '../../../../models/index.js';
import { sameShape } from '../../../util/shape.js';
import type { ArchConfig, TensorInfo } from '../../types.js';

/** By class: the kind of node that it is. */
const KINDS: Readonly<Record<string, 'conv' | 'batchNorm' | 'linear'>> = {
  conv2d: 'conv',
  batch_normalization: 'batchNorm',
  dense: 'linear',
};

const NAME = /^(conv2d|batch_normalization|dense)(?:_(\d+))?\.(\w+)$/;

/** Keras's own, unless a layer is told another. */
const EPSILON = 1e-3;

type Tensors = ReadonlyMap<string, { readonly name: string; readonly shape: readonly number[] }>;

/** A layer with variables: its kind, and what it has by role. */
interface Layer {
  readonly kind: string;
  readonly tensors: Tensors;
}

const countOf = (layers: readonly Layer[], wanted: string): number =>
  layers.filter(({ kind }) => kind === wanted).length;

/** The layers that tensors are of, in Keras's count; undefined if one has another name. */
function counted(tensors: readonly TensorInfo[]): Layer[] | undefined {
  const layers = new Map<string, Layer & { readonly number: number }>();
  for (const tensor of tensors) {
    const [, kind = '', number = '-1', role = ''] = NAME.exec(tensor.name) ?? [];
    const node = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
    if (node === undefined) return undefined;
    const key = `${node} ${number}`;
    const layer = layers.get(key) ?? { kind: node, number: Number(number), tensors: new Map() };
    layers.set(key, { ...layer, tensors: new Map(layer.tensors).set(role, tensor) });
  }
  return [...layers.values()].sort((a, b) => a.number - b.number);
}

const layersOf = (graph: Graph): Layer[] =>
  graph.nodes.flatMap((node) => {
    const list = nodeParameters(graph, node);
    if (list.length === 0) return [];
    return [{ kind: node.kind, tensors: new Map(list.map((parameter) => [parameter.role, parameter])) }];
  });

/** Names of a network's layers by kind, which take long to build: for all that is asked later. */
const known = new Map<string, { readonly graph: Graph; readonly layers: readonly Layer[] }>();

function usual(name: string, shortcut: Shortcut | undefined) {
  const key = `${name} ${shortcut}`;
  const found = known.get(key);
  if (found) return found;
  const graph = buildNetwork(name, { shortcut });
  const made = { graph, layers: layersOf(graph) };
  known.set(key, made);
  return made;
}

/** What the file's tensors are called in a network; undefined if its layers are not the network's in their order. */
function namesIn(graph: Graph, layers: readonly Layer[]): Map<string, string> | undefined {
  const names = new Map<string, string>();
  const own = layersOf(graph);
  for (const kind of Object.values(KINDS)) {
    const [theirs, ours] = [layers, own].map((list) => list.filter((layer) => layer.kind === kind)) as [
      Layer[],
      Layer[],
    ];
    if (theirs.length !== ours.length) return undefined;
    for (const [i, { tensors }] of ours.entries()) {
      const given = theirs[i]?.tensors;
      if (given?.size !== tensors.size) return undefined;
      for (const [role, { name, shape }] of tensors) {
        const tensor = given.get(role);
        if (!tensor || !sameShape(tensor.shape, shape)) return undefined;
        names.set(tensor.name, name);
      }
    }
  }
  return names;
}

/** The variants of networks to try: each shortcut is one. */
const variants = () =>
  Object.entries(networks).flatMap(([name, { defaults }]) => {
    const { shortcut: usual } = defaults;
    const shortcuts: readonly (Shortcut | undefined)[] =
      usual === undefined || usual === 'none' ? [usual] : ['A', 'B', 'C'];
    return shortcuts.map((shortcut) => ({ name, shortcut, defaults }));
  });

/**
 * Gives tensors the names of the only network whose layers have their shapes in their order; undefined if none has, or if
 * several have, since strides leave no trace in tensors.
 */
export function inOrder(
  tensors: readonly TensorInfo[],
): { readonly config: ArchConfig; readonly tensors: readonly TensorInfo[] } | undefined {
  const layers = tensors.length > 0 ? counted(tensors) : undefined;
  const last = layers?.findLast(({ kind }) => kind === 'linear')?.tensors.get('weight');
  const first = layers?.find(({ kind }) => kind === 'conv')?.tensors;
  const stem = first?.get('weight');
  if (!layers || !last || !stem) return undefined;
  const [classes, inChannels] = [last.shape[0], stem.shape[1]];
  const convBias = first?.has('bias') ?? false;
  const fitting: { defaults: NetworkOptions; names: Map<string, string> }[] = [];
  for (const { name, shortcut, defaults } of variants()) {
    const { graph: own, layers: theirs } = usual(name, shortcut);
    if (!Object.values(KINDS).every((kind) => countOf(theirs, kind) === countOf(layers, kind))) continue;
    const options: NetworkOptions = {
      shortcut,
      ...(graphOutput(own).shape.c === classes ? {} : { classes }),
      ...(graphInput(own).c === inChannels ? {} : { inChannels }),
      ...(convBias && 'convBias' in defaults ? { convBias } : {}),
    };
    const names = namesIn(buildNetwork(name, options), layers);
    if (names) fitting.push({ defaults, names });
  }
  const [found, ...others] = fitting;
  if (!found || others.length > 0) return undefined;
  const { defaults } = found;
  const config = {
    ...('batchNormEps' in defaults ? { batchNormEps: EPSILON } : {}),
    ...('convBias' in defaults ? { convBias } : {}),
  };
  return {
    config,
    tensors: tensors.map((tensor) => ({ ...tensor, name: found.names.get(tensor.name) ?? tensor.name })),
  };
}
