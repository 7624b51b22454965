/** Operations that move values, or name their dimensions anew. */

import type { NodeId, PadMode, Triple } from '../../../../../models/index.js';
import { size } from '../../../../util/shape.js';
import type { Call } from '../call.js';
import { constantOf } from '../constant.js';
import { permutation, type Range, REDIMENSIONS, slices, splitSizes } from '../dims.js';
import { BatchMoved, type Network } from '../network.js';
import { newValues } from '../tensors.js';
import { BOOL, INT64 } from '../types.js';
import {
  dimensions,
  dimsOf,
  isValue,
  joined,
  laidOut,
  type Operand,
  permuted,
  redimension,
  type Value,
} from '../value.js';
import type { Handler, Handlers } from './handler.js';

const redimensioned: Handler = (net, call) => {
  const x = call.value();
  const dims = REDIMENSIONS[call.op]?.(call, dimsOf(x)) ?? dimsOf(x);
  return net.redimensioned(call, x, dims);
};

/** Dropout does nothing to what it is given; its mask is of ones. */
const dropout: Handler = (_, call) => {
  const x = call.value();
  const dims = REDIMENSIONS.Dropout?.(call, dimsOf(x)) ?? [];
  if (call.node.outputs.length < 2) return x;
  return [x, constantOf({ dims, type: BOOL, data: newValues(BOOL, size(dims)).fill(1) })];
};

/** The value cut along dimensions: one `slice` if the node's rows, columns and channels can be cut so, or one per dimension. */
export function sliced(net: Network, call: Call, given: Value, ranges: readonly Range[]): Value {
  let value = given;
  const dims = dimsOf(given);
  for (const [dim, range] of ranges.entries()) {
    const n = dims[dim] ?? 1;
    if (range.start === 0 && range.step === 1 && range.count === n) continue;
    if (range.count === 0) throw call.refusal('it makes a tensor without values');
    value = slicedAlong(net, call, value, dim, range);
  }
  return value;
}

/** The value with a dimension as one axis of its node. */
function isolated(net: Network, call: Call, given: Value, dim: number) {
  const x = joined(given);
  const parts = x.dims[dim] ?? [];
  // A dimension that is made of several axes is put together where the innermost of them lies.
  const last = Math.max(...parts);
  const order = x.axes.flatMap((_, axis) => (axis === last ? parts : parts.includes(axis) ? [] : [axis]));
  const isMap = dim === 1 && x.dims.length === 4 && last === x.axes.length - 1 && !(dimsOf(x)[0] !== 1 && !x.isBatched);
  const moved = () => (isMap ? net.arranged(call, x, [2], [3], [1]) : net.moved(call, x, order));
  const whole = parts.length <= 1 ? x : joined(moved());
  const [axis] = whole.dims[dim] ?? [];
  const { value, chosen } = net.grouped(call, whole, (each) => each === axis);
  return { value, axis, letter: chosen[0] ?? 'h' };
}

const LETTERS = ['h', 'w', 'c'] as const;

function slicedAlong(net: Network, call: Call, given: Value, dim: number, range: Range): Value {
  if ((given.dims[dim] ?? []).length === 0) return given;
  const { value, axis, letter } = isolated(net, call, given, dim);
  const shape = { ...net.shape(value), [letter]: range.count };
  const of = (own: number, usual: number) =>
    LETTERS.map((each) => (each === letter ? own : usual)) as unknown as Triple;
  const attributes = { ...shape, start: of(range.start, 0), step: of(range.step, 1) };
  const node = net.add(call, 'slice', [value.node], attributes);
  return resized({ ...value, node }, axis ?? 0, range.count);
}

/** A value one of whose axes has another size, which may be 1. */
function resized(value: Value, axis: number, n: number): Value {
  const axes = value.axes.map((own, i) => (i === axis ? n : own));
  if (n !== 1) return { ...value, axes };
  const rest = (parts: readonly number[]) => parts.filter((i) => i !== axis).map((i) => (i > axis ? i - 1 : i));
  return { ...value, axes: axes.filter((_, i) => i !== axis), dims: value.dims.map(rest) };
}

