/** Norms whose statistics are of the values themselves. */

import { finite, whole } from '../check.js';
import { ResnetError } from '../errors.js';
import type { Shape } from '../shape.js';
import {
  first,
  type GroupNormOp,
  type LayerNormOp,
  type LocalResponseNormOp,
  type OpRow,
  type ParameterShape,
  weightless,
} from './op.js';

const scaleAndShift = (_: unknown, inputs: readonly Shape[]): ParameterShape[] =>
  (['weight', 'bias'] as const).map((role) => ({ role, shape: [first(inputs).c], isOptional: true }));

export const layerNorm: OpRow<LayerNormOp> = {
  kernel: 'KIND_LAYER_NORM',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: { eps: finite('eps', true) },
  shape: (_, inputs) => first(inputs),
  words: () => 'layer norm',
  parameters: scaleAndShift,
  macs: () => 0,
  fields: ({ eps }) => ({ alpha: eps }),
};

export const groupNorm: OpRow<GroupNormOp> = {
  kernel: 'KIND_GROUP_NORM',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: { groups: whole('groups'), eps: finite('eps', true) },
  shape({ groups }, inputs, subject) {
    const from = first(inputs);
    if (from.c % groups !== 0) {
      throw new ResnetError('argument', `${subject}: expected channels that ${groups} groups divide, got ${from.c}.`);
    }
    return from;
  },
  words: ({ groups }) => `group norm, ${groups} ${groups === 1 ? 'group' : 'groups'}`,
  parameters: scaleAndShift,
  macs: () => 0,
  fields: ({ groups, eps }) => ({ groups, alpha: eps }),
};

export const localResponseNorm: OpRow<LocalResponseNormOp> = {
  ...weightless,
  kernel: 'KIND_LOCAL_RESPONSE_NORM',
  kernelSet: 'more',
  arity: [1, 1],
  attributes: { size: whole('size'), alpha: finite('alpha'), beta: finite('beta'), bias: finite('bias') },
  shape: (_, inputs) => first(inputs),
  words: ({ size }) => `local response norm over ${size} channels`,
  fields: ({ size, alpha, beta, bias }) => ({ windowC: size, alpha: alpha / size, beta, gamma: bias }),
};
