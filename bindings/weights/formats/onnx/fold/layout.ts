/** Constants put together, taken apart and made anew: shape arithmetic. */

import { size } from '../../../../util/shape.js';
import { permutation, REDIMENSIONS, reducedAxes, slices, splitSizes } from '../dims.js';
import { newValues } from '../tensors.js';
import { FLOAT, INT64, type Tensor } from '../types.js';
import { held, places } from './arithmetic.js';
import type { Folder } from './folder.js';

const stridesOf = (dims: readonly number[]): number[] => dims.map((_, axis) => size(dims.slice(axis + 1)));

/** Values of `x` by the index of each in a tensor of `dims`. */
function gathered(x: Tensor, dims: readonly number[], count: number, at: (index: readonly number[]) => number): Tensor {
  const data = newValues(x.type, count);
  const index = dims.map(() => 0);
  for (let i = 0; i < count; i++) {
    data[i] = x.data[at(index)] as number;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (dims[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return { dims, type: x.type, data };
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, n, i) => sum + n * (b[i] ?? 0), 0);

/** A tensor with its dimensions in another order. */
export function transposed(x: Tensor, perm: readonly number[]): Tensor {
  const strides = stridesOf(x.dims);
  const moved = perm.map((axis) => strides[axis] as number);
  return gathered(
    x,
    perm.map((axis) => x.dims[axis] as number),
    x.data.length,
    (index) => dot(index, moved),
  );
}

const redimension: Folder = (call, [x]) => {
  const { dims, type, data } = x as Tensor;
  return { dims: REDIMENSIONS[call.op]?.(call, dims) ?? dims, type, data };
};

type Fold = (values: Iterable<number>, count: number) => number;

const sum: Fold = (values) => {
  let all = 0;
  for (const value of values) all += value;
  return all;
};
const mapped =
  (apply: (value: number) => number): Fold =>
  (values, count) =>
    sum(Array.from(values, apply), count);

/** Reductions of the values along some axes to one. */
const REDUCTIONS: Readonly<Record<string, Fold>> = {
  ReduceSum: sum,
  ReduceMean: (values, count) => sum(values, count) / count,
  ReduceMax: (values) => Array.from(values).reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
  ReduceMin: (values) => Array.from(values).reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
  ReduceProd: (values) => Array.from(values).reduce((a, b) => a * b, 1),
  ReduceL1: mapped(Math.abs),
  ReduceL2: (values, count) => Math.sqrt(mapped((value) => value * value)(values, count)),
  ReduceSumSquare: mapped((value) => value * value),
  ReduceLogSum: (values, count) => Math.log(sum(values, count)),
  ReduceLogSumExp: (values, count) => Math.log(mapped(Math.exp)(values, count)),
};

const reduction =
  (fold: Fold): Folder =>
  (call, [x], room) => {
    const tensor = x as Tensor;
    const { dims, type } = tensor;
    const axes = reducedAxes(call, dims.length);
    if (!axes) return tensor;
    const kept = dims.map((n, axis) => (axes.includes(axis) ? 1 : n));
    const lists: number[][] = Array.from({ length: room(kept) }, () => []);
    const place = places(kept, dims);
    for (const [i, value] of tensor.data.entries()) lists[place(i)]?.push(value);
    const values = Float64Array.from(lists, (list) => fold(list, list.length));
    const keeps = call.int('keepdims', 1) === 1;
    const made = keeps ? kept : dims.filter((_, axis) => !axes.includes(axis));
    return { dims: made, type, data: held(type, values) };
  };

export const layout: Readonly<Record<string, Folder>> = {
  ...Object.fromEntries(Object.keys(REDIMENSIONS).map((op) => [op, redimension])),
  ...Object.fromEntries(Object.entries(REDUCTIONS).map(([op, fold]) => [op, reduction(fold)])),
  Transpose: (call, [x]) => transposed(x as Tensor, permutation(call, (x as Tensor).dims.length)),
  Constant(call) {
    const { attributes } = call.node;
    const tensor = attributes.get('value')?.t;
    if (tensor) return tensor;
    for (const [name, type] of [
      ['value_float', FLOAT],
      ['value_int', INT64],
    ] as const) {
      const value = type === FLOAT ? attributes.get(name)?.f : attributes.get(name)?.i;
      if (value !== undefined) return { dims: [], type, data: held(type, Float64Array.of(value)) };
    }
    for (const [name, type] of [
      ['value_floats', FLOAT],
      ['value_ints', INT64],
    ] as const) {
      const attribute = attributes.get(name);
      const list = type === FLOAT ? attribute?.floats : attribute?.ints;
      if (list) return { dims: [list.length], type, data: held(type, Float64Array.from(list)) };
    }
    throw call.refusal('it makes no tensor of numbers');
  },
  ConstantOfShape(call, [shape], room) {
    const dims = Array.from((shape as Tensor).data);
    const value = call.node.attributes.get('value')?.t;
    const type = value?.type ?? FLOAT;
    return { dims, type, data: newValues(type, room(dims)).fill(value?.data[0] ?? 0) };
  },
  Range(call, tensors, room) {
    const [start = 0, limit = 0, delta = 1] = tensors.map((each) => each?.data[0]);
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    if (!Number.isFinite(count)) throw call.malformed('a delta other than 0', delta);
    const type = (tensors[0] as Tensor).type;
    const data = newValues(type, room([count]));
    for (let i = 0; i < count; i++) data[i] = start + i * delta;
    return { dims: [count], type, data };
  },
  Gather(call, [x, indices], room) {
    const { dims } = x as Tensor;
    const chosen = indices as Tensor;
    const axis = call.axis(call.int('axis', 0), dims.length);
    const n = dims[axis] ?? 0;
    const made = [...dims.slice(0, axis), ...chosen.dims, ...dims.slice(axis + 1)];
    const inner = size(dims.slice(axis + 1));
    const data = newValues((x as Tensor).type, room(made));
    const count = chosen.data.length;
    for (let i = 0; i < data.length; i++) {
      const [outer, rest] = [Math.floor(i / (count * inner)), i % (count * inner)];
      const given = chosen.data[Math.floor(rest / inner)] as number;
      const at = given < 0 ? given + n : given;
      if (!(at >= 0 && at < n)) throw call.malformed(`indices below ${n}`, given);
      data[i] = (x as Tensor).data[(outer * n + at) * inner + (rest % inner)] as number;
    }
    return { dims: made, type: (x as Tensor).type, data };
  },
  Concat(call, tensors, room) {
    const [first] = tensors as Tensor[];
    if (!first) throw call.malformed('at least one input', undefined);
    const axis = call.axis(call.int('axis', 1), first.dims.length);
    const total = (tensors as Tensor[]).reduce((all, { dims }) => all + (dims[axis] ?? 1), 0);
    const dims = first.dims.map((n, i) => (i === axis ? total : n));
    for (const each of tensors as Tensor[]) {
      const isFit = each.dims.length === dims.length && each.dims.every((n, i) => i === axis || n === dims[i]);
      if (!isFit) throw call.malformed(`tensors of [${dims.join(', ')}] but for axis ${axis}`, each.dims);
    }
    const data = newValues(first.type, room(dims));
    const outer = size(dims.slice(0, axis));
    let begin = 0;
    for (const { dims: own, data: values } of tensors as Tensor[]) {
      const row = size(own.slice(axis));
      const whole = size(dims.slice(axis));
      for (let i = 0; i < outer; i++) data.set(values.subarray(i * row, (i + 1) * row), i * whole + begin);
      begin += row;
    }
    return { dims, type: first.type, data };
  },
  Slice(call, [x]) {
    const tensor = x as Tensor;
    const ranges = slices(call, tensor.dims);
    const dims = ranges.map(({ count }) => count);
    const strides = stridesOf(tensor.dims);
    const start = dot(
      ranges.map((range) => range.start),
      strides,
    );
    const steps = ranges.map(({ step }, axis) => step * (strides[axis] as number));
    return gathered(tensor, dims, size(dims), (index) => start + dot(index, steps));
  },
  Expand(call, [x, shape], room) {
    const tensor = x as Tensor;
    const target = Array.from((shape as Tensor).data);
    const rank = Math.max(target.length, tensor.dims.length);
    const dims = Array.from({ length: rank }, (_, i) => {
      const [n, m] = [tensor.dims[tensor.dims.length - rank + i] ?? 1, target[target.length - rank + i] ?? 1];
      if (n !== m && n !== 1 && m !== 1)
        throw call.malformed(`a shape that [${tensor.dims.join(', ')}] expands to`, target);
      return n === 1 ? m : n;
    });
    const data = newValues(tensor.type, room(dims));
    const at = places(tensor.dims, dims);
    for (let i = 0; i < data.length; i++) data[i] = tensor.data[at(i)] as number;
    return { dims, type: tensor.type, data };
  },
  Tile(call, [x, repeats], room) {
    const tensor = x as Tensor;
    const times = Array.from((repeats as Tensor).data);
    const dims = tensor.dims.map((n, axis) => n * (times[axis] ?? 1));
    const strides = stridesOf(tensor.dims);
    const count = room(dims);
    if (times.length !== dims.length) throw call.malformed(`${dims.length} repeats`, times);
    return gathered(tensor, dims, count, (index) =>
      index.reduce((at, i, axis) => at + (i % (tensor.dims[axis] as number)) * (strides[axis] as number), 0),
    );
  },
};

/** Split makes several. */
export function splitConstant(call: Parameters<Folder>[0], x: Tensor): Tensor[] {
  const axis = call.axis(call.int('axis', 0), x.dims.length);
  const strides = stridesOf(x.dims);
  let begin = 0;
  return splitSizes(call, x.dims[axis] ?? 1).map((n) => {
    const dims = x.dims.map((own, i) => (i === axis ? n : own));
    const start = begin * (strides[axis] as number);
    begin += n;
    return gathered(x, dims, size(dims), (index) => start + dot(index, strides));
  });
}
