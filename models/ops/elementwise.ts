/** Operations that change values where they are, join them, or bring them in. */

import { activationWords, activation as anActivation } from '../activation.js';
import { finite, whole } from '../check.js';
import { ResnetError } from '../errors.js';
import { isVector, type Shape, sameShape, shapeText } from '../shape.js';
import {
  type ActivationOp,
  type BatchNormOp,
  fieldless,
  first,
  type InputOp,
  type OpRow,
  type ParameterShape,
  type PlainOp,
  weightless,
} from './op.js';

export const input: OpRow<InputOp> = {
  ...weightless,
  ...fieldless,
  kernel: undefined,
  arity: [0, 0],
  attributes: { h: whole('height'), w: whole('width'), c: whole('channels') },
  shape: ({ h, w, c }) => ({ h, w, c }),
  words: () => 'input',
};

export const batchNorm: OpRow<BatchNormOp> = {
  ...fieldless,
  kernel: 'KIND_BATCH_NORM',
  arity: [1, 1],
  attributes: { eps: finite('eps', true) },
  shape: (_, inputs) => first(inputs),
  words: () => 'batch norm',
  parameters: (_, inputs) =>
    (['weight', 'bias', 'running_mean', 'running_var'] as const).map((role) => ({ role, shape: [first(inputs).c] })),
  macs: () => 0,
};

export const activation: OpRow<ActivationOp> = {
  ...fieldless,
  kernel: 'KIND_COPY',
  arity: [1, 1],
  attributes: { activation: anActivation },
  shape: (_, inputs) => first(inputs),
  words: (op) => activationWords(op.activation),
  parameters: (op, inputs): ParameterShape[] =>
    op.activation.kind === 'prelu' ? [{ role: 'weight', shape: [first(inputs).c] }] : [],
  macs: () => 0,
};

export const add: OpRow<PlainOp<'add'>> = {
  ...weightless,
  ...fieldless,
  kernel: 'KIND_COPY',
  arity: [2, 2],
  attributes: {},
  shape(_, inputs, subject) {
    const [a, b] = inputs as [Shape, Shape];
    if (!sameShape(a, b)) {
      throw new ResnetError(
        'argument',
        `${subject}: expected two equal shapes to add, got ${shapeText(a)} and ${shapeText(b)}.`,
      );
    }
    return a;
  },
  words: () => 'add',
};

/** A map, and a vector with a factor for each of its channels. */
const isScaling = (map: Shape, vector: Shape): boolean => isVector(vector) && map.c === vector.c;

export const mul: OpRow<PlainOp<'mul'>> = {
  ...weightless,
  ...fieldless,
  kernel: 'KIND_MUL',
  arity: [2, 2],
  attributes: {},
  isSwapped: (inputs) => {
    const [a, b] = inputs as [Shape, Shape];
    return isVector(a) && !isVector(b);
  },
  shape(_, inputs, subject) {
    const [a, b] = inputs as [Shape, Shape];
    if (!sameShape(a, b) && !isScaling(a, b)) {
      throw new ResnetError(
        'argument',
        `${subject}: expected two equal shapes, or a map and a vector of its channels, to multiply, got ${shapeText(a)} and ${shapeText(b)}.`,
      );
    }
    return a;
  },
  words: () => 'multiply',
};

export const concat: OpRow<PlainOp<'concat'>> = {
  ...weightless,
  ...fieldless,
  kernel: undefined,
  arity: [1, Number.POSITIVE_INFINITY],
  attributes: {},
  shape(_, inputs, subject) {
    const { h, w } = first(inputs);
    for (const shape of inputs) {
      if (shape.h !== h || shape.w !== w) {
        throw new ResnetError(
          'argument',
          `${subject}: expected maps of ${h}x${w} to concatenate, got ${shape.h}x${shape.w}.`,
        );
      }
    }
    return { h, w, c: inputs.reduce((sum, { c }) => sum + c, 0) };
  },
  words: () => 'concatenate',
};

export const softmax: OpRow<PlainOp<'softmax'>> = {
  ...weightless,
  ...fieldless,
  kernel: 'KIND_SOFTMAX',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: {},
  shape(_, inputs, subject) {
    const from = first(inputs);
    if (!isVector(from))
      throw new ResnetError('argument', `${subject}: expected a vector for softmax, got ${shapeText(from)}.`);
    return from;
  },
  words: () => 'softmax',
};
