/** Runs a graph node by node in float64: what every plan of it must come to. */

import * as assert from 'uvu/assert';
import { type Graph, inputShape, type Node } from '../../models/index.js';
import type { Maps, Values } from './reference.js';
import * as reference from './reference.js';

/** Values of every parameter by name, row-major in its shape. */
export type Tensors = ReadonlyMap<string, Values>;

function tensor(tensors: Tensors, name: string): Values {
  const values = tensors.get(name);
  if (!values) throw new Error(`${name}: expected values, got none.`);
  return values;
}

function valueOfNode(graph: Graph, node: Node, batch: number, inputs: readonly Values[], tensors: Tensors): Values {
  const [x, y] = inputs as [Values, Values];
  const from: Maps = { batch, ...inputShape(graph, node) };
  const parameter = (role: string) => tensor(tensors, `${node.name}.${role}`);
  switch (node.kind) {
    case 'conv': {
      const bias = node.bias ? parameter('bias') : undefined;
      return reference.conv2d(x, from, parameter('weight'), bias, node.shape.c, node).values;
    }
    case 'linear': {
      const bias = node.bias ? parameter('bias') : undefined;
      return reference.linear(x, from, parameter('weight'), bias, node.shape.c).values;
    }
    case 'batchNorm':
      return reference.batchNorm(x, {
        gamma: parameter('weight'),
        beta: parameter('bias'),
        mean: parameter('running_mean'),
        variance: parameter('running_var'),
        eps: node.eps,
      });
    case 'relu':
      return reference.relu(x);
    case 'add':
      return reference.add(x, y);
    case 'concat':
      return reference.concat(
        inputs.map((part, i) => ({ x: part, c: graph.nodes[node.inputs[i] ?? -1]?.shape.c ?? 0 })),
      );
    case 'maxPool':
      return reference.maxPool(x, from, node).values;
    case 'avgPool':
      return reference.avgPool(x, from, node).values;
    case 'adaptiveAvgPool':
      return reference.adaptiveAvgPool(x, from, node.shape.h, node.shape.w).values;
    case 'globalAvgPool':
      return reference.globalAvgPool(x, from).values;
    case 'softmax':
      return reference.softmax(x, from.c);
    case 'zeroPadShortcut':
      return reference.zeroPadShortcut(x, from, node.stride, node.before, node.after);
    case 'input':
      throw new Error(`${node.name}: expected one input, got another.`);
  }
}

/** The value of every node for `batch` inputs, NHWC. */
export function evaluateAll(graph: Graph, tensors: Tensors, input: Values, batch: number): Values[] {
  const values: Values[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((id) => values[id] as Values);
    values.push(node.kind === 'input' ? input : valueOfNode(graph, node, batch, inputs, tensors));
  }
  return values;
}

/**
 * Fails where `actual` is not the graph's output: further off than `relative` times the largest value that any node
 * makes on the way.
 */
export function assertOutput(
  actual: Float32Array,
  graph: Graph,
  tensors: Tensors,
  input: Values,
  batch: number,
  relative = 1e-5,
): void {
  const values = evaluateAll(graph, tensors, input, batch);
  const expected = values[graph.output] as Values;
  let largest = 0;
  for (const list of values) for (const v of list) largest = Math.max(largest, Math.abs(v));
  assert.is(actual.length, expected.length, 'length of the output');
  for (let i = 0; i < actual.length; i++) {
    const [got, wanted] = [actual[i] as number, expected[i] as number];
    if (!(Math.abs(got - wanted) <= relative * largest)) {
      assert.unreachable(`output: expected ${wanted} ± ${relative * largest} at ${i}, got ${got}.`);
    }
  }
}
