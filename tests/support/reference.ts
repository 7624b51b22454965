/** The kernels' reference: plain loops in float64 over dense NHWC arrays, and how far float32 may be from them. */

import * as assert from 'uvu/assert';
import type { Padding, Pair } from '../../models/graph.js';

export type Values = Float32Array | Float64Array;

/** A batch of feature maps. */
export interface Maps {
  readonly batch: number;
  readonly h: number;
  readonly w: number;
  readonly c: number;
}

/** Results, and of each the sum of the magnitudes that were added up, which is what its rounding error scales with. */
export interface Reference {
  readonly values: Float64Array;
  readonly magnitudes: Float64Array;
  /** How many were added up. */
  readonly terms: number;
}

export const size = ({ batch, h, w, c }: Maps): number => batch * h * w * c;

const get = (values: Values, i: number): number => values[i] as number;

function reference(length: number, terms: number): Reference {
  return { values: new Float64Array(length), magnitudes: new Float64Array(length), terms };
}

/** C[m, n] = A[m, k] · B[k, n] + bias[n]. */
export function gemm(m: number, n: number, k: number, a: Values, b: Values, bias: Values): Reference {
  const out = reference(m * n, k);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let [sum, magnitude] = [get(bias, j), Math.abs(get(bias, j))];
      for (let l = 0; l < k; l++) {
        const product = get(a, i * k + l) * get(b, l * n + j);
        sum += product;
        magnitude += Math.abs(product);
      }
      out.values[i * n + j] = sum;
      out.magnitudes[i * n + j] = magnitude;
    }
  }
  return out;
}

export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Padding;
}

export interface Convolution extends Window {
  readonly dilation: Pair;
  readonly groups: number;
}

/** Visits the pixels of one window that lie in the map: `visit(pixel, tap)`. */
function windowed(
  { h, w }: Maps,
  { kernel, stride, padding }: Window,
  dilation: Pair,
  oy: number,
  ox: number,
  visit: (pixel: number, tap: number) => void,
): void {
  for (let ky = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < kernel[1]; kx++) {
      const y = oy * stride[0] - padding.top + ky * dilation[0];
      const x = ox * stride[1] - padding.left + kx * dilation[1];
      if (y >= 0 && y < h && x >= 0 && x < w) visit(y * w + x, ky * kernel[1] + kx);
    }
  }
}

/** Maps of `c` channels that windows over `from` make. */
export function windowMaps(from: Maps, c: number, { kernel, stride, padding }: Window, dilation: Pair = [1, 1]): Maps {
  const along = (axis: 0 | 1, length: number) =>
    Math.floor((length - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]) + 1;
  const h = along(0, from.h + padding.top + padding.bottom);
  const w = along(1, from.w + padding.left + padding.right);
  return { batch: from.batch, h, w, c };
}

/** Convolution to `c` channels; `weight` is OIHW. */
export function conv2d(
  x: Values,
  from: Maps,
  weight: Values,
  bias: Values | undefined,
  c: number,
  convolution: Convolution,
): Reference {
  const { kernel, dilation, groups } = convolution;
  const to = windowMaps(from, c, convolution, dilation);
  const [inner, taps] = [from.c / groups, kernel[0] * kernel[1]];
  const out = reference(size(to), inner * taps);
  for (let b = 0, at = 0; b < to.batch; b++)
    for (let oy = 0; oy < to.h; oy++)
      for (let ox = 0; ox < to.w; ox++)
        for (let o = 0; o < c; o++, at++) {
          const first = Math.floor(o / (c / groups)) * inner;
          let sum = bias ? get(bias, o) : 0;
          let magnitude = Math.abs(sum);
          windowed(from, convolution, dilation, oy, ox, (pixel, tap) => {
            const base = (b * from.h * from.w + pixel) * from.c + first;
            for (let i = 0; i < inner; i++) {
              const product = get(x, base + i) * get(weight, (o * inner + i) * taps + tap);
              sum += product;
              magnitude += Math.abs(product);
            }
          });
          out.values[at] = sum;
          out.magnitudes[at] = magnitude;
        }
  return out;
}

