/** A model becomes a graph: nodes in order, each by its handler, and constants folded on the way. */

import { ResnetError } from '../../../../models/errors.js';
import {
  type Attributes,
  type Graph,
  GraphBuilder,
  loadOps,
  type NodeId,
  type OpKind,
  parameters,
} from '../../../../models/index.js';
import { label, shown } from '../../../util/messages.js';
import { sameShape, size } from '../../../util/shape.js';
import { foldedAhead } from './ahead.js';
import { Call } from './call.js';
import { type Constant, constantOf, mappedConstant, storedConstant } from './constant.js';
import { broadcastDims, permutation, REDIMENSIONS } from './dims.js';
import { splitConstant } from './fold/layout.js';
import { FOLDERS, folderOf } from './fold/table.js';
import { subjectOf } from './messages.js';
import { BatchMoved, Network, type Use } from './network.js';
import { HANDLERS } from './nodes/table.js';
import { needed, rewritten } from './rewrite.js';
import { FLOAT, isStored, type OnnxModel, type OnnxNode, type Tensor, type ValueInfo } from './types.js';
import { dimsOf, isRowMajor, isValue, joined, laidOut, type Operand, type Value } from './value.js';

/** The operator sets of ONNX whose operations are known; 6 differs from 7 where it broadcasts by an axis, which is refused. */
const OPSETS = [6, 23] as const;

/** Rows and columns of an input that the file leaves open. */
const USUAL_SIZE = 224;

/** Values that a constant may have beside those that the file's bytes justify. */
const MOST_VALUES = 2 ** 14;

export interface ImportOptions {
  /** Rows and columns of inputs whose size the file leaves open. */
  readonly size?: number | readonly [number, number] | undefined;
}

/** An output of the model: its dimensions, and what it is. */
export interface ModelOutput {
  readonly name: string;
  readonly operand: Operand;
}

export interface Imported {
  readonly graph: Graph;
  readonly uses: readonly Use[];
  readonly warnings: readonly string[];
  /** As the model has them, with their dimensions. */
  readonly inputs: readonly { readonly name: string; readonly value: Value }[];
  readonly outputs: readonly ModelOutput[];
}

/**
 * Makes a graph of a model. `subject` begins messages that concern no node. Throws if it has what cannot be run: the
 * sentence names the node, its operation, and why.
 */
export async function importModel(
  subject: string,
  name: string,
  model: OnnxModel,
  options: ImportOptions,
): Promise<Imported> {
  // The rows of operations that no built-in network has.
  await loadOps(['rearrange']);
  const opset = model.opsets.get('') ?? OPSETS[1];
  if (opset < OPSETS[0] || opset > OPSETS[1]) {
    throw new ResnetError(
      'unsupported',
      `${subject}: expected operator set ${OPSETS[0]} to ${OPSETS[1]} of ONNX, got ${opset}.`,
    );
  }
  if (model.outputs.length === 0)
    throw new ResnetError('weights', `${subject}: expected a graph with outputs, got none.`);
  const outputs = model.outputs.map(({ name }) => name);
  const whole = { ...model, nodes: needed(model.nodes, outputs) };
  const folded = foldedAhead(whole, opset, MOST_VALUES + model.bytes / 8);
  const nodes = rewritten(folded.nodes, folded);
  try {
    return new Importer(subject, name, folded, nodes, options, opset, true).run();
  } catch (error) {
    if (!(error instanceof BatchMoved)) throw error;
    return new Importer(subject, name, folded, nodes, options, opset, false).run();
  }
}

/** The operations that read each name. */
function readersOf(nodes: readonly OnnxNode[], outputs: readonly ValueInfo[]): Map<string, string[]> {
  const readers = new Map<string, string[]>();
  const note = (name: string, op: string): void => {
    const list = readers.get(name);
    if (list) list.push(op);
    else readers.set(name, [op]);
  };
  for (const { op, inputs } of nodes) for (const name of inputs) note(name, op);
  for (const { name } of outputs) note(name, 'output');
  return readers;
}

class Importer {
  readonly #subject: string;
  readonly #model: OnnxModel;
  readonly #nodes: readonly OnnxNode[];
  readonly #options: ImportOptions;
  readonly #opset: number;
  readonly #isBatched: boolean;
  readonly #net: Network;
  readonly #warnings: string[] = [];
  readonly #most: number;

