/**
 * Networks as data: nodes in topological order, each with the shape of what it makes. Shape rules refuse what cannot
 * be when the node is added, so that a graph that exists is one that can be run. The batch is not part of a graph.
 */

/** A feature map's height, width and channels (NHWC without the batch). A vector of C values is 1 × 1 × C. */
export interface Shape {
  readonly h: number;
  readonly w: number;
  readonly c: number;
}

/** Rows, then columns. */
export type Pair = readonly [number, number];

/** Elements added on each side of a feature map. */
export interface Padding {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

export interface ConvOp {
  readonly kind: 'conv';
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Padding;
  readonly groups: number;
  readonly bias: boolean;
}

export interface PoolOp {
  readonly kind: 'maxPool' | 'avgPool';
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Minus infinity for max pool; for average pool zeros, which count in the divisor as torch's default does. */
  readonly padding: Padding;
}

export interface BatchNormOp {
  readonly kind: 'batchNorm';
  readonly eps: number;
}

export interface LinearOp {
  readonly kind: 'linear';
  readonly bias: boolean;
}

/** Option A of He et al. 2015, section 3.3: every `stride`-th pixel, with zero channels before and after. */
export interface ShortcutOp {
  readonly kind: 'zeroPadShortcut';
  readonly stride: number;
  readonly before: number;
  readonly after: number;
}

export interface PlainOp {
  readonly kind: 'input' | 'relu' | 'add' | 'concat' | 'adaptiveAvgPool' | 'globalAvgPool' | 'softmax';
}

export type Op = ConvOp | PoolOp | BatchNormOp | LinearOp | ShortcutOp | PlainOp;
export type OpKind = Op['kind'];

/** The place of a node in `Graph.nodes`. */
export type NodeId = number;

export type Node<O extends Op = Op> = O & {
  readonly id: NodeId;
  /** Module path, as in torchvision (`layer1.0.conv1`); the prefix of the node's parameters. Unique in a graph. */
  readonly name: string;
  readonly inputs: readonly NodeId[];
  readonly shape: Shape;
};

export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly output: NodeId;
}

/** One tensor that a graph needs, named as in torchvision's `state_dict`. */
export interface Parameter {
  readonly name: string;
  /** OIHW for convolutions, [out, in] for linear layers, [C] for biases and batch norms. */
  readonly shape: readonly number[];
  readonly node: NodeId;
  readonly role: 'weight' | 'bias' | 'running_mean' | 'running_var';
}

export const shapeText = ({ h, w, c }: Shape): string => `${h}x${w}x${c}`;

const sameShape = (a: Shape, b: Shape): boolean => a.h === b.h && a.w === b.w && a.c === b.c;

/** Padding given as one number, [rows, columns], or side by side. */
export type PaddingLike = number | Pair | Padding;

export interface ConvOptions {
  kernel: number | Pair;
  stride?: number | Pair;
  dilation?: number | Pair;
  padding?: PaddingLike;
  groups?: number;
  bias?: boolean;
}

export interface PoolOptions {
  kernel: number | Pair;
  stride?: number | Pair;
  padding?: PaddingLike;
}

const pair = (value: number | Pair): Pair => (typeof value === 'number' ? [value, value] : value);

function sides(value: PaddingLike): Padding {
  if (typeof value === 'object' && 'top' in value) return value;
  const [v, h] = pair(value);
  return { top: v, left: h, bottom: v, right: h };
}

