/**
 * The table of operations: a row each, and nothing about an operation is said anywhere else but in its kernel. The type
 * names every kind, so that the compiler says which row is missing.
 */

import { activation, add, batchNorm, concat, input, mul, softmax } from './ops/elementwise.js';
import { conv, linear } from './ops/gemm.js';
import type { Op, OpKind, OpOf, OpRow } from './ops/op.js';
import { adaptiveAvgPool, avgPool, maxPool, reduce, resize, zeroPadShortcut } from './ops/pool.js';

export const ops: { readonly [Kind in OpKind]: OpRow<OpOf<Kind>> } = {
  input,
  conv,
  linear,
  maxPool,
  avgPool,
  adaptiveAvgPool,
  reduce,
  resize,
  batchNorm,
  activation,
  add,
  mul,
  concat,
  softmax,
  zeroPadShortcut,
};

/** What a node does, in words: `conv 3x3, stride 2`. */
export const operationOf = (op: Op): string => rowOf(op).words(op);

/** The row of any operation, which takes that operation. */
export const rowOf = ({ kind }: Pick<Op, 'kind'>): OpRow<Op> => ops[kind] as OpRow<Op>;
