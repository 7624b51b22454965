/** Arithmetic on two tensors, which are broadcast to each other as in NumPy. */

import type { BinaryOperator, Shape } from '../../../../../models/index.js';
import { size } from '../../../../util/shape.js';
import type { Call } from '../call.js';
import { type Constant, mappedConstant, redimensioned } from '../constant.js';
import { broadcastOf } from '../dims.js';
import { transposed } from '../fold/layout.js';
import { BatchMoved, type Network } from '../network.js';
import { BOOL, type DataType, isFloating, type Tensor } from '../types.js';
import { dimensions, dimsOf, isValue, joined, type Operand, type Value } from '../value.js';
import type { Handler, Handlers } from './handler.js';

/** x · scale + shift, as arithmetic with one number or one per channel is. */
interface Affine {
  readonly scale: (value: number) => number;
  readonly shift: (value: number) => number;
}

/** What `x operator constant` is, and `constant operator x`. */
const AFFINE: Partial<Record<BinaryOperator, readonly [Affine, Affine | undefined]>> = {
  add: [
    { scale: () => 1, shift: (b) => b },
    { scale: () => 1, shift: (b) => b },
  ],
  subtract: [
    { scale: () => 1, shift: (b) => -b },
    { scale: () => -1, shift: (b) => b },
  ],
  multiply: [
    { scale: (b) => b, shift: () => 0 },
    { scale: (b) => b, shift: () => 0 },
  ],
  divide: [{ scale: (b) => 1 / b, shift: () => 0 }, undefined],
};

/** Operators that keep whole numbers whole; others are of floating point. */
const COMPARES: ReadonlySet<BinaryOperator> = new Set([
  'equal',
  'less',
  'lessOrEqual',
  'greater',
  'greaterOrEqual',
  'min',
  'max',
]);

/** Any arithmetic on two operands, at least one of which is a value. */
export function binary(net: Network, call: Call, operator: BinaryOperator, a: Operand, b: Operand): Value {
  const type: DataType = COMPARES.has(operator) && operator !== 'min' && operator !== 'max' ? BOOL : a.type;
  if (!isFloating(a.type) && !COMPARES.has(operator)) throw call.refusal('it calculates with whole numbers');
  if (isValue(a) && !isValue(b))
    return { ...(affine(net, call, operator, a, b, 0) ?? broadcast(net, call, operator, a, b)), type };
  if (!isValue(a) && isValue(b))
    return { ...(affine(net, call, operator, b, a, 1) ?? broadcast(net, call, operator, a, b)), type };
  return { ...broadcast(net, call, operator, a, b), type };
}

const isPowerOfTwo = (value: number): boolean => Number.isInteger(Math.log2(Math.abs(value)));

/** Arithmetic with one number, or with one for each of the channels that lie last in memory; undefined if it is neither. */
function affine(
  net: Network,
  call: Call,
  operator: BinaryOperator,
  given: Value,
  constant: Constant,
  side: 0 | 1,
): Value | undefined {
  const kind = AFFINE[operator]?.[side];
  if (!kind || !constant.tensor?.data.every(Number.isFinite)) return undefined;
  const x = joined(given);
  // A quotient is rounded once, and a product with a reciprocal twice, unless it goes into weights.
  if (operator === 'divide' && !net.isProduct(x) && !constant.tensor.data.every(isPowerOfTwo)) return undefined;
  const dims = dimsOf(x);
  const lead = dims.length - constant.dims.length;
  const own = constant.dims.flatMap((n, i) => (n === 1 ? [] : [{ n, dim: i + lead }]));
  const values = constant.tensor.data;
  const padded = { ...x, dims: [...Array.from({ length: Math.max(0, -lead) }, () => []), ...x.dims] };
  const { c } = net.shape(x);
  if (own.length === 0) {
    const [value = 0] = values;
    const [scale, shift] = [kind.scale(value), kind.shift(value)];
    if (!Number.isFinite(scale)) return undefined;
    if (scale === 1 && shift === 0) return padded;
    if (!net.isProduct(x)) return net.same(call, padded, 'unary', { operator: 'affine', alpha: scale, beta: shift });
    return net.scaledAndShifted(call, padded, c, Float32Array.of(scale), Float32Array.of(shift));
  }
  const [one, ...others] = own;
  if (!one || others.length > 0 || one.dim < 0 || dims[one.dim] !== one.n) return undefined;
  const parts = x.dims[one.dim] ?? [];
  const isLast = parts.every((axis, i) => axis === x.axes.length - parts.length + i);
  if (!isLast || (x.isBatched && one.dim === 0)) return undefined;
  const scales = Float32Array.from(values, kind.scale);
  if (!scales.every(Number.isFinite)) return undefined;
  const shifts = Float32Array.from(values, kind.shift);
  const shape: Shape = { ...net.shape(x), c: one.n };
  const wide =
    one.n === c ? padded : net.shaped(call, padded, { h: 1, w: size([shape.h, shape.w, c]) / one.n, c: one.n });
  return net.scaledAndShifted(call, wide, one.n, scales, shifts);
}

