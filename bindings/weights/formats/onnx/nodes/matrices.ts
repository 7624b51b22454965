/** Products of matrices: of values with weights, and of two values. */

import { sameShape } from '../../../../../models/shape.js';
import { size } from '../../../../util/shape.js';
import type { Call } from '../call.js';
import { type Constant, mappedConstant, redimensioned } from '../constant.js';
import { broadcastOf } from '../dims.js';
import { transposed } from '../fold/layout.js';
import type { Network } from '../network.js';
import type { Tensor } from '../types.js';
import { dimsOf, isRowMajor, isValue, joined, laidOut, permuted, type Value } from '../value.js';
import { binary } from './binary.js';
import type { Handler, Handlers } from './handler.js';

/** A matrix of weights, [in, out] or, transposed, [out, in]. */
interface Matrix {
  readonly weight: Constant;
  readonly isTransposed: boolean;
}

const swapped = (constant: Constant): Constant =>
  mappedConstant(constant, [...constant.dims].reverse(), (tensor) => transposed(tensor, [1, 0]));

/**
 * x · weights for every row of x, whose last dimension they read: a linear layer if there is one row, which may be a map
 * that is flattened, and a convolution by 1 over the rows otherwise.
 */
function product(net: Network, call: Call, given: Value, { weight, isTransposed }: Matrix, bias?: Constant): Value {
  const x = joined(given);
  const dims = dimsOf(x);
  const last = dims.length - 1;
  const [k = 0, n = 0] = isTransposed ? [...weight.dims].reverse() : weight.dims;
  if (weight.dims.length !== 2 || k !== dims[last])
    throw call.malformed(`a matrix for vectors of ${dims[last]}`, weight.dims);
  const rows = size(dims.slice(x.isBatched ? 1 : 0, last));
  const params = (weightShape: readonly number[], own: Constant, order: 'OI' | 'IO') => ({
    weight: net.tensor(call, 'weight', weightShape, own, order),
    ...(bias ? { bias: net.tensor(call, 'bias', [n], bias) } : {}),
  });
  const made = (value: Value, node: number): Value => {
    const sizes = [...dims.slice(0, last), n];
    return {
      ...value,
      ...laidOut(
        sizes,
        sizes.map((_, i) => i),
      ),
      node,
    };
  };
  if (rows === 1) {
    const vector = { h: 1, w: 1, c: k };
    const isMap = isFlattenedMap(net, x, last);
    const from = isMap ? x : net.shaped(call, isRowMajor(x) ? x : net.rowMajor(call, x), vector);
    const isPlain = isTransposed || !isMap || sameShape(net.shape(from), vector);
    const order = isTransposed || !isPlain ? 'OI' : 'IO';
    const own = isPlain ? weight : swapped(weight);
    return made(from, net.add(call, 'linear', [from.node], { channels: n }, params([n, k], own, order)));
  }
  const [, ...between] = dims.slice(0, last).map((_, i) => i);
  const leading = x.isBatched ? between : dims.slice(0, last).map((_, i) => i);
  const from = net.arranged(call, x, leading.slice(0, -1), leading.slice(-1), [last]);
  const attributes = {
    channels: n,
    kernel: [1, 1] as const,
    stride: [1, 1] as const,
    dilation: [1, 1] as const,
    padding: { top: 0, left: 0, bottom: 0, right: 0 },
    groups: 1,
  };
  const order = isTransposed ? 'OI' : 'IO';
  return made(from, net.add(call, 'conv', [from.node], attributes, params([n, k, 1, 1], weight, order)));
}

/** Whether a value is one vector, [C · H · W] flattened, in a node of H × W × C: what a linear layer reads as it lies. */
function isFlattenedMap(net: Network, x: Value, last: number): boolean {
  const { h, w, c } = net.shape(x);
  const first = x.isBatched ? 1 : 0;
  const sizes = x.axes.slice(first);
  const parts = x.dims[last] ?? [];
  if (c === size(sizes)) return isRowMajor(x);
  // Memory has rows, columns, channels; the vector channels, rows, columns.
  const channels = sizes.at(-1);
  const inOrder = [...parts.slice(1), parts[0]].every((axis, i) => axis === i + first);
  return channels === c && h * w === size(sizes.slice(0, -1)) && parts.length === sizes.length && inOrder;
}

