/** Operations that bring values in, or move them without a change. */

import { among, type Check, fail, whole, wholes } from '../check.js';
import { ResnetError } from '../errors.js';
import { type Shape, shapeText } from '../shape.js';
import {
  type ConstantOp,
  type ExpandOp,
  type Fields,
  fieldless,
  first,
  type OpRow,
  type PadMode,
  type PadOp,
  type RearrangeOp,
  type ReshapeOp,
  type SliceOp,
  type Triple,
  weightless,
} from './op.js';

const size = { h: whole('height'), w: whole('width'), c: whole('channels') } as const;

export const sizes = ({ h, w, c }: Shape): Triple => [h, w, c];

const count = (shape: Shape): number => shape.h * shape.w * shape.c;

function keepsCount(from: Shape, to: Shape, subject: string): Shape {
  if (count(from) !== count(to)) {
    throw new ResnetError(
      'argument',
      `${subject}: expected a shape of ${count(from)} values, as ${shapeText(from)} has, got ${shapeText(to)}.`,
    );
  }
  return to;
}

export const constant: OpRow<ConstantOp> = {
  ...fieldless,
  kernel: 'KIND_CONSTANT',
  kernelSet: 'more',
  arity: [0, 0],
  attributes: size,
  shape: ({ h, w, c }) => ({ h, w, c }),
  words: () => 'constant',
  parameters: ({ h, w, c }) => [{ role: 'weight', shape: [h, w, c] }],
  macs: () => 0,
};

export const reshape: OpRow<ReshapeOp> = {
  ...weightless,
  ...fieldless,
  kernel: undefined,
  dense: 'all',
  arity: [1, 1],
  attributes: size,
  shape: ({ h, w, c }, inputs, subject) => keepsCount(first(inputs), { h, w, c }, subject),
  words: (op) => `reshape to ${shapeText(op)}`,
};

/** The most axes that a rearrangement has, as assembly/more/move.ts has room for them. */
const MOST_AXES = 8;

/** Sizes and strides of the output's axes, outermost first, those that lie together joined. */
function axesOf({ dims, order }: RearrangeOp): { size: number; stride: number }[] {
  const strides = dims.map((_, i) => dims.slice(i + 1).reduce((product, n) => product * n, 1));
  const axes: { size: number; stride: number }[] = [];
  for (const i of order) {
    const [size, stride] = [dims[i] as number, strides[i] as number];
    const last = axes.at(-1);
    if (size === 1) continue;
    if (last?.stride === size * stride) axes[axes.length - 1] = { size: last.size * size, stride };
    else axes.push({ size, stride });
  }
  return axes.length > 0 ? axes : [{ size: 1, stride: 1 }];
}

export const rearrange: OpRow<RearrangeOp> = {
  ...weightless,
  kernel: 'KIND_REARRANGE',
  kernelSet: 'more',
  dense: 'all',
  arity: [1, 1],
  attributes: { ...size, dims: wholes('dims', 1), order: wholes('order', 0) },
  shape(op, inputs, subject) {
    const { h, w, c, dims, order } = op;
    const from = first(inputs);
    if (dims.length > MOST_AXES || dims.reduce((product, n) => product * n, 1) !== count(from)) {
      throw new ResnetError(
        'argument',
        `${subject}: expected at most ${MOST_AXES} dims whose product is ${count(from)}, as ${shapeText(from)} has values, got [${dims.join(', ')}].`,
      );
    }
    if (order.length !== dims.length || dims.some((_, i) => !order.includes(i))) {
      throw new ResnetError(
        'argument',
        `${subject}: expected an order of all ${dims.length} dims, got [${order.join(', ')}].`,
      );
    }
    return keepsCount(from, { h, w, c }, subject);
  },
  words: ({ dims, order }) => `rearrange ${dims.join('x')} as ${order.join(', ')}`,
  fields(op): Fields {
    const axes = axesOf(op);
    const named = axes.flatMap(({ size, stride }, i) => [
      [`size${i}`, size],
      [`stride${i}`, stride],
    ]);
    return { axes: axes.length, ...Object.fromEntries(named) };
  },
};

