/** Which network of the registry a graph is, whatever its tensors are called: exporters fold batch norms, and rename. */

import {
  buildNetwork,
  type Graph,
  graphInput,
  graphOutput,
  type NetworkOptions,
  type Node,
  type NodeId,
  networks,
} from '../../models/index.js';
import { bytesOfNumbers } from '../util/bytes.js';
import { size } from '../util/shape.js';
import type { NetworkMatch } from './exact.js';
import { DTYPE_BYTES, type Piece, type TensorInfo, type WeightFile } from './types.js';

/** Numbers of what nodes compute: two nodes that compute the same of the same have one. */
class Numbers {
  readonly #numbers = new Map<string, number>();

  /** A number for each node of a graph. What exporters fold into the node before has the number of that. */
  of({ nodes }: Graph): number[] {
    const found: number[] = [];
    for (const node of nodes) {
      const inputs = node.inputs.map((id) => found[id] as number);
      found.push(
        isFolded(node, nodes) ? (inputs[0] as number) : this.#number(`${wordsOf(node)} of ${order(node, inputs)}`),
      );
    }
    return found;
  }

  #number(text: string): number {
    const number = this.#numbers.get(text) ?? this.#numbers.size;
    this.#numbers.set(text, number);
    return number;
  }
}

/** A batch norm after a convolution, or a pool to the size that a map has. */
function isFolded({ kind, inputs, shape }: Node, nodes: readonly Node[]): boolean {
  const from = nodes[inputs[0] as NodeId];
  if (kind === 'batchNorm') return from?.kind === 'conv';
  return kind === 'adaptiveAvgPool' && from?.shape.h === shape.h && from.shape.w === shape.w;
}

const order = ({ kind }: Node, inputs: readonly number[]): string =>
  (kind === 'add' ? [...inputs].sort((a, b) => a - b) : inputs).join(' ');

