/** The layers of Keras that can be run: a row per class, each from what it reads to what it makes. */

import { ResnetError } from '../../../../models/errors.js';
import type { Activation, NodeId } from '../../../../models/index.js';
import { label, shown } from '../../../util/messages.js';
import { size } from '../../../util/shape.js';
import { activationLayers, activationNamed } from './activations.js';
import {
  booleanOf,
  channelsOf,
  checkChannelsLast,
  checkLastAxis,
  countOf,
  named,
  numberOf,
  pairOf,
  refusal,
} from './fields.js';
import type { KerasNetwork, Value } from './network.js';
import type { KerasLayer } from './topology.js';
import { globalPool, pool, upSampling, windowOf, zeroPadding } from './windows.js';

/** One call of a layer. */
interface Call {
  readonly net: KerasNetwork;
  readonly layer: KerasLayer;
  /** What it reads first. */
  readonly x: Value;
  readonly inputs: readonly Value[];
}

type Translate = (call: Call) => Value;

/** Adds what a layer says of its activation to what it computed. */
function activated({ net, layer }: Pick<Call, 'net' | 'layer'>, value: Value, key = 'activation'): Value {
  const activation = activationNamed(layer, named(layer, key), net.version);
  if (activation === undefined) return value;
  const isAlone = layer.kind === 'Activation';
  if (activation === 'softmax') return softmax(net, layer, value, isAlone ? '' : '.softmax');
  return net.activation(`${net.nameOf(layer)}${isAlone ? '' : '.activation'}`, value, activation);
}

function softmax(net: KerasNetwork, layer: KerasLayer, value: Value, part: string): Value {
  const x = net.channels(layer, value);
  return net.same(x, net.g.softmax(net.free(`${net.nameOf(layer)}${part}`), x.node), true);
}

/** A convolution with the bias that the layer has, if it has one. */
function convolved(
  { net, layer, x }: Call,
  kernel: string,
  { channels, groups, isPart = false }: { channels: number; groups: number; isPart?: boolean },
): Value {
  checkChannelsLast(layer);
  if (x.rank !== 4) throw refusal(layer, 'it reads no map');
  const window = windowOf(net, layer, x, pairOf(layer, 'kernel_size'), pairOf(layer, 'dilation_rate', 1));
  const [kh, kw] = window.kernel;
  const inner = net.shape(x).c / groups;
  const isDepthwise = kernel !== 'kernel' || layer.kind === 'DepthwiseConv2D';
  const part = isPart ? '.depthwise' : '';
  const shape = [channels, inner, kh, kw];
  const stored = isDepthwise ? [kh, kw, groups, channels / groups] : [kh, kw, inner, channels];
  const weight = net.variable(layer, kernel, 'weight', { shape, stored, order: 'IO' }, part);
  const bias = isPart ? {} : biasOf(net, layer, channels);
  const params = { weight, ...bias };
  const name = net.free(`${net.nameOf(layer)}${part}`);
  const node = net.g.conv(name, x.node, channels, { ...window, groups, params });
  return { node, rank: 4, zeros: undefined, isPositive: false };
}

const biasOf = (net: KerasNetwork, layer: KerasLayer, c: number): { bias?: string } =>
  booleanOf(layer, 'use_bias', true) ? { bias: net.variable(layer, 'bias', 'bias', { shape: [c] }) } : {};

/** The name of a depthwise kernel, which Keras 3 calls like any other. */
const depthwiseKernel = ({ version }: KerasNetwork): string => (version === 3 ? 'kernel' : 'depthwise_kernel');

/** A matrix on every pixel of a map, or on the whole of a flattened one. */
function dense({ net, layer, x: given }: Call, kernel: string, c: number): Value {
  const x = net.settled(layer, given);
  const { h, w, c: inner } = net.shape(x);
  const name = net.free(net.nameOf(layer));
  // The kernel comes first: Keras 3 numbers variables.
  if (x.rank === 4) {
    const shape = [c, inner, 1, 1];
    const isDense = kernel === 'kernel';
    const stored = isDense ? [inner, c] : [1, 1, inner, c];
    const weight = net.variable(layer, kernel, 'weight', { shape, stored, order: 'IO' });
    return net.same(x, net.g.conv(name, x.node, c, { kernel: 1, params: { weight, ...biasOf(net, layer, c) } }));
  }
  const shape = [c, h * w * inner];
  const map = h * w > 1 ? ([h, w] as const) : undefined;
  const weight = net.variable(layer, kernel, 'weight', { shape, stored: [h * w * inner, c], order: 'IO', map });
  return net.same(x, net.g.linear(name, x.node, c, false, { params: { weight, ...biasOf(net, layer, c) } }));
}