/** Whole numbers for rows, columns and channels. */
const triple =
  (what: string): Check =>
  (value, subject) => {
    const isFit = Array.isArray(value) && value.length === 3 && value.every((n) => Number.isInteger(n));
    if (!isFit || value.some((n) => Math.abs(n) >= 2 ** 31)) fail(subject, what, '[rows, columns, channels]', value);
  };

const AXES = ['rows', 'columns', 'channels'] as const;

const sliceFields = (start: Triple, step: Triple): Fields => ({
  startH: start[0],
  startW: start[1],
  startC: start[2],
  stepH: step[0],
  stepW: step[1],
  stepC: step[2],
});

export const slice: OpRow<SliceOp> = {
  ...weightless,
  kernel: 'KIND_SLICE',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: { ...size, start: triple('start'), step: triple('step') },
  shape({ h, w, c, start, step }, inputs, subject) {
    const from = sizes(first(inputs));
    [h, w, c].forEach((n, i) => {
      const last = (start[i] as number) + (step[i] as number) * (n - 1);
      const isInside = [start[i] as number, last].every((at) => at >= 0 && at < (from[i] as number));
      if (!isInside) {
        throw new ResnetError(
          'argument',
          `${subject}: expected ${AXES[i]} among the ${from[i]} that there are, got ${start[i]} to ${last}.`,
        );
      }
    });
    return { h, w, c };
  },
  words: (op) => `slice ${shapeText(op)}`,
  fields: ({ start, step }) => sliceFields(start, step),
};

export const expand: OpRow<ExpandOp> = {
  ...weightless,
  kernel: 'KIND_SLICE',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: size,
  shape({ h, w, c }, inputs, subject) {
    const from = first(inputs);
    const isFit = sizes(from).every((n, i) => n === 1 || n === [h, w, c][i]);
    if (!isFit) {
      throw new ResnetError(
        'argument',
        `${subject}: expected a shape that repeats axes of 1 in ${shapeText(from)}, got ${shapeText({ h, w, c })}.`,
      );
    }
    return { h, w, c };
  },
  words: (op) => `expand to ${shapeText(op)}`,
  // A step of 0 repeats.
  fields: (_, inputs) =>
    sliceFields([0, 0, 0], sizes(first(inputs)).map((n) => (n === 1 ? 0 : 1)) as unknown as Triple),
};

/** By mode, a record's `padMode`. */
const PAD_MODES: { readonly [Mode in PadMode]: number } = { constant: 0, edge: 1, reflect: 2, wrap: 3 };

export const pad: OpRow<PadOp> = {
  ...weightless,
  kernel: 'KIND_PAD',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: {
    mode: among('mode', Object.keys(PAD_MODES)),
    before: wholes('before', 0, 3),
    after: wholes('after', 0, 3),
    value: (value, subject) => {
      if (typeof value !== 'number' || Number.isNaN(value)) fail(subject, 'value', 'a number', value);
    },
  },
  shape({ mode, before, after }, inputs, subject) {
    const from = sizes(first(inputs));
    // A pixel beyond the other edge is no reflection.
    const most = (n: number) => (mode === 'reflect' ? n - 1 : mode === 'wrap' ? n : Number.POSITIVE_INFINITY);
    const padded = from.map((n, i) => {
      const [a, b] = [before[i] as number, after[i] as number];
      if (Math.max(a, b) > most(n)) {
        throw new ResnetError(
          'argument',
          `${subject}: expected to ${mode} at most ${most(n)} ${AXES[i]}, got ${Math.max(a, b)}.`,
        );
      }
      return a + n + b;
    });
    const [h, w, c] = padded as unknown as Triple;
    return { h, w, c };
  },
  words: ({ mode }) => `pad, ${mode}`,
  fields: ({ mode, before, value }) => ({
    padMode: PAD_MODES[mode],
    startH: before[0],
    startW: before[1],
    startC: before[2],
    alpha: value,
  }),
};