/** A tensor on its way to be broadcast: axes of one size each per dimension, and a way to lay them out anew. */
interface Side {
  readonly dims: readonly (readonly number[])[];
  readonly axes: readonly number[];
  /** The value with its axes in this order in memory, in a node of this shape. */
  place(order: readonly number[], shape: Shape): Value;
  readonly shape: Shape | undefined;
}

const sideOfValue = (net: Network, call: Call, value: Value): Side => ({
  dims: value.dims,
  axes: value.axes,
  place: (order, shape) => net.moved(call, value, order, shape),
  shape: net.shape(value),
});

function sideOfConstant(net: Network, call: Call, constant: Constant, axes: readonly number[]): Side {
  const sizes = [...axes];
  let next = 0;
  const dims = constant.dims.map((n) => {
    const parts: number[] = [];
    for (let left = n; left > 1; left /= sizes[next - 1] as number) parts.push(next++);
    return parts;
  });
  return {
    dims,
    axes: sizes,
    place(order, shape) {
      const flat = redimensioned(constant, sizes);
      const isMoved = order.some((axis, i) => axis !== i);
      const laid = isMoved
        ? mappedConstant(
            flat,
            order.map((axis) => sizes[axis] as number),
            (tensor: Tensor) => transposed(tensor, order),
          )
        : flat;
      const weight = net.tensor(call, 'weight', [shape.h, shape.w, shape.c], laid);
      const node = net.add(call, 'constant', [], shape, { weight });
      return { node, type: constant.type, axes: sizes, dims, isBatched: false };
    },
    shape: undefined,
  };
}

/** Cuts the axes of a dimension so that both sides have the same ones; undefined if they cannot be cut so. */
function refined(a: readonly number[], b: readonly number[]): number[] | undefined {
  const [left, right] = [[...a], [...b]];
  const cut: number[] = [];
  while (left.length > 0 || right.length > 0) {
    const [n, m] = [left.shift(), right.shift()];
    if (n === undefined || m === undefined) return undefined;
    const less = Math.min(n, m);
    if (n % less !== 0 || m % less !== 0) return undefined;
    cut.push(less);
    if (n > less) left.unshift(n / less);
    if (m > less) right.unshift(m / less);
  }
  return cut;
}

const padTo = (value: Value, rank: number): Value => ({
  ...value,
  dims: [...Array.from({ length: rank - value.dims.length }, () => []), ...value.dims],
});

