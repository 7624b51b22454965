/** Storages of a PyTorch file -> tensors: in passing if they lie one after the other, else out of a whole storage. */

import { ResnetError } from '../../../../models/errors.js';
import { label, shown } from '../../../util/messages.js';
import { decoderOf, STORED_BYTES, type StoredDtype } from '../../dtype.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import type { Piece, TensorInfo } from '../../types.js';
import { heldTensor, spanPieces } from '../spans.js';
import type { Storage, View } from './checkpoint.js';
import type { NamedView } from './state-dict.js';

/** A tensor to be made of a storage. */
export interface Read {
  readonly tensor: TensorInfo;
  readonly view: View;
}

/** How often the values of a storage may be read, since tensors may share them. */
const MAX_SHARES = 16;

/** Values of a tensor that is put together anew, in a piece. */
const PIECE = 2 ** 18;

/** Bytes of a value of a wanted tensor, whose type is known. */
const widthOf = ({ type }: View): number => STORED_BYTES[type.dtype as StoredDtype];

/**
 * The tensors of a state_dict by the key of the storage that they look into, sorted by their place in it. All are of
 * floating point. Throws one sentence if one looks beyond its storage or repeats values.
 */
export function readsOf(views: readonly NamedView[]): Map<string, Read[]> {
  const reads = new Map<string, Read[]>();
  for (const { name, view } of views) {
    const { storage, shape } = view;
    checkView(label(name), view);
    const tensor = heldTensor(name, shape, view.type.dtype as StoredDtype);
    const list = reads.get(storage.key) ?? [];
    list.push({ tensor, view });
    reads.set(storage.key, list);
  }
  for (const list of reads.values()) {
    list.sort((a, b) => beginOf(a.view) - beginOf(b.view) || a.view.count - b.view.count);
    const { storage } = (list[0] as Read).view;
    const bytes = list.reduce((sum, { view }) => sum + view.count * widthOf(view), 0);
    if (bytes > MAX_SHARES * bytesOf(storage)) {
      const expected = `tensors of at most ${MAX_SHARES} times its ${bytesOf(storage)} bytes`;
      throw new ResnetError('weights', `storage ${label(storage.key)}: expected ${expected}, got ${bytes}.`);
    }
  }
  return reads;
}

/** Bytes of a storage that wanted tensors look into. */
export const bytesOf = ({ bytes = 0 }: Storage): number => bytes;

const beginOf = (view: View): number => view.offset * widthOf(view);

function checkView(subject: string, view: View): void {
  const { storage, offset, shape, stride, count } = view;
  if (storage.bytes === undefined) {
    throw new ResnetError(
      'weights',
      `${subject}: expected values of floating point, got those of ${label(storage.type.name)}.`,
    );
  }
  if (count === 0) return;
  const held = Math.floor(storage.bytes / widthOf(view));
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * (stride[axis] as number), offset);
  if (!(last < held)) {
    throw new ResnetError('weights', `${subject}: expected a place in its storage of ${held} values, got ${last}.`);
  }
  if (count > held || shape.some((size, axis) => size > 1 && stride[axis] === 0)) {
    const got = `shape ${shown(shape)} with strides ${shown(stride)}`;
    throw new ResnetError('weights', `${subject}: expected every value once, got ${got} in ${held} values.`);
  }
}

/**
 * The tensors of the storage that the stream now is at. If they overlap, or one has strides of its own, the storage is
 * held whole meanwhile.
 */
export async function* storagePieces(
  stream: ByteStream,
  storage: Storage,
  reads: readonly Read[],
  isBigEndian: boolean,
): AsyncGenerator<Piece, void, undefined> {
  const size = bytesOf(storage);
  const ended = () => `${stream.name}: expected ${size} bytes of storage ${label(storage.key)}, got fewer.`;
  let end = 0;
  const inPassing = reads.every(({ view }) => {
    const isNext = view.isContiguous && (view.count === 0 || beginOf(view) >= end);
    if (view.count > 0) end = beginOf(view) + view.count * widthOf(view);
    return isNext;
  });
  if (inPassing) {
    let at = 0;
    const pass = (to: number) => ({ tensor: undefined, bytes: to - at });
    for (const { tensor, view } of reads) {
      if (view.count === 0) continue;
      const [begin, bytes] = [beginOf(view), view.count * widthOf(view)];
      yield* spanPieces(stream, pass(begin), ended);
      yield* spanPieces(
        stream,
        { tensor, bytes, stored: { dtype: view.type.dtype as StoredDtype, isBigEndian } },
        ended,
      );
      at = begin + bytes;
    }
    yield* spanPieces(stream, pass(size), ended);
    return;
  }
  const bytes = await stream.take(size);
  if (bytes.length < size) throw new ResnetError('weights', ended());
  for (const { tensor, view } of reads) {
    const decoder = decoderOf({ dtype: view.type.dtype as StoredDtype, isBigEndian });
    for (const part of gathered(bytes, view)) yield { tensor, bytes: decoder ? decoder.push(part) : part };
  }
}

const UNITS = { 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const;

/** The values of a view, row-major, in pieces. `bytes` are those of the whole storage. */
function* gathered(bytes: Uint8Array, view: View): Generator<Uint8Array> {
  const { offset, shape, stride, count } = view;
  const width = widthOf(view);
  const Unit = UNITS[width as keyof typeof UNITS];
  const values = new Unit(bytes.buffer as ArrayBuffer, bytes.byteOffset, Math.floor(bytes.length / width));
  const index = shape.map(() => 0);
  let from = offset;
  for (let first = 0; first < count; first += PIECE) {
    const piece = new Unit(Math.min(PIECE, count - first));
    for (let i = 0; i < piece.length; i++) {
      piece[i] = values[from] as number;
      // The next index, and where its value lies.
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        const step = stride[axis] as number;
        from += step;
        if (++(index[axis] as number) < (shape[axis] as number)) break;
        from -= step * (shape[axis] as number);
        index[axis] = 0;
      }
    }
    yield new Uint8Array(piece.buffer);
  }
}
