/**
 * PyTorch checkpoints: a pickle of tensors that look into storages, and the storages' values. Since PyTorch 1.6 these
 * are entries of a ZIP archive, data.pkl first; before, pickles and storages lie one after the other. Both are read
 * front to back. After https://github.com/pytorch/pytorch/blob/main/torch/serialization.py.
 */

import { label, shown } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import type { Piece, Reader, WeightFile } from '../../types.js';
import { weightFile } from '../spans.js';
import { unpickle } from './pickle.js';
import { Checkpoint, findStateDict, type Storage } from './state-dict.js';
import { type Read, readsOf, storagePieces } from './storage.js';
import { ZipReader } from './zip.js';

/** The number that opens the form before PyTorch 1.6. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

const PICKLE = 'data.pkl';
const STORAGES = 'data/';
const BYTE_ORDER = 'byteorder';

/** Reads the ZIP archives that PyTorch writes since 1.6. */
export const archive: Reader = { open: openArchive };

/** Reads the pickles and storages that PyTorch wrote before 1.6. */
export const legacy: Reader = { open: openLegacy };

/** Makes the file of these tensors, in the order of the storages' keys, which is the file's. */
function fileOf(
  stream: ByteStream,
  metadata: Record<string, string>,
  reads: ReadonlyMap<string, Read[]>,
  keys: readonly string[],
  pieces: () => AsyncGenerator<Piece, void, undefined>,
): WeightFile {
  const tensors = keys.flatMap((key) => reads.get(key)?.map(({ tensor }) => tensor) ?? []);
  return weightFile({ format: 'pytorch', metadata, config: {} }, tensors, stream, pieces);
}

async function openArchive(stream: ByteStream): Promise<WeightFile> {
  const zip = new ZipReader(stream);
  const first = await zip.next();
  if (!first?.name.endsWith(`/${PICKLE}`)) {
    const got = first ? `one that begins with ${shown(first.name)}` : 'an empty one';
    throw new Error(`${stream.name}: expected a ZIP archive of PyTorch, which begins with ${PICKLE}, got ${got}.`);
  }
  const root = first.name.slice(0, -PICKLE.length);
  const subject = `${stream.name}: ${PICKLE}`;
  const checkpoint = new Checkpoint(subject);
  const { views, metadata } = findStateDict(subject, await unpickle(stream, subject, checkpoint));
  await zip.finish();
  const { storages } = checkpoint;
  const left = stream.total === undefined ? Number.POSITIVE_INFINITY : stream.total - stream.position;
  const bytes = [...storages.values()].reduce((sum, storage) => sum + storage.bytes, 0);
  if (bytes > left) throw new Error(`${stream.name}: expected ${bytes} bytes of storages, got ${left}.`);
  const reads = readsOf(views);
  // torch.save writes them sorted as texts.
  const keys = [...storages.keys()].sort();
  return fileOf(stream, metadata, reads, keys, () => archivePieces(stream, zip, root, storages, reads));
}

async function* archivePieces(
  stream: ByteStream,
  zip: ZipReader,
  root: string,
  storages: ReadonlyMap<string, Storage>,
  reads: Map<string, Read[]>,
): AsyncGenerator<Piece, void, undefined> {
  const waiting = [...reads.keys()].sort();
  let isBigEndian = false;
  for (let entry = await zip.next(); entry; entry = await zip.next()) {
    const name = entry.name.startsWith(root) ? entry.name.slice(root.length) : '';
    const key = name.startsWith(STORAGES) ? name.slice(STORAGES.length) : undefined;
    const storage = key === undefined ? undefined : storages.get(key);
    if (name === BYTE_ORDER) {
      const order = new TextDecoder().decode(await zip.content(16));
      if (!/^(little|big)$/.test(order)) {
        throw new Error(`${stream.name}: ${name}: expected little or big, got ${shown(order)}.`);
      }
      if (waiting.length < reads.size)
        throw new Error(`${stream.name}: ${name} comes after storages, whose values depend on it.`);
      isBigEndian = order === 'big';
    } else if (storage) {
      if (entry.bytes !== undefined && entry.bytes !== storage.bytes) {
        throw new Error(`${stream.name}: ${label(name)}: expected ${storage.bytes} bytes, got ${entry.bytes}.`);
      }
      const list = reads.get(storage.key) ?? [];
      if (list.length > 0 && storage.key !== waiting.shift()) {
        throw new Error(`${stream.name}: ${label(name)}: expected storages once, in torch.save's order, got another.`);
      }
      yield* storagePieces(stream, storage, list, isBigEndian);
      await zip.finish();
    } else await zip.skip();
  }
  if (waiting[0] !== undefined) {
    throw new Error(`${stream.name}: storage ${label(waiting[0])} is missing.`);
  }
  await zip.end();
}

async function openLegacy(stream: ByteStream): Promise<WeightFile> {
  const checkpoint = new Checkpoint(stream.name);
  const read = () => unpickle(stream, stream.name, checkpoint);
  const magic = await read();
  if (magic !== MAGIC) throw new Error(`${stream.name}: expected the number ${MAGIC}, got ${shown(magic)}.`);
  const protocol = await read();
  if (protocol !== LEGACY_PROTOCOL) {
    throw new Error(`${stream.name}: expected protocol ${LEGACY_PROTOCOL}, got ${shown(protocol)}.`);
  }
  // Sizes of C types and the byte order of the machine. Storages are little-endian on any.
  await read();
  const { views, metadata } = findStateDict(stream.name, await read());
  const keys = await read();
  const { storages } = checkpoint;
  const isList = Array.isArray(keys) && new Set(keys).size === keys.length && keys.every((key) => storages.has(key));
  if (!isList || keys.length !== storages.size) {
    throw new Error(`${stream.name}: expected the keys of ${storages.size} storages, got ${shown(keys)}.`);
  }
  const bytes = [...storages.values()].reduce((sum, storage) => sum + COUNT_BYTES + storage.bytes, stream.position);
  if (stream.total !== undefined && stream.total !== bytes) {
    throw new Error(`${stream.name}: expected ${bytes} bytes as its pickles say, got ${stream.total}.`);
  }
  const reads = readsOf(views);
  return fileOf(stream, metadata, reads, keys, () => legacyPieces(stream, keys, storages, reads));
}

/** Bytes of a storage's count of values, which precedes them. */
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
      throw new Error(`${stream.name}: expected ${storage.count} values of storage ${label(key)}, got ${count}.`);
    }
    yield* storagePieces(stream, storage, reads.get(key) ?? [], false);
  }
  if (await stream.next(1)) throw new Error(`${stream.name}: there are bytes after the last storage.`);
}
