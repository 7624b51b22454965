/** Operations over axes that a caller chooses. */

import { among, boolean, type Check, fail, oneOf } from '../check.js';
import { ResnetError } from '../errors.js';
import {
  type AxesReduction,
  type Axis,
  type Fields,
  first,
  type OpRow,
  type ReduceAxesOp,
  type SoftmaxAxesOp,
  weightless,
} from './op.js';

const AXES: readonly Axis[] = ['h', 'w', 'c'];

const axesCheck: Check = (value, subject) => {
  if (!Array.isArray(value) || value.length === 0) fail(subject, 'axes', 'a list of h, w and c', value);
  for (const axis of value) oneOf(subject, 'an axis', axis, AXES);
};

const axesFields = (axes: readonly Axis[]): Fields => ({
  overH: axes.includes('h') ? 1 : 0,
  overW: axes.includes('w') ? 1 : 0,
  overC: axes.includes('c') ? 1 : 0,
});

const axesWords = (axes: readonly Axis[]): string => AXES.filter((axis) => axes.includes(axis)).join(', ');

/** By reduction: its words, and a record's `reduction`; the first three are those of a reduction over maps. */
const REDUCTIONS: { readonly [Name in AxesReduction]: readonly [words: string, field: number] } = {
  mean: ['mean', 0],
  max: ['greatest', 1],
  sum: ['sum', 2],
  min: ['smallest', 3],
  product: ['product', 4],
  argMax: ['place of the greatest', 5],
  argMin: ['place of the smallest', 6],
};

export const reduceAxes: OpRow<ReduceAxesOp> = {
  ...weightless,
  kernel: 'KIND_REDUCE_AXES',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: { reduction: among('reduction', Object.keys(REDUCTIONS)), axes: axesCheck },
  shape({ reduction, axes }, inputs, subject) {
    if (reduction.startsWith('arg') && axes.length !== 1) {
      throw new ResnetError('argument', `${subject}: expected one axis for ${reduction}, got ${axesWords(axes)}.`);
    }
    const { h, w, c } = first(inputs);
    return { h: axes.includes('h') ? 1 : h, w: axes.includes('w') ? 1 : w, c: axes.includes('c') ? 1 : c };
  },
  words: ({ reduction, axes }) => `${REDUCTIONS[reduction][0]} over ${axesWords(axes)}`,
  fields: ({ reduction, axes }) => ({ reduction: REDUCTIONS[reduction][1], ...axesFields(axes) }),
};

export const softmaxAxes: OpRow<SoftmaxAxesOp> = {
  ...weightless,
  kernel: 'KIND_SOFTMAX_AXES',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: { axes: axesCheck, isLog: boolean('isLog') },
  shape: (_, inputs) => first(inputs),
  words: ({ axes, isLog }) => `${isLog ? 'log softmax' : 'softmax'} over ${axesWords(axes)}`,
  fields: ({ axes, isLog }) => ({ isLog: isLog ? 1 : 0, ...axesFields(axes) }),
};
