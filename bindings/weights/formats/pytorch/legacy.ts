/** Checkpoints of before PyTorch 1.6: pickles and storages one after the other, read front to back. */

import { ResnetError } from '../../../../models/errors.js';
import { label, shown } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import type { Piece, WeightFile } from '../../types.js';
import { Checkpoint, type Storage } from './checkpoint.js';
import { fileOf } from './file.js';
import { unpickle } from './pickle.js';
import { findStateDict } from './state-dict.js';
import { bytesOf, type Read, readsOf, storagePieces } from './storage.js';

/** The number that opens such a file. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

export async function openLegacy(stream: ByteStream, prefix?: string): Promise<WeightFile> {
  const checkpoint = new Checkpoint(stream.name);
  const read = () => unpickle(stream, stream.name, checkpoint);
  const magic = await read();
  if (magic !== MAGIC)
    throw new ResnetError('weights', `${stream.name}: expected the number ${MAGIC}, got ${shown(magic)}.`);
  const protocol = await read();
  if (protocol !== PROTOCOL) {
    throw new ResnetError('weights', `${stream.name}: expected protocol ${PROTOCOL}, got ${shown(protocol)}.`);
  }
  // Sizes of C types and the byte order of the machine. Storages are little-endian on any.
  await read();
  const dict = findStateDict(stream.name, await read(), prefix);
  const keys = await read();
  const { storages } = checkpoint;
  const isList = Array.isArray(keys) && new Set(keys).size === keys.length && keys.every((key) => storages.has(key));
  if (!isList || keys.length !== storages.size) {
    throw new ResnetError(
      'weights',
      `${stream.name}: expected the keys of ${storages.size} storages, got ${shown(keys)}.`,
    );
  }
  const unknown = [...storages.values()].find((storage) => storage.bytes === undefined);
  if (unknown) {
    const type = label(unknown.type.name);
    throw new ResnetError(
      'weights',
      `${stream.name}: expected storages of known types, one after the other, got ${type}.`,
    );
  }
  const bytes = [...storages.values()].reduce((sum, each) => sum + COUNT_BYTES + bytesOf(each), stream.position);
  if (stream.total !== undefined && stream.total !== bytes) {
    throw new ResnetError(
      'weights',
      `${stream.name}: expected ${bytes} bytes as its pickles say, got ${stream.total}.`,
    );
  }
  const reads = readsOf(dict.views);
  const ordered = keys.flatMap((key) => [reads.get(key) ?? []]);
  return fileOf(stream, dict, ordered, () => legacyPieces(stream, keys, storages, reads));
}

/** Of a storage's count of values, which is before them. */
const COUNT_BYTES = 8;

async function* legacyPieces(
  stream: ByteStream,
  keys: readonly string[],
  storages: ReadonlyMap<string, Storage>,
  reads: Map<string, Read[]>,
): AsyncGenerator<Piece, void, undefined> {
  for (const key of keys) {
    const storage = storages.get(key) as Storage;
    const head = await stream.take(COUNT_BYTES);
    const count = head.length < COUNT_BYTES ? 'none' : new DataView(head.buffer).getBigInt64(0, true);
    if (count !== BigInt(storage.count)) {
      throw new ResnetError(
        'weights',
        `${stream.name}: expected ${storage.count} values of storage ${label(key)}, got ${count}.`,
      );
    }
    yield* storagePieces(stream, storage, reads.get(key) ?? [], false);
  }
  if (await stream.next(1))
    throw new ResnetError('weights', `${stream.name}: expected its end after the last storage, got more.`);
}
