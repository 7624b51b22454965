/** Functions of each value by itself. */

import type { Activation, UnaryOperator } from '../../../../../models/index.js';
import { size } from '../../../../util/shape.js';
import type { Call } from '../call.js';
import { redimensioned } from '../constant.js';
import type { Network } from '../network.js';
import { BOOL, isFloating } from '../types.js';
import { dimsOf, isValue, joined, type Value } from '../value.js';
import { binary } from './binary.js';
import type { Handler, Handlers } from './handler.js';

const activated = (net: Network, call: Call, x: Value, activation: Activation): Value =>
  net.same(call, x, 'activation', { activation });

const activation =
  (make: (call: Call) => Activation): Handler =>
  (net, call) =>
    activated(net, call, call.value(), make(call));

const unary =
  (operator: UnaryOperator, numbers: (call: Call) => { alpha?: number; beta?: number } = () => ({})): Handler =>
  (net, call) => {
    const x = call.value();
    if (!isFloating(x.type)) throw call.refusal('it calculates with whole numbers');
    return net.same(call, x, 'unary', { operator, ...numbers(call) });
  };

/** Bounds are attributes up to opset 10, and inputs since. */
const clip: Handler = (net, call) => {
  const x = call.value();
  const low = call.scalar(1, 'least value') ?? call.float('min', Number.NEGATIVE_INFINITY);
  const high = call.scalar(2, 'greatest value') ?? call.float('max', Number.POSITIVE_INFINITY);
  if (low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY) return x;
  if (Number.isNaN(low) || Number.isNaN(high)) throw call.malformed('bounds that are numbers', [low, high]);
  // A least value above the greatest gives the greatest.
  return activated(net, call, x, { kind: 'clip', low: Math.min(low, high), high });
};

/** Slopes: one for all, one per channel, or any that are broadcast: max(x, 0) + slope · min(x, 0). */
const prelu: Handler = (net, call) => {
  const given = joined(call.value());
  const slope = call.operand(1);
  if (!isValue(slope)) {
    const own = slope.dims.flatMap((n, i) => (n === 1 ? [] : [i + given.dims.length - slope.dims.length]));
    if (own.length === 0)
      return activated(net, call, given, { kind: 'leakyRelu', slope: call.scalar(1, 'slope') ?? 0 });
    const [dim = -1] = own;
    const [axis = -1] = given.dims[dim] ?? [];
    const { c } = net.shape(given);
    if (own.length === 1 && axis === given.axes.length - 1 && c === dimsOf(given)[dim] && size(slope.dims) === c) {
      const weight = net.tensor(call, 'weight', [c], redimensioned(slope, [c]));
      return net.same(call, given, 'activation', { activation: { kind: 'prelu' } }, { weight });
    }
  }
  const positive = activated(net, call, given, { kind: 'relu' });
  const negative = activated(net, call, given, { kind: 'clip', low: Number.NEGATIVE_INFINITY, high: 0 });
  return binary(net, call, 'add', positive, binary(net, call, 'multiply', negative, slope));
};

const cast: Handler = (_, call) => {
  const x = call.value();
  const type = call.castType();
  if (!isFloating(type) && isFloating(x.type) && type !== BOOL) throw call.refusal('it makes whole numbers of a run');
  if (type === BOOL && x.type !== BOOL) throw call.refusal('it makes truth values of numbers');
  // All values of a run are float32.
  return { ...x, type };
};

const gelu: Handler = (net, call) => {
  const x = call.value();
  if (call.text('approximate', 'none') === 'tanh') return net.same(call, x, 'unary', { operator: 'geluTanh' });
  return activated(net, call, x, { kind: 'gelu' });
};

export const pointwise: Handlers = {
  Relu: activation(() => ({ kind: 'relu' })),
  LeakyRelu: activation((call) => ({ kind: 'leakyRelu', slope: call.float('alpha', 0.01) })),
  Sigmoid: activation(() => ({ kind: 'sigmoid' })),
  HardSigmoid: activation((call) => ({
    kind: 'hardSigmoid',
    alpha: call.float('alpha', 0.2),
    beta: call.float('beta', 0.5),
  })),
  HardSwish: activation(() => ({ kind: 'hardSwish' })),
  Silu: activation(() => ({ kind: 'silu' })),
  Gelu: gelu,
  Clip: clip,
  PRelu: prelu,
  Cast: cast,
  CastLike: (_, call) => ({ ...call.value(), type: call.operand(1).type }),
  Abs: unary('abs'),
  Sqrt: unary('sqrt'),
  Exp: unary('exp'),
  Log: unary('log'),
  Erf: unary('erf'),
  Tanh: unary('tanh'),
  Reciprocal: unary('reciprocal'),
  Softplus: unary('softplus'),
  Softsign: unary('softsign'),
  Mish: unary('mish'),
  Floor: unary('floor'),
  Ceil: unary('ceil'),
  Round: unary('round'),
  Sign: unary('sign'),
  Neg: unary('affine', () => ({ alpha: -1, beta: 0 })),
  Elu: unary('elu', (call) => ({ alpha: call.float('alpha', 1) })),
  Celu: unary('celu', (call) => ({ alpha: call.float('alpha', 1) })),
  Selu: unary('selu', (call) => ({
    alpha: call.float('alpha', 1.6732632423543772),
    beta: call.float('gamma', 1.0507009873554805),
  })),
  ThresholdedRelu: unary('thresholdedRelu', (call) => ({ alpha: call.float('alpha', 1) })),
};
