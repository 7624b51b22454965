/** Plain loops in float64 over dense NHWC arrays for the operations of models/more-ops.ts. */

import type {
  AxesReduction,
  Axis,
  BinaryOperator,
  ConvTransposeOp,
  DilatedPoolOp,
  PadOp,
  ResizeOp,
  Shape,
  SliceOp,
  UnaryOp,
} from '../../models/index.js';
import { erfc, type Maps, type Reference, size, type Values } from './reference.js';

const get = (values: Values, i: number): number => values[i] as number;

/** The place of a value; an axis of 1 is repeated. */
function at({ h, w, c }: Shape, b: number, y: number, x: number, i: number): number {
  return ((b * h + (h === 1 ? 0 : y)) * w + (w === 1 ? 0 : x)) * c + (c === 1 ? 0 : i);
}

/** Makes every value of maps by its coordinates. */
function make(to: Maps, valueAt: (b: number, y: number, x: number, c: number) => number): Float64Array {
  const out = new Float64Array(size(to));
  let place = 0;
  for (let b = 0; b < to.batch; b++)
    for (let y = 0; y < to.h; y++)
      for (let x = 0; x < to.w; x++) for (let c = 0; c < to.c; c++) out[place++] = valueAt(b, y, x, c);
  return out;
}

/** The same values for each of `batch` images. */
export function constant(values: Values, batch: number): Float64Array {
  const out = new Float64Array(values.length * batch);
  for (let b = 0; b < batch; b++) out.set(values, b * values.length);
  return out;
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const elu = (x: number, alpha: number): number => (x < 0 ? alpha * Math.expm1(x) : x);

/** Half to even. */
function toEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest === 0.5 ? (low % 2 === 0 ? low : low + 1) : Math.round(x);
}

const UNARY: { readonly [Operator in UnaryOp['operator']]: (x: number, alpha: number, beta: number) => number } = {
  affine: (x, alpha, beta) => x * alpha + beta,
  power: (x, alpha) => x ** alpha,
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  erf: (x) => (x < 0 ? -1 : 1) * (1 - erfc(Math.abs(x))),
  tanh: Math.tanh,
  reciprocal: (x) => 1 / x,
  elu,
  selu: (x, alpha, beta) => beta * elu(x, alpha),
  celu: (x, alpha) => elu(x / alpha, 1) * alpha,
  geluTanh: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  mish: (x) => x * Math.tanh(softplus(x)),
  thresholdedRelu: (x, alpha) => (x > alpha ? x : 0),
  floor: Math.floor,
  ceil: Math.ceil,
  round: toEven,
  sign: Math.sign,
};

export const unary = (x: Values, { operator, alpha = 0, beta = 0 }: Omit<UnaryOp, 'kind'>): Float64Array =>
  Float64Array.from(x, (v) => UNARY[operator](v, alpha, beta));

const BINARY: { readonly [Operator in BinaryOperator]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  power: (a, b) => a ** b,
  min: Math.min,
  max: Math.max,
  modulo: (a, b) => a - Math.floor(a / b) * b,
  equal: (a, b) => Number(a === b),
  less: (a, b) => Number(a < b),
  lessOrEqual: (a, b) => Number(a <= b),
  greater: (a, b) => Number(a > b),
  greaterOrEqual: (a, b) => Number(a >= b),
};

/** Axes of 1 are repeated, as in numpy. */
export function binary(a: Values, fromA: Maps, b: Values, fromB: Shape, operator: BinaryOperator): Float64Array {
  const to = {
    batch: fromA.batch,
    h: Math.max(fromA.h, fromB.h),
    w: Math.max(fromA.w, fromB.w),
    c: Math.max(fromA.c, fromB.c),
  };
  return make(to, (n, y, x, c) => BINARY[operator](get(a, at(fromA, n, y, x, c)), get(b, at(fromB, n, y, x, c))));
}

/** [h, w, k] · [h, k, n], or [h, n, k] if b is transposed. */
export function matmul(a: Values, fromA: Maps, b: Values, fromB: Shape, transposesB: boolean): Reference {
  const to = {
    batch: fromA.batch,
    h: Math.max(fromA.h, fromB.h),
    w: fromA.w,
    c: transposesB ? fromB.w : fromB.c,
  };
  const dot = (join: (product: number) => number) =>
    make(to, (image, y, m, n) => {
      let sum = 0;
      for (let k = 0; k < fromA.c; k++) {
        const atB = transposesB ? at(fromB, image, y, n, k) : at(fromB, image, y, k, n);
        sum += join(get(a, at(fromA, image, y, m, k)) * get(b, atB));
      }
      return sum;
    });
  return { values: dot((v) => v), magnitudes: dot(Math.abs), terms: fromA.c };
}

