/** Tensors that lie side by side in a stream: what the readers share. */

import { ResnetError } from '../../../models/errors.js';
import { shown } from '../../util/messages.js';
import { size } from '../../util/shape.js';
import { decoderOf, heldDtype, STORED_BYTES, type Stored, type StoredDtype } from '../dtype.js';
import type { ByteStream } from '../stream/byte-stream.js';
import { DTYPE_BYTES, type Piece, type TensorInfo, type WeightFile } from '../types.js';

/** A stretch of the stream: a tensor, or bytes to keep elsewhere or to pass over. */
export interface Span {
  readonly tensor: TensorInfo | undefined;
  /** In the stream. */
  readonly bytes: number;
  /** What the stream holds, if that is not the tensor's type in little-endian order. */
  readonly stored?: Stored;
  /** Takes a copy of bytes that are no tensor's. */
  readonly keep?: (bytes: Uint8Array) => void;
}

/** Counts the bytes of a tensor. Throws, `subject` first, if they are too many to count exactly. */
export function tensorBytes(subject: string, shape: readonly number[], dtype: StoredDtype): number {
  const bytes = size(shape) * STORED_BYTES[dtype];
  if (!Number.isSafeInteger(bytes)) {
    throw new ResnetError('weights', `${subject}: expected a shape of at most 2^53 bytes, got ${shown(shape)}.`);
  }
  return bytes;
}

/** What a file is, apart from its tensors. */
export type Description = Pick<
  WeightFile,
  'format' | 'metadata' | 'config' | 'graph' | 'preprocessing' | 'selection' | 'warnings'
>;

/** Makes the weight file of these tensors; `read` gives their bytes, once. */
export function weightFile(
  description: Description,
  tensors: readonly TensorInfo[],
  source: { readonly name: string; close(): Promise<void> },
  read: () => AsyncGenerator<Piece, void, undefined>,
): WeightFile {
  let isRead = false;
  return {
    ...description,
    tensors,
    total: tensors.reduce((sum, { shape, dtype }) => sum + size(shape) * DTYPE_BYTES[dtype], 0),
    async *pieces() {
      if (isRead) throw new ResnetError('weights', `${source.name}: its tensors can be read only once; open it again.`);
      isRead = true;
      try {
        yield* read();
      } finally {
        await source.close();
      }
    },
    close: () => source.close(),
  };
}

/** Makes the weight file that `spans` describe: they begin at the stream's position and end with the stream. */
export function spannedFile(description: Description, stream: ByteStream, spans: readonly Span[]): WeightFile {
  const tensors = spans.flatMap(({ tensor }) => tensor ?? []);
  return weightFile(description, tensors, stream, () => piecesOf(stream, spans));
}

export async function* piecesOf(stream: ByteStream, spans: readonly Span[]): AsyncGenerator<Piece, void, undefined> {
  const expected = spans.reduce((sum, { bytes }) => sum + bytes, stream.position);
  for (const span of spans) {
    yield* spanPieces(stream, span, () => `${stream.name}: expected ${expected} bytes, got ${stream.position}.`);
  }
  if (await stream.next(1)) throw new ResnetError('weights', `${stream.name}: expected ${expected} bytes, got more.`);
}

/** Reads the next bytes of the stream as a tensor's. Throws an error that says `ended()` if the stream ends first. */
export async function* spanPieces(
  stream: ByteStream,
  { tensor, bytes, stored, keep }: Span,
  ended: () => string,
): AsyncGenerator<Piece, void, undefined> {
  const decoder = decoderOf(stored);
  for (let left = bytes; left > 0; ) {
    const part = await stream.next(left);
    if (!part) throw new ResnetError('weights', ended());
    left -= part.length;
    const values = decoder ? decoder.push(part) : part;
    keep?.(part);
    if (tensor && values.length > 0) yield { tensor, bytes: values };
  }
}

/** Makes the TensorInfo of a tensor stored as `stored` (F64 is narrowed to F32). */
export function heldTensor(
  name: string,
  shape: readonly number[],
  stored: StoredDtype,
  order: TensorInfo['order'] = 'OI',
): TensorInfo {
  const tensor = { name, shape, dtype: heldDtype(stored), order };
  return stored === 'F64' ? { ...tensor, stored } : tensor;
}
