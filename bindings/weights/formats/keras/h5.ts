/**
 * Keras's HDF5 files: weights alone, whole models (weights under `model_weights`, the topology as an attribute), and
 * Keras 3's .weights.h5. A tensor's path ends in the names of its layer and of its variable; Keras 3 numbers variables.
 * Other HDF5 files are read with their paths as names.
 */

import { ResnetError } from '../../../../models/errors.js';
import type { RandomBytes } from '../../../platform/types.js';
import { parseJson } from '../../../util/json.js';
import { label } from '../../../util/messages.js';
import { decoderOf } from '../../dtype.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import { randomBytes } from '../../stream/random-access.js';
import type { Piece, Reader, TensorInfo, WeightFile } from '../../types.js';
import { type Dataset, endOf, Hdf5, MAX_EXPANSION, SUPERBLOCK_BYTES } from '../hdf5/file.js';
import { heldTensor, tensorBytes, weightFile } from '../spans.js';
import { piecesOfConstants, tensorOfConstant } from './constants.js';
import { withoutTopology, withTopology } from './model.js';
import { numberedTensor } from './names.js';
import type { Constant, KerasFile } from './network.js';
import { type FileTensor, NUMBERED_LAYERS, VARIABLES } from './variables.js';

const MODEL_WEIGHTS = 'model_weights';
const MODEL_CONFIG = 'model_config';
const VERSION = 'keras_version';
/** The attribute that lists the layers of a group of weights; if they are too many, they go on in 1, 2 and so on. */
const LAYER_NAMES = /^layer_names0?$/;
/** What Keras 3 keeps of a layer that draws random numbers. */
const SEEDS = 'seed_generator';

const MAX_MEMBERS = 20_000;
const MAX_DEPTH = 16;

interface Found extends FileTensor {
  readonly dataset: Dataset;
}

interface Placed {
  readonly tensor: TensorInfo;
  readonly dataset: Dataset;
}

export const h5: Reader = {
  async open(stream, { signal, hdf5: url }) {
    const file = await openHdf5(stream, url);
    return kerasHdf5(stream.name, file, 'hdf5', undefined, signal);
  },
};

/** The topology of a model, and the version of Keras that wrote it. */
export interface Topology {
  readonly subject: string;
  readonly json: unknown;
  readonly version: string | undefined;
}

