/**
 * Networks as data: nodes in topological order, each with the shape of what it makes. A `GraphBuilder` checks each node
 * as it is added, so that a graph that exists is one that can be run. The batch is not part of a graph.
 */

import { ResnetError } from './errors.js';
import type { Op, ParameterShape, Role } from './ops/op.js';
import { rowOf } from './ops.js';
import type { Shape } from './shape.js';

export type * from './ops/op.js';
export type * from './shape.js';

/** The place of a node in `Graph.nodes`. */
export type NodeId = number;

/** Names of a node's tensors by what they are to it. Nodes that name the same tensor share it. */
export type ParameterNames = Readonly<Partial<Record<Role, string>>>;

export type Node<O extends Op = Op> = O & {
  readonly id: NodeId;
  /** Module path, as in torchvision (`layer1.0.conv1`). Unique in a graph. */
  readonly name: string;
  readonly inputs: readonly NodeId[];
  readonly shape: Shape;
  /** By default the node's name and the role: `layer1.0.conv1.weight`. A bias is there if it is named. */
  readonly params: ParameterNames;
};

/** A value that comes from outside, or goes there, by name. */
export interface Port {
  readonly name: string;
  readonly node: NodeId;
}

/** The name of the output of a network without its classifier: what pictures are compared by, and no classes. */
export const FEATURES = 'features';

/** At least one. */
export type Ports = readonly [Port, ...Port[]];

export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly inputs: Ports;
  readonly outputs: Ports;
}

/** One tensor that a graph needs. The built-in networks name theirs as torchvision's `state_dict`. */
export interface Parameter extends Pick<ParameterShape, 'role' | 'shape'> {
  readonly name: string;
  /** The node that has it; the first of those that share it. */
  readonly node: NodeId;
}

const nodeOf = ({ name, nodes }: Graph, id: NodeId): Node => {
  const node = nodes[id];
  if (!node) throw new ResnetError('argument', `${name}: expected a node id below ${nodes.length}, got ${id}.`);
  return node;
};

/** The shape of what a graph reads: of its first input. */
export const graphInput = (graph: Graph): Shape => nodeOf(graph, graph.inputs[0].node).shape;

/** The node whose value a graph gives: its first output. */
export const graphOutput = (graph: Graph): Node => nodeOf(graph, graph.outputs[0].node);

/** The shapes of a node's inputs. */
export const inputShapes = (graph: Graph, node: Node): Shape[] => node.inputs.map((id) => nodeOf(graph, id).shape);

/** The shape of a node's first input. */
export function inputShape(graph: Graph, node: Node): Shape {
  const [from] = inputShapes(graph, node);
  if (!from) throw new ResnetError('argument', `${node.name}: expected an input, got none.`);
  return from;
}

/** Every tensor of a node, weight first. */
export function nodeParameters(graph: Graph, node: Node): Parameter[] {
  const tensors = rowOf(node).parameters(node, inputShapes(graph, node));
  return tensors.flatMap(({ role, shape }) => {
    const name = node.params[role];
    return name === undefined ? [] : [{ name, shape, node: node.id, role }];
  });
}

/** Every tensor of a graph, node by node; one that nodes share once, with the first of them. */
export function parameters(graph: Graph): Parameter[] {
  const all = new Map<string, Parameter>();
  for (const parameter of graph.nodes.flatMap((node) => nodeParameters(graph, node))) {
    if (!all.has(parameter.name)) all.set(parameter.name, parameter);
  }
  return [...all.values()];
}

/** Trainable values (a batch norm's running statistics are not). */
export function trainableCount(list: readonly Parameter[]): number {
  return list
    .filter(({ role }) => role === 'weight' || role === 'bias')
    .reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}

/** Multiply–adds of a node for one image, as He et al. 2015, table 1 counts them: convolutions and linear layers. */
export const macs = (graph: Graph, node: Node): number => rowOf(node).macs(node, inputShapes(graph, node), node.shape);

/** Layers that multiply on the longest way from an input to an output: the number in a network's name. */
export function depth(graph: Graph): number {
  const depths: number[] = [];
  for (const node of graph.nodes) {
    const before = Math.max(0, ...node.inputs.map((id) => depths[id] ?? 0));
    depths.push(before + (macs(graph, node) > 0 ? 1 : 0));
  }
  return Math.max(...graph.outputs.map(({ node }) => depths[node] ?? 0));
}
