/** Norms: with statistics of their own, or of the values themselves. */

import type { ParameterNames } from '../../../../../models/index.js';
import { size } from '../../../../util/shape.js';
import type { Call } from '../call.js';
import { redimensioned } from '../constant.js';
import type { Network } from '../network.js';
import { dimsOf, joined, type Value } from '../value.js';
import type { Handler, Handlers } from './handler.js';

/** The value with its second dimension last in memory, and all of a node's channels. */
export function channelsLast(net: Network, call: Call, given: Value): Value {
  const x = joined(given);
  const [, c = 1] = dimsOf(x);
  const { h, w, c: now } = net.shape(x);
  const [axis = -1] = x.dims[1] ?? [];
  if (axis === x.axes.length - 1 || c === 1) {
    return now === c ? x : net.shaped(call, x, { h: 1, w: (h * w * now) / c, c });
  }
  const others = x.dims.map((_, dim) => dim).filter((dim) => dim !== 1 && !(dim === 0 && x.isBatched));
  const [first = -1, ...rest] = others.filter((dim) => (x.dims[dim] ?? []).length > 0);
  return net.arranged(call, x, first < 0 ? [] : [first], rest, [1]);
}

/** A vector of `count` values of an input. */
function vector(
  net: Network,
  call: Call,
  role: 'weight' | 'bias' | 'running_mean' | 'running_var',
  i: number,
  count: number,
) {
  const constant = call.constant(i, role.replace('running_', ''));
  if (size(constant.dims) !== count) throw call.malformed(`${count} values of ${role}`, constant.dims);
  return net.tensor(call, role, [count], redimensioned(constant, [count]));
}

const batchNormalization: Handler = (net, call) => {
  if (call.int('training_mode', 0) === 1 || call.node.outputs.slice(1).some((name) => name !== ''))
    throw call.refusal('it trains: its statistics are those of the batch');
  const x = channelsLast(net, call, call.value());
  const { c } = net.shape(x);
  const roles = ['weight', 'bias', 'running_mean', 'running_var'] as const;
  const params = Object.fromEntries(
    roles.map((role, i) => [role, vector(net, call, role, i + 1, c)]),
  ) as ParameterNames;
  return net.same(call, x, 'batchNorm', { eps: call.float('epsilon', 1e-5) }, params);
};

const affine = (net: Network, call: Call, first: number, c: number): ParameterNames => ({
  ...(call.has(first) ? { weight: vector(net, call, 'weight', first, c) } : {}),
  ...(call.has(first + 1) ? { bias: vector(net, call, 'bias', first + 1, c) } : {}),
});

const instanceNormalization: Handler = (net, call) => {
  const x = channelsLast(net, call, call.value());
  const { c } = net.shape(x);
  const [n = 1] = dimsOf(x);
  if (n !== 1 && !x.isBatched) throw call.refusal(`it reads ${n} images at once`);
  const params = affine(net, call, 1, c);
  return net.same(call, x, 'groupNorm', { groups: c, eps: call.float('epsilon', 1e-5) }, params);
};

const groupNormalization: Handler = (net, call) => {
  const x = channelsLast(net, call, call.value());
  const { c } = net.shape(x);
  const groups = call.int('num_groups', 1);
  if (call.opset < 21 && groups !== c) throw call.refusal('its scales are those of groups');
  const params = affine(net, call, 1, c);
  return net.same(call, x, 'groupNorm', { groups, eps: call.float('epsilon', 1e-5) }, params);
};

/** Over the dimensions from `axis` on, which have to lie together, and last in memory. */
const layerNormalization: Handler = (net, call) => {
  if (call.node.outputs.slice(1).some((name) => name !== '')) throw call.refusal('its statistics are wanted too');
  const given = joined(call.value());
  const rank = given.dims.length;
  const axis = call.axis(call.int('axis', -1), rank);
  if (given.isBatched && axis === 0) throw call.refusal('it is over the batch');
  const dims = given.dims.map((_, dim) => dim);
  const outer = dims.slice(given.isBatched ? 1 : 0, axis);
  const x = net.arranged(call, given, outer.slice(0, -1), outer.slice(-1), dims.slice(axis));
  const { c } = net.shape(x);
  return net.same(call, x, 'layerNorm', { eps: call.float('epsilon', 1e-5) }, affine(net, call, 1, c));
};

const localResponse: Handler = (net, call) => {
  const x = channelsLast(net, call, call.value());
  return net.same(call, x, 'localResponseNorm', {
    size: call.int('size', 1),
    alpha: call.float('alpha', 1e-4),
    beta: call.float('beta', 0.75),
    bias: call.float('bias', 1),
  });
};

export const norms: Handlers = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  LayerNormalization: layerNormalization,
  LRN: localResponse,
};