/** Makes the weight file of an open HDF5 file; a .keras archive has its topology beside it. Closes the file if it throws. */
export async function kerasHdf5(
  name: string,
  file: Hdf5,
  format: string,
  beside: Topology | undefined,
  signal: AbortSignal | undefined,
): Promise<WeightFile> {
  const source = { name, close: async () => file.close() };
  try {
    const top = file.members('/');
    const has = (matches: (name: string) => boolean) =>
      top.find(({ name, kind }) => kind === 'group' && matches(name))?.path;
    const numbered = has((name) => NUMBERED_LAYERS.test(name));
    const group = numbered ?? has((name) => name === MODEL_WEIGHTS) ?? '/';
    const found = datasetsIn(name, file, group);
    const topology = beside ?? topologyOf(name, file);
    const keras = kerasOf(file, found, topology, { group, isNumbered: numbered !== undefined });
    const tensors = found.flatMap(({ dataset }, i): Placed[] => {
      const tensor = keras.tensors[i];
      return tensor ? [{ tensor, dataset }] : [];
    });
    checkNames(tensors);
    checkSizes(name, tensors, file.size);
    const { graph, config, constants, preprocessing, warnings } = keras;
    const infos = [...constants.map(tensorOfConstant), ...tensors.map(({ tensor }) => tensor)];
    const description = { format, metadata: {}, config, graph, preprocessing, warnings };
    return weightFile(description, infos, source, () => pieces(file, infos, constants, tensors, signal));
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Opens the file that a stream brings. If its bytes come only once, all of them are taken into memory first. */
async function openHdf5(stream: ByteStream, url: string | URL | undefined): Promise<Hdf5> {
  const { name, total } = stream;
  const end = endOf(name, await stream.peek(SUPERBLOCK_BYTES));
  const placed = stream.random();
  // A stream may go on for ever after the file's end.
  const bytes = placed ? undefined : await stream.take(end);
  // Asking once more tells the source that all of it was wanted: only then does a browser's cache keep it whole.
  if (bytes) await stream.next(1);
  const size = bytes?.length ?? total ?? 0;
  await stream.close();
  return openBytes(name, size, placed ?? randomBytes(bytes ?? new Uint8Array(0)), end, url);
}

/** Opens an HDF5 file of `size` bytes that says it ends at `end`. Closes its bytes if it throws. */
export async function openBytes(
  name: string,
  size: number,
  bytes: RandomBytes,
  end: number,
  url: string | URL | undefined,
): Promise<Hdf5> {
  if (size < end) {
    bytes.close();
    throw new ResnetError('weights', `${name}: expected ${end} bytes, got ${size}.`);
  }
  return Hdf5.open(name, size, bytes, url);
}

/** Finds all tensors in a group and the groups in it. */
function datasetsIn(name: string, file: Hdf5, root: string): Found[] {
  const found: Found[] = [];
  let count = 0;
  const walk = (group: string, above: readonly string[]): void => {
    for (const member of file.members(group)) {
      if (++count > MAX_MEMBERS)
        throw new ResnetError('weights', `${name}: expected at most ${MAX_MEMBERS} members, got more.`);
      const path = [...above, member.name];
      if (path.length > MAX_DEPTH) {
        throw new ResnetError(
          'weights',
          `${label(path.join('/'))}: expected at most ${MAX_DEPTH} groups deep, got more.`,
        );
      }
      if (member.kind === 'group' && member.name !== SEEDS) walk(member.path, path);
      else if (member.kind === 'dataset') {
        const dataset = file.dataset(member.path);
        found.push({ path, dataset, shape: dataset.shape, dtype: dataset.dtype });
      }
    }
  };
  walk(root, []);
  return found;
}

function topologyOf(name: string, file: Hdf5): Topology | undefined {
  const attributes = file.attributes('/');
  if (!attributes.includes(MODEL_CONFIG)) return undefined;
  const subject = `${name}: ${MODEL_CONFIG}`;
  const { value } = parseJson(subject, new TextEncoder().encode(file.text('/', MODEL_CONFIG)));
  return { subject, json: value, version: attributes.includes(VERSION) ? file.text('/', VERSION) : undefined };
}

/** What the tensors are in Keras, with a topology or without one; or by their paths alone. */
function kerasOf(
  file: Hdf5,
  found: readonly Found[],
  topology: Topology | undefined,
  { group, isNumbered }: { group: string; isNumbered: boolean },
): KerasFile {
  if (topology) {
    const { subject, json, version } = topology;
    return withTopology(subject, json, found, isNumbered ? 'numbers' : 'groups', version);
  }
  if (isNumbered) return withoutTopology(found, numberedNames(file, found));
  if (file.attributes(group).some((name) => LAYER_NAMES.test(name))) {
    return withoutTopology(
      found,
      found.map(({ path }) => path.slice(-2).join('/')),
    );
  }
  const tensors = found.map(({ path, shape, dtype }) => {
    if (!dtype)
      throw new ResnetError('weights', `${label(path.join('/'))}: only values of floating point can be read.`);
    return heldTensor(path.join('.'), shape, dtype, 'OI');
  });
  return { config: {}, tensors, constants: [] };
}

/** Finds Keras's names of the tensors of a .weights.h5, which are numbers there. */
function numberedNames(file: Hdf5, found: readonly Found[]): string[] {
  const groupOf = ({ dataset }: Found) => dataset.path.slice(0, dataset.path.lastIndexOf('/'));
  const counts = new Map<string, number>();
  for (const one of found) counts.set(groupOf(one), (counts.get(groupOf(one)) ?? 0) + 1);
  const layers = new Map<string, string>();
  return found.map((one) => {
    const [kind = '', vars, variable = ''] = one.path.slice(-3);
    const group = groupOf(one);
    const subject = label(one.path.join('/'));
    if (vars !== VARIABLES)
      throw new ResnetError('weights', `${subject}: expected a layer's ${VARIABLES}, got another group.`);
    if (!layers.has(group)) {
      if (!file.attributes(group).includes('name')) {
        const expected = 'the name of its layer, as newer versions of Keras 3 and model.save("x.h5") write';
        throw new ResnetError('weights', `${subject}: expected ${expected}, got a number alone.`);
      }
      layers.set(group, file.text(group, 'name'));
    }
    return numberedTensor(kind, layers.get(group) ?? '', variable, counts.get(group) ?? 0);
  });
}

function checkNames(tensors: readonly Placed[]): void {
  const paths = new Map<string, string>();
  for (const { tensor, dataset } of tensors) {
    const path = label(dataset.path.slice(1));
    const other = paths.get(tensor.name);
    if (other !== undefined)
      throw new ResnetError('weights', `${label(tensor.name)}: "${other}" and "${path}" are both this tensor.`);
    paths.set(tensor.name, path);
  }
}

/** Checks that the values can be in the file, packed or not: if it lies about shapes, libhdf5 would make up the rest. */
function checkSizes(name: string, tensors: readonly Placed[], size: number): void {
  let [plain, packed] = [0, 0];
  for (const { tensor, dataset } of tensors) {
    const bytes = tensorBytes(label(tensor.name), dataset.shape, dataset.dtype ?? 'F32');
    if (dataset.chunks) packed += bytes;
    else plain += bytes;
    if (plain > size)
      throw new ResnetError('weights', `${name}: expected values of at most its ${size} bytes, got ${plain}.`);
    if (packed > MAX_EXPANSION * size) {
      const most = MAX_EXPANSION * size;
      throw new ResnetError(
        'weights',
        `${name}: expected packed values of at most ${most} bytes in ${size}, got ${packed}.`,
      );
    }
  }
}

async function* pieces(
  file: Hdf5,
  infos: readonly TensorInfo[],
  constants: readonly Constant[],
  tensors: readonly Placed[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece, void, undefined> {
  yield* piecesOfConstants(infos, constants);
  for (const { tensor, dataset } of tensors) {
    const decoder = dataset.dtype && decoderOf({ dtype: dataset.dtype, isBigEndian: false });
    for (const values of file.values(dataset)) {
      signal?.throwIfAborted();
      yield { tensor, bytes: decoder ? decoder.push(values) : values };
    }
  }
}
