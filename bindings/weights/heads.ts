/** The last layer of a network, which files have under other names, without a bias, or not at all. */

import { FEATURES, type Graph, graphOutput, type Node, nodeParameters } from '../../models/graph.js';

/** Where other implementations have a network's last linear layer. */
const MODULES = ['fc', 'classifier', 'last_linear', 'head.fc', 'head', 'linear'];

interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The linear layer that gives a network's classes. */
export interface Head {
  /** Its module: `fc`. */
  readonly name: string;
  readonly weight: string;
  readonly bias: string | undefined;
  /** Values that it reads. */
  readonly features: number;
  /** Names of its tensors, and of those of the linear layers before it, if such end the network. */
  readonly tensors: ReadonlySet<string>;
  /** The part of `tensors` that is its own. */
  readonly own: ReadonlySet<string>;
}

const linearNode = (graph: Graph): Node | undefined => {
  const end = graphOutput(graph);
  const node = end.kind === 'softmax' ? graph.nodes[end.inputs[0] ?? -1] : end;
  return node?.kind === 'linear' ? node : undefined;
};

/** The first of the linear layers that end a network. */
const firstLinear = ({ nodes }: Graph): Node | undefined => nodes.find(({ kind }) => kind === 'linear');

/** Finds the last layer of a network; undefined if it does not end in a linear one. */
export function headOf(graph: Graph): Head | undefined {
  const node = linearNode(graph);
  const { weight, bias } = node?.params ?? {};
  const list = node ? nodeParameters(graph, node) : [];
  const features = list[0]?.shape[1];
  if (!node || weight === undefined || features === undefined) return undefined;
  const all = graph.nodes.filter(({ kind }) => kind === 'linear').flatMap((each) => nodeParameters(graph, each));
  const names = (of: typeof list): Set<string> => new Set(of.map(({ name }) => name));
  return { name: node.name, weight, bias, features, tensors: names(all), own: names(list) };
}

/**
 * Finds what a file calls the last layer: `fc.1` of a Sequential, or another implementation's name. It must be the only
 * layer there, and read as many values. Undefined if there is none.
 */
export function headModule(head: Head, tensors: readonly Named[]): string | undefined {
  for (const root of new Set([head.name, ...MODULES])) {
    const there = tensors.filter(({ name }) => name.startsWith(`${root}.`));
    const weights = there.filter(({ name, shape }) => name.endsWith('.weight') && shape.length === 2);
    const [only, ...others] = weights;
    if (!only || others.length > 0) continue;
    const module = only.name.slice(0, -'.weight'.length);
    const place = module.slice(root.length);
    const isAlone = there.every(({ name }) => name === `${module}.weight` || name === `${module}.bias`);
    if (isAlone && /^(\.\d{1,3})?$/.test(place) && only.shape[1] === head.features) return module;
  }
  return undefined;
}

/** The network with a last layer that adds no bias. */
export function withoutBias(graph: Graph): Graph {
  const head = linearNode(graph);
  const nodes = graph.nodes.map((node): Node => {
    if (node !== head) return node;
    const { bias: _, ...params } = node.params;
    return { ...node, params };
  });
  return { ...graph, nodes };
}

/**
 * The network that ends before its last layer or, with `before` 'all', before the first of the linear layers that end it.
 * What is left of a map then is its mean. The output is called FEATURES.
 */
export function withoutHead(graph: Graph, before: 'last' | 'all'): Graph {
  const cut = before === 'last' ? linearNode(graph) : firstLinear(graph);
  const end = cut?.inputs[0] ?? 0;
  const nodes = graph.nodes.slice(0, end + 1);
  const { h, w, c } = (nodes[end] as Node).shape;
  if (h * w > 1) {
    const pool = { kind: 'reduce', reduction: 'mean', name: 'pool', shape: { h: 1, w: 1, c }, params: {} } as const;
    nodes.push({ ...pool, id: nodes.length, inputs: [end] });
  }
  return { ...graph, nodes, outputs: [{ name: FEATURES, node: nodes.length - 1 }] };
}
