/** Keras's names of the layers and variables of residual networks, which become torchvision's. */

import { label, shown } from '../../../util/messages.js';
import type { TensorInfo } from '../../types.js';

export const VARIABLES: Readonly<Record<string, string>> = {
  kernel: 'weight',
  bias: 'bias',
  gamma: 'weight',
  beta: 'bias',
  moving_mean: 'running_mean',
  moving_variance: 'running_var',
};

const alphabetIndex = (letter: string): number => letter.charCodeAt(0) - 'a'.charCodeAt(0);
const TENSOR = /^([^/]+)\/([a-z_]+)(?::0)?$/;

/** What Keras 3 numbers, by the kind of layer that its group is named after and the number. */
const NUMBERED: Readonly<Record<string, readonly string[]>> = {
  conv2d: ['kernel', 'bias'],
  dense: ['kernel', 'bias'],
  batch_normalization: ['gamma', 'beta', 'moving_mean', 'moving_variance'],
};

/**
 * torchvision's module of a Keras layer, or undefined for a layer of no ResNet. Two generations of names:
 *
 *   keras-team/keras to 2.2          keras.applications since       torchvision
 *   conv1, bn_conv1, fc1000          conv1_conv, conv1_bn,          conv1, bn1, fc
 *                                    predictions or probs
 *   res3a_branch2a, bn3a_branch2a    conv3_block1_1_conv, …_1_bn    layer2.0.conv1, layer2.0.bn1
 *   res3a_branch1, bn3a_branch1      conv3_block1_0_conv, …_0_bn    layer2.0.downsample.0, layer2.0.downsample.1
 *   res3b_branch2c or, in 101 and    conv3_block2_3_conv            layer2.1.conv3
 *   152 layers, res3b1_branch2c
 */
export function torchModule(layer: string): string | undefined {
  if (layer === 'conv1' || layer === 'conv1_conv') return 'conv1';
  if (layer === 'bn_conv1' || layer === 'conv1_bn') return 'bn1';
  if (/^(fc\d+|predictions|probs)$/.test(layer)) return 'fc';

  const recent = /^conv([2-5])_block([1-9]\d{0,2})_([0-3])_(conv|bn)$/.exec(layer);
  if (recent) {
    const [, stage, block, unit, kind] = recent;
    return unitModule(Number(stage), Number(block) - 1, Number(unit), kind === 'bn');
  }
  const old = /^(res|bn)([2-5])(?:([a-z])|b([1-9]\d{0,2}))_branch(?:1|2([a-c]))$/.exec(layer);
  if (old) {
    const [, kind, stage, letter, number, unit] = old;
    const block = letter ? alphabetIndex(letter) : Number(number);
    return unitModule(Number(stage), block, unit ? alphabetIndex(unit) + 1 : 0, kind === 'bn');
  }
  return undefined;
}

/** Unit 0 is the shortcut. Keras counts stages from 2 (the stem is the first), torchvision from 1. */
function unitModule(stage: number, block: number, unit: number, norm: boolean): string {
  const path = `layer${stage - 1}.${block}`;
  if (unit === 0) return `${path}.downsample.${norm ? 1 : 0}`;
  return `${path}.${norm ? 'bn' : 'conv'}${unit}`;
}

/** The layer of a Keras tensor (`res2a_branch1/kernel`). */
export const kerasLayerOf = (name: string): string => TENSOR.exec(name)?.[1] ?? '';

/** What a Keras tensor (`res2a_branch1/kernel`, HWIO or [in, out]) is in torchvision. Throws one sentence. */
export function torchTensor(name: string, shape: readonly number[]): Pick<TensorInfo, 'name' | 'shape' | 'order'> {
  const [, layer = '', variable = ''] = TENSOR.exec(name) ?? [];
  const path = torchModule(layer);
  const role = Object.hasOwn(VARIABLES, variable) ? VARIABLES[variable] : undefined;
  if (path === undefined || role === undefined) {
    throw new Error(`${label(name)}: expected the name of a tensor of Keras's ResNets, got another.`);
  }
  const target = `${path}.${role}`;
  if (variable !== 'kernel') return { name: target, shape, order: 'OI' };
  if (shape.length !== 4 && shape.length !== 2) {
    throw new Error(`${label(name)}: expected a kernel [h, w, in, out] or [in, out], got ${shown(shape)}.`);
  }
  const [from, to] = shape.slice(-2) as [number, number];
  return { name: target, shape: [to, from, ...shape.slice(0, -2)], order: 'IO' };
}

/**
 * The name (`res2a_branch1/kernel`) of a tensor of Keras 3's .weights.h5: number `variable` of `count` in the group
 * `kind` (`conv2d_3`) of the layer that is called `layer`. Throws one sentence where it is of no ResNet.
 */
export function numberedTensor(kind: string, layer: string, variable: string, count: number): string {
  const names = NUMBERED[kind.replace(/_\d+$/, '')];
  const name = /^\d$/.test(variable) ? names?.[Number(variable)] : undefined;
  // Without its scale or shift, a batch norm's numbers would mean others.
  if (name === undefined || (names?.length === 4 && count !== 4)) {
    const got = `number ${label(variable)} of ${count}`;
    throw new Error(
      `${label(`${kind}/${layer}`)}: expected variables of convolution, batch norm or dense, got ${got}.`,
    );
  }
  return `${layer}/${name}`;
}
