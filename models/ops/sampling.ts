/** Pools and changes of size that no built-in network has, and the transpose of a convolution. */

import { among, boolean, fail, finite, optional, sides, whole, wholePair, wholes } from '../check.js';
import { ResnetError } from '../errors.js';
import { type Pair, type Shape, shapeText } from '../shape.js';
import {
  type ConvTransposeOp,
  type DilatedPoolOp,
  first,
  type OpRow,
  type ResizeCoordinates,
  type ResizeMode,
  type ResizeOp,
  type ResizeRounding,
  weightless,
} from './op.js';
import { once, windowed, windowFields } from './window.js';

/** The most elements that a window's padding may have: so many that every window still has some of the map. */
const reach = (kernel: Pair, dilation: Pair, axis: 0 | 1): number => dilation[axis] * (kernel[axis] - 1);

export const dilatedPool: OpRow<DilatedPoolOp> = {
  ...weightless,
  kernel: 'KIND_DILATED_POOL',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: {
    reduction: among('reduction', ['max', 'mean']),
    kernel: wholePair('kernel'),
    stride: wholePair('stride'),
    dilation: wholePair('dilation'),
    padding: sides('padding'),
    ceil: boolean('ceil'),
    countsPadding: boolean('countsPadding'),
  },
  shape(op, inputs, subject) {
    const { kernel, dilation, padding, ceil, stride } = op;
    const { top, left, bottom, right } = padding;
    if (Math.max(top, bottom) > reach(kernel, dilation, 0) || Math.max(left, right) > reach(kernel, dilation, 1)) {
      throw new ResnetError(
        'argument',
        `${subject}: expected padding within the ${kernel.join('x')} window, got ${top} above, ${left} left, ${bottom} below, ${right} right.`,
      );
    }
    const from = first(inputs);
    const { h, w } = windowed(from, op, dilation, subject);
    if (!ceil) return { h, w, c: from.c };
    const more = (n: number, size: number, before: number, after: number, axis: 0 | 1): number => {
      const left = size + before + after - reach(kernel, dilation, axis) - 1 - (n - 1) * stride[axis];
      return left > 0 && n * stride[axis] < size + before ? n + 1 : n;
    };
    return { h: more(h, from.h, top, bottom, 0), w: more(w, from.w, left, right, 1), c: from.c };
  },
  words: ({ reduction, kernel, stride, dilation }) =>
    `${reduction === 'max' ? 'max' : 'average'} pool ${kernel.join('x')}, stride ${once(stride)}${once(dilation) === '1' ? '' : `, dilation ${once(dilation)}`}`,
  fields: (op) => ({
    ...windowFields(op),
    dilationH: op.dilation[0],
    dilationW: op.dilation[1],
    padBottom: op.padding.bottom,
    padRight: op.padding.right,
    reduction: op.reduction === 'max' ? 1 : 0,
    leavesPadding: op.countsPadding ? 0 : 1,
  }),
};

const MODES: { readonly [Mode in ResizeMode]: number } = { nearest: 0, bilinear: 1, cubic: 2 };

const COORDINATES: { readonly [Name in ResizeCoordinates]: number } = {
  halfPixel: 0,
  asymmetric: 1,
  alignCorners: 2,
  pytorchHalfPixel: 3,
  halfPixelSymmetric: 4,
};

const ROUNDINGS: { readonly [Name in ResizeRounding]: number } = { floor: 0, ceil: 1, preferFloor: 2, preferCeil: 3 };

/** How many times smaller a map may become if all of it is averaged: the kernel's table of taps has room for that. */
const MOST_SMALLER = 1024;

/** Keys's a, as torch and ONNX have it. */
const CUBIC = -0.75;