const slice: Handler = (net, call) => {
  const x = call.value();
  return sliced(net, call, x, slices(call, dimsOf(x)));
};

const split: Handler = (net, call) => {
  const x = call.value();
  const dims = dimsOf(x);
  const axis = call.axis(call.int('axis', 0), dims.length);
  let start = 0;
  return splitSizes(call, dims[axis] ?? 1).map((count) => {
    const ranges = dims.map((n, i) => (i === axis ? { start, step: 1, count } : { start: 0, step: 1, count: n }));
    start += count;
    return sliced(net, call, x, ranges);
  });
};

/** Joins values along a dimension, which is then a node's channels. */
export function concatenated(net: Network, call: Call, operands: readonly Operand[], axis: number): Value {
  const leader = operands.find(isValue) as Value;
  const dims = dimsOf(leader);
  const all = operands.filter((each) => dimensions(each)[axis] !== 0);
  const parts = all.map((each) => (isValue(each) ? joined(each) : net.lifted(call, each)));
  for (const part of parts) {
    const own = dimsOf(part);
    const isFit = own.length === dims.length && own.every((n, i) => i === axis || n === dims[i]);
    if (!isFit) throw call.malformed(`tensors of [${dims.join(', ')}] but for axis ${axis}`, own);
    if (part.isBatched !== leader.isBatched || (part.isBatched && axis === 0)) throw new BatchMoved();
  }
  const first = joined(leader);
  // All others lie in memory as the first does, the dimension that grows being the last.
  const order = first.dims
    .map((_, dim) => dim)
    .filter((dim) => dim !== axis && !(first.isBatched && dim === 0))
    .sort((a, b) => (first.dims[a]?.[0] ?? 0) - (first.dims[b]?.[0] ?? 0));
  const rank4 = order.filter((dim) => dims[dim] !== 1);
  const [h, w] = rank4.length > 1 ? [rank4.slice(0, 1), rank4.slice(1)] : [[], rank4];
  const placed = parts.map((part) => net.arranged(call, part, h, w, [axis]));
  const total = placed.reduce((sum, part) => sum + net.shape(part).c, 0);
  const node =
    placed.length === 1
      ? (placed[0] as Value).node
      : net.add(
          call,
          'concat',
          placed.map((part) => part.node),
          {},
        );
  const sizes = dims.map((n, dim) => (dim === axis ? total : n));
  const made = laidOut(sizes, [...(first.isBatched ? [0] : []), ...order, axis]);
  return { node, type: leader.type, isBatched: first.isBatched, ...made };
}

const concat: Handler = (net, call) => {
  const operands = call.operands.filter((each) => each !== undefined);
  const [first] = operands;
  if (!first) throw call.malformed('at least one input', undefined);
  return concatenated(net, call, operands, call.axis(call.int('axis', 1), dimensions(first).length));
};

/** A choice of places along a dimension: one, or several one after the other. */
const gather: Handler = (net, call) => {
  const x = call.value();
  const dims = dimsOf(x);
  const axis = call.axis(call.int('axis', 0), dims.length);
  const n = dims[axis] ?? 1;
  const indices = call.tensor(1, 'places');
  if (!indices) throw call.malformed('places', undefined);
  const places = Array.from(indices.data, (at) => (at < 0 ? at + n : at));
  if (places.length === 0 || !places.every((at) => at >= 0 && at < n))
    throw call.malformed(`places below ${n}`, places);
  const [first = 0, second = first + 1] = places;
  const step = places.length > 1 ? second - first : 1;
  const isEven = step !== 0 && places.every((at, i) => at === first + i * step);
  const at = (start: number, count: number, by: number) =>
    sliced(
      net,
      call,
      x,
      dims.map((own, i) => (i === axis ? { start, step: by, count } : { start: 0, step: 1, count: own })),
    );
  if (!isEven && places.length > MOST_PLACES) throw call.refusal(`it chooses ${places.length} places in no even steps`);
  const chosen = isEven
    ? at(first, places.length, step)
    : concatenated(
        net,
        call,
        places.map((place) => at(place, 1, 1)),
        axis,
      );
  const made = [...dims.slice(0, axis), ...indices.dims, ...dims.slice(axis + 1)];
  return net.redimensioned(call, chosen, made);
};

