/** Keras's residual networks: their names, which become torchvision's, and what their topology tells. */

import { isRecord, label, shown } from '../../../util/messages.js';
import type { NetworkHints, TensorInfo } from '../../types.js';

/** A layer of a topology, as far as this project reads it. */
export interface KerasLayer {
  readonly name: string;
  readonly kind: string;
  readonly config: Readonly<Record<string, unknown>>;
}

const VARIABLES: Readonly<Record<string, string>> = {
  kernel: 'weight',
  bias: 'bias',
  gamma: 'weight',
  beta: 'bias',
  moving_mean: 'running_mean',
  moving_variance: 'running_var',
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

const alphabetIndex = (letter: string): number => letter.charCodeAt(0) - 'a'.charCodeAt(0);

/** Unit 0 is the shortcut. Keras counts stages from 2 (the stem is the first), torchvision from 1. */
function unitModule(stage: number, block: number, unit: number, norm: boolean): string {
  const path = `layer${stage - 1}.${block}`;
  if (unit === 0) return `${path}.downsample.${norm ? 1 : 0}`;
  return `${path}.${norm ? 'bn' : 'conv'}${unit}`;
}

const TENSOR = /^([^/]+)\/([a-z_]+)(?::0)?$/;

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

/** What Keras 3 numbers, by the kind of layer that its group is named after and the number. */
const NUMBERED: Readonly<Record<string, readonly string[]>> = {
  conv2d: ['kernel', 'bias'],
  dense: ['kernel', 'bias'],
  batch_normalization: ['gamma', 'beta', 'moving_mean', 'moving_variance'],
};

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

/** The layers of a topology by name. Throws one sentence, `subject` first, where it is malformed. */
export function kerasLayers(subject: string, topology: unknown): Map<string, KerasLayer> {
  const model = isRecord(topology) && isRecord(topology.model_config) ? topology.model_config : topology;
  const config = isRecord(model) ? model.config : undefined;
  // A Sequential model of Keras before 2.3 is a bare list.
  const list = isRecord(config) ? config.layers : config;
  if (!Array.isArray(list)) {
    throw new Error(`${subject}: expected model_config.config.layers, got ${shown(list)}.`);
  }
  const layers = new Map<string, KerasLayer>();
  for (const [i, layer] of list.entries()) {
    const valid = isRecord(layer) && isRecord(layer.config) && typeof layer.class_name === 'string';
    const name = valid ? ((layer.config as Record<string, unknown>).name ?? layer.name) : undefined;
    if (!valid || typeof name !== 'string') {
      throw new Error(`${subject}: expected layer ${i} to be {class_name, config: {name}}, got another.`);
    }
    if (layers.has(name)) throw new Error(`${label(name)}: expected one layer of this name, got two in the topology.`);
    layers.set(name, { name, kind: layer.class_name as string, config: layer.config as Record<string, unknown> });
  }
  return layers;
}

/** What the layers say of the network. Throws one sentence where they contradict each other. */
export function kerasHints(layers: ReadonlyMap<string, KerasLayer>): NetworkHints {
  const all = [...layers.values()];
  const batchNormEps = agreed(
    'epsilon',
    all.filter(({ kind }) => /^BatchNormalization(V\d)?$/.test(kind)),
    ({ name, config: { epsilon } }) => {
      if (typeof epsilon === 'number' && epsilon > 0) return epsilon;
      throw new Error(`${label(name)}: expected epsilon above 0, got ${shown(epsilon)}.`);
    },
  );
  const convBias = agreed(
    'use_bias',
    all.filter(({ kind }) => kind === 'Conv2D'),
    ({ name, config: { use_bias: bias } }) => {
      if (typeof bias === 'boolean') return bias;
      throw new Error(`${label(name)}: expected use_bias to be true or false, got ${shown(bias)}.`);
    },
  );
  return { batchNormEps, convBias, stride: bottleneckStride(all) };
}

/**
 * What the names of a bottleneck network's tensors tell where no topology is there: Keras's own models, of either
 * generation, halve maps in a block's first convolution. No others of such names are known.
 */
export function applicationHints(tensors: readonly string[]): NetworkHints {
  const modules = tensors.map((name) => torchModule(kerasLayerOf(name)));
  if (!modules.some((path) => path?.endsWith('.conv3'))) return {};
  const isRecent = tensors.some((name) => /^conv1_conv\//.test(name));
  const convBias = tensors.some((name, i) => /conv\d$/.test(modules[i] ?? '') && /\/bias(:0)?$/.test(name));
  return { batchNormEps: isRecent ? 1.001e-5 : 1e-3, convBias, stride: 'conv1' };
}

/** The value that all layers have; undefined without layers. */
function agreed<T>(what: string, layers: readonly KerasLayer[], read: (layer: KerasLayer) => T): T | undefined {
  const [first] = layers;
  if (!first) return undefined;
  const value = read(first);
  for (const layer of layers) {
    const other = read(layer);
    if (other !== value) {
      throw new Error(`${label(layer.name)}: expected ${what} ${value} as in ${label(first.name)}, got ${other}.`);
    }
  }
  return value;
}

/** Which convolution of a bottleneck halves the map in the first block of a stage. */
function bottleneckStride(layers: readonly KerasLayer[]): 'conv1' | 'conv2' | undefined {
  const byModule = new Map(layers.map((layer) => [torchModule(layer.name), layer]));
  const stages = ['layer2.0', 'layer3.0', 'layer4.0'].filter((block) => byModule.has(`${block}.conv3`));
  let place: 'conv1' | 'conv2' | undefined;
  for (const block of stages) {
    const [first, second] = [byModule.get(`${block}.conv1`), byModule.get(`${block}.conv2`)].map(strideOf);
    const here = first === 2 && second === 1 ? 'conv1' : first === 1 && second === 2 ? 'conv2' : undefined;
    if (here === undefined || here !== (place ?? here)) {
      const where = place ?? 'conv1 or conv2';
      throw new Error(`${block}: expected stride 2 in ${where} alone, got ${first} in conv1 and ${second} in conv2.`);
    }
    place = here;
  }
  return place;
}

/** The stride that rows and columns share, if they do. */
function strideOf(layer: KerasLayer | undefined): number | undefined {
  const strides = layer?.config.strides;
  if (!Array.isArray(strides) || strides.length !== 2 || strides[0] !== strides[1]) return undefined;
  return typeof strides[0] === 'number' ? strides[0] : undefined;
}
