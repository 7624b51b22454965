/** Raw inputs: their checks, and the order that the kernels read. */

import type { Shape } from '../../models/index.js';
import type { Tensor } from './types.js';

/** Values [N, H, W, C] of a copy of their own: the caller may change the tensor at once. Throws a TypeError if it does not fit. */
export function nhwcValues(
  input: Tensor,
  { h, w, c }: Shape,
): { readonly values: Float32Array; readonly batch: number } {
  const { data, shape = [], layout } = input ?? ({} as Tensor);
  const isNchw = layout === 'NCHW';
  if (!isNchw && layout !== 'NHWC') throw new TypeError(`layout: expected NCHW or NHWC, got ${layout}.`);
  const wanted = isNchw ? [c, h, w] : [h, w, c];
  const batch = shape[0] ?? 0;
  const fits = shape.length === 4 && wanted.every((n, i) => shape[i + 1] === n) && Number.isInteger(batch);
  if (!fits || batch < 1) {
    throw new TypeError(`input: expected shape [N, ${wanted.join(', ')}] (${layout}), got [${shape.join(', ')}].`);
  }
  const count = batch * h * w * c;
  if (!(data instanceof Float32Array) || data.length !== count) {
    const got = data instanceof Float32Array ? `${data.length}` : Object.prototype.toString.call(data);
    throw new TypeError(`input: expected a Float32Array of ${count} values, got ${got}.`);
  }
  return { values: isNchw ? toNhwc(data, batch, c, h * w) : data.slice(), batch };
}

function toNhwc(from: Float32Array, batch: number, channels: number, pixels: number): Float32Array {
  const to = new Float32Array(from.length);
  for (let b = 0; b < batch; b++) {
    const base = b * channels * pixels;
    for (let c = 0; c < channels; c++) {
      const plane = base + c * pixels;
      for (let p = 0; p < pixels; p++) to[base + p * channels + c] = from[plane + p] as number;
    }
  }
  return to;
}
