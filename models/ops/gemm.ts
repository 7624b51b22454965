/** Operations with a matrix of weights. */

import { sides, whole, wholePair } from '../check.js';
import { ResnetError } from '../errors.js';
import { type ConvOp, first, type LinearOp, type OpRow } from './op.js';
import { once, windowed, windowFields } from './window.js';

export const conv: OpRow<ConvOp> = {
  kernel: 'KIND_CONV',
  arity: [1, 1],
  attributes: {
    channels: whole('channels'),
    kernel: wholePair('kernel'),
    stride: wholePair('stride'),
    dilation: wholePair('dilation'),
    padding: sides('padding'),
    groups: whole('groups'),
  },
  shape(op, inputs, subject) {
    const { channels: c, groups } = op;
    const from = first(inputs);
    if (from.c % groups !== 0 || c % groups !== 0) {
      throw new ResnetError(
        'argument',
        `${subject}: expected channels that ${groups} groups divide, got ${from.c} in and ${c} out.`,
      );
    }
    return { ...windowed(from, op, op.dilation, subject), c };
  },
  words: ({ kernel, stride, dilation, groups }) =>
    [
      `conv ${kernel.join('x')}`,
      ...(once(stride) === '1' ? [] : [`stride ${once(stride)}`]),
      ...(once(dilation) === '1' ? [] : [`dilation ${once(dilation)}`]),
      ...(groups === 1 ? [] : [`${groups} groups`]),
    ].join(', '),
  parameters: ({ channels, kernel, groups }, inputs) => [
    { role: 'weight', shape: [channels, first(inputs).c / groups, ...kernel] },
    { role: 'bias', shape: [channels], isOptional: true },
  ],
  macs: ({ kernel, groups }, inputs, { h, w, c }) => h * w * c * (first(inputs).c / groups) * kernel[0] * kernel[1],
  fields: (op) => ({
    ...windowFields(op),
    dilationH: op.dilation[0],
    dilationW: op.dilation[1],
    groups: op.groups,
  }),
};

export const linear: OpRow<LinearOp> = {
  kernel: 'KIND_LINEAR',
  dense: 'inputs',
  arity: [1, 1],
  attributes: { channels: whole('outputs') },
  shape: ({ channels }) => ({ h: 1, w: 1, c: channels }),
  words: () => 'linear',
  parameters: ({ channels }, inputs) => {
    const { h, w, c } = first(inputs);
    return [
      { role: 'weight', shape: [channels, h * w * c] },
      { role: 'bias', shape: [channels], isOptional: true },
    ];
  },
  macs: ({ channels }, inputs) => {
    const { h, w, c } = first(inputs);
    return h * w * c * channels;
  },
  fields: () => ({}),
};
