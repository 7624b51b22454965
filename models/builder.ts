/** Makes graphs, and checks what they are made of. */

import type { Activation } from './activation.js';
import { type Check, named, oneOf, shown } from './check.js';
import { ResnetError } from './errors.js';
import type { Graph, Node, NodeId, ParameterNames, Ports } from './graph.js';
import type { Attributes, Op, OpKind, ParameterShape, PoolOp, Reduction, ResizeMode, Role } from './ops/op.js';
import { ops, rowOf } from './ops.js';
import type { Padding, Pair, Shape } from './shape.js';

/** Padding given as one number, [rows, columns], or side by side. */
/**
 * `same` is TensorFlow's: out = ⌈in / stride⌉, and of an odd sum of padding the larger half is at the bottom and right.
 */
export type PaddingLike = number | Pair | Padding | 'same';

/** Names of tensors that differ from `${node.name}.${role}`. */
export interface NodeOptions {
  readonly params?: ParameterNames;
}

export interface ConvOptions extends NodeOptions {
  readonly kernel: number | Pair;
  readonly stride?: number | Pair;
  readonly dilation?: number | Pair;
  readonly padding?: PaddingLike;
  readonly groups?: number;
  readonly bias?: boolean;
}

export interface PoolOptions {
  readonly kernel: number | Pair;
  readonly stride?: number | Pair;
  readonly padding?: PaddingLike;
  /** Of average pool; by default true. */
  readonly countsPadding?: boolean;
}

export interface ResizeOptions {
  /** By default `nearest`. */
  readonly mode?: ResizeMode;
  /** By default false. */
  readonly alignCorners?: boolean;
}

const pair = (value: number | Pair): Pair => (typeof value === 'number' ? [value, value] : value);

function sides(value: PaddingLike, { h, w }: Shape, kernel: Pair, stride: Pair, dilation: Pair = [1, 1]): Padding {
  if (value === 'same') {
    const [y, x] = [h, w].map((size, axis) => {
      const [k, s, d] = [kernel[axis] as number, stride[axis] as number, dilation[axis] as number];
      return Math.max(0, (Math.ceil(size / s) - 1) * s + d * (k - 1) + 1 - size);
    }) as [number, number];
    return { top: Math.floor(y / 2), left: Math.floor(x / 2), bottom: Math.ceil(y / 2), right: Math.ceil(x / 2) };
  }
  if (typeof value !== 'number' && !Array.isArray(value)) return value as Padding;
  const [v, u] = pair(value as number | Pair);
  return { top: v, left: u, bottom: v, right: u };
}

/** What a node's tensors are called: as told, or by its name; an optional one is there only if it is told. */
function paramsOf(name: string, tensors: readonly ParameterShape[], given: ParameterNames): ParameterNames {
  const params: Partial<Record<Role, string>> = {};
  for (const { role, isOptional } of tensors) {
    const tensor = given[role] ?? (isOptional ? undefined : `${name}.${role}`);
    if (tensor === undefined) continue;
    named(name, `the name of its ${role}`, tensor);
    params[role] = tensor;
  }
  for (const role of Object.keys(given)) {
    if (!tensors.some((tensor) => tensor.role === role)) {
      const known = tensors.map((tensor) => tensor.role).join(', ') || 'none';
      throw new ResnetError('argument', `${name}: expected names of tensors among ${known}, got one of ${role}.`);
    }
  }
  return params;
}