/** `weight` is [c, C·H·W] in CHW order, as torch flattens. */
export function linear(x: Values, from: Maps, weight: Values, bias: Values | undefined, c: number): Reference {
  const whole: Convolution = {
    kernel: [from.h, from.w],
    stride: [1, 1],
    dilation: [1, 1],
    groups: 1,
    padding: { top: 0, left: 0, bottom: 0, right: 0 },
  };
  return conv2d(x, from, weight, bias, c, whole);
}

function pool(x: Values, from: Maps, window: Window, start: number, join: (a: number, b: number) => number): Reference {
  const to = windowMaps(from, from.c, window);
  const out = reference(size(to), window.kernel[0] * window.kernel[1]);
  for (let b = 0, at = 0; b < to.batch; b++)
    for (let oy = 0; oy < to.h; oy++)
      for (let ox = 0; ox < to.w; ox++)
        for (let c = 0; c < to.c; c++, at++) {
          let [value, magnitude] = [start, 0];
          windowed(from, window, [1, 1], oy, ox, (pixel) => {
            const v = get(x, (b * from.h * from.w + pixel) * from.c + c);
            value = join(value, v);
            magnitude += Math.abs(v);
          });
          out.values[at] = value;
          out.magnitudes[at] = magnitude;
        }
  return out;
}

/** What lies outside is minus infinity; a NaN in a window is its result. */
export const maxPool = (x: Values, from: Maps, window: Window): Reference =>
  pool(x, from, window, Number.NEGATIVE_INFINITY, Math.max);

/** What lies outside is zero, and counts in the divisor or, if `countsPadding` is false, does not. */
export function avgPool(x: Values, from: Maps, window: Window & { readonly countsPadding?: boolean }): Reference {
  const add = (a: number, b: number): number => a + b;
  const sums = pool(x, from, window, 0, add);
  const ones = pool(new Float64Array(x.length).fill(1), from, window, 0, add);
  const area = window.kernel[0] * window.kernel[1];
  const divisor = (i: number): number => (window.countsPadding === false ? (ones.values[i] as number) : area);
  const mean = (v: number, i: number): number => v / divisor(i);
  return { ...sums, values: sums.values.map(mean), magnitudes: sums.magnitudes.map(mean) };
}

/** Average pool to h × w: means of rows ⌊y · H / h⌋ … ⌈(y + 1) · H / h⌉, and of columns likewise. */
export function adaptiveAvgPool(x: Values, from: Maps, h: number, w: number): Reference {
  const to: Maps = { ...from, h, w };
  const out = reference(size(to), Math.ceil(from.h / h + 1) * Math.ceil(from.w / w + 1));
  const span = (y: number, length: number, parts: number): [number, number] => [
    Math.floor((y * length) / parts),
    Math.ceil(((y + 1) * length) / parts),
  ];
  for (let b = 0, at = 0; b < to.batch; b++)
    for (let oy = 0; oy < h; oy++)
      for (let ox = 0; ox < w; ox++)
        for (let c = 0; c < to.c; c++, at++) {
          const [top, bottom] = span(oy, from.h, h);
          const [left, right] = span(ox, from.w, w);
          let [sum, magnitude] = [0, 0];
          for (let row = top; row < bottom; row++)
            for (let column = left; column < right; column++) {
              const v = get(x, ((b * from.h + row) * from.w + column) * from.c + c);
              sum += v;
              magnitude += Math.abs(v);
            }
          const area = (bottom - top) * (right - left);
          out.values[at] = sum / area;
          out.magnitudes[at] = magnitude / area;
        }
  return out;
}

/** Mean of each map. */
export function globalAvgPool(x: Values, from: Maps): Reference {
  const padding = { top: 0, left: 0, bottom: 0, right: 0 };
  return avgPool(x, from, { kernel: [from.h, from.w], stride: [1, 1], padding });
}

/** Sum over each map. */
export function mapSum(x: Values, from: Maps): Reference {
  const area = from.h * from.w;
  const { values, magnitudes, terms } = globalAvgPool(x, from);
  return { values: values.map((v) => v * area), magnitudes: magnitudes.map((v) => v * area), terms };
}