function batchNorm({ net, layer, x: given }: Call): Value {
  const x = net.channels(layer, given);
  checkLastAxis(layer, x.rank);
  const shape = [net.shape(x).c];
  const has = { gamma: booleanOf(layer, 'scale', true), beta: booleanOf(layer, 'center', true) };
  const tensors = [
    has.gamma ? net.variable(layer, 'gamma', 'weight', { shape }) : [1],
    has.beta ? net.variable(layer, 'beta', 'bias', { shape }) : [0],
    net.variable(layer, 'moving_mean', 'running_mean', { shape }),
    net.variable(layer, 'moving_variance', 'running_var', { shape }),
  ];
  return net.norm(layer, x, tensors, numberOf(layer, 'epsilon', 1e-3));
}

/** Rescaling and Normalization are batch norms with constants: what the model reads stays what it reads in Keras. */
function rescaling({ net, layer, x: given }: Call): Value {
  const x = net.channels(layer, given);
  const { c } = net.shape(x);
  const [scale, offset] = [channelsOf(layer, 'scale', c), channelsOf(layer, 'offset', c, 0)];
  return net.norm(layer, x, [scale, offset, [0], [1]]);
}

function normalization({ net, layer, x: given }: Call): Value {
  const x = net.channels(layer, given);
  if (booleanOf(layer, 'invert', false)) throw refusal(layer, 'it is inverted');
  checkLastAxis(layer, x.rank);
  const shape = [net.shape(x).c];
  const isGiven = layer.config.mean !== undefined && layer.config.mean !== null;
  const statistic = (variable: 'mean' | 'variance', role: 'running_mean' | 'running_var') =>
    isGiven ? channelsOf(layer, variable, shape[0] as number) : net.variable(layer, variable, role, { shape });
  return net.norm(layer, x, [[1], [0], statistic('mean', 'running_mean'), statistic('variance', 'running_var')]);
}

function prelu({ net, layer, x: given }: Call): Value {
  const x = net.channels(layer, given);
  const { h, w, c } = net.shape(x);
  const shared = [layer.config.shared_axes ?? []].flat() as unknown[];
  const isPerChannel = h * w === 1 || (shared.includes(1) && shared.includes(2) && shared.length === 2);
  if (!isPerChannel) throw refusal(layer, 'its slopes differ from pixel to pixel');
  const stored = x.rank === 4 ? [1, 1, c] : [c];
  const weight = net.variable(layer, 'alpha', 'weight', { shape: [c], stored });
  return net.activation(net.nameOf(layer), x, { kind: 'prelu' }, { weight });
}

/** Two inputs or more, the result of the first two with the third and so on. */
const folded =
  (join: (call: Call, name: string, a: NodeId, b: NodeId) => NodeId): Translate =>
  (call) => {
    const { net, layer, inputs } = call;
    const [first, ...others] = inputs.map((value) => net.settled(layer, value));
    if (!first || others.length === 0) throw refusal(layer, 'it reads only one value');
    if (others.some(({ rank }) => rank !== first.rank)) throw refusal(layer, 'it reads maps and vectors');
    const name = net.nameOf(layer);
    const isPositive = inputs.every((value) => value.isPositive);
    const node = others.reduce((sum, { node }) => join(call, net.free(name), sum, node), first.node);
    return net.same(first, node, isPositive);
  };

function concatenate({ net, layer, inputs }: Call): Value {
  const values = inputs.map((value) => net.channels(layer, value));
  const [first] = values;
  if (!first || values.some(({ rank }) => rank !== first.rank)) throw refusal(layer, 'it reads maps and vectors');
  checkLastAxis(layer, first.rank);
  const isPositive = values.every((value) => value.isPositive);
  return net.same(
    first,
    net.concat(
      net.nameOf(layer),
      values.map(({ node }) => node),
    ),
    isPositive,
  );
}

function flatten({ net, layer, x }: Call): Value {
  checkChannelsLast(layer);
  return { ...net.settled(layer, x), rank: 2 };
}

/** Of vectors and of maps to vectors alone: other values would change places. */
function reshape({ net, layer, x: given }: Call): Value {
  const x = net.settled(layer, given);
  const { h, w, c } = net.shape(x);
  const target = layer.config.target_shape;
  const sizes: unknown[] = Array.isArray(target) ? target : [];
  const known = sizes.filter((n): n is number => typeof n === 'number' && n > 0);
  const last = sizes.at(-1);
  const isVector = sizes.length === 1 && (last === -1 || last === h * w * c);
  if (isVector) return { ...x, rank: 2 };
  const isPixel = sizes.length === 3 && h * w === 1 && size(known.slice(0, 2)) === 1;
  if (isPixel && (last === c || last === -1)) return { ...x, rank: 4 };
  throw refusal(layer, `it makes ${shown(target)} of ${h}x${w}x${c}`);
}

const nothing: Translate = ({ x }) => x;

