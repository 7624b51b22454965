/** A graph as other engines want it: batch norm folded into weights, ReLU an attribute of the layer before it. */

import { seededTensor } from '../../bindings/weights/random.js';
import {
  type ConvOp,
  type Graph,
  inputShape,
  type LinearOp,
  type Node,
  type NodeId,
  nodeParameters,
  type Padding,
  type Pair,
  type Shape,
} from '../../models/index.js';

interface Common {
  readonly name: string;
  /** The value that the layer makes, and those that it reads. */
  readonly id: NodeId;
  readonly inputs: readonly NodeId[];
  /** Shapes of the first input and of the output. */
  readonly from: Shape;
  readonly to: Shape;
  readonly relu: boolean;
}

export interface ConvLayer extends Common, Omit<ConvOp, 'kind' | 'channels'> {
  readonly kind: 'conv';
  /** OIHW. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

export interface LinearLayer extends Common {
  readonly kind: 'linear';
  /** [out, in], `in` in CHW order. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

export interface MaxPoolLayer extends Common {
  readonly kind: 'maxPool';
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Padding;
  /** What it reads has no negative values: zeros may stand for the padding's −infinity. */
  readonly isPositive: boolean;
}

export interface PlainLayer extends Common {
  readonly kind: 'add' | 'globalAvgPool' | 'relu';
}

export type Layer = ConvLayer | LinearLayer | MaxPoolLayer | PlainLayer;

export interface Layers {
  readonly name: string;
  readonly input: NodeId;
  readonly inputShape: Shape;
  readonly output: NodeId;
  readonly layers: readonly Layer[];
}

/** Whether a node is what other engines call by this name. */
const isKind = (node: Node, kind: 'batchNorm' | 'globalAvgPool' | 'relu'): boolean => {
  if (kind === 'relu') return node.kind === 'activation' && node.activation.kind === 'relu';
  return kind === 'globalAvgPool' ? node.kind === 'reduce' && node.reduction === 'mean' : node.kind === kind;
};

/** The layers of a graph with its reference weights. Throws where a peer would need more than these kinds. */
export function makeLayers(graph: Graph): Layers {
  const consumers = graph.nodes.map(({ id }) => graph.nodes.filter(({ inputs }) => inputs.includes(id)));
  const output = graph.outputs[0].node;
  const only = (id: NodeId, kind: 'batchNorm' | 'relu'): Node | undefined => {
    const [user, ...others] = consumers[id] ?? [];
    return user && isKind(user, kind) && others.length === 0 && id !== output ? user : undefined;
  };
  const done = new Set<NodeId>();
  const layers: Layer[] = [];
  for (const node of graph.nodes) {
    if (node.kind === 'input' || done.has(node.id)) continue;
    const norm = node.kind === 'conv' || node.kind === 'linear' ? only(node.id, 'batchNorm') : undefined;
    const last = norm ?? node;
    const relu = node.kind === 'activation' || node.kind === 'maxPool' ? undefined : only(last.id, 'relu');
    for (const merged of [norm, relu]) if (merged) done.add(merged.id);
    const common: Common = {
      name: node.name,
      id: (relu ?? last).id,
      inputs: node.inputs,
      from: inputShape(graph, node),
      to: node.shape,
      relu: relu !== undefined,
    };
    switch (node.kind) {
      case 'conv': {
        const { kernel, stride, dilation, padding, groups } = node;
        layers.push({
          ...common,
          kind: 'conv',
          kernel,
          stride,
          dilation,
          padding,
          groups,
          ...folded(graph, node, norm),
        });
        break;
      }
      case 'linear':
        layers.push({ ...common, kind: 'linear', ...folded(graph, node, norm) });
        break;
      case 'maxPool': {
        const { kernel, stride, padding } = node;
        const isPositive = layers.find(({ id }) => id === node.inputs[0])?.relu ?? false;
        layers.push({ ...common, kind: 'maxPool', kernel, stride, padding, isPositive });
        break;
      }
      case 'add':
        layers.push({ ...common, kind: 'add' });
        break;
      default: {
        const kind = (['globalAvgPool', 'relu'] as const).find((each) => isKind(node, each));
        if (kind) {
          layers.push({ ...common, kind });
          break;
        }
        throw new TypeError(
          `${graph.name}: expected convolutions, pools, adds and linear layers, got ${node.name} (${node.kind}).`,
        );
      }
    }
  }
  const input = graph.nodes.find(({ kind }) => kind === 'input');
  if (!input) throw new TypeError(`${graph.name}: expected an input, got none.`);
  return { name: graph.name, input: input.id, inputShape: input.shape, output, layers };
}

/** y = γ · (W·x + b − mean) / √(variance + ε) + β as one weight and one bias. */
function folded(
  graph: Graph,
  node: Node<ConvOp | LinearOp>,
  norm: Node | undefined,
): { weight: Float32Array; bias: Float32Array } {
  const read = (of: Node | undefined): Partial<Record<string, Float32Array>> =>
    Object.fromEntries(
      of ? nodeParameters(graph, of).map((parameter) => [parameter.role, seededTensor(graph, parameter)]) : [],
    );
  const own = read(node);
  const weight = own.weight as Float32Array;
  const outputs = node.shape.c;
  const bias = own.bias ?? new Float32Array(outputs);
  if (norm?.kind !== 'batchNorm') return { weight, bias };
  const { weight: gamma, bias: beta, running_mean: mean, running_var: variance } = read(norm);
  const inner = weight.length / outputs;
  for (let o = 0; o < outputs; o++) {
    const scale = (gamma?.[o] as number) / Math.sqrt((variance?.[o] as number) + norm.eps);
    for (let i = o * inner; i < (o + 1) * inner; i++) weight[i] = (weight[i] as number) * scale;
    bias[o] = ((bias[o] as number) - (mean?.[o] as number)) * scale + (beta?.[o] as number);
  }
  return { weight, bias };
}

/** `values`, row-major in `shape`, with its axes in another order: axis i of the result is axis `order[i]`. */
export function permuted(values: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
  const sizes = order.map((axis) => shape[axis] as number);
  const steps = order.map((axis) => strides[axis] as number);
  const to = new Float32Array(values.length);
  const at = sizes.map(() => 0);
  for (let i = 0, from = 0; i < to.length; i++) {
    to[i] = values[from] as number;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      from += steps[axis] as number;
      at[axis] = (at[axis] as number) + 1;
      if ((at[axis] as number) < (sizes[axis] as number)) break;
      from -= (steps[axis] as number) * (sizes[axis] as number);
      at[axis] = 0;
    }
  }
  return to;
}

/** A linear layer's weight for a map that is flattened in HWC order. */
export const linearFromHwc = ({ weight, from, to }: LinearLayer): Float32Array =>
  from.h === 1 && from.w === 1 ? weight : permuted(weight, [to.c, from.c, from.h, from.w], [0, 2, 3, 1]);
