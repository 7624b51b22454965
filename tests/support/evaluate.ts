/** Runs a graph node by node in float64: what every plan of it must come to. */

import * as assert from 'uvu/assert';
import { type Activation, type Graph, inputShapes, type Node, type Role, type Shape } from '../../models/index.js';
import * as more from './more-reference.js';
import type { Maps, Values } from './reference.js';
import * as reference from './reference.js';

/** Values of every parameter by name, row-major in its shape. */
export type Tensors = ReadonlyMap<string, Values>;

/** What a run is given: the only input's values, or those of each by name. */
export type Inputs = Values | Readonly<Record<string, Values>>;

/** A graph's activation as the kernels' reference has it. */
function referenceOf(activation: Activation, slopes: Values | undefined): reference.Activation {
  switch (activation.kind) {
    case 'relu':
      return reference.RELU;
    case 'clip':
      return { name: 'CLIP', alpha: activation.low, beta: activation.high };
    case 'leakyRelu':
      return { name: 'LEAKY_RELU', alpha: activation.slope };
    case 'prelu':
      if (!slopes) throw new Error('prelu: expected slopes, got none.');
      return { name: 'PRELU', slopes };
    case 'silu':
      return { name: 'SILU' };
    case 'sigmoid':
      return { name: 'SIGMOID' };
    case 'hardSwish':
      return { name: 'HARD_SWISH' };
    case 'hardSigmoid':
      return { name: 'HARD_SIGMOID', alpha: activation.alpha ?? 1 / 6, beta: activation.beta ?? 0.5 };
    case 'gelu':
      return { name: 'GELU' };
  }
}

/** An activation of values [pixels, C]; `slopes`: of a PReLU, one per channel. */
export const activate = (x: Values, activation: Activation, slopes: Values | undefined): Float64Array =>
  reference.activate(x, referenceOf(activation, slopes));

/** x · y, y of the same shape or, if it is broadcast, a vector for each image. */
export function mul(x: Values, { h, w, c }: Maps, y: Values, isBroadcast: boolean): Float64Array {
  const factor = (i: number): number => (isBroadcast ? Math.floor(i / (h * w * c)) * c + (i % c) : i);
  return Float64Array.from(x, (v, i) => v * (y[factor(i)] as number));
}

const REDUCTIONS = { mean: reference.globalAvgPool, max: reference.mapMax, sum: reference.mapSum } as const;

