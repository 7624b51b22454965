/**
 * What a run makes, seen as ONNX sees it. A graph's maps lie in memory with channels last; ONNX's dimensions are in an order
 * of their own. A value keeps both: the axes as they lie in memory, and of which of them each dimension is made. So
 * Transpose, Reshape, Flatten and their like move nothing: they rename. Values are moved only for a node that needs its
 * dimensions elsewhere in memory.
 */

import type { NodeId } from '../../../../models/graph.js';
import { size } from '../../../util/shape.js';
import type { Constant } from './constant.js';
import type { DataType } from './types.js';

export interface Value {
  readonly node: NodeId;
  readonly type: DataType;
  /** Sizes of the axes in memory, the outermost first, none of them 1. */
  readonly axes: readonly number[];
  /** For each dimension the axes that it is made of, the outermost first; none for a dimension of 1. */
  readonly dims: readonly (readonly number[])[];
  /** Whether the first axis is the batch of a run, and no part of the node's shape. */
  readonly isBatched: boolean;
  /** Of a type of whole numbers: whether the values are what those stand for (nodes/quantised.ts). */
  readonly isReal?: boolean;
}

/** What a node can read: what a run makes, or a constant. */
export type Operand = Value | Constant;

export const isValue = (operand: Operand | undefined): operand is Value => operand !== undefined && 'axes' in operand;

const sizeOf = (axes: readonly number[], parts: readonly number[]): number =>
  size(parts.map((axis) => axes[axis] ?? 1));

export const dimsOf = ({ axes, dims }: Pick<Value, 'axes' | 'dims'>): number[] =>
  dims.map((parts) => sizeOf(axes, parts));

/** Dimensions of any operand. */
export const dimensions = (operand: Operand): readonly number[] => (isValue(operand) ? dimsOf(operand) : operand.dims);

/** Makes the axes of a tensor that lies in memory in this order of its dimensions. */
export function laidOut(sizes: readonly number[], order: readonly number[]): Pick<Value, 'axes' | 'dims'> {
  const kept = order.filter((dim) => sizes[dim] !== 1);
  return {
    axes: kept.map((dim) => sizes[dim] as number),
    dims: sizes.map((_, dim) => {
      const axis = kept.indexOf(dim);
      return axis < 0 ? [] : [axis];
    }),
  };
}

/** All axes in the order of the dimensions. */
const logical = ({ dims }: Pick<Value, 'dims'>): number[] => dims.flat();

/** Whether the axes lie in memory in the order of the dimensions. */
export const isRowMajor = (value: Pick<Value, 'dims'>): boolean => logical(value).every((axis, i) => axis === i);

/** Splits an axis into two, `outer` of them outermost. */
function split(value: Value, axis: number, outer: number): Value {
  const { axes, dims } = value;
  const inner = (axes[axis] as number) / outer;
  return {
    ...value,
    axes: axes.flatMap((n, i) => (i === axis ? [outer, inner] : [n])),
    dims: dims.map((parts) => parts.flatMap((i) => (i === axis ? [axis, axis + 1] : [i > axis ? i + 1 : i]))),
  };
}

/** The same values in other dimensions; undefined if an axis cannot be split so. */
export function redimension(value: Value, sizes: readonly number[]): Value | undefined {
  let now = value;
  const made: number[][] = [];
  let next = 0;
  for (const n of sizes) {
    const parts: number[] = [];
    for (let left = n; left > 1; ) {
      const axis = logical(now)[next];
      const own = axis === undefined ? 0 : (now.axes[axis] as number);
      if (axis === undefined || own === 0) return undefined;
      if (left % own === 0) {
        parts.push(axis);
        left /= own;
        next += 1;
        continue;
      }
      if (own % left !== 0 || (axis === 0 && now.isBatched)) return undefined;
      // The axes behind the one that is split have moved on by one.
      now = split(now, axis, left);
      for (const list of [...made, parts]) for (const [i, each] of list.entries()) if (each > axis) list[i] = each + 1;
    }
    made.push(parts);
  }
  return { ...now, dims: made };
}

/** The dimensions in another order. */
export const permuted = (value: Value, perm: readonly number[]): Value => ({
  ...value,
  dims: perm.map((dim) => value.dims[dim] ?? []),
});

/** Joins axes that lie next to each other in memory and in a dimension. */
export function joined(value: Value): Value {
  const { axes, dims, isBatched } = value;
  const follows = new Set(
    dims.flatMap((parts) => parts.filter((axis, i) => i > 0 && axis === (parts[i - 1] as number) + 1)),
  );
  if (isBatched) follows.delete(1);
  const sizes: number[] = [];
  const place = axes.map((n, axis) => {
    if (follows.has(axis)) sizes[sizes.length - 1] = (sizes.at(-1) as number) * n;
    else sizes.push(n);
    return sizes.length - 1;
  });
  const renamed = dims.map((parts) => parts.filter((axis) => !follows.has(axis)).map((axis) => place[axis] as number));
  return { ...value, axes: sizes, dims: renamed };
}
