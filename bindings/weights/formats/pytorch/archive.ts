/**
 * Checkpoints since PyTorch 1.6: ZIP archives with a pickle, data.pkl, and an entry for each storage, data/KEY. Writers
 * differ in the order of entries: sorted as texts up to PyTorch 2.6, by number since 2.7, anything at all if somebody
 * packed the archive anew. If the source can be read at any place (a path, bytes, a Blob in a worker), the archive's
 * directory tells the order and nothing is held; for a pure stream see streamed.ts.
 */

import { ResnetError } from '../../../../models/errors.js';
import type { RandomBytes } from '../../../platform/types.js';
import { label, shown } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import type { Piece, WeightFile } from '../../types.js';
import { Directory, type PlacedEntry } from '../zip/directory.js';
import { ZipReader } from '../zip/stream.js';
import {
  BYTE_ORDER,
  isBig,
  isPickle,
  ORDER_BYTES,
  PICKLE,
  readContent,
  refuseImpostor,
  STORAGES,
  storageOf,
  within,
  withoutPickle,
} from './content.js';
import { fileOf } from './file.js';
import { impostorOf, TORCHSCRIPT } from './impostors.js';
import { bytesOf, type Read, storagePieces } from './storage.js';
import { openStreamed } from './streamed.js';

export async function openArchive(stream: ByteStream, prefix?: string): Promise<WeightFile> {
  const random = stream.random();
  if (!random) return openStreamed(stream, prefix);
  try {
    return await openPlaced(stream, random, prefix);
  } finally {
    random.close();
  }
}

/** A storage that is wanted. */
interface Place {
  readonly entry: PlacedEntry;
  readonly reads: readonly Read[];
}

/** Reads the directory and the pickle wherever they are; the storages are read in passing, later. */
async function openPlaced(stream: ByteStream, random: RandomBytes, prefix?: string): Promise<WeightFile> {
  const { name, total = 0 } = stream;
  const directory = new Directory(name, total, random);
  const names = directory.entries.map((entry) => entry.name);
  const pickle = directory.entries.find((entry) => isPickle(entry.name));
  if (!pickle || names.some((each) => impostorOf(each) === TORCHSCRIPT)) refuseImpostor(name, names);
  if (!pickle) throw withoutPickle(name, names);
  const root = pickle.name.slice(0, -PICKLE.length);
  const bytes = directory.open(pickle);
  const { dict, reads } = await readContent(name, bytes, prefix);
  if (await bytes.next(1)) throw directory.error(pickle.name, 'its end behind its value', 'more');
  const byName = new Map(directory.entries.map((entry) => [within(root, entry.name), entry]));
  const order = byName.get(BYTE_ORDER);
  const isBigEndian = order !== undefined && isBig(name, await directory.open(order).take(ORDER_BYTES + 1));
  const places = [...reads.values()].map((list): Place => {
    const storage = storageOf(list);
    const entry = byName.get(STORAGES + storage.key);
    if (!entry) throw new ResnetError('weights', `${name}: expected storage ${label(storage.key)}, got no such entry.`);
    directory.checkStored(entry);
    const { bytes } = entry.packing;
    if (bytes !== storage.bytes) throw directory.error(entry.name, `${storage.bytes} bytes`, `${bytes}`);
    return { entry, reads: list };
  });
  places.sort((a, b) => a.entry.at - b.entry.at);
  const ordered = places.map(({ reads: list }) => list);
  return fileOf(stream, dict, ordered, () => placedPieces(stream, directory, places, isBigEndian));
}

async function* placedPieces(
  stream: ByteStream,
  directory: Directory,
  places: readonly Place[],
  isBigEndian: boolean,
): AsyncGenerator<Piece, void, undefined> {
  const zip = new ZipReader(stream);
  for (const [i, { entry, reads }] of places.entries()) {
    const { name, at } = entry;
    const end = places[i + 1]?.entry.at ?? directory.begin;
    if (at < stream.position) throw directory.error(name, 'a place of its own', 'one in another entry');
    while (stream.position < at) if (!(await stream.next(at - stream.position))) break;
    const found = await zip.next();
    if (found?.name !== name) {
      throw directory.error(name, `its header ${at} bytes in`, found ? shown(found.name) : 'none');
    }
    const storage = storageOf(reads);
    if (stream.position + bytesOf(storage) > end) {
      throw directory.error(name, `its end at most ${end} bytes in`, `it ${stream.position + bytesOf(storage)} in`);
    }
    yield* storagePieces(stream, storage, reads, isBigEndian);
  }
}
