/** Operations over dimensions: reductions and softmax. */

import type { AxesReduction, Reduction, UnaryOperator } from '../../../../../models/index.js';
import type { Call } from '../call.js';
import { reducedAxes } from '../dims.js';
import { BatchMoved, type Network } from '../network.js';
import { INT64, isFloating } from '../types.js';
import { joined, type Value } from '../value.js';
import { binary } from './binary.js';
import type { Handler, Handlers } from './handler.js';

/** One value over all of these dimensions, which are 1 then. */
function reduced(net: Network, call: Call, given: Value, axes: readonly number[], reduction: AxesReduction): Value {
  const x = joined(given);
  const gone = new Set(axes.flatMap((dim) => x.dims[dim] ?? []));
  if (x.isBatched && gone.has(0)) throw new BatchMoved();
  if (gone.size === 0) return given;
  const { value, chosen } = net.grouped(call, x, (axis) => gone.has(axis));
  const isOfMap = chosen.join() === 'h,w' && (['mean', 'max', 'sum'] as string[]).includes(reduction);
  // What `grouped` moved has its axes in another order.
  const moved = new Set(axes.flatMap((dim) => value.dims[dim] ?? []));
  const { h } = net.shape(value);
  const node =
    isOfMap || (chosen.join() === 'w' && h === 1 && (['mean', 'max', 'sum'] as string[]).includes(reduction))
      ? net.add(call, 'reduce', [value.node], { reduction: reduction as Reduction })
      : net.add(call, 'reduceAxes', [value.node], { reduction, axes: chosen });
  const place = new Map<number, number>();
  value.axes.forEach((_, axis) => {
    if (!moved.has(axis)) place.set(axis, place.size);
  });
  const rest = (parts: readonly number[]) => parts.flatMap((axis) => place.get(axis) ?? []);
  return { ...value, node, axes: value.axes.filter((_, axis) => !moved.has(axis)), dims: value.dims.map(rest) };
}

const withoutDims = (value: Value, axes: readonly number[]): Value => ({
  ...value,
  dims: value.dims.filter((_, dim) => !axes.includes(dim)),
});

const unary = (net: Network, call: Call, x: Value, operator: UnaryOperator): Value =>
  net.same(call, x, 'unary', { operator });

type Over = (net: Network, call: Call, x: Value, axes: readonly number[]) => Value;

const over =
  (reduction: AxesReduction): Over =>
  (net, call, x, axes) =>
    reduced(net, call, x, axes, reduction);

const squares: Over = (net, call, x, axes) => reduced(net, call, binary(net, call, 'multiply', x, x), axes, 'sum');

/** log Σ exp(x), the greatest being taken away first. */
const logSumExp: Over = (net, call, x, axes) => {
  const most = reduced(net, call, x, axes, 'max');
  const sum = reduced(net, call, unary(net, call, binary(net, call, 'subtract', x, most), 'exp'), axes, 'sum');
  return binary(net, call, 'add', unary(net, call, sum, 'log'), most);
};

const reduction =
  (apply: Over): Handler =>
  (net, call) => {
    const x = call.value();
    const axes = reducedAxes(call, x.dims.length);
    if (!axes) return x;
    if (!isFloating(x.type)) throw call.refusal('it calculates with whole numbers');
    const made = apply(net, call, x, axes);
    return call.int('keepdims', 1) === 1 ? made : withoutDims(made, axes);
  };

const place =
  (which: 'argMax' | 'argMin'): Handler =>
  (net, call) => {
    const x = call.value();
    const axis = call.axis(call.int('axis', 0), x.dims.length);
    if (call.int('select_last_index', 0) === 1) throw call.refusal('it takes the last of equal values');
    const made = { ...reduced(net, call, x, [axis], which), type: INT64 };
    return call.int('keepdims', 1) === 1 ? made : withoutDims(made, [axis]);
  };

/** Over one dimension or, up to opset 12, over all from `axis` on. */
const softmax =
  (isLog: boolean): Handler =>
  (net, call) => {
    const x = joined(call.value());
    const rank = x.dims.length;
    const isOld = call.opset < 13;
    const axis = call.axis(call.int('axis', isOld ? 1 : -1), rank);
    const dims = isOld ? x.dims.map((_, dim) => dim).slice(axis) : [axis];
    const chosenAxes = new Set(dims.flatMap((dim) => x.dims[dim] ?? []));
    if (x.isBatched && chosenAxes.has(0)) throw new BatchMoved();
    if (chosenAxes.size === 0) {
      const alpha = 0;
      return net.same(call, x, 'unary', { operator: 'affine', alpha, beta: isLog ? 0 : 1 });
    }
    const { value, chosen } = net.grouped(call, x, (axis) => chosenAxes.has(axis));
    const { h, w } = net.shape(value);
    if (!isLog && h === 1 && w === 1) return net.same(call, value, 'softmax', {});
    return net.same(call, value, 'softmaxAxes', { axes: chosen, isLog });
  };

export const reductions: Handlers = {
  ReduceMean: reduction(over('mean')),
  ReduceSum: reduction(over('sum')),
  ReduceMax: reduction(over('max')),
  ReduceMin: reduction(over('min')),
  ReduceProd: reduction(over('product')),
  ReduceSumSquare: reduction(squares),
  ReduceL1: reduction((net, call, x, axes) => reduced(net, call, unary(net, call, x, 'abs'), axes, 'sum')),
  ReduceL2: reduction((net, call, x, axes) => unary(net, call, squares(net, call, x, axes), 'sqrt')),
  ReduceLogSum: reduction((net, call, x, axes) => unary(net, call, reduced(net, call, x, axes, 'sum'), 'log')),
  ReduceLogSumExp: reduction(logSumExp),
  ArgMax: place('argMax'),
  ArgMin: place('argMin'),
  Softmax: softmax(false),
  LogSoftmax: softmax(true),
};
