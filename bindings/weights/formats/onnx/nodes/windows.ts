/** Operations that slide a window over a map: convolutions and pools, in one or two dimensions. */

import type { Padding, Pair } from '../../../../../models/index.js';
import type { Call } from '../call.js';
import type { Network } from '../network.js';
import { dimsOf, type Value } from '../value.js';
import type { Handler, Handlers } from './handler.js';
import { mapOf, named } from './maps.js';

/** A window's sizes, rows first; of a sequence there is one row. */
interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Padding;
}

/** One or two numbers for rows and columns; for a sequence the rows have `one`. */
function pairOf(call: Call, given: readonly number[] | undefined, rank: number, one: number, usual: number): Pair {
  const list = given ?? Array.from({ length: rank }, () => usual);
  if (list.length !== rank) throw call.malformed(`${rank} numbers`, list);
  const [a = one, b = one] = rank === 1 ? [one, ...list] : list;
  return [a, b];
}

/** What auto_pad adds: the odd half comes last (SAME_UPPER) or first. */
function sameSides(mode: string, size: number, kernel: number, stride: number, dilation: number): [number, number] {
  const all = Math.max(0, (Math.ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1 - size);
  const [less, more] = [Math.floor(all / 2), Math.ceil(all / 2)];
  return mode === 'SAME_LOWER' ? [more, less] : [less, more];
}

/** Pads as [begin …, end …] of each dimension. */
export function paddingOf(call: Call, pads: readonly number[], rank: number): Padding {
  if (pads.length !== 2 * rank || !pads.every((n) => Number.isInteger(n)))
    throw call.malformed(`${2 * rank} pads`, pads);
  const [top = 0, left = 0, bottom = 0, right = 0] = rank === 1 ? [0, pads[0], 0, pads[1]] : pads;
  return { top, left, bottom, right };
}

export function windowOf(call: Call, x: Value, kernelDims: readonly number[]): Window {
  const sizes = dimsOf(x).slice(2);
  const rank = sizes.length;
  const kernel = pairOf(call, kernelDims, rank, 1, 1);
  const stride = pairOf(call, call.ints('strides'), rank, 1, 1);
  const dilation = pairOf(call, call.ints('dilations'), rank, 1, 1);
  const mode = call.text('auto_pad', 'NOTSET');
  if (mode === 'NOTSET' || mode === '') {
    const padding = paddingOf(call, call.ints('pads') ?? Array.from({ length: 2 * rank }, () => 0), rank);
    if (Math.min(...Object.values(padding)) < 0) throw call.refusal('its pads are below 0');
    return { kernel, stride, dilation, padding };
  }
  const [h = 1, w = 1] = rank === 1 ? [1, ...sizes] : sizes;
  const isValid = mode === 'VALID';
  const [top, bottom] = isValid ? [0, 0] : sameSides(mode, h, kernel[0], stride[0], dilation[0]);
  const [left, right] = isValid ? [0, 0] : sameSides(mode, w, kernel[1], stride[1], dilation[1]);
  return { kernel, stride, dilation, padding: { top, left, bottom, right } };
}

/** The dimensions of what a node over a map makes: batch, channels, and rows and columns or one of them. */
export const mapLike = (net: Network, x: Value, node: number): Value => named({ ...x, node }, net.g.shape(node));

const conv: Handler = (net, call) => {
  const weight = call.constant(1, 'weight');
  const x = mapOf(net, call, call.value());
  const { dims } = weight;
  const [channels = 0, perGroup = 0, ...kernelDims] = dims;
  const groups = call.int('group', 1);
  const { c } = net.shape(x);
  if (dims.length !== dimsOf(x).length || perGroup * groups !== c)
    throw call.malformed(`weights for ${c} channels in ${groups} groups`, dims);
  const window = windowOf(call, x, kernelDims);
  const bias = biasOf(net, call, 2, channels);
  const shape = [channels, perGroup, ...window.kernel];
  const params = { weight: net.tensor(call, 'weight', shape, weight), ...bias };
  return mapLike(net, x, net.add(call, 'conv', [x.node], { channels, groups, ...window }, params));
};

/** A bias of `channels` values that may be left out. */
export function biasOf(net: Network, call: Call, i: number, channels: number): { readonly bias?: string } {
  if (!call.has(i)) return {};
  const bias = call.constant(i, 'bias');
  if (bias.dims.reduce((product, n) => product * n, 1) !== channels)
    throw call.malformed(`a bias of ${channels} values`, bias.dims);
  return { bias: net.tensor(call, 'bias', [channels], bias) };
}

const convTranspose: Handler = (net, call) => {
  const weight = call.constant(1, 'weight');
  const x = mapOf(net, call, call.value());
  const { c } = net.shape(x);
  const sizes = dimsOf(x).slice(2);
  const rank = sizes.length;
  const [inputs = 0, perGroup = 0, ...kernelDims] = weight.dims;
  const groups = call.int('group', 1);
  const channels = perGroup * groups;
  if (inputs !== c || kernelDims.length !== rank) throw call.malformed(`weights for ${c} channels`, weight.dims);
  const kernel = pairOf(call, kernelDims, rank, 1, 1);
  const stride = pairOf(call, call.ints('strides'), rank, 1, 1);
  const dilation = pairOf(call, call.ints('dilations'), rank, 1, 1);
  const outputPadding = pairOf(call, call.ints('output_padding'), rank, 0, 0);
  const bias = biasOf(net, call, 2, channels);
  const { h, w } = net.shape(x);
  const whole = ([h, w] as const).map(
    (n, i) => (n - 1) * (stride[i] as number) + (dilation[i] as number) * ((kernel[i] as number) - 1) + 1,
  );
  const wanted = call.ints('output_shape');
  const mode = call.text('auto_pad', 'NOTSET');
  let padding = paddingOf(call, call.ints('pads') ?? Array.from({ length: 2 * rank }, () => 0), rank);
  let more = outputPadding;
  if (wanted || mode.startsWith('SAME')) {
    const target = wanted ? pairOf(call, wanted.slice(-rank), rank, 1, 1) : ([h * stride[0], w * stride[1]] as const);
    // What is not there is padding below 0, which is output padding.
    const all = whole.map((n, i) => n + (outputPadding[i] as number) - (target[i] as number));
    const sides = all.map((n) => {
      const cut = Math.max(0, n);
      const [less, other] = [Math.floor(cut / 2), Math.ceil(cut / 2)];
      return mode === 'SAME_UPPER' ? [less, other] : [other, less];
    });
    const [[top = 0, bottom = 0] = [], [left = 0, right = 0] = []] = sides;
    padding = { top, left, bottom, right };
    more = all.map((n, i) => (outputPadding[i] as number) + Math.max(0, -n)) as unknown as Pair;
  }
  const params = { weight: net.tensor(call, 'weight', [inputs, perGroup, ...kernel], weight), ...bias };
  const attributes = { channels, kernel, stride, dilation, padding, outputPadding: more, groups };
  return mapLike(net, x, net.add(call, 'convTranspose', [x.node], attributes, params));
};

/** Whether the kernels of built-in networks take so much padding: half a window. */
const isHalf = ({ top, left, bottom, right }: Padding, [kh, kw]: Pair): boolean =>
  Math.max(top, bottom) * 2 <= kh && Math.max(left, right) * 2 <= kw;

const pool =
  (reduction: 'max' | 'mean'): Handler =>
  (net, call) => {
    const x = mapOf(net, call, call.value());
    const { kernel, stride, dilation, padding } = windowOf(call, x, call.ints('kernel_shape') ?? []);
    if (call.node.outputs.slice(1).some((name) => name !== '')) throw call.refusal('its indices are wanted too');
    if ([...kernel, ...stride].every((n) => n === 1) && Object.values(padding).every((n) => n === 0)) return x;
    const isCeil = call.int('ceil_mode', 0) === 1;
    const countsPadding = call.int('count_include_pad', 0) === 1;
    const isPlain = dilation.every((n) => n === 1) && isHalf(padding, kernel);
    const { h, w } = net.shape(x);
    const hasPadding = Object.values(padding).some((n) => n > 0);
    const exact = ([h + padding.top + padding.bottom, w + padding.left + padding.right] as const).every(
      (n, i) => (n - (kernel[i] as number)) % (stride[i] as number) === 0,
    );
    let node: number;
    if (isPlain && (!isCeil || exact)) {
      const window = { kernel, stride, padding };
      const isWhole = !hasPadding && kernel[0] === h && kernel[1] === w;
      if (isWhole) node = net.add(call, 'reduce', [x.node], { reduction });
      else if (reduction === 'max') node = net.add(call, 'maxPool', [x.node], window);
      else node = net.add(call, 'avgPool', [x.node], { ...window, ...(hasPadding ? { countsPadding } : {}) });
    } else {
      const attributes = { reduction, kernel, stride, dilation, padding, ceil: isCeil, countsPadding };
      node = net.add(call, 'dilatedPool', [x.node], attributes);
    }
    return mapLike(net, x, node);
  };

const globalPool =
  (reduction: 'max' | 'mean'): Handler =>
  (net, call) => {
    const x = mapOf(net, call, call.value());
    return mapLike(net, x, net.add(call, 'reduce', [x.node], { reduction }));
  };

export const windows: Handlers = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool('max'),
  AveragePool: pool('mean'),
  GlobalMaxPool: globalPool('max'),
  GlobalAveragePool: globalPool('mean'),
};
