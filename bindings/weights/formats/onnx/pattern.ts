/** What patterns of nodes are found by: who makes a value, who reads it, and which are numbers. */

import { type Attribute, isStored, type OnnxModel, type OnnxNode } from './types.js';

/** Numbers that a file rounds to float32 or float16. */
const CLOSE = 1e-3;

export const isClose = (a: number | undefined, b: number): boolean =>
  a !== undefined && Math.abs(a - b) <= CLOSE * Math.abs(b);

export class Pattern {
  readonly #model: OnnxModel;
  readonly #makers = new Map<string, OnnxNode>();
  readonly #readers = new Map<string, OnnxNode[]>();
  readonly #outputs: ReadonlySet<string>;

  constructor(model: OnnxModel, nodes: readonly OnnxNode[]) {
    this.#model = model;
    this.#outputs = new Set(model.outputs.map(({ name }) => name));
    for (const node of nodes) {
      for (const name of node.outputs) this.#makers.set(name, node);
      for (const name of node.inputs) this.#readers.set(name, [...(this.#readers.get(name) ?? []), node]);
    }
  }

  /** The node that makes a value, if it is of this operation. */
  made(name: string | undefined, op: string): OnnxNode | undefined {
    const node = this.#makers.get(name ?? '');
    return node?.op === op && node.domain === '' ? node : undefined;
  }

  /** The only node that reads a value that is no output. */
  onlyReader(name: string | undefined): OnnxNode | undefined {
    const [reader, ...others] = this.#readers.get(name ?? '') ?? [];
    return others.length === 0 && !this.#outputs.has(name ?? '') ? reader : undefined;
  }

  /** As `made`, if only one node reads the value. */
  madeFor(name: string | undefined, op: string): OnnxNode | undefined {
    return this.onlyReader(name) ? this.made(name, op) : undefined;
  }

  /** The values of a constant that are at hand. */
  values(name: string | undefined): ArrayLike<number> | undefined {
    const tensor = this.#model.tensors.get(name ?? '');
    if (tensor) return isStored(tensor) ? undefined : tensor.data;
    const attributes = this.made(name, 'Constant')?.attributes;
    const value = attributes?.get('value_float')?.f;
    return attributes?.get('value')?.t?.data ?? (value === undefined ? undefined : [value]);
  }

  /** A constant of one value. */
  scalar(name: string | undefined): number | undefined {
    const values = this.values(name);
    return values?.length === 1 ? values[0] : undefined;
  }

  isConstant(name: string | undefined): boolean {
    return this.#model.tensors.has(name ?? '') || this.made(name, 'Constant') !== undefined;
  }

  /** Of a node with two inputs in any order, the one that is no such number. */
  besides(node: OnnxNode | undefined, number: number): string | undefined {
    const [a, b] = node?.inputs ?? [];
    if (isClose(this.scalar(b), number)) return a;
    return isClose(this.scalar(a), number) ? b : undefined;
  }

  /** x, if the value is x · `number`, or x / (1 / `number`). */
  multiplied(name: string | undefined, number: number): string | undefined {
    const product = this.madeFor(name, 'Mul');
    if (product) return this.besides(product, number);
    const quotient = this.madeFor(name, 'Div');
    return isClose(this.scalar(quotient?.inputs[1]), 1 / number) ? quotient?.inputs[0] : undefined;
  }

  /** All factors of a product of products. */
  factors(name: string): string[] {
    const product = this.madeFor(name, 'Mul');
    return product ? product.inputs.flatMap((each) => this.factors(each)) : [name];
  }
}

/** An attribute of one number, or of several whole ones. */
export const attribute = (value: Partial<Attribute>): Attribute => ({
  floats: [],
  ints: [],
  strings: [],
  hasGraph: false,
  ...value,
});
