/**
 * Topologies that list layers without saying what each reads, as some converters leave them: a network of the registry
 * by its layers' names, with what the others change of it.
 */

import { ResnetError } from '../../../../models/errors.js';
import {
  buildNetwork,
  type Graph,
  type NodeId,
  type Op,
  type Parameter,
  type ParameterNames,
  parameters,
} from '../../../../models/index.js';
import { kerasResnetModule } from '../../../../models/keras-names.js';
import { label, shown } from '../../../util/messages.js';
import type { ArchConfig, TensorInfo } from '../../types.js';
import { heldTensor } from '../spans.js';
import { type FamilyMatch, modulesOf, networkWith, withModules } from './built-in.js';
import { named, refusal } from './fields.js';
import { isTrainer, translateLayer } from './layers.js';
import { layerOf, stateDictTensor } from './names.js';
import { type KerasFile, KerasNetwork, type Value } from './network.js';
import { allLayers, type KerasLayer, type KerasModel } from './topology.js';
import type { FileTensor } from './variables.js';

const HAS_VALUES = /^(Conv2D|Dense|BatchNormalization(V\d)?)$/;
const IS_NORM = /^BatchNormalization(V\d)?$/;

/** Whether no layer says what it reads, and that is not just the layer before it. */
export function isSketch(model: KerasModel): boolean {
  const isTold = ({ layers }: KerasModel): boolean =>
    layers.some(({ calls, model: inner }) => calls.some((call) => call.length > 0) || (inner && isTold(inner)));
  const isPlain = ({ layers, isSequential }: KerasModel): boolean =>
    (isSequential || layers.length < 2) && layers.every((layer) => !layer.model || isPlain(layer.model));
  const layers = [...allLayers(model)].map(({ layer }) => layer);
  const isSized = layers.every(({ kind, config }) =>
    kind === 'Conv2D' ? config.kernel_size !== undefined : kind !== 'Dense' || config.units !== undefined,
  );
  return !isTold(model) && !(isPlain(model) && isSized);
}

/** Reads a topology and a file's tensors by their names. Throws if the network that they are of lacks a layer. */
export function sketched(model: KerasModel, given: readonly FileTensor[]): KerasFile {
  const layers = new Map<string, KerasLayer>();
  for (const { layer } of allLayers(model)) {
    if (layers.has(layer.name))
      throw new ResnetError('weights', `${label(layer.name)}: two layers of the topology have this name.`);
    layers.set(layer.name, layer);
  }
  const tensors = namedTensors(layers, given);
  const config = kerasConfig(layers);
  const all = [...layers.values()];
  const match = modulesOf(
    all.filter(({ kind }) => HAS_VALUES.test(kind)).map(({ name, kind }) => ({ name, isDense: kind === 'Dense' })),
  );
  const changes = all.filter(changesNetwork);
  const [change] = changes;
  if (!change) {
    const family = match?.family;
    return {
      config: family?.batchNormEps ? { ...config, batchNormEps: epsilonOf(all) ?? family.batchNormEps } : config,
      tensors: match ? withModules(tensors, match, undefined) : tensors,
      constants: [],
      preprocessing: family?.preprocessing,
    };
  }
  const base = match && baseOf(match, tensors, config);
  if (!base) throw refusal(change, 'the topology does not say what it reads');
  const { net, graph } = changed(model.name, base, match, all, changes);
  const isNormalised = changes.some(({ kind }) => IS_INPUT.test(kind));
  const preprocessing = isNormalised ? 'raw' : match.family.preprocessing;
  return { graph, config: {}, tensors, constants: [...net.constants.values()], preprocessing };
}

function namedTensors(layers: ReadonlyMap<string, KerasLayer>, given: readonly FileTensor[]): TensorInfo[] {
  const sources = new Map<string, string>();
  return given.map(({ path, shape, dtype }) => {
    const from = label(path.join('/'));
    const name = path.slice(-2).join('/');
    const tensor = stateDictTensor(name, shape);
    if (!layers.has(layerOf(name))) throw new ResnetError('weights', `${from}: the topology has no such layer.`);
    const other = sources.get(tensor.name);
    if (other !== undefined) {
      throw new ResnetError(
        'weights',
        `${label(tensor.name)}: ${shown(other)} and ${shown(from)} are both this tensor.`,
      );
    }
    sources.set(tensor.name, from);
    if (!dtype) throw new ResnetError('weights', `${from}: only values of floating point can be read.`);
    return heldTensor(tensor.name, tensor.shape, dtype, tensor.order);
  });
}

/** What prepares pictures, if it comes before all matrices. */
const IS_INPUT = /^(Rescaling|Normalization)$/;

/** What the registry's networks have where Keras has it, too. */
const IS_USUAL =
  /^(InputLayer|ReLU|Add|Concatenate|Flatten|ZeroPadding2D|MaxPooling2D|AveragePooling2D|GlobalAveragePooling2D)$/;