  constructor(
    subject: string,
    name: string,
    model: OnnxModel,
    nodes: readonly OnnxNode[],
    options: ImportOptions,
    opset: number,
    isBatched: boolean,
  ) {
    this.#subject = subject;
    this.#model = model;
    this.#nodes = nodes;
    this.#options = options;
    this.#opset = opset;
    this.#isBatched = isBatched;
    this.#net = new Network(name, readersOf(nodes, model.outputs));
    this.#most = MOST_VALUES + model.bytes / 8;
  }

  run(): Imported {
    const { inputs, outputs, tensors } = this.#model;
    for (const [name, tensor] of tensors) {
      this.#net.set(name, isStored(tensor) ? storedConstant(tensor) : constantOf(tensor));
    }
    const given = inputs.filter(({ name }) => !tensors.has(name));
    const values = given.map((info) => ({ name: info.name, value: this.#input(info) }));
    const batches = new Set(values.map(({ value }) => (value.isBatched ? value.axes[0] : 1)));
    if (batches.size > 1) throw new BatchMoved();
    for (const node of this.#nodes) this.#node(node);
    const operands = outputs.map(({ name }) => ({ name, operand: this.#output(name) }));
    // What is the same for every run is an output as well, if there are others.
    const hasRun = operands.some(({ operand }) => isValue(operand));
    const made = hasRun ? operands.map((each) => this.#lifted(each)) : operands;
    return { ...this.#finish(made), warnings: this.#warnings, inputs: values, outputs: made };
  }

  /** An input's dimensions; one that the file leaves open is 1 for the batch and `size` for rows and columns. */
  #input({ name, type, dims }: ValueInfo): Value {
    const subject = label(name);
    if (type === undefined || !dims) {
      throw new ResnetError('unsupported', `${subject}: expected an input that is a tensor of numbers, got another.`);
    }
    if (this.#net.readersOf(name).length === 0 && dims.some((n) => n === undefined)) {
      // Nobody reads it.
      return this.#place(
        name,
        type,
        dims.map((n) => n ?? 1),
      );
    }
    const isMap = dims.length === 4;
    const { size } = this.#options;
    const given = size === undefined || typeof size === 'number' ? [size, size] : size;
    const sizes = dims.map((n, i) => {
      if (n !== undefined) return n;
      if (i === 0) return 1;
      const isChannels = i === (this.#isNhwc(name, dims) ? 3 : 1);
      if (isMap && isChannels) return 3;
      const own = given[i === dims.length - (this.#isNhwc(name, dims) ? 2 : 1) ? 1 : 0];
      if (isMap || own !== undefined) return own ?? USUAL_SIZE;
      throw new ResnetError(
        'unsupported',
        `${subject}: expected dimensions that the file tells, got ${shown([...dims])}.`,
      );
    });
    if (isMap && size === undefined && dims.slice(1).some((n) => n === undefined)) {
      const got = sizes.slice(1).join('x');
      this.#warnings.push(`${subject}: the file leaves its size open, and ${got} is taken; size chooses another.`);
    }
    return this.#place(name, type, sizes);
  }

  /** Whether an input has its channels last: Transpose puts them first. */
  #isNhwc(name: string, dims: readonly (number | undefined)[]): boolean {
    const reader = this.#nodes.find(({ inputs }) => inputs[0] === name);
    const perm = reader?.op === 'Transpose' ? reader.attributes.get('perm')?.ints.join() : undefined;
    return dims.length === 4 && perm === '0,3,1,2';
  }

  #place(name: string, type: Value['type'], sizes: readonly number[]): Value {
    if (!sizes.every((n) => Number.isSafeInteger(n) && n > 0 && n < 2 ** 31))
      throw new ResnetError('unsupported', `${label(name)}: expected dimensions from 1, got ${shown([...sizes])}.`);
    const isBatched = this.#isBatched && (sizes[0] ?? 1) > 1;
    const rank = sizes.length;
    const isMap =
      (rank === 4 && !this.#isNhwc(name, sizes)) ||
      (rank === 3 && (isBatched || sizes[0] === 1) && this.#isSequence(name));
    const order = isMap ? [0, ...sizes.map((_, i) => i).slice(2), 1] : sizes.map((_, i) => i);
    const [c = 1, w = 1, ...outer] = order
      .filter((dim) => !isBatched || dim > 0)
      .map((dim) => sizes[dim] as number)
      .reverse();
    const h = size(outer);
    const node = this.#net.g.input({ h, w, c }, this.#net.free(name));
    const value: Value = { node, type, isBatched, ...laidOut(sizes, order) };
    this.#net.set(name, value);
    return value;
  }

  /** Whether an input of three dimensions is a sequence of vectors, channels first. */
  #isSequence(name: string): boolean {
    return this.#net.readersOf(name).some((op) => /Conv|Pool|Norm/.test(op));
  }

  #node(node: OnnxNode): void {
    const { op, domain, inputs, outputs } = node;
    const isKnown = Object.hasOwn(HANDLERS, op) || Object.hasOwn(FOLDERS, op);
    if (!isKnown || !/^(|com\.microsoft)$/.test(domain)) {
      const own = domain === '' ? op : `${domain}.${op}`;
      throw new ResnetError(
        'unsupported',
        `${subjectOf(node)}: this ${label(own)} cannot be run here: there is no such operation.`,
      );
    }
    if (op !== 'Gemm' && (node.attributes.get('broadcast')?.i ?? 0) !== 0)
      throw new ResnetError(
        'unsupported',
        `${subjectOf(node)}: this ${op} cannot be run here: it broadcasts by an axis.`,
      );
    const operands = inputs.map((name) => {
      if (name === '') return undefined;
      const operand = this.#net.get(name);
      if (!operand)
        throw new ResnetError('weights', `${subjectOf(node)}: expected ${label(name)} to be made before it, got none.`);
      return operand;
    });
    const call = new Call(node, this.#opset, operands);
    const made = this.#folded(call) ?? this.#handled(call);
    const list = Array.isArray(made) ? (made as readonly (Operand | undefined)[]) : [made as Operand];
    for (const [i, name] of outputs.entries()) {
      const operand = list[i];
      if (operand) this.#net.set(name, operand);
      else if (name !== '' && this.#net.readersOf(name).length > 0) throw call.refusal(`its output ${i} is wanted`);
    }
  }

  #handled(call: Call): ReturnType<NonNullable<(typeof HANDLERS)[string]>> {
    const handler = Object.hasOwn(HANDLERS, call.op) ? HANDLERS[call.op] : undefined;
    if (!handler) throw call.refusal('it is done on constants alone');
    try {
      return handler(this.#net, call);
    } catch (error) {
      // The builder's own sentences begin with the node's name too.
      if (error instanceof ResnetError && error.code === 'argument')
        throw new ResnetError('unsupported', error.message, { cause: error });
      throw error;
    }
  }

  /** What a node makes of constants; undefined if it reads a value of a run, or is not done on constants. */
  #folded(call: Call): Operand | readonly Operand[] | undefined {
    const folder = folderOf(call.op);
    const constants = call.operands.filter((each) => each !== undefined);
    if (call.op === 'Split' && constants.length > 0 && constants.every((each) => !isValue(each) && each.tensor))
      return splitConstant(call, call.tensor(0, 'input') as Tensor).map(constantOf);
    if (!folder || constants.some(isValue)) return undefined;
    const held = call.operands.map((each) => (each as Constant | undefined)?.tensor);
    const at = call.operands.findIndex((each, i) => each !== undefined && held[i] === undefined);
    const room = (dims: readonly number[]): number => this.#room(call, dims);
    if (at < 0) return constantOf(folder(call, held, room));
    const stored = call.operands[at] as Constant;
    const dims = lazyDims(call, stored, at);
    if (!dims || held.some((tensor, i) => i !== at && call.operands[i] !== undefined && tensor === undefined))
      throw call.refusal('its constants have too many values');
    const type = call.op === 'Cast' ? call.castType() : call.op === 'DequantizeLinear' ? FLOAT : stored.type;
    return mappedConstant(
      stored,
      dims,
      (tensor) =>
        folder(
          call,
          held.map((own, i) => (i === at ? tensor : own)),
          size,
        ),
      type,
    );
  }

  #room(call: Call, dims: readonly number[]): number {
    const count = size(dims);
    if (!dims.every((n) => Number.isSafeInteger(n) && n >= 0)) throw call.malformed('dimensions from 0', dims);
    if (count > this.#most) throw call.refusal(`it makes a constant of ${count} values`);
    return count;
  }

  #output(name: string): Operand {
    const operand = this.#net.get(name);
    if (!operand) throw new ResnetError('weights', `${label(name)}: expected a node that makes this output, got none.`);
    if (!isValue(operand)) return operand;
    if (operand.isReal)
      throw new ResnetError(
        'unsupported',
        `${label(name)}: expected an output of floating point, got quantised numbers.`,
      );
    const value = joined(operand);
    const call = outputCall(name);
    const rank = value.dims.length;
    const [n = 1] = dimsOf(value);
    if (rank === 4 && (n === 1 || value.isBatched)) return this.#net.arranged(call, value, [2], [3], [1]);
    const from = value.isBatched ? 1 : 0;
    const dims = value.dims.map((_, dim) => dim).slice(from);
    if (isRowMajor(value) && dims.length <= 2 && rank < 3) return this.#vector(call, value);
    return this.#net.arranged(call, value, dims.slice(0, -2), dims.slice(-2, -1), dims.slice(-1));
  }

  #lifted({ name, operand }: ModelOutput): ModelOutput {
    return { name, operand: isValue(operand) ? operand : this.#net.lifted(outputCall(name), operand) };
  }

  /** A vector is 1 × 1 × C. */
  #vector(call: Call, value: Value): Value {
    const sizes = dimsOf(value).slice(value.isBatched ? 1 : 0);
    const c = sizes.at(-1) ?? 1;
    return this.#net.shaped(call, value, { h: 1, w: size(sizes) / c, c });
  }

  #finish(outputs: readonly ModelOutput[]): Pick<Imported, 'graph' | 'uses'> {
    const named = outputs.flatMap(({ name, operand }) => (isValue(operand) ? [[name, operand.node] as const] : []));
    if (named.length === 0) throw new ConstantOutput(label(outputs[0]?.name ?? this.#subject), outputs);
    const graph = pruned(this.#net.g.finish(Object.fromEntries(named)));
    const names = new Set(parameters(graph).map(({ name }) => name));
    return { graph, uses: [...this.#net.uses.values()].filter(({ name }) => names.has(name)) };
  }
}

/** The graph without nodes that no output depends on: what was moved for nothing, or joined with what follows it. */
function pruned(graph: Graph): Graph {
  const wanted = new Set(graph.outputs.map(({ node }) => node));
  for (const { id, inputs } of [...graph.nodes].reverse())
    if (wanted.has(id)) for (const each of inputs) wanted.add(each);
  const g = new GraphBuilder(graph.name);
  const ids = new Map<NodeId, NodeId>();
  for (const { id, kind, name, inputs, params, shape: _, ...attributes } of graph.nodes) {
    if (kind !== 'input' && !wanted.has(id)) continue;
    const from = inputs.map((each) => ids.get(each) as NodeId);
    ids.set(id, g.op(kind, name, from, attributes as Attributes<OpKind>, { params }));
  }
  return g.finish(Object.fromEntries(graph.outputs.map(({ name, node }) => [name, ids.get(node) as NodeId])));
}

/** What moves an output's values to where they are expected. */
const outputCall = (name: string): Call =>
  new Call({ name, op: 'output', domain: '', inputs: [], outputs: [name], attributes: new Map() }, 0, []);

/** Thrown if an output is the same for every run. */
export class ConstantOutput extends ResnetError {
  readonly outputs: readonly ModelOutput[];

  constructor(subject: string, outputs: readonly ModelOutput[]) {
    super('unsupported', `${subject}: expected an output that depends on an input, got a constant.`);
    this.outputs = outputs;
  }
}

/** Dimensions of what is made of a constant that is read later; undefined if it has to be at hand. */
function lazyDims(call: Call, { dims }: Constant, at: number): readonly number[] | undefined {
  if (call.op === 'Transpose') return permutation(call, dims.length).map((axis) => dims[axis] as number);
  const redimension = REDIMENSIONS[call.op];
  if (redimension && at === 0) return redimension(call, dims);
  const isElementwise = /^(Cast|Add|Sub|Mul|Div|Neg|Sqrt|DequantizeLinear)$/.test(call.op);
  if (!isElementwise || (at > 0 && call.op === 'DequantizeLinear')) return undefined;
  const all = call.operands.map((each) => (each as Constant | undefined)?.dims ?? []);
  const isSame = call.op === 'DequantizeLinear' || all.every((own) => sameShape(broadcastDims(own, dims) ?? [], dims));
  return isSame ? dims : undefined;
}
