/** Operations on each value by itself, on two values, and products of matrices that are values. */

import { among, boolean, finite, optional } from '../check.js';
import { ResnetError } from '../errors.js';
import { type Shape, shapeText } from '../shape.js';
import {
  type BinaryOp,
  type BinaryOperator,
  first,
  type MatmulOp,
  type OpRow,
  type UnaryOp,
  type UnaryOperator,
  weightless,
} from './op.js';

/** By operator: its words, a record's `operator`, and which of alpha and beta it has. */
export const UNARY: {
  readonly [Operator in UnaryOperator]: readonly [words: string, field: number, numbers: 0 | 1 | 2];
} = {
  affine: ['multiply and add numbers', 0, 2],
  power: ['power', 1, 1],
  abs: ['absolute value', 2, 0],
  sqrt: ['square root', 3, 0],
  exp: ['exp', 4, 0],
  log: ['log', 5, 0],
  erf: ['erf', 6, 0],
  tanh: ['tanh', 7, 0],
  reciprocal: ['reciprocal', 8, 0],
  elu: ['ELU', 9, 1],
  selu: ['SELU', 10, 2],
  celu: ['CELU', 11, 1],
  geluTanh: ['GELU by tanh', 12, 0],
  softplus: ['softplus', 13, 0],
  softsign: ['softsign', 14, 0],
  mish: ['mish', 15, 0],
  thresholdedRelu: ['thresholded ReLU', 16, 1],
  floor: ['floor', 17, 0],
  ceil: ['ceil', 18, 0],
  round: ['round', 19, 0],
  sign: ['sign', 20, 0],
};

export const unary: OpRow<UnaryOp> = {
  ...weightless,
  kernel: 'KIND_UNARY',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: {
    operator: among('operator', Object.keys(UNARY)),
    alpha: optional(finite('alpha')),
    beta: optional(finite('beta')),
  },
  shape({ operator, alpha, beta }, inputs, subject) {
    const given = [alpha, beta];
    const numbers = UNARY[operator][2];
    given.forEach((value, i) => {
      if ((value !== undefined) === i < numbers) return;
      throw new ResnetError(
        'argument',
        `${subject}: expected ${['no number', 'alpha', 'alpha and beta'][numbers]} for ${operator}, got alpha ${alpha}, beta ${beta}.`,
      );
    });
    return first(inputs);
  },
  words: ({ operator }) => UNARY[operator][0],
  fields: ({ operator, alpha = 0, beta = 0 }) => ({ operator: UNARY[operator][1], alpha, beta }),
};

export const BINARY: { readonly [Operator in BinaryOperator]: readonly [words: string, field: number] } = {
  add: ['add', 0],
  subtract: ['subtract', 1],
  multiply: ['multiply', 2],
  divide: ['divide', 3],
  power: ['power', 4],
  min: ['smaller of two', 5],
  max: ['greater of two', 6],
  modulo: ['modulo', 7],
  equal: ['equal', 8],
  less: ['less', 9],
  lessOrEqual: ['less or equal', 10],
  greater: ['greater', 11],
  greaterOrEqual: ['greater or equal', 12],
};

export const binary: OpRow<BinaryOp> = {
  ...weightless,
  kernel: 'KIND_BINARY',
  kernelSet: 'more',
  arity: [2, 2],
  attributes: { operator: among('operator', Object.keys(BINARY)) },
  shape(_, inputs, subject) {
    const [a, b] = inputs as [Shape, Shape];
    const joined = (axis: keyof Shape): number => {
      const [m, n] = [a[axis], b[axis]];
      if (m !== n && m !== 1 && n !== 1) {
        throw new ResnetError(
          'argument',
          `${subject}: expected two shapes whose axes are equal or 1, got ${shapeText(a)} and ${shapeText(b)}.`,
        );
      }
      return Math.max(m, n);
    };
    return { h: joined('h'), w: joined('w'), c: joined('c') };
  },
  words: ({ operator }) => BINARY[operator][0],
  fields: ({ operator }, inputs) => {
    const { h, w, c } = inputs[1] as Shape;
    return { operator: BINARY[operator][1], h2: h, w2: w, c2: c };
  },
};

export const matmul: OpRow<MatmulOp> = {
  ...weightless,
  kernel: 'KIND_MATMUL',
  kernelSet: 'more',
  arity: [2, 2],
  attributes: { transposesB: boolean('transposesB') },
  shape({ transposesB }, inputs, subject) {
    const [a, b] = inputs as [Shape, Shape];
    const [k, n] = transposesB ? [b.c, b.w] : [b.w, b.c];
    if (a.c !== k || (a.h !== b.h && a.h !== 1 && b.h !== 1)) {
      throw new ResnetError(
        'argument',
        `${subject}: expected matrices that can be multiplied, got ${shapeText(a)} and ${shapeText(b)}${transposesB ? ' transposed' : ''}.`,
      );
    }
    return { h: Math.max(a.h, b.h), w: a.w, c: n };
  },
  words: ({ transposesB }) => (transposesB ? 'matrix product, second transposed' : 'matrix product'),
  macs: (_, inputs, { h, w, c }) => h * w * c * first(inputs).c,
  fields: ({ transposesB }, inputs) => ({ h2: (inputs[1] as Shape).h, transposesB: transposesB ? 1 : 0 }),
};
