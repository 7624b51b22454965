/** Dimensions of what nodes make that keep their input's values, or broadcast. */

import { size } from '../../../util/shape.js';
import type { Call } from './call.js';

/** Dimensions of two tensors that are broadcast to each other (NumPy's rule); undefined if they cannot be. */
export function broadcastDims(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const dims: number[] = [];
  for (let i = 0; i < rank; i++) {
    const [n, m] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (n !== m && n !== 1 && m !== 1) return undefined;
    dims.push(n === 1 ? m : n);
  }
  return dims;
}

export function broadcastOf(call: Call, all: readonly (readonly number[])[]): number[] {
  let dims: number[] = [];
  for (const each of all) {
    const joined = broadcastDims(dims, each);
    if (!joined) throw call.malformed(`dimensions that are broadcast to [${dims.join(', ')}]`, each);
    dims = joined;
  }
  return dims;
}

export function permutation(call: Call, rank: number): number[] {
  const perm = call.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const isOne = perm.length === rank && [...perm].sort((a, b) => a - b).every((axis, i) => axis === i);
  if (!isOne) throw call.malformed(`perm to be an order of ${rank} dimensions`, perm);
  return [...perm];
}

/** The dimensions that keep the values of `dims`, by operation. */
export const REDIMENSIONS: Readonly<Record<string, (call: Call, dims: readonly number[]) => number[]>> = {
  Identity: (_, dims) => [...dims],
  Dropout(call, dims) {
    if (call.has(2) && call.tensor(2, 'training mode')?.data[0] === 1)
      throw call.refusal('it trains: it drops values by chance');
    return [...dims];
  },
  Flatten(call, dims) {
    const given = call.int('axis', 1);
    const axis = given < 0 ? given + dims.length : given;
    if (axis < 0 || axis > dims.length) throw call.malformed(`an axis of ${dims.length} dimensions`, given);
    return [size(dims.slice(0, axis)), size(dims.slice(axis))];
  },
  Reshape(call, dims) {
    const target = call.intsOr('shape', 1) ?? [];
    const copies = call.int('allowzero', 0) === 0;
    const found = target.map((n, i) => (n === 0 && copies ? (dims[i] ?? 0) : n));
    const open = found.indexOf(-1);
    if (open >= 0) found[open] = size(dims) / size(found.filter((_, i) => i !== open));
    if (!found.every((n) => Number.isInteger(n) && n >= 0) || size(found) !== size(dims))
      throw call.malformed(`a shape for ${size(dims)} values`, target);
    return found;
  },
  Squeeze(call, dims) {
    const axes = call.intsOr('axes', 1)?.map((axis) => call.axis(axis, dims.length));
    const isGone = (i: number): boolean => (axes ? axes.includes(i) : dims[i] === 1);
    if (dims.some((n, i) => isGone(i) && n !== 1)) throw call.malformed('axes of size 1', axes);
    return dims.filter((_, i) => !isGone(i));
  },
  Unsqueeze(call, dims) {
    const given = call.intsOr('axes', 1) ?? [];
    const rank = dims.length + given.length;
    const axes = new Set(given.map((axis) => call.axis(axis, rank)));
    if (axes.size !== given.length) throw call.malformed('axes that differ', given);
    const rest = [...dims];
    return Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : (rest.shift() ?? 1)));
  },
};

/** A slice of one dimension: `count` values from `start`, `step` apart. */
export interface Range {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** The slices of all dimensions. Attributes up to opset 9, inputs since. */
export function slices(call: Call, dims: readonly number[]): Range[] {
  const starts = call.intsOr('starts', 1) ?? [];
  const ends = call.intsOr('ends', 2) ?? [];
  const axes = call.ints('axes') ?? call.inputIntegers(3, 'axes') ?? starts.map((_, i) => i);
  const steps = call.inputIntegers(4, 'steps') ?? starts.map(() => 1);
  const ranges: Range[] = dims.map((count) => ({ start: 0, step: 1, count }));
  for (const [i, given] of axes.entries()) {
    const axis = call.axis(given, dims.length);
    const n = dims[axis] ?? 0;
    const step = steps[i] ?? 1;
    if (!Number.isInteger(step) || step === 0) throw call.malformed('steps other than 0', steps);
    const within = (at: number, low: number, high: number) => Math.min(Math.max(at < 0 ? at + n : at, low), high);
    const [from = 0, to = 0] = [starts[i], ends[i]];
    const start = step > 0 ? within(from, 0, n) : within(from, 0, n - 1);
    const end = step > 0 ? within(to, 0, n) : within(to, -1, n - 1);
    ranges[axis] = { start, step, count: Math.max(0, Math.ceil((end - start) / step)) };
  }
  return ranges;
}

/** The sizes of what Split makes along an axis of `count`. */
export function splitSizes(call: Call, count: number): readonly number[] {
  const parts = call.node.outputs.length;
  const even = Math.ceil(count / (call.int('num_outputs', parts) || 1));
  const sizes =
    call.intsOr('split', 1) ?? Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(even, count - i * even)));
  const isFit = sizes.length === parts && sizes.every((n) => Number.isInteger(n) && n >= 0);
  if (!isFit || sizes.reduce((sum, n) => sum + n, 0) !== count)
    throw call.malformed(`${parts} parts of ${count} in all`, sizes);
  return sizes;
}

/** The axes that a reduction is over; undefined for none. An attribute or, since 13 or 18, an input. */
export function reducedAxes(call: Call, rank: number): readonly number[] | undefined {
  const given = call.intsOr('axes', 1);
  if ((given ?? []).length > 0) return given?.map((axis) => call.axis(axis, rank));
  return call.int('noop_with_empty_axes', 0) === 1 ? undefined : Array.from({ length: rank }, (_, i) => i);
}
