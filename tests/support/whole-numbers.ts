/** Layers on whole numbers by plain loops, to the bit: whole numbers are exact, and floats are rounded as float32 is. */

import { type Activation, type Convolution, type Maps, size, type Values, windowMaps } from './reference.js';

const f = Math.fround;

/** Rounds to the nearest whole number, ties to even. */
export function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
}

export const greatest = (values: Float32Array): number =>
  values.reduce((most: number, x) => Math.max(most, Math.abs(x)), 0);

/** What the weights of each output are multiples of, and the whole numbers: rows of `values` [outputs, length]. */
export function quantisedRows(values: Float32Array, outputs: number): { q: Int8Array; scales: Float32Array } {
  const length = values.length / outputs;
  const q = new Int8Array(values.length);
  const scales = Float32Array.from({ length: outputs }, (_, o) => {
    const row = values.subarray(o * length, (o + 1) * length);
    const scale = f(greatest(row) / 127);
    row.forEach((w, i) => {
      q[o * length + i] = clamped(f(w * f(scale > 0 ? 1 / scale : 0)), -127, 127);
    });
    return scale;
  });
  return { q, scales };
}

const clamped = (x: number, low: number, high: number): number => roundEven(Math.min(Math.max(x, low), high));

export interface Whole {
  readonly low: number;
  readonly high: number;
  /** 0: each image's own. */
  readonly inScale: number;
}

/** The whole numbers of [batch, …] values, and each image's scale. */
export function quantisedImages(x: Float32Array, batch: number, { low, high, inScale }: Whole) {
  const length = x.length / batch;
  const q = new Int32Array(x.length);
  const scales = Array.from({ length: batch }, (_, b) => {
    const image = x.subarray(b * length, (b + 1) * length);
    const scale = inScale !== 0 ? f(inScale) : f(greatest(image) / high);
    image.forEach((value, i) => {
      q[b * length + i] = clamped(f(value * f(scale > 0 ? 1 / scale : 0)), low, high);
    });
    return scale;
  });
  return { q, scales };
}

/** out[B,OH,OW,O] = activation(conv(q, w) · (scale[o] · scale of the image) + bias + residual), exactly. */
export function quantConv2d(
  x: { q: Int32Array; scales: readonly number[] },
  from: Maps,
  w: { q: Int8Array; scales: Float32Array },
  bias: Values,
  c: number,
  convolution: Convolution,
  residual: Float32Array | undefined,
  activation: Activation,
): Float32Array {
  const { kernel, stride, dilation, padding, groups } = convolution;
  const to = windowMaps(from, c, convolution, dilation);
  const [inner, perGroup] = [from.c / groups, c / groups];
  const out = new Float32Array(size(to));
  let at = 0;
  for (let b = 0; b < to.batch; b++)
    for (let oy = 0; oy < to.h; oy++)
      for (let ox = 0; ox < to.w; ox++)
        for (let o = 0; o < c; o++, at++) {
          let sum = 0;
          for (let ky = 0; ky < kernel[0]; ky++)
            for (let kx = 0; kx < kernel[1]; kx++) {
              const y = oy * stride[0] - padding.top + ky * dilation[0];
              const xx = ox * stride[1] - padding.left + kx * dilation[1];
              if (y < 0 || y >= from.h || xx < 0 || xx >= from.w) continue;
              const pixel = ((b * from.h + y) * from.w + xx) * from.c + Math.floor(o / perGroup) * inner;
              for (let i = 0; i < inner; i++) {
                const weight = w.q[((o * inner + i) * kernel[0] + ky) * kernel[1] + kx] as number;
                sum += (x.q[pixel + i] as number) * weight;
              }
            }
          const scale = f((w.scales[o] as number) * (x.scales[b] as number));
          let y = f(f(f(sum) * scale) + (bias[o] as number));
          if (residual) y = f(y + (residual[at] as number));
          if (activation.name === 'RELU') y = Math.max(y, 0);
          if (activation.name === 'CLIP') y = Math.min(Math.max(y, f(activation.alpha ?? 0)), f(activation.beta ?? 0));
          out[at] = y;
        }
  return out;
}
