/**
 * Weights that TensorFlow.js keeps in fewer bits: float16 as it is, or whole numbers of 8 or 16 bits from which values
 * are made, each a number · scale + min. After
 * https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/io_utils.ts.
 */

import { ResnetError } from '../../../../models/errors.js';
import { bytesOfNumbers } from '../../../util/bytes.js';
import { isRecord } from '../../../util/json.js';
import { shown } from '../../../util/messages.js';
import type { Piece, TensorInfo } from '../../types.js';

export type Quantization =
  | { readonly dtype: 'F16'; readonly bytes: 2 }
  | { readonly dtype: 'whole'; readonly bytes: 1 | 2; readonly scale: number; readonly min: number };

/** Reads a weight's `quantization`, if it has one. Throws, `subject` first, if it is of another kind. */
export function checkedQuantization(subject: string, quantization: unknown): Quantization | undefined {
  if (quantization === undefined) return undefined;
  const { dtype, scale, min } = isRecord(quantization) ? quantization : { dtype: quantization };
  if (dtype === 'float16') return { dtype: 'F16', bytes: 2 };
  if (dtype !== 'uint8' && dtype !== 'uint16') {
    throw new ResnetError(
      'weights',
      `${subject}: expected quantization to float16, uint8 or uint16, got ${shown(dtype)}.`,
    );
  }
  if (!Number.isFinite(scale) || !Number.isFinite(min)) {
    throw new ResnetError(
      'weights',
      `${subject}: expected a scale and a min of ${dtype}, got ${shown(scale)} and ${shown(min)}.`,
    );
  }
  return { dtype: 'whole', bytes: dtype === 'uint8' ? 1 : 2, scale: scale as number, min: min as number };
}

/** Makes float32 values of the pieces of tensors that are quantised to whole numbers. */
export async function* dequantised(
  pieces: AsyncIterable<Piece>,
  quantizations: ReadonlyMap<TensorInfo, Quantization | undefined>,
): AsyncGenerator<Piece, void, undefined> {
  // The first byte of a number whose other is in the next piece.
  let carried: number | undefined;
  for await (const { tensor, bytes } of pieces) {
    const quantization = quantizations.get(tensor);
    if (quantization?.dtype !== 'whole') {
      yield { tensor, bytes };
      continue;
    }
    const { bytes: width, scale, min } = quantization;
    const all = carried === undefined ? bytes : Uint8Array.of(carried, ...bytes);
    const count = Math.floor(all.length / width);
    carried = all.length > count * width ? all[all.length - 1] : undefined;
    if (count === 0) continue;
    const number = (i: number): number =>
      width === 1 ? (all[i] as number) : (all[2 * i] as number) + (all[2 * i + 1] as number) * 256;
    yield { tensor, bytes: bytesOfNumbers(Float32Array.from({ length: count }, (_, i) => number(i) * scale + min)) };
  }
}
