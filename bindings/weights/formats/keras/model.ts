/** What a Keras file is: its network as a graph, or as one of the registry, and its tensors under the names of that. */

import { ResnetError } from '../../../../models/errors.js';
import { buildNetwork } from '../../../../models/index.js';
import { label, shown } from '../../../util/messages.js';
import { sameShape, size } from '../../../util/shape.js';
import type { TensorInfo } from '../../types.js';
import { heldTensor } from '../spans.js';
import { builtIn, modulesOf, networkWith, withModules } from './built-in.js';
import { layerOf, stateDictTensor } from './names.js';
import type { KerasFile, Variable } from './network.js';
import { inOrder } from './order.js';
import { applicationConfig, isSketch, sketched } from './sketch.js';
import { allLayers, type KerasLayer, kerasModel } from './topology.js';
import { translate } from './translate.js';
import { byName, byNumber, type FileTensor, type Finder } from './variables.js';

/** How a file tells which layer a tensor is of. */
export type Naming = 'groups' | 'names' | 'numbers';

/** What a topology and a file's tensors come to. `version` is that of Keras, if the file says it. */
export function withTopology(
  subject: string,
  topology: unknown,
  tensors: readonly FileTensor[],
  naming: Naming,
  version: string | undefined,
): KerasFile {
  const model = kerasModel(subject, topology);
  if (isSketch(model)) return sketched(model, tensors);
  const { graph, variables, constants } = translate(model, versionOf(version, topology));
  const find = naming === 'numbers' ? byNumber(model, variables) : byName(model, naming === 'groups');
  const placed = placedTensors(tensors, find, variables);
  const match = modulesOf([...variables.keys()].map(({ name, kind }) => ({ name, isDense: kind === 'Dense' })));
  const found = match && builtIn(graph, match);
  const preprocessing = isNormalised(model) ? 'raw' : match?.family.preprocessing;
  if (!found) return { graph, config: {}, tensors: placed, constants, preprocessing };
  return { config: found.config, tensors: withModules(placed, match, found.graph), constants: [], preprocessing };
}

/** Whether a model prepares its pictures itself: what it reads is bytes then. */
const isNormalised = (model: ReturnType<typeof kerasModel>): boolean => {
  for (const { layer } of allLayers(model)) {
    if (layer.kind === 'Rescaling' || layer.kind === 'Normalization') return true;
    if (/^(Conv2D|DepthwiseConv2D|SeparableConv2D|Dense)$/.test(layer.kind)) return false;
  }
  return false;
};

/** Keras 3 says what a call reads as an object. */
function versionOf(version: string | undefined, topology: unknown): 2 | 3 {
  const [major] = /^\d+/.exec(version ?? '') ?? [];
  if (major !== undefined) return Number(major) >= 3 ? 3 : 2;
  return JSON.stringify(topology).includes('__keras_tensor__') ? 3 : 2;
}

/** Names the file's tensors as the graph does. Throws if one that a layer needs is missing, misshapen or there twice. */
function placedTensors(
  tensors: readonly FileTensor[],
  find: Finder,
  variables: ReadonlyMap<KerasLayer, ReadonlyMap<string, Variable>>,
): (TensorInfo | undefined)[] {
  const sources = new Map<Variable, string>();
  const placed = tensors.map((tensor) => {
    const path = label(tensor.path.join('/'));
    const place = find(tensor.path);
    if (!place) return undefined;
    const { layer } = place;
    const variable = wanted(variables.get(layer), place.variable);
    if (!variable) return undefined;
    const other = sources.get(variable);
    if (other !== undefined) {
      throw new ResnetError(
        'weights',
        `${label(variable.name)}: ${shown(other)} and ${shown(path)} are both this tensor.`,
      );
    }
    sources.set(variable, path);
    const isSame =
      variable.stored.length > 1 ? sameShape : (a: readonly number[], b: readonly number[]) => size(a) === size(b);
    if (!isSame(variable.stored, tensor.shape)) {
      throw new ResnetError(
        'weights',
        `${path}: expected ${shown(variable.stored)}, as the topology says, got ${shown(tensor.shape)}.`,
      );
    }
    if (!tensor.dtype) throw new ResnetError('weights', `${path}: only values of floating point can be read.`);
    const { map } = variable;
    const info = heldTensor(variable.name, variable.shape, tensor.dtype, variable.order);
    return map ? { ...info, map } : info;
  });
  for (const [layer, own] of variables) {
    for (const [name, variable] of own) {
      if (!sources.has(variable))
        throw new ResnetError('weights', `${label(layer.name)}: expected its ${name}, got no such tensor.`);
    }
  }
  return placed;
}

/** Keras 2 and 3 differ in the name of a depthwise kernel. */
const wanted = (own: ReadonlyMap<string, Variable> | undefined, name: string): Variable | undefined =>
  own?.get(name) ?? (name === 'depthwise_kernel' ? own?.get('kernel') : undefined);

/**
 * What the tensors come to without a topology. `names` are those of layers and variables (`conv1/kernel`): if they are
 * the names of one of Keras's own networks, or of layers that count in the order of just one network, that is it.
 */
export function withoutTopology(given: readonly FileTensor[], names: readonly string[]): KerasFile {
  const tensors = given.map(({ path, shape, dtype }, i) => {
    const { name, shape: own, order } = stateDictTensor(names[i] ?? '', shape);
    if (!dtype)
      throw new ResnetError('weights', `${label(path.join('/'))}: only values of floating point can be read.`);
    return heldTensor(name, own, dtype, order);
  });
  const layers = new Map<string, boolean>();
  tensors.forEach(({ shape }, i) => {
    const layer = layerOf(names[i] ?? '');
    layers.set(layer, layers.get(layer) || shape.length === 2);
  });
  const match = modulesOf([...layers].map(([name, isDense]) => ({ name, isDense })));
  if (!match) {
    const ordered = inOrder(tensors);
    return {
      config: ordered?.config ?? {},
      tensors: ordered?.tensors ?? tensors,
      constants: [],
      warnings: ordered && [
        `weights: the file says nothing of strides and padding, which are taken to be torchvision's; a whole model (.keras) says it.`,
      ],
    };
  }
  const { preprocessing, batchNormEps } = match.family;
  const config = batchNormEps ? { batchNormEps } : applicationConfig(names);
  const network = networkWith(match, tensors, config);
  const graph = network === undefined ? undefined : buildNetwork(network);
  return { config, preprocessing, tensors: withModules(tensors, match, graph), constants: [] };
}
