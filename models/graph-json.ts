/**
 * Graphs as JSON: { name, nodes: [{ kind, name, inputs, attributes, params }], outputs: { name: node } }. A node is its
 * place in `nodes`; what it has none of is left out. `params` are the names of tensors that are not there by default.
 * Infinite numbers, which JSON lacks, are the texts that JavaScript has for them.
 */

import { GraphBuilder } from './builder.js';
import { ResnetError } from './errors.js';
import { type Graph, inputShapes, type Node, type NodeId } from './graph.js';
import type { Attributes, OpKind } from './ops/op.js';
import { loadOps, rowOf } from './ops.js';

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

const INFINITE: Readonly<Record<string, number>> = { Infinity: Infinity, '-Infinity': -Infinity };

/** Writes a graph as JSON. */
export function graphToJson(graph: Graph): string {
  const outputs = Object.fromEntries(graph.outputs.map(({ name, node }) => [name, node]));
  const finite = (_: string, value: unknown) => (Math.abs(value as number) === Infinity ? String(value) : value);
  return JSON.stringify(
    { name: graph.name, nodes: graph.nodes.map((node) => nodeToJson(graph, node)), outputs },
    finite,
  );
}

function nodeToJson(graph: Graph, node: Node): NodeJson {
  const { id: _, shape: __, kind, name, inputs, params, ...attributes } = node;
  const tensors = rowOf(node).parameters(node, inputShapes(graph, node));
  const named = tensors.flatMap(({ role, isOptional }) => {
    const tensor = params[role];
    return tensor !== undefined && (isOptional || tensor !== `${name}.${role}`) ? [[role, tensor]] : [];
  });
  return {
    kind,
    name,
    ...(inputs.length > 0 ? { inputs } : {}),
    ...(Object.keys(attributes).length > 0 ? { attributes } : {}),
    ...(named.length > 0 ? { params: Object.fromEntries(named) } : {}),
  };
}

/**
 * Makes the graph that a JSON text tells. Every node passes through a GraphBuilder, which checks it. Rejects if the text
 * is no JSON, or tells no graph that can be run; the message may quote the text.
 */
export async function graphFromJson(text: string): Promise<Graph> {
  const json: unknown = JSON.parse(text);
  if (!isRecord(json) || typeof json.name !== 'string' || !Array.isArray(json.nodes) || !isRecord(json.outputs)) {
    throw new ResnetError('argument', 'graph: expected { name, nodes: [], outputs: {} }, got other JSON.');
  }
  if (json.nodes.length > MAX_NODES) {
    throw new ResnetError('argument', `graph: expected at most ${MAX_NODES} nodes, got ${json.nodes.length}.`);
  }
  const nodes = json.nodes.map((node, i) => checkedNode(i, node));
  await loadOps(nodes.map(({ kind }) => kind));
  const g = new GraphBuilder(json.name);
  for (const { kind, name, inputs = [], attributes = {}, params = {} } of nodes) {
    g.op(kind as OpKind, name, inputs, revived(attributes) as Attributes<OpKind>, { params });
  }
  return g.finish(json.outputs as Record<string, NodeId>);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkedNode(i: number, node: unknown): NodeJson {
  if (!isRecord(node) || typeof node.kind !== 'string' || typeof node.name !== 'string') {
    throw new ResnetError(
      'argument',
      `node ${i}: expected { kind, name, inputs, attributes, params }, got another value.`,
    );
  }
  const { kind, name, inputs = [], attributes = {}, params = {} } = node;
  if (!Array.isArray(inputs) || !inputs.every((input) => Number.isInteger(input))) {
    throw new ResnetError('argument', `${name}: expected the numbers of nodes as inputs, got another value.`);
  }
  if (!isRecord(attributes) || !isRecord(params)) {
    throw new ResnetError('argument', `${name}: expected attributes and params to be objects, got another value.`);
  }
  return { kind, name, inputs, attributes, params };
}

/** Attributes, and those of an activation among them, with infinite numbers instead of their texts. */
function revived(attributes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const revive = (value: unknown): unknown => {
    if (typeof value === 'string' && Object.hasOwn(INFINITE, value)) return INFINITE[value];
    return value;
  };
  return Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [
      key,
      isRecord(value)
        ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, revive(each)]))
        : revive(value),
    ]),
  );
}
