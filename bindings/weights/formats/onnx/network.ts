/** An ONNX model on its way to a graph: what its names stand for so far, and the tensors that the graph's nodes have. */

import { GraphBuilder } from '../../../../models/builder.js';
import type {
  Attributes,
  BinaryOperator,
  NodeId,
  OpKind,
  ParameterNames,
  Role,
  Shape,
} from '../../../../models/index.js';
import { sameShape, shapeText } from '../../../../models/shape.js';
import { size } from '../../../util/shape.js';
import type { TensorInfo } from '../../types.js';
import type { Call } from './call.js';
import type { Constant } from './constant.js';
import type { Values } from './types.js';
import { dimsOf, joined, type Operand, redimension, type Value } from './value.js';

/** A tensor of the graph, and what it is made of. */
export interface Use {
  readonly name: string;
  /** The graph's. */
  readonly shape: readonly number[];
  readonly order: TensorInfo['order'];
  readonly from: Constant | Repeated;
}

/** Values that repeat to fill a tensor. */
export interface Repeated {
  readonly repeated: Values;
}

/** What is added to a variance of 1 that no file has. */
const LEAST_VARIANCE = 1e-14;

/** Thrown if a node would move the batch among other dimensions: the model is then read as one of whole tensors. */
export class BatchMoved extends Error {}

export class Network {
  readonly g: GraphBuilder;
  readonly uses = new Map<string, Use>();
  readonly #values = new Map<string, Operand>();
  readonly #taken = new Set<string>();
  /** What scales and shifts, by node, and what it reads. */
  readonly #affines = new Map<NodeId, { readonly from: NodeId; readonly scales: Values; readonly shifts: Values }>();
  /** Values that were moved, by what they are of, and how. */
  readonly #moves = new Map<string, NodeId>();
  readonly #products = new Set<NodeId>();
  /** Uses of stored tensors as they are, by their names. */
  readonly #direct = new Map<string, Use>();

  readonly #readers: ReadonlyMap<string, readonly string[]>;

  /** `readers`: the operations that read each name; an output is read by 'output'. */
  constructor(name: string, readers: ReadonlyMap<string, readonly string[]>) {
    this.g = new GraphBuilder(name);
    this.#readers = readers;
  }

  readersOf(name: string): readonly string[] {
    return this.#readers.get(name) ?? [];
  }

  get(name: string): Operand | undefined {
    return this.#values.get(name);
  }

  set(name: string, operand: Operand): void {
    if (name !== '') this.#values.set(name, operand);
  }

  /** A name for a node that none has yet. */
  free(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.#taken.has(name); i++) name = `${wanted}_${i}`;
    this.#taken.add(name);
    return name;
  }

  shape({ node }: Value): Shape {
    return this.g.shape(node);
  }

  /** Adds a node named after the call. A refusal of the builder's begins with that name. */
  add<Kind extends OpKind>(
    call: Call,
    kind: Kind,
    inputs: readonly NodeId[],
    attributes: Attributes<Kind>,
    params?: ParameterNames,
  ): NodeId {
    const node = this.g.op(kind, this.free(moduleName(call)), inputs, attributes, params ? { params } : {});
    if (kind === 'conv' || kind === 'linear') this.#products.add(node);
    return node;
  }

  /** A node that makes one value of the same dimensions and layout. */
  same<Kind extends OpKind>(
    call: Call,
    value: Value,
    kind: Kind,
    attributes: Attributes<Kind>,
    params?: ParameterNames,
  ): Value {
    return { ...value, node: this.add(call, kind, [value.node], attributes, params) };
  }

  /** The name of a tensor of the graph that is made of a constant. Nodes that read one tensor alike share it. */
  tensor(
    call: Call,
    role: Role,
    shape: readonly number[],
    from: Constant | Repeated,
    order: TensorInfo['order'] = 'OI',
  ): string {
    const stored = 'dims' in from && from.maps.length === 0 ? from.stored : undefined;
    const known = stored && this.#direct.get(stored.name);
    if (known && known.order === order && known.shape.join() === shape.join()) return known.name;
    const wanted = stored?.name ?? `${moduleName(call)}.${role}`;
    let name = wanted;
    for (let i = 1; this.uses.has(name); i++) name = `${wanted}_${i}`;
    const use: Use = { name, shape, order, from };
    this.uses.set(name, use);
    if (stored && !known) this.#direct.set(stored.name, use);
    return name;
  }

  /** A vector of `count` values: a constant's, or one that repeats. */
  vector(call: Call, role: Role, count: number, values: Values | number): string {
    const repeated = typeof values === 'number' ? Float32Array.of(values) : values;
    return this.tensor(call, role, [count], { repeated });
  }