/** Memory read as an array of `dims` whose axes are put in another order. */
export function rearrange(x: Values, batch: number, dims: readonly number[], order: readonly number[]): Float64Array {
  const count = x.length / batch;
  const out = new Float64Array(x.length);
  for (let image = 0; image < batch; image++)
    for (let i = 0; i < count; i++) {
      let rest = i;
      const index = new Map<number, number>();
      for (const axis of [...order].reverse()) {
        index.set(axis, rest % (dims[axis] as number));
        rest = Math.floor(rest / (dims[axis] as number));
      }
      const from = dims.reduce((place, n, axis) => place * n + (index.get(axis) as number), 0);
      out[image * count + i] = get(x, image * count + from);
    }
  return out;
}

export function slice(x: Values, from: Maps, { h, w, c, start, step }: Omit<SliceOp, 'kind'>): Float64Array {
  return make({ batch: from.batch, h, w, c }, (b, y, column, i) => {
    const [sy, sx, si] = [y, column, i].map((n, axis) => (start[axis] as number) + n * (step[axis] as number));
    return get(x, at(from, b, sy as number, sx as number, si as number));
  });
}

export const expand = (x: Values, from: Maps, { h, w, c }: Shape): Float64Array =>
  make({ batch: from.batch, h, w, c }, (b, y, column, i) => get(x, at(from, b, y, column, i)));

/** Where a padded axis reads from; undefined for a constant. */
function padded(n: number, size: number, mode: PadOp['mode']): number | undefined {
  if (n >= 0 && n < size) return n;
  switch (mode) {
    case 'constant':
      return undefined;
    case 'edge':
      return n < 0 ? 0 : size - 1;
    case 'reflect':
      return n < 0 ? -n : 2 * (size - 1) - n;
    case 'wrap':
      return (n + size) % size;
  }
}

export function pad(x: Values, from: Maps, { mode, before, after, value }: Omit<PadOp, 'kind'>): Float64Array {
  const [h, w, c] = [from.h, from.w, from.c].map((n, i) => (before[i] as number) + n + (after[i] as number));
  const to = { batch: from.batch, h: h as number, w: w as number, c: c as number };
  return make(to, (b, ...place) => {
    const [y, column, i] = place.map((n, axis) =>
      padded(n - (before[axis] as number), [from.h, from.w, from.c][axis] as number, mode),
    );
    return y === undefined || column === undefined || i === undefined ? value : get(x, at(from, b, y, column, i));
  });
}

/** Calls `visit` with the places of all values that one output of a reduction over `axes` is made of. */
function over(from: Maps, axes: readonly Axis[], b: number, y: number, x: number, c: number): number[] {
  const range = (axis: Axis, n: number): number[] =>
    axes.includes(axis) ? Array.from({ length: from[axis] }, (_, i) => i) : [n];
  return range('h', y).flatMap((row) =>
    range('w', x).flatMap((column) => range('c', c).map((i) => at(from, b, row, column, i))),
  );
}

const REDUCTIONS: { readonly [Name in AxesReduction]: (values: readonly number[]) => number } = {
  mean: (values) => values.reduce((a, b) => a + b, 0) / values.length,
  sum: (values) => values.reduce((a, b) => a + b, 0),
  max: (values) => values.reduce((a, b) => Math.max(a, b)),
  min: (values) => values.reduce((a, b) => Math.min(a, b)),
  product: (values) => values.reduce((a, b) => a * b, 1),
  argMax: (values) => values.indexOf(values.reduce((a, b) => Math.max(a, b))),
  argMin: (values) => values.indexOf(values.reduce((a, b) => Math.min(a, b))),
};

export function reduceAxes(x: Values, from: Maps, reduction: AxesReduction, axes: readonly Axis[]): Reference {
  const to = { batch: from.batch, h: from.h, w: from.w, c: from.c };
  for (const axis of axes) to[axis] = 1;
  const each = (join: (values: readonly number[]) => number) =>
    make(to, (...place) => join(over(from, axes, ...place).map((i) => get(x, i))));
  const terms = axes.reduce((product, axis) => product * from[axis], 1);
  const scale = reduction === 'mean' ? terms : 1;
  const magnitudes = reduction === 'product' ? REDUCTIONS.product : REDUCTIONS.sum;
  return {
    values: each(REDUCTIONS[reduction]),
    magnitudes: each((values) => magnitudes(values.map(Math.abs)) / scale),
    terms,
  };
}

