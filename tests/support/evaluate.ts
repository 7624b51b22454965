/** Runs a graph node by node in float64: what every plan of it must come to. */

import * as assert from 'uvu/assert';
import {
  type Activation,
  type Graph,
  inputShape,
  inputShapes,
  type Node,
  type Reduction,
  type ResizeMode,
  type Role,
} from '../../models/index.js';
import type { Maps, Values } from './reference.js';
import * as reference from './reference.js';

/** Values of every parameter by name, row-major in its shape. */
export type Tensors = ReadonlyMap<string, Values>;

/** What a run is given: the only input's values, or those of each by name. */
export type Inputs = Values | Readonly<Record<string, Values>>;

/** erf(x) = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!, all of one sign (Abramowitz and Stegun, 7.1.6). */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, 0];
  for (let n = 0; n < 200; n++) {
    sum += term;
    term *= (2 * x * x) / (2 * n + 3);
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const clamp = (v: number, low: number, high: number): number => Math.min(Math.max(v, low), high);
const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

function activated(v: number, activation: Activation, slope: number): number {
  switch (activation.kind) {
    case 'relu':
      return Math.max(v, 0);
    case 'clip':
      return clamp(v, activation.low, activation.high);
    case 'leakyRelu':
      return v >= 0 ? v : activation.slope * v;
    case 'prelu':
      return v >= 0 ? v : slope * v;
    case 'silu':
      return v * sigmoid(v);
    case 'sigmoid':
      return sigmoid(v);
    case 'hardSwish':
      return v * clamp(v / 6 + 0.5, 0, 1);
    case 'hardSigmoid':
      return clamp((activation.alpha ?? 1 / 6) * v + (activation.beta ?? 0.5), 0, 1);
    case 'gelu':
      return (v / 2) * (1 + erf(v / Math.SQRT2));
  }
}

/** An activation of values [pixels, c]; `slopes`: of a PReLU, one per channel. */
export const activate = (x: Values, activation: Activation, slopes: Values | undefined, c: number): Float64Array =>
  Float64Array.from(x, (v, i) => activated(v, activation, slopes?.[i % c] ?? 0));

/** x · y, y of the same shape or, if it is broadcast, a vector for each image. */
export function mul(x: Values, { h, w, c }: Maps, y: Values, isBroadcast: boolean): Float64Array {
  const factor = (i: number): number => (isBroadcast ? Math.floor(i / (h * w * c)) * c + (i % c) : i);
  return Float64Array.from(x, (v, i) => v * (y[factor(i)] as number));
}

/** Mean, greatest value or sum of each map. */
export function reduce(x: Values, { batch, h, w, c }: Maps, reduction: Reduction): Float64Array {
  const out = new Float64Array(batch * c).fill(reduction === 'max' ? Number.NEGATIVE_INFINITY : 0);
  x.forEach((v, i) => {
    const at = Math.floor(i / (h * w * c)) * c + (i % c);
    out[at] = reduction === 'max' ? Math.max(out[at] as number, v) : (out[at] as number) + v;
  });
  return reduction === 'mean' ? out.map((v) => v / (h * w)) : out;
}

/** The two places of the input that output `o` lies between along an axis, and how near to the second. */
function between(
  o: number,
  from: number,
  to: number,
  mode: ResizeMode,
  alignCorners: boolean,
): readonly [number, number, number] {
  if (mode === 'nearest') return [Math.floor((o * from) / to), 0, 0];
  const corner = to > 1 ? (o * (from - 1)) / (to - 1) : 0;
  const at = alignCorners ? corner : Math.max(((o + 0.5) * from) / to - 0.5, 0);
  const low = Math.min(Math.floor(at), from - 1);
  return [low, Math.min(low + 1, from - 1), at - low];
}

/** A map in size h × w, as torch's `interpolate` makes it. */
export function resize(
  x: Values,
  from: Maps,
  h: number,
  w: number,
  mode: ResizeMode,
  alignCorners: boolean,
): Float64Array {
  const { batch, c } = from;
  const out = new Float64Array(batch * h * w * c);
  for (let b = 0, at = 0; b < batch; b++)
    for (let oy = 0; oy < h; oy++)
      for (let ox = 0; ox < w; ox++)
        for (let i = 0; i < c; i++, at++) {
          const [top, bottom, dy] = between(oy, from.h, h, mode, alignCorners);
          const [left, right, dx] = between(ox, from.w, w, mode, alignCorners);
          const value = (y: number, column: number): number =>
            x[((b * from.h + y) * from.w + column) * c + i] as number;
          const upper = value(top, left) * (1 - dx) + value(top, right) * dx;
          const lower = value(bottom, left) * (1 - dx) + value(bottom, right) * dx;
          out[at] = upper * (1 - dy) + lower * dy;
        }
  return out;
}

/** What a node makes of `inputs`; `from`: the maps of the first; `channels`: of each. */
export function evaluateNode(
  node: Node,
  from: Maps,
  inputs: readonly Values[],
  tensors: Tensors,
  channels: readonly number[] = [],
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
      return activate(x, node.activation, optional('weight'), from.c);
    case 'add':
      return reference.add(x, y);
    case 'mul':
      return mul(x, from, y, y.length !== x.length);
    case 'concat':
      return reference.concat(inputs.map((part, i) => ({ x: part, c: channels[i] as number })));
    case 'maxPool':
      return reference.maxPool(x, from, node).values;
    case 'avgPool':
      return reference.avgPool(x, from, node).values;
    case 'adaptiveAvgPool':
      return reference.adaptiveAvgPool(x, from, node.h, node.w).values;
    case 'reduce':
      return reduce(x, from, node.reduction);
    case 'resize':
      return resize(x, from, node.h, node.w, node.mode, node.alignCorners);
    case 'softmax':
      return reference.softmax(x, from.c);
    case 'zeroPadShortcut':
      return reference.zeroPadShortcut(x, from, node.stride, node.before, node.after);
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
    const channels = inputShapes(graph, node).map(({ c }) => c);
    values.push(evaluateNode(node, { batch, ...inputShape(graph, node) }, inputs, tensors, channels));
  }
  return values;
}

/**
 * Fails if `actual` is not the graph's output: further off than `relative` times the largest value that any node makes on
 * the way. `output`: its name, by default the first.
 */
export function assertOutput(
  actual: Float32Array,
  graph: Graph,
  tensors: Tensors,
  input: Inputs,
  batch: number,
  relative = 1e-5,
  output = graph.outputs[0].name,
): void {
  const values = evaluateAll(graph, tensors, input, batch);
  const expected = values[graph.outputs.find(({ name }) => name === output)?.node ?? -1];
  if (!expected) throw new Error(`${graph.name}: expected an output called ${output}, got none.`);
  let largest = 0;
  for (const list of values) for (const v of list) largest = Math.max(largest, Math.abs(v));
  assert.is(actual.length, expected.length, `length of ${output}`);
  for (let i = 0; i < actual.length; i++) {
    const [got, wanted] = [actual[i] as number, expected[i] as number];
    if (!(Math.abs(got - wanted) <= relative * largest)) {
      assert.unreachable(`${output}: expected ${wanted} ± ${relative * largest} at ${i}, got ${got}.`);
    }
  }
}