/** Of a gather in no even steps, each of which is a node. */
const MOST_PLACES = 64;

const transpose: Handler = (_, call) => {
  const x = call.value();
  return permuted(x, permutation(call, x.dims.length));
};

/** Repeats dimensions of 1. */
function repeated(net: Network, call: Call, given: Value, sizes: readonly number[]): Value {
  let value: Value = joined({
    ...given,
    dims: [...Array.from({ length: sizes.length - given.dims.length }, () => []), ...given.dims],
  });
  for (const [dim, n] of sizes.entries()) {
    const own = dimsOf(value)[dim] ?? 1;
    if (n === 1 || own === n) continue;
    if (own !== 1) throw call.malformed(`dimensions of 1 to repeat, or ${n}`, own);
    // A new axis outside all others, but for the batch.
    const at = value.isBatched ? 1 : 0;
    const inner = size(value.axes.slice(at));
    const from = net.shaped(call, value, { h: 1, w: 1, c: inner });
    const node = net.add(call, 'expand', [from.node], { h: 1, w: n, c: inner });
    const axes = [...value.axes.slice(0, at), n, ...value.axes.slice(at)];
    const dims = value.dims.map((parts, i) => (i === dim ? [at] : parts.map((axis) => (axis >= at ? axis + 1 : axis))));
    value = { ...value, node, axes, dims };
  }
  return value;
}

const expand: Handler = (net, call) => {
  const x = call.value();
  const target = call.inputIntegers(1, 'shape') ?? [];
  const dims = dimsOf(x);
  const rank = Math.max(target.length, dims.length);
  const sizes = Array.from({ length: rank }, (_, i) => {
    const [n, m] = [dims[dims.length - rank + i] ?? 1, target[target.length - rank + i] ?? 1];
    return m === 1 ? n : m;
  });
  return repeated(net, call, x, sizes);
};

const tile: Handler = (net, call) => {
  const x = call.value();
  const dims = dimsOf(x);
  const times = call.inputIntegers(1, 'repeats') ?? [];
  if (times.length !== dims.length) throw call.malformed(`${dims.length} repeats`, times);
  const apart = redimension(
    joined(x),
    dims.flatMap((n) => [1, n]),
  );
  if (!apart) throw call.refusal('its dimensions cannot be taken apart');
  const wide = repeated(
    net,
    call,
    apart,
    dims.flatMap((n, i) => [times[i] ?? 1, n]),
  );
  return net.redimensioned(
    call,
    wide,
    dims.map((n, i) => n * (times[i] ?? 1)),
  );
};

const MODES: Readonly<Record<string, PadMode>> = {
  constant: 'constant',
  reflect: 'reflect',
  edge: 'edge',
  wrap: 'wrap',
};

/** Adds values around dimensions. Attributes up to opset 10, inputs since. */
const pad: Handler = (net, call) => {
  let value = joined(call.value());
  const rank = value.dims.length;
  const pads = call.intsOr('pads', 1) ?? call.ints('paddings') ?? [];
  const axes = call.inputIntegers(3, 'axes')?.map((axis) => call.axis(axis, rank)) ?? value.dims.map((_, i) => i);
  if (pads.length !== 2 * axes.length) throw call.malformed(`${2 * axes.length} pads`, pads);
  const mode = MODES[call.text('mode', 'constant')];
  if (!mode) throw call.refusal(`its mode is ${call.text('mode', '')}`);
  const fill = call.scalar(2, 'value') ?? call.float('value', 0);
  for (const [i, dim] of axes.entries()) {
    const [before = 0, after = 0] = [pads[i], pads[i + axes.length]];
    if (before === 0 && after === 0) continue;
    const n = dimsOf(value)[dim] ?? 1;
    if (before < 0 || after < 0) {
      const start = Math.max(0, -before);
      const ranges = dimsOf(value).map((own, j) =>
        j === dim ? { start, step: 1, count: n - start - Math.max(0, -after) } : { start: 0, step: 1, count: own },
      );
      value = sliced(net, call, value, ranges);
    }
    value = paddedAlong(net, call, value, dim, Math.max(0, before), Math.max(0, after), mode, fill);
  }
  return value;
};