/** Maximum of each map; a NaN is the result. */
export function mapMax(x: Values, from: Maps): Reference {
  const padding = { top: 0, left: 0, bottom: 0, right: 0 };
  return maxPool(x, from, { kernel: [from.h, from.w], stride: [1, 1], padding });
}

/** exp(x) / Σ exp(x) of each row of `c`. */
export function softmax(x: Values, c: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += c) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = row; i < row + c; i++) largest = Math.max(largest, get(x, i));
    let sum = 0;
    for (let i = row; i < row + c; i++) sum += Math.exp(get(x, i) - largest);
    for (let i = row; i < row + c; i++) out[i] = Math.exp(get(x, i) - largest) / sum;
  }
  return out;
}

export interface Norm {
  readonly gamma: Values;
  readonly beta: Values;
  readonly mean: Values;
  readonly variance: Values;
  readonly eps: number;
}

/** γ · (x − mean) / √(variance + ε) + β along the last axis. */
export function batchNorm(x: Values, { gamma, beta, mean, variance, eps }: Norm): Float64Array {
  const c = gamma.length;
  return Float64Array.from(x, (v, i) => {
    const deviation = Math.sqrt(get(variance, i % c) + eps);
    return (get(gamma, i % c) * (v - get(mean, i % c))) / deviation + get(beta, i % c);
  });
}

/** NaN stays NaN. */
export const relu = (x: Values): Float64Array => Float64Array.from(x, (v) => Math.max(v, 0));

export const add = (a: Values, b: Values): Float64Array => Float64Array.from(a, (v, i) => v + get(b, i));

/** Channels of all parts, each [pixels, channels], one after the other. */
export function concat(parts: readonly { readonly x: Values; readonly c: number }[]): Float64Array {
  const c = parts.reduce((sum, part) => sum + part.c, 0);
  const pixels = (parts[0]?.x.length ?? 0) / (parts[0]?.c ?? 1);
  const out = new Float64Array(pixels * c);
  let offset = 0;
  for (const part of parts) {
    for (let p = 0; p < pixels; p++)
      for (let i = 0; i < part.c; i++) out[p * c + offset + i] = get(part.x, p * part.c + i);
    offset += part.c;
  }
  return out;
}

/** Every `stride`-th pixel, its channels between `before` and `after` zeros. */
export function zeroPadShortcut(x: Values, from: Maps, stride: number, before: number, after: number): Float64Array {
  const [h, w, c] = [Math.ceil(from.h / stride), Math.ceil(from.w / stride), before + from.c + after];
  const out = new Float64Array(from.batch * h * w * c);
  for (let b = 0; b < from.batch; b++)
    for (let y = 0; y < h; y++)
      for (let x0 = 0; x0 < w; x0++)
        for (let i = 0; i < from.c; i++)
          out[((b * h + y) * w + x0) * c + before + i] = get(
            x,
            ((b * from.h + y * stride) * from.w + x0 * stride) * from.c + i,
          );
  return out;
}

/** An activation of assembly/activation.ts, with its parameters; `slopes`: of PRELU, one per channel. */
export interface Activation {
  readonly name:
    | 'NONE'
    | 'RELU'
    | 'CLIP'
    | 'LEAKY_RELU'
    | 'PRELU'
    | 'HARD_SIGMOID'
    | 'HARD_SWISH'
    | 'SIGMOID'
    | 'SILU'
    | 'GELU';
  readonly alpha?: number;
  readonly beta?: number;
  readonly slopes?: Values;
}

export const NONE: Activation = { name: 'NONE' };
export const RELU: Activation = { name: 'RELU' };

/** Every activation, for values of `channels` channels. */
export const activations = (channels: number): Activation[] => [
  NONE,
  RELU,
  { name: 'CLIP', alpha: -0.5, beta: 0.75 },
  { name: 'LEAKY_RELU', alpha: 0.125 },
  { name: 'PRELU', slopes: Float32Array.from({ length: channels }, (_, i) => (((i * 7) % 16) - 8) / 8) },
  { name: 'HARD_SIGMOID', alpha: 0.25, beta: 0.5 },
  { name: 'HARD_SWISH' },
  { name: 'SIGMOID' },
  { name: 'SILU' },
  { name: 'GELU' },
];

