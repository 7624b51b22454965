/** Keras's names of variables, which become the roles of tensors in a `state_dict`; layers keep their names. */

import { ResnetError } from '../../../../models/errors.js';
import { either, label, shown } from '../../../util/messages.js';
import type { TensorInfo } from '../../types.js';

const ROLES: Readonly<Record<string, string>> = {
  kernel: 'weight',
  bias: 'bias',
  gamma: 'weight',
  beta: 'bias',
  moving_mean: 'running_mean',
  moving_variance: 'running_var',
};

const VARIABLE = /\/([a-z_]+)(?::0)?$/;

/** What Keras 3 numbers, by the kind of layer that its group is named after and the number. */
const NUMBERED: Readonly<Record<string, readonly string[]>> = {
  conv2d: ['kernel', 'bias'],
  dense: ['kernel', 'bias'],
  batch_normalization: ['gamma', 'beta', 'moving_mean', 'moving_variance'],
};

/** The layer of a Keras tensor (`res2a_branch1/kernel`). */
export const layerOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')));

/**
 * Names a Keras tensor (`res2a_branch1/kernel`, HWIO or [in, out]) after its layer and its role in a `state_dict`
 * (`res2a_branch1.weight`, OIHW or [out, in]). Throws if it is no variable of a convolution, batch norm or dense layer.
 */
export function stateDictTensor(name: string, shape: readonly number[]): Pick<TensorInfo, 'name' | 'shape' | 'order'> {
  const [, variable = ''] = VARIABLE.exec(name) ?? [];
  const layer = layerOf(name);
  const role = layer !== '' && Object.hasOwn(ROLES, variable) ? ROLES[variable] : undefined;
  if (role === undefined) {
    throw new ResnetError(
      'weights',
      `${label(name)}: only variables called ${either(Object.keys(ROLES))} can be read.`,
    );
  }
  const target = `${layer}.${role}`;
  if (variable !== 'kernel') return { name: target, shape, order: 'OI' };
  if (shape.length !== 4 && shape.length !== 2) {
    throw new ResnetError(
      'weights',
      `${label(name)}: expected a kernel [h, w, in, out] or [in, out], got ${shown(shape)}.`,
    );
  }
  const [from, to] = shape.slice(-2) as [number, number];
  return { name: target, shape: [to, from, ...shape.slice(0, -2)], order: 'IO' };
}

/**
 * Finds the name (`res2a_branch1/kernel`) of a tensor of Keras 3's .weights.h5: number `variable` of `count` in the
 * group `kind` (`conv2d_3`) of the layer that is called `layer`. Throws if it is of another kind of layer.
 */
export function numberedTensor(kind: string, layer: string, variable: string, count: number): string {
  const names = NUMBERED[kind.replace(/_\d+$/, '')];
  const name = /^\d$/.test(variable) ? names?.[Number(variable)] : undefined;
  // Without its scale or shift, a batch norm's numbers would mean others.
  if (name === undefined || (names?.length === 4 && count !== 4)) {
    const got = `number ${label(variable)} of ${count}`;
    throw new ResnetError(
      'weights',
      `${label(`${kind}/${layer}`)}: expected variables of convolution, batch norm or dense, got ${got}.`,
    );
  }
  return `${layer}/${name}`;
}
