/** Whole numbers of few bits and what they stand for: x = (q − zero point) · scale (ONNX, QuantizeLinear). */

import { size } from '../../../../util/shape.js';
import type { Call } from '../call.js';
import { DATA_TYPES, type DataType, isFloating, type Tensor, UINT8 } from '../types.js';
import { held, round } from './arithmetic.js';
import type { Folder } from './folder.js';

/** For each value of `x`, the place of its scale: one for all, or one along an axis. */
export function scaleAt(call: Call, dims: readonly number[], count: number): (i: number) => number {
  if (count === 1) return () => 0;
  const axis = call.axis(call.int('axis', 1), dims.length);
  if (dims[axis] !== count) throw call.refusal('its scales are those of blocks');
  const inner = size(dims.slice(axis + 1));
  return (i) => Math.floor(i / inner) % count;
}

/** The least and the greatest value of a type of whole numbers. */
export function rangeOf(type: DataType): [number, number] {
  const bits = 8 * DATA_TYPES[type].bytes;
  return DATA_TYPES[type].name.startsWith('int') ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

export function dequantised(x: Tensor, scale: Tensor, zero: Tensor | undefined, at: (i: number) => number): Tensor {
  const values = Float64Array.from(
    x.data,
    (value, i) => (value - (zero?.data[zero.data.length === 1 ? 0 : at(i)] ?? 0)) * (scale.data[at(i)] as number),
  );
  return { dims: x.dims, type: scale.type, data: held(scale.type, values) };
}

export const quantisation: Readonly<Record<string, Folder>> = {
  DequantizeLinear: (call, [x, scale, zero]) =>
    dequantised(x as Tensor, scale as Tensor, zero, scaleAt(call, (x as Tensor).dims, (scale as Tensor).data.length)),
  QuantizeLinear(call, [x, scale, zero]) {
    const { dims, data } = x as Tensor;
    const type = zero?.type ?? UINT8;
    if (isFloating(type)) throw call.refusal('its values are no whole numbers');
    const at = scaleAt(call, dims, (scale as Tensor).data.length);
    const [low, high] = rangeOf(type);
    const values = Float64Array.from(data, (value, i) => {
      const place = at(i);
      const whole = round(Math.fround(value / ((scale as Tensor).data[place] as number))) + (zero?.data[place] ?? 0);
      return Math.min(Math.max(whole, low), high);
    });
    return { dims, type, data: values };
  },
};
