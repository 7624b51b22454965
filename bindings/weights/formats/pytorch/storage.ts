/** Storages of a PyTorch file -> tensors: as the bytes pass if they lie side by side, otherwise out of a whole storage. */

import { label, shown } from '../../../util/messages.js';
import { decoderOf, STORED_BYTES, type StoredDtype } from '../../dtype.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import type { Piece, TensorInfo } from '../../types.js';
import { heldTensor, spanPieces } from '../spans.js';
import type { NamedView, Storage, View } from './state-dict.js';

/** A tensor to be made of a storage. */
export interface Read {
  readonly tensor: TensorInfo;
  readonly view: View;
}

/** How often a storage's values may be read: tensors may share them. */
const MAX_SHARES = 16;

/** Elements per piece when a strided tensor is gathered. */
const PIECE = 2 ** 18;

/**
 * Groups the tensors of a state_dict by the storage that they look into, sorted by their place in it. Throws if one is no
 * tensor of floating point, looks beyond its storage, or repeats values.
 */
export function readsOf(views: readonly NamedView[]): Map<string, Read[]> {
  const reads = new Map<string, Read[]>();
  for (const { name, view } of views) {
    const { storage, shape } = view;
    checkView(label(name), view);
    const tensor = heldTensor(name, shape, storage.dtype as StoredDtype);
    const list = reads.get(storage.key) ?? [];
    list.push({ tensor, view });
    reads.set(storage.key, list);
  }
  for (const list of reads.values()) {
    list.sort((a, b) => a.view.offset - b.view.offset || a.view.count - b.view.count);
    const { storage } = (list[0] as Read).view;
    const count = list.reduce((sum, { view }) => sum + view.count, 0);
    if (count > MAX_SHARES * storage.count) {
      const expected = `tensors of at most ${MAX_SHARES} times the ${storage.count} values`;
      throw new Error(`storage ${label(storage.key)}: expected ${expected}, got ${count}.`);
    }
  }
  return reads;
}

function checkView(subject: string, { storage, offset, shape, stride, count }: View): void {
  if (storage.dtype === undefined) {
    throw new Error(`${subject}: expected values of floating point, got a ${storage.type}.`);
  }
  if (count === 0) return;
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * (stride[axis] as number), offset);
  if (!(last < storage.count)) {
    throw new Error(`${subject}: expected a place in its storage of ${storage.count} values, got ${last}.`);
  }
  if (count > storage.count || shape.some((size, axis) => size > 1 && stride[axis] === 0)) {
    const got = `shape ${shown(shape)} with strides ${shown(stride)}`;
    throw new Error(`${subject}: expected every value once, got ${got} in ${storage.count} values.`);
  }
}

/**
 * Reads the tensors of the storage that begins at the stream's position. If they overlap, or one has strides of its own,
 * the storage is held whole meanwhile.
 */
export async function* storagePieces(
  stream: ByteStream,
  storage: Storage,
  reads: readonly Read[],
  isBigEndian: boolean,
): AsyncGenerator<Piece, void, undefined> {
  const dtype = storage.dtype ?? 'F32';
  const width = STORED_BYTES[dtype];
  const ended = () => `${stream.name}: expected ${storage.bytes} bytes of storage ${label(storage.key)}, got fewer.`;
  let end = 0;
  const inPassing = reads.every(({ view }) => {
    const isNext = view.isContiguous && (view.count === 0 || view.offset >= end);
    if (view.count > 0) end = view.offset + view.count;
    return isNext;
  });
  if (inPassing) {
    let at = 0;
    const pass = (to: number) => ({ tensor: undefined, bytes: to - at });
    for (const { tensor, view } of reads) {
      if (view.count === 0) continue;
      yield* spanPieces(stream, pass(view.offset * width), ended);
      yield* spanPieces(stream, { tensor, bytes: view.count * width, stored: { dtype, isBigEndian } }, ended);
      at = (view.offset + view.count) * width;
    }
    yield* spanPieces(stream, pass(storage.bytes), ended);
    return;
  }
  const bytes = await stream.take(storage.bytes);
  if (bytes.length < storage.bytes) throw new Error(ended());
  for (const { tensor, view } of reads) {
    const decoder = decoderOf({ dtype, isBigEndian });
    for (const part of gathered(bytes, width, view)) yield { tensor, bytes: decoder ? decoder.push(part) : part };
  }
}

const UNITS = { 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const;

/** Gathers the values of a view, row-major, in pieces. `bytes` are those of the whole storage. */
function* gathered(bytes: Uint8Array, width: number, { offset, shape, stride, count }: View): Generator<Uint8Array> {
  const Unit = UNITS[width as keyof typeof UNITS];
  const values = new Unit(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length / width);
  const index = shape.map(() => 0);
  let from = offset;
  for (let first = 0; first < count; first += PIECE) {
    const piece = new Unit(Math.min(PIECE, count - first));
    for (let i = 0; i < piece.length; i++) {
      piece[i] = values[from] as number;
      // Step to the next index, and to its value.
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