function paddedAlong(
  net: Network,
  call: Call,
  given: Value,
  dim: number,
  before: number,
  after: number,
  mode: PadMode,
  value: number,
): Value {
  if (before === 0 && after === 0) return given;
  let apart = given;
  if ((given.dims[dim] ?? []).length === 0) {
    // A dimension of 1 is a new axis outside all others.
    const at = given.isBatched ? 1 : 0;
    const dims = given.dims.map((parts, i) => (i === dim ? [at] : parts.map((axis) => (axis >= at ? axis + 1 : axis))));
    apart = { ...given, axes: [...given.axes.slice(0, at), 1, ...given.axes.slice(at)], dims };
    const inner = size(given.axes.slice(at));
    apart = net.shaped(call, apart, { h: 1, w: 1, c: inner });
    const node = net.add(call, 'pad', [apart.node], { mode, before: [0, before, 0], after: [0, after, 0], value });
    return { ...apart, node, axes: apart.axes.map((n, i) => (i === at ? before + 1 + after : n)) };
  }
  const isolatedDim = isolated(net, call, apart, dim);
  const of = (own: number) => LETTERS.map((each) => (each === isolatedDim.letter ? own : 0)) as unknown as Triple;
  const node: NodeId = net.add(call, 'pad', [isolatedDim.value.node], {
    mode,
    before: of(before),
    after: of(after),
    value,
  });
  const axis = isolatedDim.axis ?? 0;
  const n = (isolatedDim.value.axes[axis] as number) + before + after;
  return resized({ ...isolatedDim.value, node }, axis, n);
}

/** Blocks of channels become blocks of pixels (DCR: depth, column, row), or the other way round. */
const depthToSpace: Handler = (net, call) => {
  const x = call.value();
  const [n = 1, c = 1, h = 1, w = 1] = dimsOf(x);
  const b = call.int('blocksize', 1);
  const isDepthFirst = call.text('mode', 'DCR') === 'DCR';
  const apart = net.redimensioned(call, x, isDepthFirst ? [n, b, b, c / b ** 2, h, w] : [n, c / b ** 2, b, b, h, w]);
  const order = isDepthFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3];
  return net.redimensioned(call, permuted(apart, order), [n, c / b ** 2, h * b, w * b]);
};

const spaceToDepth: Handler = (net, call) => {
  const x = call.value();
  const [n = 1, c = 1, h = 1, w = 1] = dimsOf(x);
  const b = call.int('blocksize', 1);
  const apart = net.redimensioned(call, x, [n, c, h / b, b, w / b, b]);
  return net.redimensioned(call, permuted(apart, [0, 3, 5, 1, 2, 4]), [n, c * b ** 2, h / b, w / b]);
};

/** Dimensions are known when a model is read. */
const shape: Handler = (_, call) => {
  const dims = dimensions(call.operand(0));
  const within = (at: number) => Math.min(Math.max(at < 0 ? at + dims.length : at, 0), dims.length);
  const part = dims.slice(within(call.int('start', 0)), within(call.int('end', dims.length)));
  return constantOf({ dims: [part.length], type: INT64, data: Float64Array.from(part) });
};

export const shapes: Handlers = {
  Reshape: redimensioned,
  Flatten: redimensioned,
  Squeeze: redimensioned,
  Unsqueeze: redimensioned,
  Identity: (_, call) => call.operand(0),
  Dropout: dropout,
  Slice: slice,
  Split: split,
  Concat: concat,
  Gather: gather,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Shape: shape,
  Size: (_, call) =>
    constantOf({ dims: [], type: INT64, data: Float64Array.of(size([...dimensions(call.operand(0))])) }),
};
