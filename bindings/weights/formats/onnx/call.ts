/** A node with what it reads: attributes and inputs by their kinds, and refusals that say where. */

import { ResnetError } from '../../../../models/errors.js';
import { label, shown } from '../../../util/messages.js';
import type { Constant } from './constant.js';
import { subjectOf } from './messages.js';
import { type DataType, isDataType, type OnnxNode, type Tensor } from './types.js';
import { isValue, type Operand, type Value } from './value.js';

export class Call {
  readonly node: OnnxNode;
  /** Of the node's domain. */
  readonly opset: number;
  readonly #operands: readonly (Operand | undefined)[];

  constructor(node: OnnxNode, opset: number, operands: readonly (Operand | undefined)[]) {
    this.node = node;
    this.opset = opset;
    this.#operands = operands;
  }

  /** The node as if it were another operation on these operands. */
  with(op: string, operands: readonly (Operand | undefined)[]): Call {
    return new Call({ ...this.node, op }, this.opset, operands);
  }

  get op(): string {
    return this.node.op;
  }

  get subject(): string {
    return subjectOf(this.node);
  }

  get operands(): readonly (Operand | undefined)[] {
    return this.#operands;
  }

  /** Makes the error that refuses the node. `what` says why, for the end of a sentence. */
  refusal(what: string): ResnetError {
    return new ResnetError('unsupported', `${this.subject}: this ${label(this.op)} cannot be run here: ${what}.`);
  }

  /** What a run makes. Throws if the input is a constant, or left out. */
  value(i = 0): Value {
    const operand = this.operand(i);
    if (!isValue(operand)) throw this.refusal(`its input ${i} is a constant`);
    return operand;
  }

  operand(i: number): Operand {
    const operand = this.#operands[i];
    if (!operand) throw new ResnetError('weights', `${this.subject}: expected an input ${i}, got none.`);
    return operand;
  }

  has(i: number): boolean {
    return this.#operands[i] !== undefined;
  }

  constant(i: number, what: string): Constant {
    const operand = this.operand(i);
    if (isValue(operand)) throw this.refusal(`its ${what} is no constant`);
    return operand;
  }

  /** A constant whose values are at hand; undefined if it is left out. */
  tensor(i: number, what: string): Tensor | undefined {
    if (!this.has(i)) return undefined;
    const { tensor } = this.constant(i, what);
    if (!tensor) throw this.refusal(`its ${what} has too many values`);
    return tensor;
  }

  /** A constant's values as whole numbers; undefined if it is left out. */
  inputIntegers(i: number, what: string): number[] | undefined {
    const tensor = this.tensor(i, what);
    return tensor && Array.from(tensor.data);
  }

  /** The only value of a constant; undefined if it is left out. */
  scalar(i: number, what: string): number | undefined {
    const tensor = this.tensor(i, what);
    if (!tensor) return undefined;
    if (tensor.data.length !== 1) throw this.refusal(`its ${what} is a tensor of ${tensor.data.length} values`);
    return tensor.data[0] as number;
  }

  int(name: string, usual: number): number {
    return this.node.attributes.get(name)?.i ?? usual;
  }

  float(name: string, usual: number): number {
    return this.node.attributes.get(name)?.f ?? usual;
  }

  text(name: string, usual: string): string {
    return this.node.attributes.get(name)?.s ?? usual;
  }

  ints(name: string): readonly number[] | undefined {
    return this.node.attributes.get(name)?.ints;
  }

  /** Whole numbers that are an attribute up to some opset, and an input since. */
  intsOr(name: string, i: number): readonly number[] | undefined {
    return this.ints(name) ?? this.inputIntegers(i, name);
  }

  /** The type that Cast makes. */
  castType(): DataType {
    const to = this.int('to', 0);
    if (!isDataType(to)) throw this.refusal(`it makes values of data type ${to}`);
    return to;
  }

  /** An axis of `rank` that may be counted from the end. */
  axis(axis: number, rank: number): number {
    const found = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(found) || found < 0 || found >= Math.max(1, rank))
      throw new ResnetError('weights', `${this.subject}: expected an axis of ${rank} dimensions, got ${shown(axis)}.`);
    return found;
  }

  /** Throws about something that the standard does not allow. */
  malformed(expected: string, got: unknown): ResnetError {
    return new ResnetError('weights', `${this.subject}: expected ${expected}, got ${shown(got)}.`);
  }
}