/** Arithmetic on two operands of any dimensions that are broadcast to each other. */
function broadcast(net: Network, call: Call, operator: BinaryOperator, first: Operand, second: Operand): Value {
  const dims = broadcastOf(call, [dimensions(first), dimensions(second)]);
  const rank = dims.length;
  const operands = [first, second].map((each) => (isValue(each) ? padTo(joined(each), rank) : each));
  const isBatched = operands.some((each) => isValue(each) && each.isBatched);
  for (const each of operands) {
    const [n = 1] = rank === dimensions(each).length ? dimensions(each) : [1];
    if (isBatched && !(isValue(each) && each.isBatched) && n !== 1) throw new BatchMoved();
    if (isBatched && isValue(each) && each.isBatched && each.dims[0]?.[0] !== 0) throw new BatchMoved();
  }
  // Every dimension of the result as axes that both sides have, where they have it.
  const partsOf = (each: Operand, dim: number): readonly number[] => {
    const lead = rank - dimensions(each).length;
    if (!isValue(each)) return dim < lead || each.dims[dim - lead] === 1 ? [] : [each.dims[dim - lead] as number];
    return (each.dims[dim] ?? []).map((axis) => each.axes[axis] as number);
  };
  const cuts = dims.map((_, dim) => {
    const [a, b] = operands.map((each) => partsOf(each, dim)) as [readonly number[], readonly number[]];
    return a.length > 0 && b.length > 0 ? refined(a, b) : [...a, ...b];
  });
  if (cuts.some((cut) => cut === undefined)) {
    const rows = operands.map((each) => (isValue(each) ? net.rowMajor(call, each) : each)) as [Operand, Operand];
    return broadcast(net, call, operator, ...rows);
  }
  const keys = (cuts as number[][]).flatMap((cut, dim) => cut.map((n) => ({ n, dim })));
  const owned = operands.map((each) => keys.map(({ dim }) => partsOf(each, dim).length > 0));
  const sides = operands.map((each, i) => {
    const own = keys.flatMap(({ n }, key) => (owned[i]?.[key] ? [n] : []));
    if (!isValue(each)) return sideOfConstant(net, call, each, own);
    const cut = net.cut(each, own);
    return sideOfValue(net, call, {
      ...cut,
      dims: regroup(
        cut.dims,
        dims.map((_, dim) => (owned[i]?.[keys.findIndex((key) => key.dim === dim)] ? (cuts[dim]?.length ?? 0) : 0)),
      ),
    });
  }) as [Side, Side];
  // Which axis of a side each key is.
  const axisOf = sides.map((side, i) => {
    const flat = side.dims.flat();
    let next = 0;
    return keys.map((_, key) => (owned[i]?.[key] ? (flat[next++] as number) : -1));
  });
  const leader = size(sides[1].axes) > size(sides[0].axes) || sides[0].shape === undefined ? 1 : 0;
  const inMemory = keys.map((_, key) => key).filter((key) => (axisOf[leader]?.[key] ?? -1) >= 0);
  inMemory.sort((a, b) => (axisOf[leader]?.[a] ?? 0) - (axisOf[leader]?.[b] ?? 0));
  const rest = keys.map((_, key) => key).filter((key) => !inMemory.includes(key));
  const batch = isBatched ? 1 : 0;
  const order = [...inMemory.slice(0, batch), ...rest, ...inMemory.slice(batch)];
  const runs: { n: number; has: readonly boolean[] }[] = [];
  for (const key of order.slice(batch)) {
    const has = owned.map((list) => list[key] === true);
    const last = runs.at(-1);
    if (last && last.has.join() === has.join()) last.n *= keys[key]?.n ?? 1;
    else runs.push({ n: keys[key]?.n ?? 1, has });
  }
  const whole = laidOutKeys(keys, order, rank);
  const orders = axisOf.map((axes) => order.map((key) => axes[key] ?? -1).filter((axis) => axis >= 0));
  const type = first.type;
  if (runs.length <= 1 && runs.every(({ has }) => has.every(Boolean))) {
    const shape = sides[leader]?.shape ?? { h: 1, w: 1, c: runs[0]?.n ?? 1 };
    const [x, y] = sides.map((side, i) => side.place(orders[i] ?? [], shape)) as [Value, Value];
    return { node: net.combined(call, operator, x.node, y.node), type, isBatched, ...whole };
  }
  if (runs.length > 3) {
    const [a, b] = sides.map((side, i) => expanded(net, call, side, orders[i] ?? [], runs, i)) as [number, number];
    return { node: net.combined(call, operator, a, b), type, isBatched, ...whole };
  }
  const shapes = ([0, 1] as const).map((i) => {
    const [c = 1, w = 1, h = 1] = runs.map(({ n, has }) => (has[i] ? n : 1)).reverse();
    return { h, w, c };
  }) as [Shape, Shape];
  // A map and a vector of its channels keep the map's shape.
  const leading = sides[leader]?.shape;
  const other = shapes[1 - leader];
  const isScaled = leading && other && other.h === 1 && other.w === 1 && other.c === leading.c && rest.length === 0;
  if (isScaled) shapes[leader] = leading;
  const [x, y] = sides.map((side, i) => side.place(orders[i] ?? [], shapes[i] as Shape)) as [Value, Value];
  return { node: net.combined(call, operator, x.node, y.node), type, isBatched, ...whole };
}