/** What a node makes of `inputs`; `from`: the maps of the first; `shapes`: of each. */
export function evaluateNode(
  node: Node,
  from: Maps,
  inputs: readonly Values[],
  tensors: Tensors,
  shapes: readonly Shape[] = [],
): Values {
  const [x, y] = inputs as [Values, Values];
  const optional = (role: Role): Values | undefined => {
    const name = node.params[role];
    const values = tensors.get(name ?? '');
    if (name !== undefined && !values) throw new Error(`${name}: expected values, got none.`);
    return values;
  };
  const parameter = (role: Role): Values => {
    const values = optional(role);
    if (!values) throw new Error(`${node.name}: expected the name of its ${role}, got none.`);
    return values;
  };
  switch (node.kind) {
    case 'conv':
      return reference.conv2d(x, from, parameter('weight'), optional('bias'), node.shape.c, node).values;
    case 'linear':
      return reference.linear(x, from, parameter('weight'), optional('bias'), node.shape.c).values;
    case 'batchNorm':
      return reference.batchNorm(x, {
        gamma: parameter('weight'),
        beta: parameter('bias'),
        mean: parameter('running_mean'),
        variance: parameter('running_var'),
        eps: node.eps,
      });
    case 'activation':
      return activate(x, node.activation, optional('weight'));
    case 'add':
      return reference.add(x, y);
    case 'mul':
      return mul(x, from, y, y.length !== x.length);
    case 'concat':
      return reference.concat(inputs.map((part, i) => ({ x: part, c: (shapes[i] as Shape).c })));
    case 'maxPool':
      return reference.maxPool(x, from, node).values;
    case 'avgPool':
      return reference.avgPool(x, from, node).values;
    case 'adaptiveAvgPool':
      return reference.adaptiveAvgPool(x, from, node.h, node.w).values;
    case 'reduce':
      return REDUCTIONS[node.reduction](x, from).values;
    case 'resize':
      return more.resize(x, from, node).values;
    case 'softmax':
      return reference.softmax(x, from.c);
    case 'zeroPadShortcut':
      return reference.zeroPadShortcut(x, from, node.stride, node.before, node.after);
    case 'constant':
      return more.constant(parameter('weight'), from.batch);
    case 'unary':
      return more.unary(x, node);
    case 'binary':
      return more.binary(x, from, y, shapes[1] as Shape, node.operator);
    case 'matmul':
      return more.matmul(x, from, y, shapes[1] as Shape, node.transposesB).values;
    case 'reshape':
      return x;
    case 'rearrange':
      return more.rearrange(x, from.batch, node.dims, node.order);
    case 'slice':
      return more.slice(x, from, node);
    case 'expand':
      return more.expand(x, from, node);
    case 'pad':
      return more.pad(x, from, node);
    case 'reduceAxes':
      return more.reduceAxes(x, from, node.reduction, node.axes).values;
    case 'softmaxAxes':
      return more.softmaxAxes(x, from, node.axes, node.isLog);
    case 'dilatedPool':
      return more.dilatedPool(x, from, node.shape, node).values;
    case 'layerNorm':
      return more.layerNorm(x, from, { eps: node.eps, weight: optional('weight'), bias: optional('bias') });
    case 'groupNorm': {
      const affine = { eps: node.eps, weight: optional('weight'), bias: optional('bias') };
      return more.groupNorm(x, from, node.groups, affine);
    }
    case 'localResponseNorm':
      return more.localResponseNorm(x, from, node);
    case 'convTranspose':
      return more.convTranspose(x, from, parameter('weight'), optional('bias'), node.shape, node).values;
    case 'input':
      throw new Error(`${node.name}: expected an operation, got an input.`);
  }
}

function inputOf({ inputs }: Graph, { name }: Node, given: Inputs): Values {
  if (given instanceof Float32Array || given instanceof Float64Array) {
    assert.is(inputs.length, 1, 'inputs of the graph');
    return given;
  }
  const values = (given as Readonly<Record<string, Values>>)[name];
  if (!values) throw new Error(`${name}: expected values, got none.`);
  return values;
}

/** The value of every node for `batch` inputs, NHWC. */
export function evaluateAll(graph: Graph, tensors: Tensors, input: Inputs, batch: number): Values[] {
  const values: Values[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((id) => values[id] as Values);
    if (node.kind === 'input') {
      values.push(inputOf(graph, node, input));
      continue;
    }
    const shapes = inputShapes(graph, node);
    values.push(evaluateNode(node, { batch, ...(shapes[0] ?? node.shape) }, inputs, tensors, shapes));
  }
  return values;
}

/** The share of the largest value that any node makes on the way that an output may be off. */
const RELATIVE = 1e-5;

/** Fails if `actual` are not the graph's outputs, in its order. */
export function assertOutputs(
  actual: readonly Float32Array[],
  graph: Graph,
  tensors: Tensors,
  input: Inputs,
  batch: number,
): void {
  const values = evaluateAll(graph, tensors, input, batch);
  let largest = 0;
  for (const list of values) for (const v of list) largest = Math.max(largest, Math.abs(v));
  assert.is(actual.length, graph.outputs.length, 'outputs');
  graph.outputs.forEach(({ name, node }, place) => {
    const [output, expected] = [actual[place] as Float32Array, values[node] as Values];
    assert.is(output.length, expected.length, `length of ${name}`);
    for (let i = 0; i < output.length; i++) {
      const [got, wanted] = [output[i] as number, expected[i] as number];
      if (!(Math.abs(got - wanted) <= RELATIVE * largest)) {
        assert.unreachable(`${name}: expected ${wanted} ± ${RELATIVE * largest} at ${i}, got ${got}.`);
      }
    }
  });
}
