/** A Keras model on its way to a graph: its values, and the variables and constants that its nodes have. */

import { GraphBuilder } from '../../../../models/builder.js';
import type { Activation, NodeId, Padding, Pair, ParameterNames, Role, Shape } from '../../../../models/index.js';
import { size } from '../../../util/shape.js';
import type { TensorInfo, WeightFile } from '../../types.js';
import { refusal } from './fields.js';
import type { KerasLayer } from './topology.js';

/** What a layer reads and makes. */
export interface Value {
  readonly node: NodeId;
  /** As in Keras, the batch counted: 4 for maps, 2 for vectors. A flattened map is a map of rank 2. */
  readonly rank: 2 | 4;
  /** Zeros around a map that no node has put there yet. */
  readonly zeros: Padding | undefined;
  /** Whether it is certain that no value is below 0. */
  readonly isPositive: boolean;
}

/** A variable of a layer, which a file has to hold. */
export interface Variable {
  /** The tensor's name and shape in the graph. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Keras's shape: HWIO, [in, out]. */
  readonly stored: readonly number[];
  readonly order: TensorInfo['order'];
  readonly map?: Pair | undefined;
}

/** A tensor that no file holds, since Keras has none for a scale of 1. */
export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  /** In turn, as often as it takes. */
  readonly values: readonly number[];
}

/** What a Keras file comes to. */
export interface KerasFile extends Pick<WeightFile, 'config' | 'graph' | 'preprocessing' | 'warnings'> {
  /** One per tensor of the file; undefined for what no layer needs. */
  readonly tensors: readonly (TensorInfo | undefined)[];
  /** Tensors that the file does not hold. */
  readonly constants: readonly Constant[];
}

/** Values of all constants, of which networks have some 10,000: a file may not ask for more. */
const MAX_CONSTANTS = 2 ** 22;

/** Of a concatenation. A block of DenseNet-201 has 49. */
const MAX_PARTS = 1000;

export const NO_ZEROS: Padding = { top: 0, left: 0, bottom: 0, right: 0 };

export const sumOf = (a: Padding, b: Padding): Padding => ({
  top: a.top + b.top,
  left: a.left + b.left,
  bottom: a.bottom + b.bottom,
  right: a.right + b.right,
});

const NORM_ROLES = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/** What is added to variances that a layer has no epsilon for: Keras takes at least 1e-7 for the deviation. */
const LEAST_VARIANCE = 1e-14;

export class KerasNetwork {
  readonly g: GraphBuilder;
  /** The version of Keras that wrote the model, as far as it matters: 2 or 3. */
  readonly version: 2 | 3;
  /** By layer and by Keras's name of the variable. */
  readonly variables = new Map<KerasLayer, Map<string, Variable>>();
  readonly constants = new Map<string, Constant>();
  /** Unique names of layers. */
  readonly #names: ReadonlyMap<KerasLayer, string>;
  readonly #taken = new Set<string>();
  #constantValues = 0;
  readonly #concats = new Map<NodeId, readonly NodeId[]>();

  constructor(name: string, version: 2 | 3, names: ReadonlyMap<KerasLayer, string>) {
    this.g = new GraphBuilder(name);
    this.version = version;
    this.#names = names;
  }

  nameOf(layer: KerasLayer): string {
    return this.#names.get(layer) ?? layer.name;
  }

  /** A name for a node that none has yet: a layer may be called several times. */
  free(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.#taken.has(name); i++) name = `${wanted}_${i}`;
    this.#taken.add(name);
    return name;
  }

  shape({ node, zeros = NO_ZEROS }: Value): Shape {
    const { h, w, c } = this.g.shape(node);
    return { h: h + zeros.top + zeros.bottom, w: w + zeros.left + zeros.right, c };
  }

  /** Names the tensor of a layer's variable; all calls of a layer share it. */
  variable(
    layer: KerasLayer,
    variable: string,
    role: Role,
    own: Pick<Variable, 'shape'> & Partial<Variable>,
    part = '',
  ): string {
    const name = `${this.nameOf(layer)}${part}.${role}`;
    const of = this.variables.get(layer) ?? new Map<string, Variable>();
    of.set(variable, { stored: own.shape, order: 'OI', ...own, name });
    this.variables.set(layer, of);
    return name;
  }

  constant(layer: KerasLayer, role: string, shape: readonly number[], values: readonly number[]): string {
    const name = `${this.nameOf(layer)}.${role}`;
    if (!this.constants.has(name)) this.#constantValues += size(shape);
    if (this.#constantValues > MAX_CONSTANTS)
      throw refusal(layer, `it would need more than ${MAX_CONSTANTS} constants`);
    this.constants.set(name, { name, shape, values });
    return name;
  }

  /** Channels of all inputs; those of a concatenation that is one of them are taken one by one. */
  concat(wanted: string, inputs: readonly NodeId[]): NodeId {
    const all = inputs.flatMap((node) => this.#concats.get(node) ?? [node]);
    const parts = all.length <= MAX_PARTS ? all : inputs;
    const node = this.g.concat(this.free(wanted), parts);
    this.#concats.set(node, parts);
    return node;
  }

  same(value: Value, node: NodeId, isPositive = false): Value {
    return { ...value, node, isPositive };
  }

  /** Puts the zeros around a map that are due: a convolution by 1, channel by channel. */
  settled(layer: KerasLayer, value: Value): Value {
    if (!value.zeros) return value;
    const { c } = this.g.shape(value.node);
    const weight = this.constant(layer, 'ones', [c, 1, 1, 1], [1]);
    const node = this.g.conv(this.free(`${this.nameOf(layer)}.zeros`), value.node, c, {
      kernel: 1,
      groups: c,
      padding: value.zeros,
      params: { weight },
    });
    return { ...value, node, zeros: undefined };
  }

  /** What a layer does to each value. */
  activation(name: string, value: Value, activation: Activation, params: ParameterNames = {}): Value {
    const node = this.g.activation(this.free(name), value.node, activation, { params });
    const { kind } = activation;
    const isPositive = kind === 'relu' || kind === 'sigmoid' || (kind === 'clip' && activation.low >= 0);
    return this.same(value, node, isPositive);
  }

  /** What takes channels alone: throws if it is given a flattened map. */
  channels(layer: KerasLayer, value: Value): Value {
    const { h, w } = this.shape(value);
    if (value.rank === 2 && h * w > 1) throw refusal(layer, 'it reads a map that is flattened');
    return this.settled(layer, value);
  }

  /** y = (x − mean) / √variance · scale + shift, channel by channel: tensors by name, or numbers. */
  norm(
    layer: KerasLayer,
    value: Value,
    tensors: readonly (string | readonly number[])[],
    eps: number = LEAST_VARIANCE,
  ): Value {
    const { c } = this.g.shape(value.node);
    const params = Object.fromEntries(
      NORM_ROLES.map((role, i) => {
        const tensor = tensors[i] as string | readonly number[];
        return [role, typeof tensor === 'string' ? tensor : this.constant(layer, role, [c], tensor)];
      }),
    );
    return this.same(value, this.g.batchNorm(this.free(this.nameOf(layer)), value.node, eps, { params }));
  }
}