function positive(subject: string, what: string, ...values: number[]): void {
  for (const value of values) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${subject}: expected ${what} to be a whole number from 1, got ${value}.`);
    }
  }
}

/** Adds nodes one by one and checks each. Every method returns the new node's id. */
export class GraphBuilder {
  readonly #name: string;
  readonly #nodes: Node[] = [];
  readonly #names = new Set<string>();

  constructor(name: string) {
    this.#name = name;
  }

  shape(id: NodeId): Shape {
    return this.#at(id).shape;
  }

  input(shape: Shape): NodeId {
    positive('input', 'height, width and channels', shape.h, shape.w, shape.c);
    return this.#add('input', { kind: 'input' }, [], shape);
  }

  /** Convolution to `c` channels: out = floor((in + padding − dilation · (kernel − 1) − 1) / stride) + 1. */
  conv(name: string, x: NodeId, c: number, options: ConvOptions): NodeId {
    const from = this.shape(x);
    const op: ConvOp = {
      kind: 'conv',
      kernel: pair(options.kernel),
      stride: pair(options.stride ?? 1),
      dilation: pair(options.dilation ?? 1),
      padding: sides(options.padding ?? 0),
      groups: options.groups ?? 1,
      bias: options.bias ?? false,
    };
    positive(name, 'channels and groups', c, op.groups);
    positive(name, 'dilation', ...op.dilation);
    if (from.c % op.groups !== 0 || c % op.groups !== 0) {
      throw new RangeError(
        `${name}: expected channels that ${op.groups} groups divide, got ${from.c} in and ${c} out.`,
      );
    }
    return this.#add(name, op, [x], { ...this.#window(name, from, op, op.dilation), c });
  }

  batchNorm(name: string, x: NodeId, eps = 1e-5): NodeId {
    if (!(Number.isFinite(eps) && eps > 0)) throw new RangeError(`${name}: expected eps above 0, got ${eps}.`);
    return this.#add(name, { kind: 'batchNorm', eps }, [x], this.shape(x));
  }

  relu(name: string, x: NodeId): NodeId {
    return this.#add(name, { kind: 'relu' }, [x], this.shape(x));
  }

  add(name: string, a: NodeId, b: NodeId): NodeId {
    const [left, right] = [this.shape(a), this.shape(b)];
    if (!sameShape(left, right)) {
      throw new RangeError(
        `${name}: expected two equal shapes to add, got ${shapeText(left)} and ${shapeText(right)}.`,
      );
    }
    return this.#add(name, { kind: 'add' }, [a, b], left);
  }

  /** Channels of all inputs, one after the other. */
  concat(name: string, inputs: readonly NodeId[]): NodeId {
    const shapes = inputs.map((id) => this.shape(id));
    const first = shapes[0];
    if (!first) throw new RangeError(`${name}: expected at least one input to concatenate, got none.`);
    for (const shape of shapes) {
      if (shape.h !== first.h || shape.w !== first.w) {
        throw new RangeError(
          `${name}: expected maps of ${first.h}x${first.w} to concatenate, got ${shape.h}x${shape.w}.`,
        );
      }
    }
    const c = shapes.reduce((sum, shape) => sum + shape.c, 0);
    return this.#add(name, { kind: 'concat' }, inputs, { h: first.h, w: first.w, c });
  }

  maxPool(name: string, x: NodeId, options: PoolOptions): NodeId {
    return this.#pool('maxPool', name, x, options);
  }

  avgPool(name: string, x: NodeId, options: PoolOptions): NodeId {
    return this.#pool('avgPool', name, x, options);
  }

  /**
   * Average pool to h × w, of any map: output y is the mean of rows ⌊y · in / h⌋ … ⌈(y + 1) · in / h⌉, which may overlap
   * (torch's `AdaptiveAvgPool2d`).
   */
  adaptiveAvgPool(name: string, x: NodeId, h: number, w: number): NodeId {
    positive(name, 'height and width', h, w);
    return this.#add(name, { kind: 'adaptiveAvgPool' }, [x], { h, w, c: this.shape(x).c });
  }

  globalAvgPool(name: string, x: NodeId): NodeId {
    return this.#add(name, { kind: 'globalAvgPool' }, [x], { h: 1, w: 1, c: this.shape(x).c });
  }

  /** A fully connected layer over the flattened input; its weight [out, in] reads `in` in CHW order, as torch flattens. */
  linear(name: string, x: NodeId, c: number, bias = true): NodeId {
    positive(name, 'outputs', c);
    return this.#add(name, { kind: 'linear', bias }, [x], { h: 1, w: 1, c });
  }

  softmax(name: string, x: NodeId): NodeId {
    const { h, w, c } = this.shape(x);
    if (h !== 1 || w !== 1) throw new RangeError(`${name}: expected a vector for softmax, got ${h}x${w}x${c}.`);
    return this.#add(name, { kind: 'softmax' }, [x], { h, w, c });
  }

  zeroPadShortcut(name: string, x: NodeId, c: number, stride: number): NodeId {
    const from = this.shape(x);
    positive(name, 'stride and channels', stride, c);
    if (c < from.c || (c - from.c) % 2 !== 0) {
      throw new RangeError(`${name}: expected to add an even number of zero channels to ${from.c}, got ${c} channels.`);
    }
    const before = (c - from.c) / 2;
    const shape = { h: Math.ceil(from.h / stride), w: Math.ceil(from.w / stride), c };
    return this.#add(name, { kind: 'zeroPadShortcut', stride, before, after: before }, [x], shape);
  }

  finish(output: NodeId): Graph {
    this.#at(output);
    return { name: this.#name, nodes: [...this.#nodes], output };
  }

  #pool(kind: PoolOp['kind'], name: string, x: NodeId, options: PoolOptions): NodeId {
    const from = this.shape(x);
    const kernel = pair(options.kernel);
    const op: PoolOp = { kind, kernel, stride: pair(options.stride ?? kernel), padding: sides(options.padding ?? 0) };
    const { top, left, bottom, right } = op.padding;
    if (Math.max(top, bottom) * 2 > kernel[0] || Math.max(left, right) * 2 > kernel[1]) {
      throw new RangeError(
        `${name}: expected padding of at most half the ${kernel.join('x')} window, got ${top} above, ${left} left, ${bottom} below, ${right} right.`,
      );
    }
    return this.#add(name, op, [x], { ...this.#window(name, from, op, [1, 1]), c: from.c });
  }

  #window(
    name: string,
    from: Shape,
    { kernel, stride, padding }: { kernel: Pair; stride: Pair; padding: Padding },
    dilation: Pair,
  ): { h: number; w: number } {
    positive(name, 'kernel and stride', ...kernel, ...stride);
    const padded: Pair = [from.h + padding.top + padding.bottom, from.w + padding.left + padding.right];
    for (const side of [padding.top, padding.left, padding.bottom, padding.right]) {
      if (!Number.isInteger(side) || side < 0) {
        throw new RangeError(`${name}: expected padding to be a whole number from 0, got ${side}.`);
      }
    }
    const [h, w] = [0, 1].map((axis) => {
      const span = dilation[axis as 0 | 1] * (kernel[axis as 0 | 1] - 1) + 1;
      return Math.floor((padded[axis as 0 | 1] - span) / stride[axis as 0 | 1]) + 1;
    }) as [number, number];
    if (h < 1 || w < 1) {
      throw new RangeError(
        `${name}: expected an input that a ${kernel.join('x')} window fits into, got ${shapeText(from)} (${padded.join('x')} with padding).`,
      );
    }
    return { h, w };
  }

  #at(id: NodeId): Node {
    const node = this.#nodes[id];
    if (!node) throw new RangeError(`${this.#name}: expected a node id below ${this.#nodes.length}, got ${id}.`);
    return node;
  }

  #add(name: string, op: Op, inputs: readonly NodeId[], shape: Shape): NodeId {
    if (this.#names.has(name)) throw new RangeError(`${this.#name}: expected names used once, got ${name} twice.`);
    for (const id of inputs) this.#at(id);
    this.#names.add(name);
    const id = this.#nodes.length;
    // A copy: a caller's growing list of features would give this node inputs that come after it.
    this.#nodes.push({ ...op, id, name, inputs: [...inputs], shape } as Node);
    return id;
  }
}

