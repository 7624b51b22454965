/** Keras's own networks among those of the registry: by the names of their layers, and by what their graphs compute. */

import {
  buildNetwork,
  type Graph,
  graphInput,
  graphOutput,
  inputShape,
  type NetworkOptions,
  type Node,
  networks,
  parameters,
} from '../../../../models/index.js';
import { type KerasFamily, kerasFamilies } from '../../../../models/keras-families.js';
import type { ArchConfig, TensorInfo } from '../../types.js';

/** A layer with variables. */
interface Named {
  readonly name: string;
  readonly isDense: boolean;
}

/** Layers that are all of one family. */
export interface FamilyMatch {
  readonly family: KerasFamily;
  /** torchvision's modules by the names of layers. */
  readonly modules: ReadonlyMap<string, string>;
}

/** Finds the family whose names all layers have; one dense layer may have another, and is the classifier then. */
export function modulesOf(layers: readonly Named[]): FamilyMatch | undefined {
  for (const family of layers.length > 0 ? kerasFamilies : []) {
    const modules = new Map(layers.map(({ name }) => [name, family.module(name)]));
    const others = layers.filter(({ name }) => modules.get(name) === undefined);
    const [other] = others;
    if (others.length > 1 || (other && !other.isDense)) continue;
    if (other) modules.set(other.name, family.head);
    if (new Set(modules.values()).size === layers.length) return { family, modules: modules as Map<string, string> };
  }
  return undefined;
}

/** Splits `conv1.weight` into the layer and the role. */
function renamed(tensor: string, modules: ReadonlyMap<string, string>): string {
  const end = tensor.lastIndexOf('.');
  return `${modules.get(tensor.slice(0, end)) ?? tensor.slice(0, end)}${tensor.slice(end)}`;
}

/** Gives tensors names by which the registry finds their network, and to matrices that read maps the maps of `graph`. */
export function withModules(
  tensors: readonly (TensorInfo | undefined)[],
  { modules, family }: FamilyMatch,
  graph: Graph | undefined,
): (TensorInfo | undefined)[] {
  const maps = new Map(
    graph?.nodes.flatMap((node) => {
      if (node.kind !== 'linear') return [];
      const { h, w } = inputShape(graph, node);
      return h * w > 1 ? [[node.params.weight, [h, w] as const]] : [];
    }),
  );
  return tensors.map((tensor) => {
    if (!tensor) return undefined;
    const module = renamed(tensor.name, modules);
    const map = tensor.order === 'IO' ? maps.get(module) : undefined;
    const isKept = family.isKnown && family.module(tensor.name.slice(0, tensor.name.lastIndexOf('.'))) !== undefined;
    return { ...tensor, name: isKept ? tensor.name : module, ...(map ? { map } : {}) };
  });
}

/**
 * Numbers what a graph computes: equal values, of this graph or of another with the same `seen`, have equal numbers. Names
 * of nodes do not count, names of tensors do.
 */
function numberOf(graph: Graph, output: Node, rename: (tensor: string) => string, seen: Map<string, number>): number {
  const numbers: number[] = [];
  for (const { id, name: _, shape: __, inputs, params, ...op } of graph.nodes) {
    const reads = inputs.map((input) => numbers[input] ?? -1);
    if (op.kind === 'add') reads.sort((a, b) => a - b);
    const tensors = Object.entries(params)
      .map(([role, tensor]) => `${role} ${rename(tensor)}`)
      .sort();
    const attributes = Object.entries(op).sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([attributes, reads, tensors]);
    const number = seen.get(key) ?? seen.size;
    seen.set(key, number);
    numbers[id] = number;
  }
  return numbers[output.id] ?? -1;
}

/** The last node but for a softmax, which the registry's networks leave to whoever wants probabilities. */
function logitsOf(graph: Graph): Node {
  const end = graphOutput(graph);
  return end.kind === 'softmax' ? (graph.nodes[end.inputs[0] as number] as Node) : end;
}

const STRIDES = ['conv1', 'conv2'] as const;

/**
 * Finds the network of the registry that computes what a graph does at the network's usual size; `config` is what its
 * options cannot be told from tensors.
 */
export function builtIn(
  graph: Graph,
  { family, modules }: FamilyMatch,
): { config: ArchConfig; graph: Graph } | undefined {
  if (graph.inputs.length > 1 || graph.outputs.length > 1) return undefined;
  const input = graphInput(graph);
  const logits = logitsOf(graph);
  const tensors = new Set(parameters(graph).map(({ name }) => renamed(name, modules)));
  const norm = graph.nodes.find((node) => node.kind === 'batchNorm');
  const eps = norm?.kind === 'batchNorm' ? norm.eps : undefined;
  for (const name of family.networks) {
    const defaults: NetworkOptions = networks[name]?.defaults ?? {};
    if (input.h !== defaults.size || input.w !== defaults.size) continue;
    const convBias = 'convBias' in defaults ? tensors.has('conv1.bias') : undefined;
    const batchNormEps = 'batchNormEps' in defaults ? eps : undefined;
    for (const strideIn of 'strideIn' in defaults ? STRIDES : [undefined]) {
      const config = { batchNormEps, convBias, strideIn };
      const own = buildNetwork(name, { ...config, classes: logits.shape.c, inChannels: input.c });
      const list = parameters(own);
      if (list.length !== tensors.size || !list.every((parameter) => tensors.has(parameter.name))) break;
      const seen = new Map<string, number>();
      const value = numberOf(own, graphOutput(own), (tensor) => tensor, seen);
      if (numberOf(graph, logits, (tensor) => renamed(tensor, modules), seen) === value) return { config, graph: own };
    }
  }
  return undefined;
}

/** The network of a family that has just these tensors, which have Keras's names; undefined if none has. */
export function networkWith(
  { family, modules }: FamilyMatch,
  tensors: readonly TensorInfo[],
  { convBias }: ArchConfig,
): string | undefined {
  const names = new Set(tensors.map(({ name }) => renamed(name, modules)));
  return family.networks.find((name) => {
    const list = parameters(buildNetwork(name, convBias ? { convBias } : {}));
    return list.length === names.size && list.every((parameter) => names.has(parameter.name));
  });
}