const scaledBy = (constant: Constant, factor: number): Constant =>
  factor === 1
    ? constant
    : mappedConstant(constant, constant.dims, (tensor: Tensor) => ({
        ...tensor,
        data: tensor.data.map((value) => value * factor),
      }));

const gemm: Handler = (net, call) => {
  const a = call.operand(0);
  const [alpha, beta] = [call.float('alpha', 1), call.float('beta', 1)];
  if (!isValue(a)) throw call.refusal('its first input is a constant');
  const x = call.int('transA', 0) === 1 ? permuted(a, [1, 0]) : a;
  const b = call.operand(1);
  const isTransposed = call.int('transB', 0) === 1;
  if (isValue(b)) {
    const y = matrixProduct(net, call, x, isTransposed ? permuted(b, [1, 0]) : b);
    const scaled = alpha === 1 ? y : net.same(call, y, 'unary', { operator: 'affine', alpha, beta: 0 });
    return call.has(2) ? binary(net, call, 'add', scaled, scaledOperand(net, call, beta)) : scaled;
  }
  const n = b.dims[isTransposed ? 0 : 1] ?? 0;
  const c = call.has(2) ? call.operand(2) : undefined;
  const isBias = c !== undefined && !isValue(c) && size(c.dims) === n && (c.dims.at(-1) ?? 1) === n;
  const bias = isBias ? scaledBy(redimensioned(c, [n]), beta) : undefined;
  const y = product(net, call, x, { weight: scaledBy(b, alpha), isTransposed }, bias);
  return c === undefined || isBias ? y : binary(net, call, 'add', y, scaledOperand(net, call, beta));
};

function scaledOperand(net: Network, call: Call, beta: number): Value | Constant {
  const c = call.operand(2);
  if (!isValue(c)) return scaledBy(c, beta);
  return beta === 1 ? c : net.same(call, c, 'unary', { operator: 'affine', alpha: beta, beta: 0 });
}

/** A product of two values, matrix by matrix. */
function matrixProduct(net: Network, call: Call, first: Value, second: Value): Value {
  const widen = (value: Value, isFirst: boolean): Value => {
    if (value.dims.length > 1) return value;
    return { ...value, dims: isFirst ? [[], ...value.dims] : [...value.dims, []] };
  };
  const [a, b] = [joined(widen(first, true)), joined(widen(second, false))];
  const [outerA, outerB] = [dimsOf(a).slice(0, -2), dimsOf(b).slice(0, -2)];
  const outer = broadcastOf(call, [outerA, outerB]);
  const [countA, countB] = [outerA, outerB].map((dims, i) => size(dims.slice((i === 0 ? a : b).isBatched ? 1 : 0)));
  if (a.isBatched !== b.isBatched || (countA !== countB && countA !== 1 && countB !== 1))
    throw call.refusal('its matrices are of different numbers');
  const own = (value: Value): Value => {
    const rank = value.dims.length;
    const leading = value.dims.map((_, i) => i).slice(value.isBatched ? 1 : 0, rank - 2);
    return net.arranged(call, value, leading, [rank - 2], [rank - 1]);
  };
  const isTransposed = (b.dims.at(-1)?.[0] ?? 0) < (b.dims.at(-2)?.[0] ?? 0);
  const right = isTransposed ? swapLast(b) : b;
  const [x, y] = [own(a), own(right)];
  const node = net.add(call, 'matmul', [x.node, y.node], { transposesB: isTransposed });
  const [m, n] = [dimsOf(a).at(-2) ?? 1, dimsOf(b).at(-1) ?? 1];
  const sizes = [...outer, ...(first.dims.length > 1 ? [m] : []), ...(second.dims.length > 1 ? [n] : [])];
  return {
    ...x,
    ...laidOut(
      sizes,
      sizes.map((_, i) => i),
    ),
    node,
  };
}

const swapLast = (value: Value): Value => {
  const order = value.dims.map((_, i) => i);
  return permuted(value, [...order.slice(0, -2), order.length - 1, order.length - 2]);
};

const matmul: Handler = (net, call) => {
  const [a, b] = [call.operand(0), call.operand(1)];
  if (isValue(a) && !isValue(b) && b.dims.length === 2)
    return product(net, call, a, { weight: b, isTransposed: false });
  return matrixProduct(net, call, isValue(a) ? a : net.lifted(call, a), isValue(b) ? b : net.lifted(call, b));
};

export const matrices: Handlers = { Gemm: gemm, MatMul: matmul };