export function softmaxAxes(x: Values, from: Maps, axes: readonly Axis[], isLog: boolean): Float64Array {
  return make(from, (b, y, column, c) => {
    const all = over(from, axes, b, y, column, c).map((i) => get(x, i));
    const largest = all.reduce((a, v) => Math.max(a, v));
    const sum = all.reduce((total, v) => total + Math.exp(v - largest), 0);
    const own = get(x, at(from, b, y, column, c)) - largest;
    return isLog ? own - Math.log(sum) : Math.exp(own) / sum;
  });
}

/** The mean and the deviation of some values. */
function momentsOf(x: Values, places: readonly number[], eps: number): { mean: number; deviation: number } {
  const mean = places.reduce((sum, i) => sum + get(x, i), 0) / places.length;
  const variance = places.reduce((sum, i) => sum + (get(x, i) - mean) ** 2, 0) / places.length;
  return { mean, deviation: Math.sqrt(variance + eps) };
}

interface Affine {
  readonly eps: number;
  readonly weight?: Values | undefined;
  readonly bias?: Values | undefined;
}

function normalised(
  x: Values,
  from: Maps,
  { eps, weight, bias }: Affine,
  places: (b: number, y: number, x: number, c: number) => number[],
): Float64Array {
  const moments = new Map<number, { mean: number; deviation: number }>();
  return make(from, (b, y, column, c) => {
    const all = places(b, y, column, c);
    const key = all[0] as number;
    const known = moments.get(key) ?? momentsOf(x, all, eps);
    moments.set(key, known);
    const v = (get(x, at(from, b, y, column, c)) - known.mean) / known.deviation;
    return v * (weight ? get(weight, c) : 1) + (bias ? get(bias, c) : 0);
  });
}

export const layerNorm = (x: Values, from: Maps, affine: Affine): Float64Array =>
  normalised(x, from, affine, (b, y, column, c) => over(from, ['c'], b, y, column, c));

export function groupNorm(x: Values, from: Maps, groups: number, affine: Affine): Float64Array {
  const width = from.c / groups;
  return normalised(x, from, affine, (b, _, __, c) => {
    const first = Math.floor(c / width) * width;
    return Array.from({ length: width }, (_, i) => over(from, ['h', 'w'], b, 0, 0, first + i)).flat();
  });
}

export function localResponseNorm(
  x: Values,
  from: Maps,
  { size, alpha, beta, bias }: { size: number; alpha: number; beta: number; bias: number },
): Float64Array {
  return make(from, (b, y, column, c) => {
    let sum = 0;
    const first = c - Math.floor((size - 1) / 2);
    for (let i = Math.max(0, first); i < Math.min(from.c, first + size); i++)
      sum += get(x, at(from, b, y, column, i)) ** 2;
    return get(x, at(from, b, y, column, c)) / (bias + (alpha / size) * sum) ** beta;
  });
}

/** Max or average pool to maps of h × w; windows may reach beyond the padding. */
export function dilatedPool(x: Values, from: Maps, { h, w }: Shape, op: Omit<DilatedPoolOp, 'kind'>): Reference {
  const { reduction, kernel, stride, dilation, padding, countsPadding } = op;
  const to = { batch: from.batch, h, w, c: from.c };
  const each = (join: (values: readonly number[], counted: number) => number) =>
    make(to, (b, oy, ox, c) => {
      const values: number[] = [];
      let counted = 0;
      for (let ky = 0; ky < kernel[0]; ky++)
        for (let kx = 0; kx < kernel[1]; kx++) {
          const y = oy * stride[0] - padding.top + ky * dilation[0];
          const column = ox * stride[1] - padding.left + kx * dilation[1];
          if (y < from.h + padding.bottom && column < from.w + padding.right) counted++;
          if (y < 0 || y >= from.h || column < 0 || column >= from.w) continue;
          values.push(get(x, at(from, b, y, column, c)));
        }
      return join(values, countsPadding ? counted : values.length);
    });
  const mean = (values: readonly number[], counted: number) => values.reduce((a, v) => a + v, 0) / counted;
  const max = (values: readonly number[]) => values.reduce((a, v) => Math.max(a, v), Number.NEGATIVE_INFINITY);
  return {
    values: each(reduction === 'max' ? max : mean),
    magnitudes: each((values, counted) => mean(values.map(Math.abs), counted)),
    terms: reduction === 'max' ? 0 : kernel[0] * kernel[1],
  };
}

