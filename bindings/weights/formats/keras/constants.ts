/** Tensors that no file holds: the first of a weight file's. */

import { bytesOfNumbers } from '../../../util/bytes.js';
import { size } from '../../../util/shape.js';
import type { Piece, TensorInfo } from '../../types.js';
import type { Constant } from './network.js';

/** Values that are handed out at once. */
const PART = 4096;

export const tensorOfConstant = ({ name, shape }: Constant): TensorInfo => ({ name, shape, dtype: 'F32', order: 'OI' });

/** Reads the values of constants, whose tensors are the first of `infos`. */
export function* piecesOfConstants(
  infos: readonly TensorInfo[],
  constants: readonly Constant[],
): Generator<Piece, void, undefined> {
  for (const [i, { shape, values }] of constants.entries()) {
    const count = size(shape);
    for (let at = 0; at < count; at += PART) {
      const part = Float32Array.from(
        { length: Math.min(PART, count - at) },
        (_, j) => values[(at + j) % values.length] as number,
      );
      yield { tensor: infos[i] as TensorInfo, bytes: bytesOfNumbers(part) };
    }
  }
}
