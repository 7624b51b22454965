/** Which nodes are one layer, and which layers one kernel computes together: one step. */

import {
  type Activation,
  type ActivationOp,
  type BatchNormOp,
  type ConvOp,
  type Graph,
  type LinearOp,
  type Node,
  type NodeId,
  type Op,
  rowOf,
} from '../../models/index.js';

/** A layer: a node with the batch norm and the activation that follow it and nothing else reads. */
export interface Layer {
  /** In the graph's order. */
  readonly nodes: readonly [Node, ...Node[]];
  /** The batch norm that follows a convolution or linear layer. */
  readonly norm: Node<BatchNormOp> | undefined;
  /** The activation that ends the layer; the layer itself if it is nothing else. */
  readonly activation: Node<ActivationOp> | undefined;
  /** The node whose value the layer makes: its last. */
  readonly output: NodeId;
}

/** Kinds of operation that remain after fusion, and `range`, which finds how large a value is (ranges.ts). */
export type StepKind = Exclude<Op['kind'], 'input' | 'concat' | 'reshape' | 'activation' | 'add'> | 'copy' | 'range';

/** A step before its values have places. */
export interface Draft {
  readonly kind: StepKind;
  readonly node: Node;
  /** Every node that the step computes: `node`, and those that are fused with it. None for a copy that concat wants. */
  readonly parts: readonly NodeId[];
  readonly folded: Node<BatchNormOp> | undefined;
  readonly preActivation: Node<BatchNormOp> | undefined;
  readonly activation: Activation | undefined;
  /** The node whose parameter the slopes of a PReLU are. */
  readonly slopes: Node<ActivationOp> | undefined;
  readonly input: NodeId;
  /** What is added before the activation; the second operand of what takes two. */
  readonly residual: NodeId | undefined;
  readonly output: NodeId;
  /** Steps run in the order of these: the node's id, or of a copy that of the concatenation which wants it. */
  readonly order: NodeId;
}

/** Operations with a matrix of weights. */
export type MatrixOp = ConvOp | LinearOp;

/** Each node's readers, and whether its value leaves the graph. */
class Readers {
  readonly #readers: readonly Node[][];
  readonly #outputs: ReadonlySet<NodeId>;

  constructor({ nodes, outputs }: Graph) {
    this.#readers = nodes.map(() => []);
    for (const node of nodes) for (const id of node.inputs) this.#readers[id]?.push(node);
    this.#outputs = new Set(outputs.map(({ node }) => node));
  }

  /** The only reader of a value that is no output, if it reads it once. */
  only(id: NodeId): Node | undefined {
    const [reader, ...others] = this.#readers[id] ?? [];
    return others.length === 0 && !this.#outputs.has(id) ? reader : undefined;
  }
}

/** Whether a node has a matrix of weights. */
export const multiplies = (node: Node): node is Node<MatrixOp> => node.kind === 'conv' || node.kind === 'linear';

/** Kinds whose kernels end in an activation. */
const ACTIVATED: ReadonlySet<Node['kind']> = new Set(['conv', 'linear', 'add', 'mul', 'batchNorm']);

function layers(graph: Graph, readers: Readers): Layer[] {
  const taken = new Set<NodeId>();
  const all: Layer[] = [];
  for (const node of graph.nodes) {
    if (taken.has(node.id)) continue;
    const nodes: [Node, ...Node[]] = [node];
    let next = readers.only(node.id);
    let norm: Layer['norm'];
    if (multiplies(node) && next?.kind === 'batchNorm') {
      norm = next as Node<BatchNormOp>;
      nodes.push(next);
      next = readers.only(next.id);
    }
    let activation = node.kind === 'activation' ? (node as Node<ActivationOp>) : undefined;
    if (ACTIVATED.has(node.kind) && next?.kind === 'activation') {
      activation = next as Node<ActivationOp>;
      nodes.push(next);
    }
    for (const { id } of nodes) taken.add(id);
    all.push({ nodes, norm, activation, output: (nodes.at(-1) ?? node).id });
  }
  return all;
}

/** The layers of a graph, its inputs and concatenations among them, in the order of their first nodes. */
export const layersOf = (graph: Graph): Layer[] => layers(graph, new Readers(graph));

/**
 * Steps of the layers of a graph. An add goes to the later of its two operands' convolutions, whose other operand is then
 * there. Batch norm and ReLU before a pointwise convolution, which no weights can take, go to the packing of its input.
 */
export function fuse(graph: Graph): Draft[] {
  const readers = new Readers(graph);
  const all = layers(graph, readers);
  const layerOf = new Map(all.map((layer) => [layer.nodes[0].id, layer]));
  const made = new Set<NodeId>();
  const drafts: Draft[] = [];
  for (const layer of all) {
    const node = layer.nodes[0];
    if (made.has(node.id)) continue;
    for (const { id } of layer.nodes) made.add(id);
    if (rowOf(node).kernel === undefined) continue;
    const sum = sumAfter(layer, layerOf, readers, made);
    for (const { id } of sum?.layer.nodes ?? []) made.add(id);
    const before = preActivationOf(node, drafts, readers);
    if (before) drafts.splice(drafts.indexOf(before), 1);
    const last = sum?.layer ?? layer;
    const activation = last.activation?.activation;
    drafts.push({
      kind: kindOf(node),
      node,
      parts: [...(before?.parts ?? []), ...[...layer.nodes, ...(sum?.layer.nodes ?? [])].map(({ id }) => id)],
      folded: layer.norm,
      preActivation: before?.node as Node<BatchNormOp> | undefined,
      activation,
      slopes: activation?.kind === 'prelu' ? last.activation : undefined,
      // A constant reads nothing: its own place stands for an input's.
      input: before?.input ?? node.inputs[0] ?? node.id,
      residual: sum?.other ?? node.inputs[1],
      output: last.output,
      order: node.id,
    });
  }
  return drafts;
}

/** An activation and an add are copies that do something on the way. */
const kindOf = ({ kind }: Node): StepKind => (kind === 'activation' || kind === 'add' ? 'copy' : (kind as StepKind));

/** The add that a convolution's epilogue can do: it comes right after, and its other operand is already there. */
function sumAfter(
  { nodes, activation, output }: Layer,
  layerOf: ReadonlyMap<NodeId, Layer>,
  readers: Readers,
  made: ReadonlySet<NodeId>,
): { layer: Layer; other: NodeId } | undefined {
  if (nodes[0].kind !== 'conv' || activation) return undefined;
  const sum = readers.only(output);
  const layer = sum?.kind === 'add' ? layerOf.get(sum.id) : undefined;
  const other = sum?.inputs.find((id) => id !== output);
  return layer && other !== undefined && made.has(other) ? { layer, other } : undefined;
}

/** The draft of the batch norm and ReLU that a pointwise convolution alone reads. */
function preActivationOf(node: Node, drafts: readonly Draft[], readers: Readers): Draft | undefined {
  const [input] = node.inputs;
  if (input === undefined || !isPointwise(node) || !readers.only(input)) return undefined;
  const draft = drafts.find(({ output }) => output === input);
  return draft?.kind === 'batchNorm' && draft.activation?.kind === 'relu' ? draft : undefined;
}

/** A convolution that is a GEMM on its input as it lies. */
function isPointwise(node: Node): boolean {
  if (node.kind !== 'conv' || node.groups > 1) return false;
  const { top, left, bottom, right } = node.padding;
  return [...node.kernel, ...node.stride].every((n) => n === 1) && top + left + bottom + right === 0;
}
