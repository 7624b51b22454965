/**
 * Graphs as JSON: { name, nodes: [{ kind, name, inputs, attributes, params }], outputs: { name: node } }. A node is its
 * place in `nodes`; what it has none of is left out. `params` are the names of tensors that are not there by default.
 */

import { type Graph, GraphBuilder, type Node, type NodeId, type Padding, type Pair } from './graph.js';

/** A node as JSON has it, before its numbers are checked. */
interface NodeJson {
  readonly kind: string;
  readonly name: string;
  readonly inputs?: readonly NodeId[];
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** More nodes than any network has; a file may not ask for more. */
const MAX_NODES = 100_000;

/** Writes a graph as JSON. */
export function graphToJson(graph: Graph): string {
  const nodes = graph.nodes.map((node): NodeJson => {
    const { inputs, name } = node;
    return { name, ...(inputs.length > 0 ? { inputs } : {}), ...operationOf(node) };
  });
  return JSON.stringify({ name: graph.name, nodes, outputs: { output: graph.output } });
}

/**
 * Makes the graph that a JSON text tells. Every node passes through a GraphBuilder, which checks it. Throws if the text
 * is no JSON, or tells no graph that can be run; the message may quote the text.
 */
export function graphFromJson(text: string): Graph {
  const json: unknown = JSON.parse(text);
  if (!isRecord(json) || typeof json.name !== 'string' || !Array.isArray(json.nodes) || !isRecord(json.outputs)) {
    throw new TypeError('graph: expected { name, nodes: [], outputs: {} }, got other JSON.');
  }
  if (json.nodes.length > MAX_NODES) {
    throw new RangeError(`graph: expected at most ${MAX_NODES} nodes, got ${json.nodes.length}.`);
  }
  const g = new GraphBuilder(json.name);
  for (const [i, node] of json.nodes.entries()) addNode(g, checkedNode(i, node));
  const { output } = json.outputs;
  if (Object.keys(json.outputs).length !== 1 || typeof output !== 'number') {
    throw new RangeError('graph: expected one node in outputs, called output.');
  }
  return g.finish(output);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkedNode(i: number, node: unknown): NodeJson {
  if (!isRecord(node) || typeof node.kind !== 'string' || typeof node.name !== 'string') {
    throw new TypeError(`node ${i}: expected { kind, name, inputs, attributes, params }, got another value.`);
  }
  const { kind, name, inputs = [], attributes = {}, params = {} } = node;
  if (!Array.isArray(inputs) || !inputs.every((input) => Number.isInteger(input))) {
    throw new TypeError(`${name}: expected the numbers of nodes as inputs, got another value.`);
  }
  if (!isRecord(attributes) || !isRecord(params)) {
    throw new TypeError(`${name}: expected attributes and params to be objects, got another value.`);
  }
  return { kind, name, inputs, attributes, params };
}

const biasOf = (node: Node & { readonly bias: boolean }) =>
  node.bias ? { params: { bias: `${node.name}.bias` } } : {};

/** What an operation is called, and its attributes. */
function operationOf(node: Node): Pick<NodeJson, 'kind' | 'attributes' | 'params'> {
  const { kind, shape } = node;
  switch (node.kind) {
    case 'input':
      return { kind, attributes: { ...shape } };
    case 'conv': {
      const { kernel, stride, dilation, padding, groups } = node;
      return { kind, attributes: { channels: shape.c, kernel, stride, dilation, padding, groups }, ...biasOf(node) };
    }
    case 'linear':
      return { kind, attributes: { channels: shape.c }, ...biasOf(node) };
    case 'batchNorm':
      return { kind, attributes: { eps: node.eps } };
    case 'relu':
      return { kind: 'activation', attributes: { activation: { kind } } };
    case 'maxPool':
    case 'avgPool':
      return { kind, attributes: { kernel: node.kernel, stride: node.stride, padding: node.padding } };
    case 'adaptiveAvgPool':
      return { kind, attributes: { h: shape.h, w: shape.w } };
    case 'globalAvgPool':
      return { kind: 'reduce', attributes: { reduction: 'mean' } };
    case 'zeroPadShortcut':
      return { kind, attributes: { stride: node.stride, before: node.before, after: node.after } };
    default:
      return { kind };
  }
}

function addNode(g: GraphBuilder, { kind, name, inputs = [], attributes: a = {}, params = {} }: NodeJson): NodeId {
  const [x = -1, y = -1] = inputs;
  const number = (key: string): number => {
    if (typeof a[key] !== 'number') throw new TypeError(`${name}: expected ${key} to be a number, got another value.`);
    return a[key];
  };
  const pair = (key: string): Pair => {
    const value = a[key];
    const isPair = Array.isArray(value) && value.length === 2 && value.every((n) => typeof n === 'number');
    if (!isPair) throw new TypeError(`${name}: expected ${key} to be two numbers, got another value.`);
    return value as unknown as Pair;
  };
  const padding = (): Padding => {
    const value = a.padding;
    const sides = isRecord(value) ? [value.top, value.left, value.bottom, value.right] : [];
    if (sides.length !== 4 || !sides.every((n) => typeof n === 'number')) {
      throw new TypeError(`${name}: expected padding { top, left, bottom, right }, got another value.`);
    }
    const [top = 0, left = 0, bottom = 0, right = 0] = sides as number[];
    return { top, left, bottom, right };
  };
  const bias = (): boolean => {
    if (params.bias !== undefined && params.bias !== `${name}.bias`) {
      throw new TypeError(`${name}: expected a bias called ${name}.bias, got another.`);
    }
    return params.bias !== undefined;
  };
  const count = kind === 'input' ? 0 : kind === 'add' ? 2 : kind === 'concat' ? inputs.length : 1;
  if (inputs.length !== count) throw new RangeError(`${name}: expected ${count} inputs, got ${inputs.length}.`);
  switch (kind) {
    case 'input':
      return g.input({ h: number('h'), w: number('w'), c: number('c') });
    case 'conv': {
      const window = { kernel: pair('kernel'), stride: pair('stride'), dilation: pair('dilation'), padding: padding() };
      return g.conv(name, x, number('channels'), { ...window, groups: number('groups'), bias: bias() });
    }
    case 'linear':
      return g.linear(name, x, number('channels'), bias());
    case 'batchNorm':
      return g.batchNorm(name, x, number('eps'));
    case 'activation':
      if (!isRecord(a.activation) || a.activation.kind !== 'relu') break;
      return g.relu(name, x);
    case 'add':
      return g.add(name, x, y);
    case 'concat':
      return g.concat(name, inputs);
    case 'maxPool':
    case 'avgPool':
      return g[kind](name, x, { kernel: pair('kernel'), stride: pair('stride'), padding: padding() });
    case 'adaptiveAvgPool':
      return g.adaptiveAvgPool(name, x, number('h'), number('w'));
    case 'reduce':
      if (a.reduction !== 'mean') break;
      return g.globalAvgPool(name, x);
    case 'softmax':
      return g.softmax(name, x);
    case 'zeroPadShortcut':
      if (number('before') !== number('after')) break;
      return g.zeroPadShortcut(name, x, g.shape(x).c + 2 * number('before'), number('stride'));
  }
  throw new RangeError(`${name}: expected an operation that is known, got ${kind}.`);
}
