/** The bytes of a file cut between its values. */

import { joined } from '../util/bytes.js';
import { DTYPE_BYTES, type Piece, type WeightFile } from './types.js';

/** Reads the pieces of a file as whole values, whose bytes are valid until the next are asked for. */
export async function* wholeValues(file: WeightFile): AsyncGenerator<Piece, void, undefined> {
  // The first bytes of a value whose others are in the next piece.
  let rest = new Uint8Array(0);
  for await (const { tensor, bytes } of file.pieces()) {
    const all = rest.length > 0 ? joined([rest, bytes]) : bytes;
    const whole = all.length - (all.length % DTYPE_BYTES[tensor.dtype]);
    rest = all.slice(whole);
    if (whole > 0) yield { tensor, bytes: all.subarray(0, whole) };
  }
}