export const resize: OpRow<ResizeOp> = {
  ...weightless,
  kernel: 'KIND_RESIZE',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: {
    h: whole('height'),
    w: whole('width'),
    mode: among('mode', Object.keys(MODES)),
    coordinates: among('coordinates', Object.keys(COORDINATES)),
    rounding: among('rounding', Object.keys(ROUNDINGS)),
    scale: optional((value, subject) => {
      if (!Array.isArray(value) || value.length !== 2) fail(subject, 'scale', '[rows, columns]', value);
      for (const each of value) finite('scale', true)(each, subject);
    }),
    cubic: optional(finite('cubic')),
    excludesOutside: optional(boolean('excludesOutside')),
    antialias: optional(boolean('antialias')),
  },
  shape({ h, w, antialias, scale }, inputs, subject) {
    const from = first(inputs);
    const ratios = scale ? scale.map((each) => 1 / each) : [from.h / h, from.w / w];
    if (antialias && Math.max(...ratios) > MOST_SMALLER) {
      throw new ResnetError(
        'argument',
        `${subject}: expected maps at most ${MOST_SMALLER} times smaller with antialiasing, got ${Math.ceil(Math.max(...ratios))} times.`,
      );
    }
    return { h, w, c: from.c };
  },
  words: ({ h, w, mode }) => `resize to ${h}x${w}, ${mode}`,
  fields: (op) => {
    return {
      resizeMode: MODES[op.mode],
      coordinates: COORDINATES[op.coordinates],
      rounding: ROUNDINGS[op.rounding],
      scaleH: op.scale?.[0] ?? 0,
      scaleW: op.scale?.[1] ?? 0,
      alpha: op.cubic ?? CUBIC,
      excludesOutside: op.excludesOutside ? 1 : 0,
      antialias: op.antialias ? 1 : 0,
    };
  },
};

export const convTranspose: OpRow<ConvTransposeOp> = {
  kernel: 'KIND_CONV_TRANSPOSE',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: {
    channels: whole('channels'),
    kernel: wholePair('kernel'),
    stride: wholePair('stride'),
    dilation: wholePair('dilation'),
    padding: sides('padding'),
    outputPadding: wholes('outputPadding', 0, 2),
    groups: whole('groups'),
  },
  /** [in, out / groups, taps] becomes [group][tap][in][out]. */
  inKernelOrder({ groups, kernel, channels }, weight) {
    const [taps, outer] = [kernel[0] * kernel[1], channels / groups];
    const inner = weight.length / (groups * taps * outer);
    return weight.map((_, i) => {
      const [o, k] = [i % outer, Math.floor(i / outer) % inner];
      const [tap, group] = [Math.floor(i / (outer * inner)) % taps, Math.floor(i / (outer * inner * taps))];
      return weight[((group * inner + k) * outer + o) * taps + tap] as number;
    });
  },
  shape({ channels: c, kernel, stride, dilation, padding, outputPadding, groups }, inputs, subject) {
    const from = first(inputs);
    if (from.c % groups !== 0 || c % groups !== 0) {
      throw new ResnetError(
        'argument',
        `${subject}: expected channels that ${groups} groups divide, got ${from.c} in and ${c} out.`,
      );
    }
    const along = (size: number, pads: number, axis: 0 | 1): number =>
      (size - 1) * stride[axis] - pads + reach(kernel, dilation, axis) + 1 + outputPadding[axis];
    const h = along(from.h, padding.top + padding.bottom, 0);
    const w = along(from.w, padding.left + padding.right, 1);
    if (h < 1 || w < 1) {
      throw new ResnetError(
        'argument',
        `${subject}: expected an input that padding leaves something of, got ${shapeText(from)}.`,
      );
    }
    return { h, w, c };
  },
  words: ({ kernel, stride, groups }) =>
    `transposed conv ${kernel.join('x')}, stride ${once(stride)}${groups === 1 ? '' : `, ${groups} groups`}`,
  parameters: ({ channels, kernel, groups }, inputs) => [
    { role: 'weight', shape: [first(inputs).c, channels / groups, ...kernel] },
    { role: 'bias', shape: [channels], isOptional: true },
  ],
  macs: ({ channels, kernel, groups }, inputs) => {
    const { h, w, c }: Shape = first(inputs);
    return h * w * c * (channels / groups) * kernel[0] * kernel[1];
  },
  fields: (op) => ({
    ...windowFields(op),
    dilationH: op.dilation[0],
    dilationW: op.dilation[1],
    groups: op.groups,
  }),
};