/** Scatters every input value; `weight` is [in, channels / groups, KH, KW]. */
export function convTranspose(
  x: Values,
  from: Maps,
  weight: Values,
  bias: Values | undefined,
  { h, w }: Shape,
  { channels, kernel, stride, dilation, padding, groups }: Omit<ConvTransposeOp, 'kind'>,
): Reference {
  const to = { batch: from.batch, h, w, c: channels };
  const values = make(to, (_, __, ___, c) => (bias ? get(bias, c) : 0));
  const magnitudes = values.map(Math.abs);
  const [inner, outer] = [from.c / groups, channels / groups];
  for (let b = 0; b < from.batch; b++)
    for (let y = 0; y < from.h; y++)
      for (let column = 0; column < from.w; column++)
        for (let i = 0; i < from.c; i++)
          for (let ky = 0; ky < kernel[0]; ky++)
            for (let kx = 0; kx < kernel[1]; kx++) {
              const oy = y * stride[0] - padding.top + ky * dilation[0];
              const ox = column * stride[1] - padding.left + kx * dilation[1];
              if (oy < 0 || oy >= h || ox < 0 || ox >= w) continue;
              for (let o = 0; o < outer; o++) {
                const tap = ((i * outer + o) * kernel[0] + ky) * kernel[1] + kx;
                const product = get(x, at(from, b, y, column, i)) * get(weight, tap);
                const place = ((b * h + oy) * w + ox) * channels + Math.floor(i / inner) * outer + o;
                values[place] = (values[place] as number) + product;
                magnitudes[place] = (magnitudes[place] as number) + Math.abs(product);
              }
            }
  return { values, magnitudes, terms: inner * kernel[0] * kernel[1] };
}

/** The source coordinate of a target, ONNX's coordinate_transformation_mode. */
function sourceOf(target: number, inSize: number, outSize: number, scale: number, op: Omit<ResizeOp, 'kind'>): number {
  const half = (target + 0.5) / scale - 0.5;
  switch (op.coordinates) {
    case 'halfPixel':
      return half;
    case 'pytorchHalfPixel':
      return outSize > 1 ? half : 0;
    case 'asymmetric':
      return target / scale;
    case 'alignCorners':
      return outSize > 1 ? (target * (inSize - 1)) / (outSize - 1) : 0;
    case 'halfPixelSymmetric': {
      const centre = inSize / 2;
      return centre * (1 - outSize / (scale * inSize)) + half;
    }
  }
}

/** The weight of a pixel at a distance: a triangle, or Keys's cubic. */
function filterOf(mode: ResizeOp['mode'], a: number): (distance: number) => number {
  if (mode === 'bilinear') return (distance) => Math.max(0, 1 - Math.abs(distance));
  return (distance) => {
    const d = Math.abs(distance);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
  };
}

/** The pixels along one axis that a target is made of, and their weights. */
function tapsOf(target: number, inSize: number, outSize: number, scale: number, op: Omit<ResizeOp, 'kind'>) {
  const clamp = (i: number): number => Math.min(Math.max(i, 0), inSize - 1);
  const source = sourceOf(target, inSize, outSize, scale, op);
  if (op.mode === 'nearest') {
    const low = Math.floor(source);
    const round = {
      floor: low,
      ceil: Math.ceil(source),
      preferFloor: Math.ceil(source - 0.5),
      preferCeil: Math.floor(source + 0.5),
    };
    return [{ i: clamp(round[op.rounding]), weight: 1 }];
  }
  const filter = filterOf(op.mode, op.cubic ?? -0.75);
  const stretch = op.antialias ? Math.max(1, 1 / scale) : 1;
  const reach = Math.ceil((op.mode === 'cubic' ? 2 : 1) * stretch);
  const taps: { i: number; weight: number }[] = [];
  for (let i = Math.floor(source) - reach; i <= Math.floor(source) + reach + 1; i++) {
    const isOutside = i < 0 || i >= inSize;
    if (isOutside && op.excludesOutside) continue;
    taps.push({ i: clamp(i), weight: filter((i - source) / stretch) });
  }
  const sum = taps.reduce((total, { weight }) => total + weight, 0);
  return taps.map(({ i, weight }) => ({ i, weight: weight / sum }));
}

/** ONNX's Resize along rows and columns. */
export function resize(x: Values, from: Maps, op: Omit<ResizeOp, 'kind'>): Reference {
  const [scaleH, scaleW] = op.scale ?? [op.h / from.h, op.w / from.w];
  const rows = Array.from({ length: op.h }, (_, y) => tapsOf(y, from.h, op.h, scaleH, op));
  const columns = Array.from({ length: op.w }, (_, column) => tapsOf(column, from.w, op.w, scaleW, op));
  const each = (join: (v: number) => number) =>
    make({ ...from, h: op.h, w: op.w }, (b, y, column, c) => {
      let sum = 0;
      for (const row of rows[y] ?? [])
        for (const tap of columns[column] ?? [])
          sum += join(row.weight * tap.weight * get(x, at(from, b, row.i, tap.i, c)));
      return sum;
    });
  return { values: each((v) => v), magnitudes: each(Math.abs), terms: 16 };
}
