/** The weight file of a state_dict, whatever the form of the checkpoint. */

import type { ByteStream } from '../../stream/byte-stream.js';
import type { Piece, WeightFile } from '../../types.js';
import { weightFile } from '../spans.js';
import type { StateDict } from './state-dict.js';
import type { Read } from './storage.js';

/** `reads` are the tensors of each storage, in the order in which `pieces` hands storages out. */
export function fileOf(
  stream: ByteStream,
  { metadata, key, others, skipped }: StateDict,
  reads: readonly (readonly Read[])[],
  pieces: () => AsyncGenerator<Piece, void, undefined>,
): WeightFile {
  const tensors = reads.flatMap((list) => list.map(({ tensor }) => tensor));
  const file = weightFile({ format: 'pytorch', metadata, config: {} }, tensors, stream, pieces);
  return { ...file, selection: { key, others, skipped } };
}
