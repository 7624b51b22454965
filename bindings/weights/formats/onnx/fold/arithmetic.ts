/** Arithmetic on constants, value by value, in the type that the standard gives. */

import { fromFloat32, toFloat32 } from '../../../dtype.js';
import { broadcastOf } from '../dims.js';
import { newValues } from '../tensors.js';
import { BFLOAT16, BOOL, DATA_TYPES, type DataType, FLOAT16, isFloating, type Tensor, type Values } from '../types.js';
import { erf } from './erf.js';
import type { Folder } from './folder.js';

/** Values of another type: rounded or wrapped as that type holds them. */
export function held(type: DataType, values: Values): Values {
  const to = newValues(type, values.length);
  if (type === FLOAT16 || type === BFLOAT16) {
    const dtype = type === FLOAT16 ? 'F16' : 'BF16';
    to.set(toFloat32(dtype, fromFloat32(dtype, Float32Array.from(values))));
    return to;
  }
  to.set(values);
  if (isFloating(type)) return to;
  const bits = 8 * DATA_TYPES[type].bytes;
  const isSigned = DATA_TYPES[type].name.startsWith('int');
  for (let i = 0; i < to.length; i++) {
    const value = Math.trunc(to[i] as number);
    if (type === BOOL) to[i] = to[i] === 0 ? 0 : 1;
    else if (bits < 64) {
      const wrapped = ((value % 2 ** bits) + 2 ** bits) % 2 ** bits;
      to[i] = isSigned && wrapped >= 2 ** (bits - 1) ? wrapped - 2 ** bits : wrapped;
    } else to[i] = value;
  }
  return to;
}

/** For each value of a tensor of `dims`, the place of the one of `from` that is broadcast to it. */
export function places(from: readonly number[], dims: readonly number[]): (i: number) => number {
  const lead = dims.length - from.length;
  const steps: number[] = new Array(dims.length).fill(0);
  let step = 1;
  for (let axis = from.length - 1; axis >= 0; axis--) {
    steps[axis + lead] = from[axis] === 1 ? 0 : step;
    step *= from[axis] as number;
  }
  return (i) => {
    let [rest, at] = [i, 0];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const n = dims[axis] as number;
      at += (rest % n) * (steps[axis] as number);
      rest = Math.floor(rest / n);
    }
    return at;
  };
}

type Two = (a: number, b: number) => number;

const numbers =
  (whole: Two, floating: Two = whole, type?: DataType): Folder =>
  (call, tensors, room) => {
    const [first, ...others] = tensors.filter((each) => each !== undefined);
    if (!first) throw call.malformed('at least one input', undefined);
    return others.reduce((a, b) => {
      const dims = broadcastOf(call, [a.dims, b.dims]);
      const count = room(dims);
      const apply = isFloating(a.type) ? floating : whole;
      const [atA, atB] = [places(a.dims, dims), places(b.dims, dims)];
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) values[i] = apply(a.data[atA(i)] as number, b.data[atB(i)] as number);
      const made = type ?? a.type;
      return { dims, type: made, data: held(made, values) };
    }, first);
  };

const test = (holds: (a: number, b: number) => boolean): Folder =>
  numbers((a, b) => (holds(a, b) ? 1 : 0), undefined, BOOL);

const each =
  (apply: (value: number) => number, type?: DataType): Folder =>
  (_, [x]) => {
    const { dims, type: own, data } = x as Tensor;
    const made = type ?? own;
    return { dims, type: made, data: held(made, Float64Array.from(data, apply)) };
  };

/** To the nearest whole number, halves to the even one. */
export function round(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

const remainder = (a: number, b: number): number => a - b * Math.floor(a / b);

export const arithmetic: Readonly<Record<string, Folder>> = {
  Add: numbers((a, b) => a + b),
  Sub: numbers((a, b) => a - b),
  Mul: numbers((a, b) => a * b),
  Div: numbers(
    (a, b) => Math.trunc(a / b),
    (a, b) => a / b,
  ),
  Pow: numbers((a, b) => a ** b),
  Mod: (call, tensors, room) => numbers(call.int('fmod', 0) === 1 ? (a, b) => a % b : remainder)(call, tensors, room),
  Min: numbers(Math.min),
  Max: numbers(Math.max),
  Sum: numbers((a, b) => a + b),
  Equal: test((a, b) => a === b),
  Greater: test((a, b) => a > b),
  GreaterOrEqual: test((a, b) => a >= b),
  Less: test((a, b) => a < b),
  LessOrEqual: test((a, b) => a <= b),
  And: test((a, b) => a !== 0 && b !== 0),
  Or: test((a, b) => a !== 0 || b !== 0),
  Xor: test((a, b) => a !== b),
  Not: each((value) => (value === 0 ? 1 : 0)),
  Neg: each((value) => -value),
  Abs: each(Math.abs),
  Exp: each(Math.exp),
  Log: each(Math.log),
  Sqrt: each(Math.sqrt),
  Reciprocal: each((value) => 1 / value),
  Floor: each(Math.floor),
  Ceil: each(Math.ceil),
  Round: each(round),
  Sign: each(Math.sign),
  Sin: each(Math.sin),
  Cos: each(Math.cos),
  Tanh: each(Math.tanh),
  Erf: each(erf),
  Sigmoid: each((value) => 1 / (1 + Math.exp(-value))),
  Relu: each((value) => Math.max(0, value)),
  Cast(call, [x]) {
    const { dims, data } = x as Tensor;
    const type = call.castType();
    return { dims, type, data: held(type, data) };
  },
  Clip(call, [x, low, high]) {
    const { dims, type, data } = x as Tensor;
    const least = low?.data[0] ?? call.float('min', Number.NEGATIVE_INFINITY);
    const most = high?.data[0] ?? call.float('max', Number.POSITIVE_INFINITY);
    return {
      dims,
      type,
      data: held(
        type,
        Float64Array.from(data, (value) => Math.min(Math.max(value, least), most)),
      ),
    };
  },
  Where(call, tensors, room) {
    const [condition, a, b] = tensors as [Tensor, Tensor, Tensor];
    const dims = broadcastOf(call, [condition.dims, a.dims, b.dims]);
    const data = newValues(a.type, room(dims));
    const [at, atA, atB] = [condition, a, b].map((each) => places(each.dims, dims));
    for (let i = 0; i < data.length; i++) {
      const isTrue = condition.data[at?.(i) ?? 0] !== 0;
      data[i] = (isTrue ? a.data[atA?.(i) ?? 0] : b.data[atB?.(i) ?? 0]) as number;
    }
    return { dims, type: a.type, data };
  },
};
