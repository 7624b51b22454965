/** Operations that make a map smaller, channel by channel. */

import { among, boolean, optional, sides, whole, wholePair } from '../check.js';
import { ResnetError } from '../errors.js';
import {
  type AdaptivePoolOp,
  fieldless,
  first,
  type OpRow,
  type PoolOp,
  type ReduceOp,
  type Reduction,
  type ShortcutOp,
  weightless,
} from './op.js';
import { once, windowed, windowFields } from './window.js';

const AVERAGE = 'average pool';

function pool<Kind extends PoolOp['kind']>(kernel: string, name: string): OpRow<PoolOp<Kind>> {
  return {
    ...weightless,
    kernel,
    arity: [1, 1],
    attributes: {
      kernel: wholePair('kernel'),
      stride: wholePair('stride'),
      padding: sides('padding'),
      ...(name === AVERAGE ? { countsPadding: optional(boolean('countsPadding')) } : {}),
    } as OpRow<PoolOp<Kind>>['attributes'],
    shape(op, inputs, subject) {
      const { kernel, padding } = op;
      const { top, left, bottom, right } = padding;
      if (Math.max(top, bottom) >= kernel[0] || Math.max(left, right) >= kernel[1]) {
        throw new ResnetError(
          'argument',
          `${subject}: expected less padding than the ${kernel.join('x')} window has rows and columns, got ${top} above, ${left} left, ${bottom} below, ${right} right.`,
        );
      }
      const from = first(inputs);
      return { ...windowed(from, op, [1, 1], subject), c: from.c };
    },
    words: ({ kernel, stride }) => `${name} ${kernel.join('x')}, stride ${once(stride)}`,
    fields: (op) => ({ ...windowFields(op), ...(op.countsPadding === false ? { leavesPadding: 1 } : {}) }),
  };
}

export const maxPool = pool<'maxPool'>('KIND_MAX_POOL', 'max pool');
export const avgPool = pool<'avgPool'>('KIND_AVG_POOL', AVERAGE);

export const adaptiveAvgPool: OpRow<AdaptivePoolOp> = {
  ...weightless,
  ...fieldless,
  kernel: 'KIND_ADAPTIVE_AVG_POOL',
  arity: [1, 1],
  attributes: { h: whole('height'), w: whole('width') },
  shape: ({ h, w }, inputs) => ({ h, w, c: first(inputs).c }),
  words: ({ h, w }) => `average pool to ${h}x${w}`,
};

/** By reduction: its words, and a record's `reduction`. */
const REDUCTIONS: { readonly [Name in Reduction]: readonly [words: string, field: number] } = {
  mean: ['global average pool', 0],
  max: ['global max pool', 1],
  sum: ['global sum', 2],
};

export const reduce: OpRow<ReduceOp> = {
  ...weightless,
  kernel: 'KIND_REDUCE',
  arity: [1, 1],
  attributes: { reduction: among('reduction', Object.keys(REDUCTIONS)) },
  shape: (_, inputs) => ({ h: 1, w: 1, c: first(inputs).c }),
  words: ({ reduction }) => REDUCTIONS[reduction][0],
  fields: ({ reduction }) => ({ reduction: REDUCTIONS[reduction][1] }),
};

export const zeroPadShortcut: OpRow<ShortcutOp> = {
  ...weightless,
  kernel: 'KIND_ZERO_PAD_SHORTCUT',
  arity: [1, 1],
  attributes: {
    stride: whole('stride'),
    before: whole('zero channels before', 0),
    after: whole('zero channels after', 0),
  },
  shape({ stride, before, after }, inputs) {
    const { h, w, c } = first(inputs);
    return { h: Math.ceil(h / stride), w: Math.ceil(w / stride), c: before + c + after };
  },
  words: ({ stride }) => `zero padding, stride ${stride}`,
  fields: ({ stride, before }) => ({ strideH: stride, strideW: stride, zerosBefore: before }),
};