  /** The node of a move that was made before, or a new one. */
  #once(key: string, make: () => NodeId): NodeId {
    const node = this.#moves.get(key) ?? make();
    this.#moves.set(key, node);
    return node;
  }

  /** The value in a node of another shape. */
  shaped(call: Call, value: Value, shape: Shape): Value {
    if (sameShape(this.shape(value), shape)) return value;
    const key = `${value.node} ${shapeText(shape)}`;
    return { ...value, node: this.#once(key, () => this.add(call, 'reshape', [value.node], shape)) };
  }

  /** The value with its axes in another order in memory, in a node of `shape` or, by default, of one row of vectors. */
  moved(call: Call, value: Value, order: readonly number[], shape?: Shape): Value {
    const { axes, isBatched } = value;
    if (isBatched && order[0] !== 0) throw new BatchMoved();
    const from = isBatched ? 1 : 0;
    const sizes = order.map((axis) => axes[axis] as number);
    const last = sizes.length > from ? (sizes.at(-1) as number) : 1;
    const wanted = shape ?? { h: 1, w: size(sizes.slice(from)) / last, c: last };
    if (order.every((axis, i) => axis === i)) return shape ? this.shaped(call, value, shape) : value;
    const moved = {
      ...wanted,
      dims: axes.slice(from),
      order: order.slice(from).map((axis) => axis - from),
    };
    const key = `${value.node} ${moved.dims} ${moved.order} ${shapeText(wanted)}`;
    const node = this.#once(key, () => this.add(call, 'rearrange', [value.node], moved));
    const place = new Map(order.map((axis, i) => [axis, i]));
    const dims = value.dims.map((parts) => parts.map((axis) => place.get(axis) as number));
    return { ...value, node, axes: sizes, dims };
  }

  /**
   * The value in a node whose height, width and channels are the dimensions that these lists name. All other dimensions are
   * 1, or the batch.
   */
  arranged(call: Call, given: Value, h: readonly number[], w: readonly number[], c: readonly number[]): Value {
    const value = joined(given);
    const groups = [h, w, c].map((list) => list.flatMap((dim) => value.dims[dim] ?? []));
    const order = [...(value.isBatched ? [0] : []), ...groups.flat()];
    if (new Set(order).size !== order.length || order.length !== value.axes.length) {
      if (value.isBatched) throw new BatchMoved();
      throw call.refusal(`it reads a tensor of [${dimsOf(value).join(', ')}], which is no row of images`);
    }
    const sizes = groups.map((axes) => size(axes.map((axis) => value.axes[axis] as number)));
    const [height = 1, width = 1, channels = 1] = sizes;
    return this.moved(call, value, order, { h: height, w: width, c: channels });
  }

  /** The value with its axes in memory in the order of its dimensions. */
  rowMajor(call: Call, value: Value): Value {
    return joined(this.moved(call, value, value.dims.flat()));
  }

  /** The same values in other dimensions. */
  redimensioned(call: Call, value: Value, sizes: readonly number[]): Value {
    const found = redimension(joined(value), sizes) ?? redimension(this.rowMajor(call, value), sizes);
    if (found) return found;
    if (value.isBatched) throw new BatchMoved();
    throw call.refusal(`it makes [${sizes.join(', ')}] of [${dimsOf(value).join(', ')}]`);
  }

  /**
   * The value in a node each of whose axes either is chosen by `isChosen` or is not, with the names of those that are.
   * `isChosen`: of axes in memory.
   */
  grouped(
    call: Call,
    given: Value,
    isChosen: (axis: number) => boolean,
  ): { value: Value; chosen: ('h' | 'w' | 'c')[] } {
    const shape = this.shape(given);
    const now = lettersOf(given, shape);
    const first = given.isBatched ? 1 : 0;
    if (given.isBatched && isChosen(0)) throw new BatchMoved();
    if (now) {
      const of = (letter: 'h' | 'w' | 'c') => now.flatMap((each, axis) => (each === letter ? [isChosen(axis)] : []));
      const flags = (['h', 'w', 'c'] as const).map(of);
      if (flags.every((list) => new Set(list).size < 2)) {
        return { value: given, chosen: (['h', 'w', 'c'] as const).filter((_, i) => flags[i]?.[0] === true) };
      }
    }
    const runs: { isOne: boolean; n: number }[] = [];
    given.axes.forEach((n, axis) => {
      if (axis < first) return;
      const isOne = isChosen(axis);
      const last = runs.at(-1);
      if (last?.isOne === isOne) last.n *= n;
      else runs.push({ isOne, n });
    });
    if (runs.length > 3) {
      const all = given.axes.map((_, axis) => axis);
      const rest = all.slice(first).sort((a, b) => Number(isChosen(a)) - Number(isChosen(b)) || a - b);
      const order = [...all.slice(0, first), ...rest];
      const flags = order.map((axis) => isChosen(axis));
      return this.grouped(call, this.moved(call, given, order), (axis) => flags[axis] === true);
    }
    const [c, w, h] = [...runs].reverse();
    const value = this.shaped(call, given, { h: h?.n ?? 1, w: w?.n ?? 1, c: c?.n ?? 1 });
    const chosen = (['h', 'w', 'c'] as const).filter((_, i) => [h, w, c][i]?.isOne === true);
    return { value, chosen };
  }

  /** Whether a value is what a convolution or linear layer makes, into which scales and shifts are folded. */
  isProduct({ node }: Value): boolean {
    return this.#products.has(node);
  }

  /**
   * The value · scale + shift, one for each of the node's channels: a batch norm without statistics. One of those that
   * nobody else reads is done with it.
   */
  scaledAndShifted(call: Call, given: Value, channels: number, ownScales: Values, ownShifts: Values): Value {
    const before = this.#affines.get(given.node);
    const isAlone = call.node.inputs.some((name) => {
      const operand = this.#values.get(name);
      return operand && 'axes' in operand && operand.node === given.node && this.readersOf(name).length === 1;
    });
    const at = (values: Values, i: number): number => values[values.length === 1 ? 0 : i] as number;
    const joins = before && isAlone;
    const value = joins ? { ...given, node: before.from } : given;
    const all = { length: joins ? channels : ownScales.length };
    const scales = joins ? Float32Array.from(all, (_, i) => at(before.scales, i) * at(ownScales, i)) : ownScales;
    const shifts = joins
      ? Float32Array.from(all, (_, i) => at(before.shifts, i) * at(ownScales, i) + at(ownShifts, i))
      : ownShifts;
    const params = {
      weight: this.vector(call, 'weight', channels, scales),
      bias: this.vector(call, 'bias', channels, shifts),
      running_mean: this.vector(call, 'running_mean', channels, 0),
      running_var: this.vector(call, 'running_var', channels, 1),
    };
    const made = this.same(call, value, 'batchNorm', { eps: LEAST_VARIANCE }, params);
    this.#affines.set(made.node, { from: value.node, scales, shifts });
    return made;
  }

  /** Two values of nodes whose shapes go together, in one. What layers end in is an operation of its own. */
  combined(call: Call, operator: BinaryOperator, a: NodeId, b: NodeId): NodeId {
    const [x, y] = [this.g.shape(a), this.g.shape(b)];
    const isSame = sameShape(x, y);
    if (operator === 'add' && isSame) return this.add(call, 'add', [a, b], {});
    const isScaling = (map: Shape, vector: Shape) => vector.h === 1 && vector.w === 1 && vector.c === map.c;
    if (operator === 'multiply' && (isSame || isScaling(x, y))) return this.add(call, 'mul', [a, b], {});
    if (operator === 'multiply' && isScaling(y, x)) return this.add(call, 'mul', [b, a], {});
    return this.add(call, 'binary', [a, b], { operator });
  }

  /** The value with its axes cut to these sizes, in the order of the dimensions. */
  cut(value: Value, sizes: readonly number[]): Value {
    const found = redimension(value, sizes);
    if (!found) throw new Error(`expected axes of ${sizes.join(', ')}`);
    return found;
  }

  /** A constant as a value of a run, its axes in memory in the order of its dimensions. */
  lifted(call: Call, constant: Constant): Value {
    const sizes = constant.dims.map((n) => n);
    const axes = sizes.filter((n) => n !== 1);
    const shape = { h: 1, w: 1, c: size(sizes) };
    const weight = this.tensor(call, 'weight', [1, 1, shape.c], constant);
    const node = this.add(call, 'constant', [], shape, { weight });
    let next = 0;
    return { node, type: constant.type, axes, dims: sizes.map((n) => (n === 1 ? [] : [next++])), isBatched: false };
  }
}