/** The complementary error function of z ≥ 0: its series as far as that is exact, then a continued fraction. */
export function erfc(z: number): number {
  if (z < 2) {
    let [sum, term] = [0, z];
    for (let n = 1; n < 60; n++) {
      sum += term / (2 * n - 1);
      term *= -(z * z) / n;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = z;
  for (let n = 60; n > 0; n--) fraction = z + n / 2 / fraction;
  return Math.exp(-z * z) / Math.sqrt(Math.PI) / fraction;
}

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/** One activated value of channel `c`. */
export function activateOne(x: number, { name, alpha = 0, beta = 0, slopes }: Activation, c = 0): number {
  switch (name) {
    case 'NONE':
      return x;
    case 'RELU':
      return Math.max(x, 0);
    case 'CLIP':
      return clamp(x, alpha, beta);
    case 'LEAKY_RELU':
      return x < 0 ? alpha * x : x;
    case 'PRELU':
      return x < 0 ? (slopes?.[c] as number) * x : x;
    case 'HARD_SIGMOID':
      return clamp(alpha * x + beta, 0, 1);
    case 'HARD_SWISH':
      return x * clamp(x / 6 + 0.5, 0, 1);
    case 'SIGMOID':
      return 1 / (1 + Math.exp(-x));
    case 'SILU':
      return x / (1 + Math.exp(-x));
    case 'GELU': {
      const half = erfc(Math.abs(x) / Math.SQRT2) / 2;
      return x < 0 ? (half === 0 ? 0 : x * half) : x * (1 - half);
    }
  }
}

/** The activation of each value; `slopes` are those of the last axis. */
export const activate = (x: Values, activation: Activation): Float64Array =>
  Float64Array.from(x, (v, i) => activateOne(v, activation, i % (activation.slopes?.length ?? 1)));

/** The epilogue of convolutions and linear layers: add, then the activation. */
export function epilogue(from: Reference, residual: Values | undefined, activation: Activation): Reference {
  let { values, magnitudes } = from;
  if (residual) {
    values = add(values, residual);
    magnitudes = magnitudes.map((v, i) => v + Math.abs(get(residual, i)));
  }
  // Derivatives are at most 1.5, and results around 1 are rounded too.
  const isExact = ['NONE', 'RELU', 'CLIP'].includes(activation.name);
  return {
    ...from,
    values: activate(values, activation),
    magnitudes: magnitudes.map((v) => (isExact ? v : 1.5 * v + 1)),
  };
}

/** Rounding error of one float32 operation, relative. */
const UNIT = 2 ** -24;

/**
 * The error of a sum of K products in float32 is below (K + 2) · 2⁻²⁴ · Σ|a||b|, and, since roundings go both ways, all but
 * surely below a small multiple of √K · 2⁻²⁴ · Σ|a||b| (Higham & Mary 2019): a wrong tap is far above that.
 */
export const tolerance = (terms: number, magnitude: number): number => (Math.sqrt(terms) + 8) * UNIT * magnitude;

/** The first element further from the reference than `scale` times the tolerance, or NaN where it is not; −1 if none is. */
export function firstFar(actual: Values, expected: Reference, scale = 1): number {
  assert.is(actual.length, expected.values.length, 'length');
  for (let i = 0; i < actual.length; i++) {
    const [got, wanted] = [get(actual, i), get(expected.values, i)];
    if (Object.is(got, wanted)) continue;
    const most = scale * tolerance(expected.terms, get(expected.magnitudes, i));
    if (!(Math.abs(got - wanted) <= most)) return i;
  }
  return -1;
}

export function assertClose(actual: Values, expected: Reference, subject: string, scale = 1): void {
  const i = firstFar(actual, expected, scale);
  if (i < 0) return;
  const most = scale * tolerance(expected.terms, get(expected.magnitudes, i));
  assert.unreachable(`${subject}: expected ${expected.values[i]} ± ${most} at ${i}, got ${actual[i]}.`);
}
