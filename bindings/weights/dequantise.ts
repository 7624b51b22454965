/** Floating point in the place of whole numbers. */

import { bytesOfNumbers } from '../util/bytes.js';
import { size } from '../util/shape.js';
import { withTensors } from './exact.js';
import type { Int8Scales, Piece, TensorInfo, WeightFile } from './types.js';

/** The file with float32 in the place of I8: number · scale, rounded once. A file without any is returned as it is. */
export function dequantised(file: WeightFile): WeightFile {
  if (!file.tensors.some(({ dtype }) => dtype === 'I8')) return file;
  const floats = new Map(
    file.tensors.map((tensor): [TensorInfo, TensorInfo] => {
      const { scales: _, ...info } = tensor;
      return [tensor, tensor.dtype === 'I8' ? { ...info, dtype: 'F32' } : tensor];
    }),
  );
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    let current: TensorInfo | undefined;
    let at = 0;
    for await (const { tensor, bytes } of file.pieces()) {
      if (tensor !== current) at = 0;
      current = tensor;
      const float = floats.get(tensor) ?? tensor;
      if (!tensor.scales) yield { tensor: float, bytes };
      else
        yield { tensor: float, bytes: bytesOfNumbers(floatsOf(bytes, at, size(tensor.shape.slice(1)), tensor.scales)) };
      at += bytes.length;
    }
  }
  return { ...withTensors(file, floats), pieces };
}

/** Makes floats of consecutive numbers of a matrix, of which `first` came before. */
export function floatsOf(numbers: Uint8Array, first: number, rowLength: number, { weight }: Int8Scales): Float32Array {
  const signed = new Int8Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const values = new Float32Array(signed.length);
  for (let i = 0; i < values.length; ) {
    const row = Math.floor((first + i) / rowLength);
    const scale = weight[row] as number;
    for (const end = Math.min(values.length, (row + 1) * rowLength - first); i < end; i++) {
      values[i] = (signed[i] as number) * scale;
    }
  }
  return values;
}