/** Which of a node's axes each axis in memory is part of; undefined if one is part of two. */
function lettersOf({ axes, isBatched }: Value, shape: Shape): ('h' | 'w' | 'c' | 'batch')[] | undefined {
  const letters: ('h' | 'w' | 'c' | 'batch')[] = [];
  const left = [shape.c, shape.w, shape.h];
  const names = ['c', 'w', 'h'] as const;
  let at = 0;
  for (let axis = axes.length - 1; axis >= (isBatched ? 1 : 0); axis--) {
    const n = axes[axis] as number;
    while (left[at] === 1) at += 1;
    const room = left[at];
    if (room === undefined || room % n !== 0) return undefined;
    left[at] = room / n;
    letters.unshift(names[at] as 'h' | 'w' | 'c');
  }
  return isBatched ? ['batch', ...letters] : letters;
}

/**
 * The name of a node as a module path, if its name is that of a scope of PyTorch: /layer1/layer1.0/conv1/Conv is
 * layer1.0.conv1.
 */
function moduleName({ node, subject }: Call): string {
  if (!node.name.startsWith('/')) return subject;
  const path = node.name.split('/').slice(1, -1);
  const kept = path.filter((part, i) => !path[i + 1]?.startsWith(`${part}.`));
  return kept.length > 0 ? kept.join('.') : subject.slice(1);
}
