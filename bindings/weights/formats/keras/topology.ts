/** What the topology of a Keras model, or the names of its layers, tells of a residual network. */

import { ResnetError } from '../../../../models/errors.js';
import { kerasResnetModule } from '../../../../models/keras-names.js';
import { isRecord } from '../../../util/json.js';
import { label, shown } from '../../../util/messages.js';
import type { ArchConfig } from '../../types.js';
import { kerasLayerOf } from './names.js';

/** A layer of a topology, as far as this project reads it. */
export interface KerasLayer {
  readonly name: string;
  readonly kind: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Lists the layers of a topology by name. Throws, `subject` first, if it is malformed. */
export function kerasLayers(subject: string, topology: unknown): Map<string, KerasLayer> {
  const model = isRecord(topology) && isRecord(topology.model_config) ? topology.model_config : topology;
  const config = isRecord(model) ? model.config : undefined;
  // A Sequential model of Keras before 2.3 is a bare list.
  const list = isRecord(config) ? config.layers : config;
  if (!Array.isArray(list)) {
    throw new ResnetError('weights', `${subject}: expected model_config.config.layers, got ${shown(list)}.`);
  }
  const layers = new Map<string, KerasLayer>();
  for (const [i, layer] of list.entries()) {
    const valid = isRecord(layer) && isRecord(layer.config) && typeof layer.class_name === 'string';
    const name = valid ? ((layer.config as Record<string, unknown>).name ?? layer.name) : undefined;
    if (!valid || typeof name !== 'string') {
      throw new ResnetError(
        'weights',
        `${subject}: expected layer ${i} to be {class_name, config: {name}}, got another value.`,
      );
    }
    if (layers.has(name))
      throw new ResnetError('weights', `${label(name)}: two layers of the topology have this name.`);
    layers.set(name, { name, kind: layer.class_name as string, config: layer.config as Record<string, unknown> });
  }
  return layers;
}

const HAS_VALUES = /^(Conv2D|Dense|BatchNormalization(V\d)?)$/;

/**
 * Reads what the layers say of a residual network, and nothing of another. Throws if layers of a residual network
 * contradict each other.
 */
export function kerasConfig(layers: ReadonlyMap<string, KerasLayer>): ArchConfig {
  const all = [...layers.values()];
  const named = all.filter(({ kind }) => HAS_VALUES.test(kind));
  if (!named.every(({ name }) => kerasResnetModule(name) !== undefined)) return {};
  const batchNormEps = agreed(
    'epsilon',
    all.filter(({ kind }) => /^BatchNormalization(V\d)?$/.test(kind)),
    ({ name, config: { epsilon } }) => {
      if (typeof epsilon === 'number' && epsilon > 0) return epsilon;
      throw new ResnetError('weights', `${label(name)}: expected epsilon above 0, got ${shown(epsilon)}.`);
    },
  );
  const convBias = agreed(
    'use_bias',
    all.filter(({ kind }) => kind === 'Conv2D'),
    ({ name, config: { use_bias: bias } }) => {
      if (typeof bias === 'boolean') return bias;
      throw new ResnetError('weights', `${label(name)}: expected use_bias to be true or false, got ${shown(bias)}.`);
    },
  );
  return { batchNormEps, convBias, strideIn: bottleneckStride(all) };
}

/**
 * Reads what the names of a bottleneck network's tensors tell without a topology: Keras's own models, of either
 * generation, halve maps in a block's first convolution. No other models with such names are known.
 */
export function applicationConfig(tensors: readonly string[]): ArchConfig {
  const modules = tensors.map((name) => kerasResnetModule(kerasLayerOf(name)));
  if (!modules.some((path) => path?.endsWith('.conv3'))) return {};
  const isRecent = tensors.some((name) => /^conv1_conv\//.test(name));
  const convBias = tensors.some((name, i) => /conv\d$/.test(modules[i] ?? '') && /\/bias(:0)?$/.test(name));
  return { batchNormEps: isRecent ? 1.001e-5 : 1e-3, convBias, strideIn: 'conv1' };
}

/** Finds the value that all layers have; undefined without layers. Throws if they differ. */
function agreed<T>(what: string, layers: readonly KerasLayer[], read: (layer: KerasLayer) => T): T | undefined {
  const [first] = layers;
  if (!first) return undefined;
  const value = read(first);
  for (const layer of layers) {
    const other = read(layer);
    if (other !== value) {
      throw new ResnetError(
        'weights',
        `${label(layer.name)}: expected ${what} ${value} as in ${label(first.name)}, got ${other}.`,
      );
    }
  }
  return value;
}

/** Finds the convolution of a bottleneck that halves the map in the first block of a stage. Throws if it is unclear. */
function bottleneckStride(layers: readonly KerasLayer[]): 'conv1' | 'conv2' | undefined {
  const byModule = new Map(layers.map((layer) => [kerasResnetModule(layer.name), layer]));
  const stages = ['layer2.0', 'layer3.0', 'layer4.0'].filter((block) => byModule.has(`${block}.conv3`));
  let place: 'conv1' | 'conv2' | undefined;
  for (const block of stages) {
    const [first, second] = [byModule.get(`${block}.conv1`), byModule.get(`${block}.conv2`)].map(strideOf);
    const here = first === 2 && second === 1 ? 'conv1' : first === 1 && second === 2 ? 'conv2' : undefined;
    if (here === undefined || here !== (place ?? here)) {
      const where = place ?? 'conv1 or conv2';
      throw new ResnetError(
        'weights',
        `${block}: expected stride 2 in ${where} alone, got ${first} in conv1 and ${second} in conv2.`,
      );
    }
    place = here;
  }
  return place;
}

/** Reads the stride that rows and columns share; undefined if they do not. */
function strideOf(layer: KerasLayer | undefined): number | undefined {
  const strides = layer?.config.strides;
  if (!Array.isArray(strides) || strides.length !== 2 || strides[0] !== strides[1]) return undefined;
  return typeof strides[0] === 'number' ? strides[0] : undefined;
}