/** Axes in memory of what is made. */
function laidOutKeys(
  keys: readonly { n: number; dim: number }[],
  order: readonly number[],
  rank: number,
): Pick<Value, 'axes' | 'dims'> {
  const dims: number[][] = Array.from({ length: rank }, () => []);
  for (const [key, { dim }] of keys.entries()) dims[dim]?.push(order.indexOf(key));
  return { axes: order.map((key) => keys[key]?.n ?? 1), dims };
}

/** Dimensions of so many axes each, in turn. */
function regroup(dims: readonly (readonly number[])[], counts: readonly number[]): number[][] {
  const flat = dims.flat();
  return counts.map((count) => flat.splice(0, count));
}

/** A side with every axis repeated that the other has alone, in steps of one stretch each. */
function expanded(
  net: Network,
  call: Call,
  side: Side,
  order: readonly number[],
  runs: readonly { n: number; has: readonly boolean[] }[],
  i: number,
): number {
  let sizes = runs.map(({ n, has }) => (has[i] ? n : 1));
  let value = side.place(order, { h: 1, w: 1, c: size(sizes) });
  for (const [at, { n, has }] of runs.entries()) {
    if (has[i]) continue;
    const [h, c] = [size(sizes.slice(0, at)), size(sizes.slice(at + 1))];
    value = net.shaped(call, value, { h, w: 1, c });
    value = { ...value, node: net.add(call, 'expand', [value.node], { h, w: n, c }) };
    sizes = sizes.map((own, j) => (j === at ? n : own));
  }
  return net.shaped(call, value, { h: 1, w: 1, c: size(sizes) }).node;
}

const two =
  (operator: BinaryOperator): Handler =>
  (net, call) =>
    binary(net, call, operator, call.operand(0), call.operand(1));

const many =
  (operator: BinaryOperator): Handler =>
  (net, call) => {
    const [first, ...others] = call.operands;
    if (!first) throw call.malformed('at least one input', undefined);
    return others.reduce<Operand>((a, b) => (b ? binary(net, call, operator, a, b) : a), first);
  };

const pow: Handler = (net, call) => {
  const [a, b] = [call.operand(0), call.operand(1)];
  const exponent = !isValue(b) && b.tensor?.data.length === 1 ? (b.tensor.data[0] as number) : undefined;
  if (!isValue(a) || exponent === undefined) return binary(net, call, 'power', a, b);
  if (!isFloating(a.type)) throw call.refusal('it calculates with whole numbers');
  if (exponent === 1) return a;
  if (exponent === 0.5) return net.same(call, a, 'unary', { operator: 'sqrt' });
  if (exponent === 2) return binary(net, call, 'multiply', a, a);
  return net.same(call, a, 'unary', { operator: 'power', alpha: exponent });
};

const mean: Handler = (net, call, ...rest) => {
  const sum = many('add')(net, call, ...rest) as Operand;
  if (!isValue(sum)) throw call.refusal('its inputs are constants');
  const alpha = 1 / call.operands.length;
  return alpha === 1 ? sum : net.same(call, sum, 'unary', { operator: 'affine', alpha, beta: 0 });
};

const mod: Handler = (net, call) => {
  if (call.int('fmod', 0) === 1) throw call.refusal('its result has the sign of the first input');
  return binary(net, call, 'modulo', call.operand(0), call.operand(1));
};

export const binaries: Handlers = {
  Add: two('add'),
  Sub: two('subtract'),
  Mul: two('multiply'),
  Div: two('divide'),
  Pow: pow,
  Mod: mod,
  Min: many('min'),
  Max: many('max'),
  Sum: many('add'),
  Mean: mean,
  Equal: two('equal'),
  Less: two('less'),
  LessOrEqual: two('lessOrEqual'),
  Greater: two('greater'),
  GreaterOrEqual: two('greaterOrEqual'),
};
