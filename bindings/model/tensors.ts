/** Raw inputs: their checks, and the order that the kernels read. */

import { ResnetError } from '../../models/errors.js';
import type { Shape } from '../../models/index.js';
import type { PlanPorts } from '../compile/plan.js';
import { shown } from '../util/messages.js';
import { isA, shownKind } from '../util/realm.js';
import type { Tensor } from './types.js';

interface Inputs {
  /** [N, H, W, C] each, in the plan's order. */
  readonly values: readonly Float32Array[];
  readonly batch: number;
}

/**
 * Values of every input, copies of their own: the caller may change the tensors at once. A single tensor is that of a
 * network with one input. Throws if one does not fit, or is missing.
 */
export function nhwcInputs(given: Tensor | Readonly<Record<string, Tensor>>, ports: PlanPorts): Inputs {
  const isTensor = ArrayBuffer.isView((given as Tensor | undefined)?.data) || ports.length === 1;
  if (isTensor && ports.length > 1) {
    const names = ports.map(({ name }) => name).join(', ');
    throw new ResnetError('argument', `input: expected the inputs ${names} by name, got one tensor.`);
  }
  let batch: number | undefined;
  const values = ports.map((port) => {
    const isNamed = !isTensor || (given !== null && typeof given === 'object' && port.name in given);
    const tensor = isNamed ? (given as Record<string, Tensor>)[port.name] : (given as Tensor);
    if (tensor === undefined && ports.length > 1)
      throw new ResnetError('argument', `${port.name}: expected a tensor, got none.`);
    const found = nhwcValues(port.name, tensor, port.view.shape);
    if (batch !== undefined && found.batch !== batch) {
      throw new ResnetError(
        'argument',
        `${port.name}: expected a batch of ${batch} as the inputs before it, got ${found.batch}.`,
      );
    }
    batch = found.batch;
    return found.values;
  });
  return { values, batch: batch ?? 0 };
}

function nhwcValues(
  name: string,
  input: Tensor | undefined,
  { h, w, c }: Shape,
): { values: Float32Array; batch: number } {
  if (typeof input !== 'object' || input === null || !('data' in input)) {
    throw new ResnetError('argument', `${name}: expected {data, shape, layout}, got ${shownKind(input)}.`);
  }
  const { data, shape, layout } = input;
  const isNchw = layout === 'NCHW';
  if (!isNchw && layout !== 'NHWC')
    throw new ResnetError('argument', `layout: expected NCHW or NHWC, got ${String(layout)}.`);
  const wanted = isNchw ? [c, h, w] : [h, w, c];
  const isList = Array.isArray(shape);
  const batch = isList ? (shape[0] ?? 0) : 0;
  const fits = isList && shape.length === 4 && wanted.every((n, i) => shape[i + 1] === n) && Number.isInteger(batch);
  if (!fits || batch < 1) {
    throw new ResnetError(
      'argument',
      `${name}: expected shape [N, ${wanted.join(', ')}] (${layout}), got ${shown(shape)}.`,
    );
  }
  const count = batch * h * w * c;
  if (!isA(data, 'Float32Array') || data.length !== count) {
    const got = isA(data, 'Float32Array') ? `${(data as Float32Array).length}` : shownKind(data);
    throw new ResnetError('argument', `${name}: expected a Float32Array of ${count} values, got ${got}.`);
  }
  return { values: isNchw ? toNhwc(data, batch, c, h * w) : new Float32Array(data), batch };
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