const alone =
  (activationOf: (layer: KerasLayer) => Activation): Translate =>
  ({ net, layer, x }) =>
    net.activation(net.nameOf(layer), net.settled(layer, x), activationOf(layer));

const conv2d: Translate = (call) => {
  const channels = countOf(call.layer, 'filters');
  return activated(call, convolved(call, 'kernel', { channels, groups: countOf(call.layer, 'groups', 1) }));
};

const depthwise: Translate = (call) => {
  const groups = call.net.shape(call.x).c;
  const channels = groups * countOf(call.layer, 'depth_multiplier', 1);
  return activated(call, convolved(call, depthwiseKernel(call.net), { channels, groups }));
};

const separable: Translate = (call) => {
  const groups = call.net.shape(call.x).c;
  const channels = groups * countOf(call.layer, 'depth_multiplier', 1);
  const x = convolved(call, 'depthwise_kernel', { channels, groups, isPart: true });
  return activated(call, dense({ ...call, x }, 'pointwise_kernel', countOf(call.layer, 'filters')));
};

const batchNorms = { BatchNormalization: batchNorm, BatchNormalizationV1: batchNorm, BatchNormalizationV2: batchNorm };

/** What has no effect but in training. */
const trainers = Object.fromEntries(
  [
    'Dropout',
    'SpatialDropout2D',
    'AlphaDropout',
    'GaussianDropout',
    'GaussianNoise',
    'ActivityRegularization',
    'RandomFlip',
    'RandomRotation',
    'RandomTranslation',
    'RandomZoom',
    'RandomContrast',
    'RandomBrightness',
    'Identity',
  ].map((kind) => [kind, nothing]),
);

const rows: Readonly<Record<string, Translate>> = {
  ...trainers,
  ...batchNorms,
  Conv2D: conv2d,
  DepthwiseConv2D: depthwise,
  SeparableConv2D: separable,
  Dense: (call) => activated(call, dense(call, 'kernel', countOf(call.layer, 'units'))),
  Activation: (call) => activated(call, call.net.settled(call.layer, call.x)),
  ReLU: alone(activationLayers.ReLU as (layer: KerasLayer) => Activation),
  LeakyReLU: alone(activationLayers.LeakyReLU as (layer: KerasLayer) => Activation),
  PReLU: prelu,
  Softmax: ({ net, layer, x }) => {
    checkLastAxis(layer, x.rank);
    return softmax(net, layer, x, '');
  },
  Add: folded(({ net }, name, a, b) => net.g.add(name, a, b)),
  Multiply: folded(({ net }, name, a, b) => net.g.mul(name, a, b)),
  Concatenate: concatenate,
  ZeroPadding2D: ({ net, layer, x }) => zeroPadding(net, layer, x),
  MaxPooling2D: ({ net, layer, x }) => pool(net, layer, x, 'max'),
  AveragePooling2D: ({ net, layer, x }) => pool(net, layer, x, 'mean'),
  GlobalMaxPooling2D: ({ net, layer, x }) => globalPool(net, layer, x, 'max'),
  GlobalAveragePooling2D: ({ net, layer, x }) => globalPool(net, layer, x, 'mean'),
  UpSampling2D: ({ net, layer, x }) => upSampling(net, layer, x),
  Flatten: flatten,
  Reshape: reshape,
  Rescaling: rescaling,
  Normalization: normalization,
};

/** Classes as Keras 1 called them, and as it calls its operators. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  MaxPool2D: 'MaxPooling2D',
  AvgPool2D: 'AveragePooling2D',
  GlobalAvgPool2D: 'GlobalAveragePooling2D',
  GlobalMaxPool2D: 'GlobalMaxPooling2D',
  Convolution2D: 'Conv2D',
};

/** Adds the nodes of one call of a layer. Throws one sentence with the layer's name and class if it cannot be run. */
export function translateLayer(net: KerasNetwork, layer: KerasLayer, inputs: readonly Value[]): Value {
  const { kind, name } = layer;
  const wanted = OTHER_NAMES[kind] ?? kind;
  const row = !layer.isCustom && Object.hasOwn(rows, wanted) ? rows[wanted] : undefined;
  if (!row) throw new ResnetError('weights', `${label(name)}: layers of class ${label(kind)} cannot be run here.`);
  if (layer.isTraining) throw refusal(layer, 'it is called to train');
  const [x] = inputs;
  if (!x) throw new ResnetError('weights', `${label(name)}: expected what this ${label(kind)} reads, got nothing.`);
  const isJoining = row === rows.Add || row === rows.Multiply || row === rows.Concatenate;
  if (inputs.length > 1 && !isJoining) throw refusal(layer, `it reads ${inputs.length} values`);
  return row({ net, layer, x, inputs });
}

/** Whether a layer has no effect but in training. */
export const isTrainer = ({ kind, isTraining }: KerasLayer): boolean => Object.hasOwn(trainers, kind) && !isTraining;
