/** Keras's layers that slide a window over a map, or give it another size: zeros around it as TensorFlow counts them. */

import type { Padding, Pair, Reduction } from '../../../../models/index.js';
import { shown } from '../../../util/messages.js';
import { checkChannelsLast, named, paddingOf, pairOf, refusal } from './fields.js';
import { type KerasNetwork, NO_ZEROS, sumOf, type Value } from './network.js';
import type { KerasLayer } from './topology.js';

/** What `same` adds to a side of `size`: the smaller half comes first. */
function sameSides(size: number, kernel: number, stride: number, dilation: number): [number, number] {
  const all = Math.max(0, (Math.ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1 - size);
  return [Math.floor(all / 2), Math.ceil(all / 2)];
}

/** The padding that a layer itself says. */
function paddingOn(
  net: KerasNetwork,
  layer: KerasLayer,
  x: Value,
  { kernel, stride, dilation }: { kernel: Pair; stride: Pair; dilation: Pair },
): Padding {
  if (paddingOf(layer) === 'valid') return NO_ZEROS;
  const { h, w } = net.shape(x);
  const [top, bottom] = sameSides(h, kernel[0], stride[0], dilation[0]);
  const [left, right] = sameSides(w, kernel[1], stride[1], dilation[1]);
  return { top, left, bottom, right };
}

/** A convolution's window, with the zeros that are due. */
export function windowOf(net: KerasNetwork, layer: KerasLayer, x: Value, kernel: Pair, dilation: Pair) {
  const stride = pairOf(layer, 'strides', 1);
  const own = paddingOn(net, layer, x, { kernel, stride, dilation });
  return { kernel, stride, dilation, padding: sumOf(own, x.zeros ?? NO_ZEROS) };
}

const isNone = ({ top, left, bottom, right }: Padding): boolean => top + left + bottom + right === 0;

/** Whether the kernels take so much padding: half a window. */
const isFit = ({ top, left, bottom, right }: Padding, [kh, kw]: Pair): boolean =>
  Math.max(top, bottom) * 2 <= kh && Math.max(left, right) * 2 <= kw;

/** Max or average pool. `same` neither counts as a value nor in the divisor; zeros that ZeroPadding2D adds do both. */
export function pool(net: KerasNetwork, layer: KerasLayer, given: Value, reduction: 'max' | 'mean'): Value {
  checkChannelsLast(layer);
  if (given.rank !== 4) throw refusal(layer, 'it reads no map');
  const kernel = pairOf(layer, 'pool_size', 2);
  const stride = pairOf(layer, 'strides', kernel);
  const window = { kernel, stride, dilation: [1, 1] as const };
  const isValid = paddingOf(layer) === 'valid';
  // Beside values below 0, a zero is not what lies outside a max pool's map.
  const takesZeros = isValid && (reduction === 'mean' || given.isPositive);
  const x = given.zeros && takesZeros && isFit(given.zeros, kernel) ? given : net.settled(layer, given);
  const padding = sumOf(paddingOn(net, layer, x, window), x.zeros ?? NO_ZEROS);
  const { h, w } = net.shape(x);
  const options = { kernel, stride, padding };
  if (isNone(padding) && kernel[0] === h && kernel[1] === w)
    return { ...globalPool(net, layer, x, reduction), rank: 4 };
  const name = net.free(net.nameOf(layer));
  const isExcluded = !isValid && !isNone(padding);
  const node =
    reduction === 'max'
      ? net.g.maxPool(name, x.node, options)
      : net.g.avgPool(name, x.node, { ...options, ...(isExcluded ? { countsPadding: false } : {}) });
  return { node, rank: 4, zeros: undefined, isPositive: given.isPositive };
}

export function globalPool(net: KerasNetwork, layer: KerasLayer, given: Value, reduction: Reduction): Value {
  checkChannelsLast(layer);
  if (given.rank !== 4) throw refusal(layer, 'it reads no map');
  const x = net.settled(layer, given);
  const node = net.g.reduce(net.free(net.nameOf(layer)), x.node, reduction);
  return { node, rank: layer.config.keepdims === true ? 4 : 2, zeros: undefined, isPositive: x.isPositive };
}

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

/** Zeros that the next layer puts there: one number, [rows, columns], or [[top, bottom], [left, right]]. */
export function zeroPadding(net: KerasNetwork, layer: KerasLayer, x: Value): Value {
  checkChannelsLast(layer);
  if (x.rank !== 4) throw refusal(layer, 'it reads no map');
  const { padding = 1 } = layer.config;
  const [rows, columns] = Array.isArray(padding) ? padding : [padding, padding];
  const [ends, sides] = [rows, columns].map((each) => (Array.isArray(each) ? each : [each, each]));
  const all = [...(ends ?? []), ...(sides ?? [])];
  if (all.length !== 4 || !all.every(isCount)) throw refusal(layer, `its padding is ${shown(padding)}`);
  const [top, bottom, left, right] = all as [number, number, number, number];
  const zeros = sumOf({ top, bottom, left, right }, x.zeros ?? NO_ZEROS);
  const { c } = net.shape(x);
  return isNone(zeros) || c === 0 ? x : { ...x, zeros };
}

/** A whole number of times as high and wide. */
export function upSampling(net: KerasNetwork, layer: KerasLayer, given: Value): Value {
  checkChannelsLast(layer);
  if (given.rank !== 4) throw refusal(layer, 'it reads no map');
  const x = net.settled(layer, given);
  const { h, w } = net.shape(x);
  const [y, z] = pairOf(layer, 'size', 2);
  const { name: mode } = 'interpolation' in layer.config ? named(layer, 'interpolation') : { name: 'nearest' };
  if (mode !== 'nearest' && mode !== 'bilinear') throw refusal(layer, `its interpolation is ${shown(mode)}`);
  const node = net.g.resize(net.free(net.nameOf(layer)), x.node, h * y, w * z, { mode });
  return net.same(x, node, x.isPositive);
}
