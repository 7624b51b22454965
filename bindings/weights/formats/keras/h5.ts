/**
 * Keras's HDF5 files: weights alone, whole models (weights under `model_weights`, the topology as an attribute), and
 * Keras 3's .weights.h5. A tensor's path ends in the names of its layer and of its variable; Keras 3 numbers variables.
 * Other HDF5 files are read with their paths as names.
 */

import { ResnetError } from '../../../../models/errors.js';
import { parseJson } from '../../../util/json.js';
import { label } from '../../../util/messages.js';
import { decoderOf } from '../../dtype.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import { randomBytes } from '../../stream/random-access.js';
import type { ArchConfig, Piece, Reader, TensorInfo } from '../../types.js';
import { type Dataset, endOf, Hdf5, MAX_EXPANSION, SUPERBLOCK_BYTES } from '../hdf5/file.js';
import { heldTensor, tensorBytes, weightFile } from '../spans.js';
import { numberedTensor, stateDictTensor } from './names.js';
import { applicationConfig, kerasConfig, kerasLayers } from './topology.js';

const MODEL_WEIGHTS = 'model_weights';
const MODEL_CONFIG = 'model_config';
/** The attribute that lists the layers of a group of weights; if they are too many, they go on in 1, 2 and so on. */
const LAYER_NAMES = /^layer_names0?$/;
/** Where Keras 3 and, before it, Keras 2.13 keep a model's layers. */
const NUMBERED_LAYERS = /^(layers|_layer_checkpoint_dependencies)$/;
/** The group of a layer's variables, whose attribute `name` is the layer's. */
const VARIABLES = 'vars';

const MAX_MEMBERS = 20_000;
const MAX_DEPTH = 16;

interface Found {
  readonly path: readonly string[];
  readonly dataset: Dataset;
}

interface Placed {
  readonly tensor: TensorInfo;
  readonly dataset: Dataset;
}

export const h5: Reader = {
  async open(stream, { signal, hdf5: url }) {
    const file = await openHdf5(stream, url);
    const source = { name: stream.name, close: async () => file.close() };
    try {
      const top = file.members('/');
      const has = (matches: (name: string) => boolean) =>
        top.find(({ name, kind }) => kind === 'group' && matches(name))?.path;
      const numbered = has((name) => NUMBERED_LAYERS.test(name));
      const group = numbered ?? has((name) => name === MODEL_WEIGHTS) ?? '/';
      const isKeras = file.attributes(group).some((name) => LAYER_NAMES.test(name));
      const found = datasetsIn(stream.name, file, group);
      const names = numbered
        ? numberedNames(file, found)
        : isKeras
          ? found.map(({ path }) => layerName(path))
          : undefined;
      const tensors = found.map(({ path, dataset }, i) => {
        const keras = names?.[i];
        const { shape } = dataset;
        const named =
          keras === undefined ? ({ name: path.join('.'), shape, order: 'OI' } as const) : stateDictTensor(keras, shape);
        return { tensor: checkedTensor(path.join('/'), named, dataset), dataset };
      });
      checkNames(tensors, found);
      checkSizes(stream.name, tensors, file.size);
      const config = names ? configOf(stream.name, file, names) : {};
      const infos = tensors.map(({ tensor }) => tensor);
      return weightFile({ format: 'hdf5', metadata: {}, config }, infos, source, () => pieces(file, tensors, signal));
    } catch (error) {
      file.close();
      throw error;
    }
  },
};

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
  if (size < end) {
    placed?.close();
    throw new ResnetError('weights', `${name}: expected ${end} bytes, got ${size}.`);
  }
  return Hdf5.open(name, size, placed ?? randomBytes(bytes ?? new Uint8Array(0)), url);
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
      if (member.kind === 'group') walk(member.path, path);
      else if (member.kind === 'dataset') found.push({ path, dataset: file.dataset(member.path) });
    }
  };
  walk(root, []);
  return found;
}

const layerName = (path: readonly string[]): string => path.slice(-2).join('/');

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

function checkedTensor(
  path: string,
  { name, shape, order }: Pick<TensorInfo, 'name' | 'shape' | 'order'>,
  { dtype }: Dataset,
): TensorInfo {
  if (!dtype) throw new ResnetError('weights', `${label(path)}: only values of floating point can be read.`);
  return heldTensor(name, shape, dtype, order);
}

function checkNames(tensors: readonly Placed[], found: readonly Found[]): void {
  const paths = new Map<string, string>();
  tensors.forEach(({ tensor: { name } }, i) => {
    const path = label(found[i]?.path.join('/') ?? '');
    const other = paths.get(name);
    if (other !== undefined)
      throw new ResnetError('weights', `${label(name)}: "${other}" and "${path}" are both this tensor.`);
    paths.set(name, path);
  });
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

/** Reads what the topology says of the network or, without one, the names. */
function configOf(name: string, file: Hdf5, names: readonly string[]): ArchConfig {
  if (!file.attributes('/').includes(MODEL_CONFIG)) return applicationConfig(names);
  const subject = `${name}: ${MODEL_CONFIG}`;
  const topology = parseJson(subject, new TextEncoder().encode(file.text('/', MODEL_CONFIG)));
  return kerasConfig(kerasLayers(subject, topology.value));
}

async function* pieces(
  file: Hdf5,
  tensors: readonly Placed[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece, void, undefined> {
  for (const { tensor, dataset } of tensors) {
    const decoder = dataset.dtype && decoderOf({ dtype: dataset.dtype, isBigEndian: false });
    for (const values of file.values(dataset)) {
      signal?.throwIfAborted();
      yield { tensor, bytes: decoder ? decoder.push(values) : values };
    }
  }
}
