/**
 * Keras 3's .keras archives: a ZIP with the topology (config.json), the version of Keras (metadata.json) and the weights
 * as HDF5 (model.weights.h5), each as it is or deflated. HDF5 is read at any place: where the source cannot be, or the
 * weights are packed, they are taken into memory.
 */

import { ResnetError } from '../../../../models/errors.js';
import type { RandomBytes } from '../../../platform/types.js';
import { isRecord, parseJson } from '../../../util/json.js';
import { randomBytes } from '../../stream/random-access.js';
import type { Reader, WeightFile } from '../../types.js';
import { endOf, Hdf5, SUPERBLOCK_BYTES } from '../hdf5/file.js';
import { isHdf5 } from '../sniff.js';
import { type Content, contentOf } from '../zip/content.js';
import { Directory } from '../zip/directory.js';
import { CONFIG, METADATA, WEIGHTS } from './archive-names.js';
import { kerasHdf5, type Topology } from './h5.js';

const MAX_JSON_BYTES = 100_000_000;
/** Of an archive that comes as a stream: what an array can hold. */
const MAX_BYTES = 2 ** 32;
export const kerasArchive: Reader = {
  async open(stream, { signal, hdf5: url }) {
    const { name } = stream;
    const placed = stream.random();
    const whole = placed ? undefined : await stream.take(MAX_BYTES);
    const bytes = closedOnce(placed ?? randomBytes(whole ?? new Uint8Array(0)));
    const size = whole?.length ?? stream.total ?? 0;
    await stream.close();
    try {
      return await openArchive(name, size, bytes, url, signal);
    } catch (error) {
      bytes.close();
      throw error;
    }
  },
};

/** A path's bytes cannot be closed twice, and what has read an archive so far may fail with them in hand. */
function closedOnce(bytes: RandomBytes): RandomBytes {
  let isClosed = false;
  return {
    read: (begin, into) => bytes.read(begin, into),
    close() {
      if (!isClosed) bytes.close();
      isClosed = true;
    },
  };
}

async function openArchive(
  name: string,
  size: number,
  bytes: RandomBytes,
  url: string | URL | undefined,
  signal: AbortSignal | undefined,
): Promise<WeightFile> {
  const directory = new Directory(name, size, bytes);
  const content = async (entry: string, most: number): Promise<Content> => {
    const found = directory.entries.find((each) => each.name === entry);
    if (!found) throw new ResnetError('weights', `${name}: expected ${entry} in a .keras archive, got no such entry.`);
    return contentOf(directory, found, bytes, most);
  };
  const json = async (entry: string): Promise<unknown> => {
    const { bytes: held, size: length } = await content(entry, MAX_JSON_BYTES);
    const text = new Uint8Array(length);
    return parseJson(`${name}: ${entry}`, text.subarray(0, held.read(0, text))).value;
  };
  const metadata = await json(METADATA);
  const version = isRecord(metadata) ? metadata.keras_version : undefined;
  const topology: Topology = {
    subject: `${name}: ${CONFIG}`,
    json: await json(CONFIG),
    version: typeof version === 'string' ? version : '3',
  };
  const weights = await content(WEIGHTS, MAX_BYTES);
  const head = new Uint8Array(SUPERBLOCK_BYTES);
  const subject = `${name}: ${WEIGHTS}`;
  const first = head.subarray(0, weights.bytes.read(0, head));
  if (!isHdf5(first)) throw new ResnetError('weights', `${subject}: expected an HDF5 file, got something else.`);
  const end = endOf(subject, first);
  if (weights.size < end) throw new ResnetError('weights', `${subject}: expected ${end} bytes, got ${weights.size}.`);
  const file = await Hdf5.open(subject, weights.size, { ...weights.bytes, close: () => bytes.close() }, url);
  return kerasHdf5(name, file, 'keras', topology, signal);
}