/**
 * Adds nodes one by one and checks each: types and ranges of its attributes, and that they go together with its inputs.
 * Every method returns the new node's id, or throws one sentence and leaves the graph as it was.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #nodes: Node[] = [];
  readonly #names = new Set<string>();
  /** Shapes of tensors by name, and the first node that has each. */
  readonly #tensors = new Map<string, { readonly shape: readonly number[]; readonly of: string }>();

  constructor(name: string) {
    named('graph', 'its name', name);
    this.#name = name;
  }

  /** The shape of a node's value. */
  shape(id: NodeId): Shape {
    return this.#at(id).shape;
  }

  /** Adds a node of any kind. `attributes`: all of them; the methods below have defaults. */
  op<Kind extends OpKind>(
    kind: Kind,
    name: string,
    inputs: readonly NodeId[],
    attributes: Attributes<Kind>,
    { params = {} }: NodeOptions = {},
  ): NodeId {
    named(this.#name, 'the name of a node', name);
    oneOf(name, 'the kind of operation', kind, Object.keys(ops));
    const op = this.#checkedOp(kind, name, attributes);
    const row = rowOf(op);
    const [fewest, most] = row.arity;
    if (!Array.isArray(inputs) || inputs.length < fewest || inputs.length > most) {
      const count = fewest === most ? `${fewest}` : `at least ${fewest}`;
      const got = Array.isArray(inputs) ? `${inputs.length}` : shown(inputs);
      throw new ResnetError(
        'argument',
        `${name}: expected ${count} ${count.endsWith('1') ? 'input' : 'inputs'}, got ${got}.`,
      );
    }
    // A copy: a caller's growing list of features would give this node inputs that come after it.
    const ids = [...inputs];
    if (row.isSwapped?.(ids.map((id) => this.shape(id)))) ids.reverse();
    const shapes = ids.map((id) => this.shape(id));
    const shape = row.shape(op, shapes, name);
    if (this.#names.has(name))
      throw new ResnetError('argument', `${this.#name}: expected names used once, got ${name} twice.`);

    const tensors = row.parameters(op, shapes);
    const own = paramsOf(name, tensors, params);
    for (const [tensor, shape] of this.#newTensors(name, tensors, own)) this.#tensors.set(tensor, { shape, of: name });
    this.#names.add(name);
    const id = this.#nodes.length;
    this.#nodes.push({ ...op, id, name, inputs: ids, shape, params: own } as Node);
    return id;
  }

  /** What is given to a run. A graph may have several, of different names. */
  input({ h, w, c }: Shape, name = 'input'): NodeId {
    return this.op('input', name, [], { h, w, c });
  }

  /** Convolution to `c` channels: out = floor((in + padding − dilation · (kernel − 1) − 1) / stride) + 1. */
  conv(name: string, x: NodeId, c: number, options: ConvOptions): NodeId {
    const { padding = 0, groups = 1, bias = false, params } = options;
    const [kernel, stride, dilation] = [pair(options.kernel), pair(options.stride ?? 1), pair(options.dilation ?? 1)];
    return this.op(
      'conv',
      name,
      [x],
      {
        channels: c,
        kernel,
        stride,
        dilation,
        padding: sides(padding, this.shape(x), kernel, stride, dilation),
        groups,
      },
      { params: { ...(bias ? { bias: `${name}.bias` } : {}), ...params } },
    );
  }

  /** A fully connected layer over the flattened input; its weight [out, in] reads `in` in CHW order, as torch flattens. */
  linear(name: string, x: NodeId, c: number, bias = true, { params }: NodeOptions = {}): NodeId {
    return this.op(
      'linear',
      name,
      [x],
      { channels: c },
      { params: { ...(bias ? { bias: `${name}.bias` } : {}), ...params } },
    );
  }

  batchNorm(name: string, x: NodeId, eps = 1e-5, options: NodeOptions = {}): NodeId {
    return this.op('batchNorm', name, [x], { eps }, options);
  }

  activation(name: string, x: NodeId, activation: Activation, options: NodeOptions = {}): NodeId {
    return this.op('activation', name, [x], { activation }, options);
  }

  relu(name: string, x: NodeId): NodeId {
    return this.activation(name, x, { kind: 'relu' });
  }

  add(name: string, a: NodeId, b: NodeId): NodeId {
    return this.op('add', name, [a, b], {});
  }

  /** The product of two values of one shape, or of a map and a vector of its channels, in either order. */
  mul(name: string, a: NodeId, b: NodeId): NodeId {
    return this.op('mul', name, [a, b], {});
  }

  /** Channels of all inputs, one after the other. */
  concat(name: string, inputs: readonly NodeId[]): NodeId {
    return this.op('concat', name, inputs, {});
  }

  maxPool(name: string, x: NodeId, options: PoolOptions): NodeId {
    return this.#pool('maxPool', name, x, options);
  }

  avgPool(name: string, x: NodeId, options: PoolOptions): NodeId {
    return this.#pool('avgPool', name, x, options);
  }

  /** Average pool to h × w, of any map (torch's `AdaptiveAvgPool2d`). */
  adaptiveAvgPool(name: string, x: NodeId, h: number, w: number): NodeId {
    return this.op('adaptiveAvgPool', name, [x], { h, w });
  }

  /** One value per channel: a map's mean, greatest value or sum. */
  reduce(name: string, x: NodeId, reduction: Reduction): NodeId {
    return this.op('reduce', name, [x], { reduction });
  }

  globalAvgPool(name: string, x: NodeId): NodeId {
    return this.reduce(name, x, 'mean');
  }

  /** A map in another size, h × w. */
  resize(name: string, x: NodeId, h: number, w: number, options: ResizeOptions = {}): NodeId {
    const { mode = 'nearest', alignCorners = false } = options;
    const coordinates = alignCorners ? 'alignCorners' : mode === 'nearest' ? 'asymmetric' : 'halfPixel';
    return this.op('resize', name, [x], { h, w, mode, coordinates, rounding: 'floor' });
  }

  softmax(name: string, x: NodeId): NodeId {
    return this.op('softmax', name, [x], {});
  }

  zeroPadShortcut(name: string, x: NodeId, c: number, stride: number): NodeId {
    const { c: from } = this.shape(x);
    if (!Number.isInteger(c) || c < from || (c - from) % 2 !== 0) {
      throw new ResnetError(
        'argument',
        `${name}: expected to add an even number of zero channels to ${from}, got ${shown(c)} channels.`,
      );
    }
    const before = (c - from) / 2;
    return this.op('zeroPadShortcut', name, [x], { stride, before, after: before });
  }

  /** The graph with one output, called `output`, or several by name. Nodes may be added, and another graph made, after. */
  finish(output: NodeId | Readonly<Record<string, NodeId>>): Graph {
    const isNamed = typeof output === 'object' && output !== null;
    if (Array.isArray(output))
      throw new ResnetError('argument', `${this.#name}: expected outputs by name, got a list.`);
    const outputs = Object.entries(isNamed ? output : { output }).map(([name, node]) => {
      if (name === '') throw new ResnetError('argument', `${this.#name}: expected the name of an output, got "".`);
      return { name, node: this.#at(node).id };
    });
    if (outputs.length === 0)
      throw new ResnetError('argument', `${this.#name}: expected at least one output, got none.`);
    const inputs = this.#nodes.filter(({ kind }) => kind === 'input').map(({ id, name }) => ({ name, node: id }));
    return {
      name: this.#name,
      nodes: [...this.#nodes],
      // The first node reads nothing, so that it is an input.
      inputs: inputs as readonly { name: string; node: NodeId }[] as Ports,
      outputs: outputs as readonly { name: string; node: NodeId }[] as Ports,
    };
  }

  #pool(kind: PoolOp['kind'], name: string, x: NodeId, options: PoolOptions): NodeId {
    const [kernel, stride] = [pair(options.kernel), pair(options.stride ?? options.kernel)];
    const padding = sides(options.padding ?? 0, this.shape(x), kernel, stride);
    const { countsPadding } = options;
    return this.op(kind, name, [x], {
      kernel,
      stride,
      padding,
      ...(countsPadding === undefined ? {} : { countsPadding }),
    });
  }

  /** The operation with all its attributes and nothing else, each checked by itself. */
  #checkedOp(kind: OpKind, name: string, attributes: object): Op {
    const checks: Readonly<Record<string, Check>> = rowOf({ kind }).attributes;
    const given = attributes as Readonly<Record<string, unknown>>;
    for (const [attribute, check] of Object.entries(checks)) check(given?.[attribute], name);
    for (const attribute of Object.keys(given ?? {})) {
      if (Object.hasOwn(checks, attribute)) continue;
      const known = Object.keys(checks).join(', ') || 'none';
      throw new ResnetError('argument', `${name}: expected attributes of ${kind} among ${known}, got ${attribute}.`);
    }
    // A copy, down to its last number: what was checked stays.
    return structuredClone({ ...given, kind }) as Op;
  }

  /** Shapes by name of the tensors that no node has yet. Throws if `name` would share one and does not agree on its shape. */
  #newTensors(name: string, tensors: readonly ParameterShape[], own: ParameterNames): Map<string, readonly number[]> {
    const found = new Map<string, readonly number[]>();
    for (const { role, shape } of tensors) {
      const tensor = own[role];
      if (tensor === undefined) continue;
      const known =
        this.#tensors.get(tensor) ?? (found.has(tensor) ? { shape: found.get(tensor), of: name } : undefined);
      if (!known) found.set(tensor, shape);
      else if (known.shape?.join() !== shape.join()) {
        throw new ResnetError(
          'argument',
          `${tensor}: expected [${known.shape?.join(', ')}], as ${known.of} has it, got [${shape.join(', ')}] for ${name}.`,
        );
      }
    }
    return found;
  }

  #at(id: NodeId): Node {
    const node = Number.isInteger(id) ? this.#nodes[id] : undefined;
    if (!node)
      throw new ResnetError(
        'argument',
        `${this.#name}: expected a node id below ${this.#nodes.length}, got ${shown(id)}.`,
      );
    return node;
  }
}