/** Whether a layer makes another network of the one that has its tensors. Throws if it has an activation of another kind. */
function changesNetwork(layer: KerasLayer): boolean {
  const { kind } = layer;
  if (kind === 'Dense' || kind === 'Activation') {
    const { name } = named(layer, 'activation');
    const usual = kind === 'Dense' ? ['linear', 'softmax'] : ['linear', 'softmax', 'relu'];
    return !usual.includes(name);
  }
  return !(HAS_VALUES.test(kind) || IS_USUAL.test(kind) || isTrainer(layer));
}

function baseOf(match: FamilyMatch, tensors: readonly TensorInfo[], config: ArchConfig): Graph | undefined {
  const network = networkWith(match, tensors, config);
  if (network === undefined) return undefined;
  // The first and the last of the network's matrices say what goes in and what comes out.
  const usual = parameters(buildNetwork(network)).filter(({ role }) => role === 'weight');
  const shapeOf = (weight: Parameter | undefined) =>
    tensors.find(({ name }) => `${match.modules.get(name.slice(0, -'.weight'.length))}.weight` === weight?.name)?.shape;
  const [inChannels, classes] = [shapeOf(usual[0])?.[1], shapeOf(usual.at(-1))?.[0]];
  return buildNetwork(network, { ...config, classes, inChannels });
}

/** The base's nodes one by one, with the layers that change it in their places; tensors keep Keras's names. */
function changed(
  name: string,
  base: Graph,
  { modules, family }: FamilyMatch,
  layers: readonly KerasLayer[],
  changes: readonly KerasLayer[],
): { net: KerasNetwork; graph: Graph } {
  const net = new KerasNetwork(name, 2, new Map());
  const keras = new Map([...modules].map(([layer, module]) => [module, layer]));
  const first = layers.findIndex(({ kind }) => HAS_VALUES.test(kind));
  const isBefore = (layer: KerasLayer) => IS_INPUT.test(layer.kind) && layers.indexOf(layer) < first;
  const places: NodeId[] = [];
  let value: Value = { node: 0, rank: 4, zeros: undefined, isPositive: false };
  for (const { id, name: node, shape: _, inputs, params, kind, ...attributes } of base.nodes) {
    const own = Object.entries(params).map(([role, tensor]) => {
      const module = tensor.slice(0, tensor.lastIndexOf('.'));
      return [role, `${keras.get(module) ?? module}.${role}`];
    });
    const isMax = kind === 'reduce' && changes.some((layer) => layer.kind === 'GlobalMaxPooling2D');
    const op = { ...attributes, ...(isMax ? { reduction: 'max' } : {}) } as Omit<Op, 'kind'>;
    const reads = inputs.map((input) => places[input] as NodeId);
    const made = net.g.op(kind, net.free(node), reads, op as never, {
      params: Object.fromEntries(own) as ParameterNames,
    });
    value = { ...value, node: made, rank: net.g.shape(made).h > 1 ? 4 : 2 };
    if (kind === 'input') for (const layer of changes.filter(isBefore)) value = translateLayer(net, layer, [value]);
    places[id] = value.node;
  }
  for (const layer of changes) {
    if (isBefore(layer) || layer.kind === 'GlobalMaxPooling2D') continue;
    const isHead = modules.get(layer.name) === family.head;
    if (!isHead && layer.kind !== 'Activation') throw refusal(layer, 'the topology does not say what it reads');
    // What a classifier ends in is an activation by itself.
    value = translateLayer(net, { ...layer, kind: 'Activation', name: `${layer.name}.activation` }, [value]);
  }
  return { net, graph: net.g.finish(value.node) };
}

const epsilonOf = (layers: readonly KerasLayer[]): number | undefined =>
  agreed(
    'epsilon',
    layers.filter(({ kind }) => IS_NORM.test(kind)),
    ({ name, config: { epsilon } }) => {
      if (typeof epsilon === 'number' && epsilon > 0) return epsilon;
      throw new ResnetError('weights', `${label(name)}: expected epsilon above 0, got ${shown(epsilon)}.`);
    },
  );

/**
 * Reads what the layers say of a residual network, and nothing of another. Throws if layers of a residual network
 * contradict each other.
 */
function kerasConfig(layers: ReadonlyMap<string, KerasLayer>): ArchConfig {
  const all = [...layers.values()];
  const values = all.filter(({ kind }) => HAS_VALUES.test(kind));
  const others = values.filter(({ name }) => kerasResnetModule(name) === undefined);
  if (others.length > 1 || others.some(({ kind }) => kind !== 'Dense')) return {};
  const convBias = agreed(
    'use_bias',
    all.filter(({ kind }) => kind === 'Conv2D'),
    ({ name, config: { use_bias: bias } }) => {
      if (typeof bias === 'boolean') return bias;
      throw new ResnetError('weights', `${label(name)}: expected use_bias to be true or false, got ${shown(bias)}.`);
    },
  );
  return { batchNormEps: epsilonOf(all), convBias, strideIn: bottleneckStride(all) };
}

/**
 * Reads what the names of a bottleneck network's tensors tell without a topology: Keras's own models, of either
 * generation, halve maps in a block's first convolution. No other models with such names are known.
 */
export function applicationConfig(tensors: readonly string[]): ArchConfig {
  const modules = tensors.map((name) => kerasResnetModule(layerOf(name)));
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