/** The shape of what a graph reads. */
export function graphInput(graph: Graph): Shape {
  const node = graph.nodes.find(({ kind }) => kind === 'input');
  if (!node) throw new RangeError(`${graph.name}: expected an input, got none.`);
  return node.shape;
}

/** The shape of a node's first input. */
export function inputShape(graph: Graph, node: Node): Shape {
  const from = graph.nodes[node.inputs[0] ?? -1];
  if (!from) throw new RangeError(`${node.name}: expected an input, got none.`);
  return from.shape;
}

/** Every tensor of a node, weight first. */
export function nodeParameters(graph: Graph, node: Node): Parameter[] {
  const c = node.shape.c;
  const tensor = (role: Parameter['role'], shape: readonly number[]): Parameter => ({
    name: `${node.name}.${role}`,
    shape,
    node: node.id,
    role,
  });
  switch (node.kind) {
    case 'conv': {
      const weight = tensor('weight', [c, inputShape(graph, node).c / node.groups, ...node.kernel]);
      return node.bias ? [weight, tensor('bias', [c])] : [weight];
    }
    case 'linear': {
      const from = inputShape(graph, node);
      const weight = tensor('weight', [c, from.h * from.w * from.c]);
      return node.bias ? [weight, tensor('bias', [c])] : [weight];
    }
    case 'batchNorm':
      return (['weight', 'bias', 'running_mean', 'running_var'] as const).map((role) => tensor(role, [c]));
    default:
      return [];
  }
}

/** Every tensor of a graph, node by node. */
export function parameters(graph: Graph): Parameter[] {
  return graph.nodes.flatMap((node) => nodeParameters(graph, node));
}

/** Trainable values (a batch norm's running statistics are not). */
export function trainableCount(list: readonly Parameter[]): number {
  return list
    .filter(({ role }) => role === 'weight' || role === 'bias')
    .reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}

/** Multiply–adds of a node for one image, as He et al. 2015, table 1 counts them: convolutions and linear layers. */
export function macs(graph: Graph, node: Node): number {
  const { h, w, c } = node.shape;
  if (node.kind === 'conv')
    return h * w * c * (inputShape(graph, node).c / node.groups) * node.kernel[0] * node.kernel[1];
  if (node.kind === 'linear') {
    const from = inputShape(graph, node);
    return from.h * from.w * from.c * c;
  }
  return 0;
}

/** Layers with weights on the longest way from input to output: the number in a network's name. */
export function depth({ nodes, output }: Graph): number {
  const depths: number[] = [];
  for (const { kind, inputs } of nodes) {
    const before = Math.max(0, ...inputs.map((id) => depths[id] ?? 0));
    depths.push(before + (kind === 'conv' || kind === 'linear' ? 1 : 0));
  }
  return depths[output] ?? 0;
}