/** A node's kind and attributes: a pool to one pixel is a mean. */
function wordsOf({ id: _, name: __, inputs: ___, shape, params: ____, ...op }: Node): string {
  if (op.kind === 'adaptiveAvgPool' && op.h === 1 && op.w === 1) return 'reduce mean';
  // Files have it as float32.
  if (op.kind === 'batchNorm') return `norm ${Math.fround(op.eps)}`;
  if (op.kind === 'reduce') return `reduce ${op.reduction}`;
  const entries = Object.entries({ ...op, ...(op.kind === 'input' ? shape : {}) }).filter(
    ([, value]) => value !== undefined,
  );
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const isProduct = ({ kind }: Node): boolean => kind === 'conv' || kind === 'linear';

/** Convolutions and linear layers of networks, which take long to build. */
const counts = new Map<string, number>();

function countOf(name: string): number {
  const count = counts.get(name) ?? buildNetwork(name).nodes.filter(isProduct).length;
  counts.set(name, count);
  return count;
}

/** The options that a network may have been built with: strides leave no trace but in a graph. */
const variants = (defaults: NetworkOptions): NetworkOptions[] =>
  'strideIn' in defaults ? [{}, { strideIn: 'conv1' }] : [{}];

interface Match extends NetworkMatch {
  readonly graph: Graph;
  /** The node of the given graph for each of the network's that has tensors; norms after convolutions are with these. */
  readonly nodes: ReadonlyMap<Node, Node>;
}

/** Finds the network whose graph computes the same as this one. */
function matchOf(graph: Graph): Match | undefined {
  if (graph.inputs.length > 1 || graph.outputs.length > 1) return undefined;
  const { h, w, c } = graphInput(graph);
  const classes = graphOutput(graph).shape.c;
  const products = graph.nodes.filter(isProduct).length;
  for (const [network, { defaults }] of Object.entries(networks)) {
    if (countOf(network) !== products) continue;
    for (const variant of variants(defaults)) {
      const options = {
        ...variant,
        ...(classes === defaults.classes ? {} : { classes }),
        ...(c === 3 ? {} : { inChannels: c }),
      };
      const own = built(network, { ...options, size: [h, w] });
      const nodes = own && paired(own, graph);
      if (nodes) return { network, options, graph: own, nodes };
    }
  }
  return undefined;
}

/** The network with these options; undefined if there is none, such as at another size. */
function built(network: string, options: NetworkOptions): Graph | undefined {
  try {
    return buildNetwork(network, options);
  } catch {
    return undefined;
  }
}

function paired(own: Graph, other: Graph): Map<Node, Node> | undefined {
  const numbers = new Numbers();
  const [ours, theirs] = [numbers.of(own), numbers.of(other)];
  if (ours[own.outputs[0].node] !== theirs[other.outputs[0].node]) return undefined;
  const hasTensors = (graph: Graph) => (node: Node) =>
    isProduct(node) || (node.kind === 'batchNorm' && !isFolded(node, graph.nodes));
  const free = other.nodes.filter(hasTensors(other));
  const pairs = new Map<Node, Node>();
  for (const node of own.nodes.filter(hasTensors(own))) {
    const at = free.findIndex(({ id }) => theirs[id] === ours[node.id]);
    const [found] = at < 0 ? [] : free.splice(at, 1);
    if (!found) return undefined;
    pairs.set(node, found);
  }
  return pairs;
}

/** The network of the registry that a graph is, with the options that differ from its defaults. */
export function networkOf(graph: Graph): NetworkMatch | undefined {
  const match = matchOf(graph);
  return match && { network: match.network, options: match.options };
}

const NORM_ROLES = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/** A vector that a network has and a file with folded batch norms does not. */
interface Filled {
  readonly info: TensorInfo;
  readonly value: number;
}

/**
 * A file that brings the graph of a network of the registry as weights of that network, under its names: a batch norm that
 * was folded has a scale of 1, and the convolution's bias. Undefined if the graph is none of these, or shares tensors.
 */
export function asNetwork(file: WeightFile): WeightFile | undefined {
  const match = file.graph && matchOf(file.graph);
  if (!match || !file.graph) return undefined;
  const names = new Map<string, string>();
  const filled: Filled[] = [];
  const take = (from: string | undefined, to: string | undefined): void => {
    if (from !== undefined && to !== undefined) names.set(from, to);
  };
  for (const [own, other] of match.nodes) {
    if (own.kind === 'batchNorm') {
      for (const role of NORM_ROLES) take(other.params[role], own.params[role]);
      continue;
    }
    take(other.params.weight, own.params.weight);
    const norm = match.graph.nodes.find(({ kind, inputs }) => kind === 'batchNorm' && inputs[0] === own.id);
    const otherNorm = file.graph.nodes.find(({ kind, inputs }) => kind === 'batchNorm' && inputs[0] === other.id);
    if (norm?.kind !== 'batchNorm') take(other.params.bias, own.params.bias);
    else if (otherNorm?.kind === 'batchNorm') {
      if (other.params.bias !== undefined || Math.fround(otherNorm.eps) !== Math.fround(norm.eps)) return undefined;
      for (const role of NORM_ROLES) take(otherNorm.params[role], norm.params[role]);
    } else {
      take(other.params.bias, norm.params.bias);
      const values = {
        weight: 1,
        bias: other.params.bias === undefined ? 0 : undefined,
        running_mean: 0,
        running_var: 1 - norm.eps,
      };
      for (const [role, value] of Object.entries(values)) {
        const name = norm.params[role as keyof typeof values];
        if (name === undefined || value === undefined) continue;
        filled.push({ info: { name, shape: [norm.shape.c], dtype: 'F32', order: 'OI' }, value });
      }
    }
  }
  const tensors = new Map(file.tensors.map((tensor) => [tensor, { ...tensor, name: names.get(tensor.name) ?? '' }]));
  const all = [...filled.map(({ info }) => info), ...tensors.values()];
  if (names.size !== file.tensors.length || new Set(all.map(({ name }) => name)).size !== all.length) return undefined;
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    for (const { info, value } of filled) {
      yield { tensor: info, bytes: bytesOfNumbers(new Float32Array(size(info.shape)).fill(value)) };
    }
    for await (const { tensor, bytes } of file.pieces()) yield { tensor: tensors.get(tensor) as TensorInfo, bytes };
  }
  return {
    ...file,
    graph: undefined,
    config: { ...file.config, ...(match.options.strideIn ? { strideIn: match.options.strideIn } : {}) },
    tensors: all,
    total: all.reduce((sum, { shape, dtype }) => sum + size(shape) * DTYPE_BYTES[dtype], 0),
    pieces,
    close: () => file.close(),
  };
}
