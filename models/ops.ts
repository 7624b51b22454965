/**
 * The table of operations: a row each, and nothing about an operation is said anywhere else but in its kernel. The types
 * name every kind, so that the compiler says which row is missing.
 */

import { activation, add, batchNorm, concat, input, mul, softmax } from './ops/elementwise.js';
import { conv, linear } from './ops/gemm.js';
import type { MoreOpKind, Op, OpKind, OpOf, OpRow } from './ops/op.js';
import { adaptiveAvgPool, avgPool, maxPool, reduce, zeroPadShortcut } from './ops/pool.js';

type Rows<Kind extends OpKind> = { readonly [K in Kind]: OpRow<OpOf<K>> };

/** Rows of what built-in networks have; and those of more-ops.ts, once loaded. */
export const ops: Rows<Exclude<OpKind, MoreOpKind>> & Partial<Rows<MoreOpKind>> = {
  input,
  conv,
  linear,
  maxPool,
  avgPool,
  adaptiveAvgPool,
  reduce,
  batchNorm,
  activation,
  add,
  mul,
  concat,
  softmax,
  zeroPadShortcut,
};

/** Adds the other rows to the table. */
export const addOps = (rows: Rows<MoreOpKind>): unknown => Object.assign(ops, rows);

/** Loads the other rows if one of `kinds` has none yet: before a graph with them is made, or asked anything. */
export async function loadOps(kinds: readonly string[]): Promise<void> {
  if (!kinds.every((kind) => Object.hasOwn(ops, kind))) addOps((await import('./more-ops.js')).moreOps);
}

/** What a node does, in words: `conv 3x3, stride 2`. */
export const operationOf = (op: Op): string => rowOf(op).words(op);

/** The row of any operation, which takes that operation. */
export const rowOf = ({ kind }: Pick<Op, 'kind'>): OpRow<Op> => ops[kind] as OpRow<Op>;
