/** Tensors that lie one after the other in a stream: what the readers share. */

import { shown } from '../../util/messages.js';
import { size } from '../../util/shape.js';
import { decoderOf, heldDtype, STORED_BYTES, type Stored, type StoredDtype } from '../dtype.js';
import type { ByteStream } from '../stream/byte-stream.js';
import { DTYPE_BYTES, type Piece, type TensorInfo, type WeightFile } from '../types.js';

/** A stretch of the stream: a tensor, or bytes to pass over. */
export interface Span {
  readonly tensor: TensorInfo | undefined;
  /** In the stream. */
  readonly bytes: number;
  /** What the stream holds, where that is not the tensor's type in little-endian order. */
  readonly stored?: Stored;
}

/** A shape as a file states it. Throws one sentence, `subject` first, where it is none. */
export function checkedShape(subject: string, shape: unknown): number[] {
  const valid = Array.isArray(shape) && shape.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!valid) throw new Error(`${subject}: expected a shape of whole numbers from 0, got ${shown(shape)}.`);
  return shape;
}

/** Bytes of a tensor. Throws one sentence, `subject` first, where they are too many to count exactly. */
export function tensorBytes(subject: string, shape: readonly number[], dtype: StoredDtype): number {
  const bytes = size(shape) * STORED_BYTES[dtype];
  if (!Number.isSafeInteger(bytes)) {
    throw new Error(`${subject}: expected a shape of at most 2^53 bytes, got ${shown(shape)}.`);
  }
  return bytes;
}

/** What a file is, apart from its tensors. */
type Description = Pick<WeightFile, 'format' | 'metadata' | 'config' | 'graph'>;

/** The weight file of these tensors, whose bytes `read` gives, once. */
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
      if (isRead) throw new Error(`${source.name}: expected its tensors to be read once, got a second reading.`);
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

/** The weight file that `spans` describe: they begin where the stream now is, and end with it. */
export function spannedFile(description: Description, stream: ByteStream, spans: readonly Span[]): WeightFile {
  const tensors = spans.flatMap(({ tensor }) => tensor ?? []);
  return weightFile(description, tensors, stream, () => piecesOf(stream, spans));
}

async function* piecesOf(stream: ByteStream, spans: readonly Span[]): AsyncGenerator<Piece, void, undefined> {
  const expected = spans.reduce((sum, { bytes }) => sum + bytes, stream.position);
  for (const span of spans) {
    yield* spanPieces(stream, span, () => `${stream.name}: expected ${expected} bytes, got ${stream.position}.`);
  }
  if (await stream.next(1)) throw new Error(`${stream.name}: expected ${expected} bytes, got more.`);
}

/** The next bytes of the stream as a tensor's. Throws `ended()` where the stream ends first. */
export async function* spanPieces(
  stream: ByteStream,
  { tensor, bytes, stored }: Span,
  ended: () => string,
): AsyncGenerator<Piece, void, undefined> {
  const decoder = decoderOf(stored);
  for (let left = bytes; left > 0; ) {
    const part = await stream.next(left);
    if (!part) throw new Error(ended());
    left -= part.length;
    const values = decoder ? decoder.push(part) : part;
    if (tensor && values.length > 0) yield { tensor, bytes: values };
  }
}

/** What a tensor that a file holds in some type becomes. */
export function heldTensor(
  name: string,
  shape: readonly number[],
  stored: StoredDtype,
  order: TensorInfo['order'] = 'OI',
): TensorInfo {
  const tensor = { name, shape, dtype: heldDtype(stored), order };
  return stored === 'F64' ? { ...tensor, stored } : tensor;
}
