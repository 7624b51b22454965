/** Tensors that lie one after the other in a stream: what the readers share. */

import { DTYPE_BYTES, type Dtype, type NetworkHints, type Piece, type TensorInfo, type WeightFile } from './format.js';
import type { ByteStream } from './source.js';
import { shown } from './text.js';

/** A stretch of the stream: a tensor, or bytes to pass over. */
export interface Span {
  readonly tensor: TensorInfo | undefined;
  readonly bytes: number;
}

/** A shape as a file states it. Throws one sentence, `subject` first, where it is none. */
export function checkedShape(subject: string, shape: unknown): number[] {
  const valid = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!valid) throw new Error(`${subject}: expected a shape of whole numbers from 0, got ${shown(shape)}.`);
  return shape;
}

/** Bytes of a tensor. Throws one sentence, `subject` first, where they are too many to count exactly. */
export function tensorBytes(subject: string, shape: readonly number[], dtype: Dtype): number {
  const bytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
  if (!Number.isSafeInteger(bytes)) {
    throw new Error(`${subject}: expected a shape of at most 2^53 bytes, got ${shown(shape)}.`);
  }
  return bytes;
}

export interface Description {
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly hints: NetworkHints;
}

/** The weight file that `spans` describe: they begin where the stream now is, and end with it. */
export function spannedFile(description: Description, stream: ByteStream, spans: readonly Span[]): WeightFile {
  const held = spans.filter(({ tensor }) => tensor);
  let read = false;
  return {
    ...description,
    tensors: held.flatMap(({ tensor }) => tensor ?? []),
    total: held.reduce((sum, { bytes }) => sum + bytes, 0),
    async *pieces() {
      if (read) throw new Error(`${stream.name}: expected its tensors to be read once, got a second reading.`);
      read = true;
      try {
        yield* piecesOf(stream, spans);
      } finally {
        await stream.close();
      }
    },
    close: () => stream.close(),
  };
}

async function* piecesOf(stream: ByteStream, spans: readonly Span[]): AsyncGenerator<Piece, void, undefined> {
  const expected = spans.reduce((sum, { bytes }) => sum + bytes, stream.position);
  for (const { tensor, bytes } of spans) {
    for (let left = bytes; left > 0; ) {
      const part = await stream.next(left);
      if (!part) throw new Error(`${stream.name}: expected ${expected} bytes, got ${stream.position}.`);
      left -= part.length;
      if (tensor) yield { tensor, bytes: part };
    }
  }
  if (await stream.next(1)) throw new Error(`${stream.name}: expected ${expected} bytes, got more.`);
}
