/**
 * Keras's HDF5 files: weights alone, or whole models (weights under `model_weights`, the topology as an attribute). A
 * tensor's path ends in its layer's name and its variable's. Other HDF5 files are read by their paths as names.
 */

import type { NetworkHints, Piece, Reader, TensorInfo } from './format.js';
import { type Dataset, Hdf5, readSuperblock, SUPERBLOCK_BYTES } from './hdf5.js';
import type { Address, Member } from './hdf5-messages.js';
import { applicationHints, kerasHints, kerasLayers, torchTensor } from './keras.js';
import { heldTensor, spanPieces, tensorBytes, weightFile } from './layout.js';
import { RandomAccess } from './random.js';
import { label, parseJson } from './text.js';

const MODEL_WEIGHTS = 'model_weights';
const MODEL_CONFIG = 'model_config';
/** Keras lists the layers of a group of weights there, or, where they are too many, there and in 1, 2 and so on. */
const LAYER_NAMES = /^layer_names0?$/;

const MAX_MEMBERS = 20_000;
const MAX_DEPTH = 16;

interface Found {
  readonly path: readonly string[];
  readonly dataset: Dataset;
}

export const h5: Reader = {
  async open(stream, { signal }) {
    const superblock = readSuperblock(stream.name, await stream.peek(SUPERBLOCK_BYTES));
    const file = await RandomAccess.of(stream, superblock.end, signal);
    const hdf5 = await Hdf5.open(file, superblock);
    const top = await hdf5.object('/', hdf5.root);
    const members = top && 'members' in top ? top.members : [];
    const model = members.find(({ name }) => name === MODEL_WEIGHTS);
    const group = model?.address ?? hdf5.root;
    const isKeras = (await hdf5.attributes(group)).some(({ name }) => LAYER_NAMES.test(name));
    const found = await datasetsIn(file.name, hdf5, group);
    const tensors = found.map(({ path, dataset }) => {
      const named = isKeras ? torchTensor(path.slice(-2).join('/'), dataset.shape) : plainTensor(path, dataset);
      return { tensor: checkedTensor(path.join('/'), named, dataset), dataset };
    });
    checkNames(tensors, found);
    const ordered = inFileOrder(file, tensors);
    const hints = isKeras ? await hintsOf(file.name, hdf5, found) : {};
    const infos = ordered.map(({ tensor }) => tensor);
    return weightFile({ format: 'hdf5', metadata: {}, hints }, infos, file, () => pieces(file, ordered));
  },
};

/** All tensors of a group and the groups in it. */
async function datasetsIn(file: string, hdf5: Hdf5, group: Address): Promise<Found[]> {
  const found: Found[] = [];
  let count = 0;
  const walk = async (path: readonly string[], { address }: Pick<Member, 'address'>): Promise<void> => {
    if (++count > MAX_MEMBERS) throw new Error(`${file}: expected at most ${MAX_MEMBERS} members, got more.`);
    const name = path.join('/');
    const object = await hdf5.object(name, address);
    if (object && 'dataset' in object) found.push({ path, dataset: object.dataset });
    if (!object || !('members' in object)) return;
    if (path.length >= MAX_DEPTH)
      throw new Error(`${label(name)}: expected at most ${MAX_DEPTH} groups deep, got more.`);
    for (const member of object.members) await walk([...path, member.name], member);
  };
  await walk([], { address: group });
  return found;
}

type Named = Pick<TensorInfo, 'name' | 'shape' | 'order'>;

function plainTensor(path: readonly string[], { shape }: Dataset): Named {
  if (/^\d+$/.test(path.at(-1) ?? '') && path.at(-2) === 'vars') {
    const expected = 'names of layers, as model.save("x.h5") writes';
    throw new Error(`${label(path.join('/'))}: expected ${expected}, got numbers, as in a .weights.h5 of Keras 3.`);
  }
  return { name: path.join('.'), shape, order: 'OI' };
}

function checkedTensor(path: string, { name, shape, order }: Named, { float, bytes }: Dataset): TensorInfo {
  const subject = label(path);
  if (!float) throw new Error(`${subject}: expected values of floating point, got others.`);
  const expected = tensorBytes(subject, shape, float.dtype);
  if (bytes !== expected) throw new Error(`${subject}: expected ${expected} bytes, got ${bytes}.`);
  return heldTensor(name, shape, float.dtype, order);
}

interface Placed {
  readonly tensor: TensorInfo;
  readonly dataset: Dataset;
}

function checkNames(tensors: readonly Placed[], found: readonly Found[]): void {
  const paths = new Map<string, string>();
  tensors.forEach(({ tensor: { name } }, i) => {
    const path = label(found[i]?.path.join('/') ?? '');
    const other = paths.get(name);
    if (other !== undefined) throw new Error(`${label(name)}: expected one tensor, got "${other}" and "${path}".`);
    paths.set(name, path);
  });
}

/** Sorted by their place, which they must have for themselves. */
function inFileOrder(file: RandomAccess, tensors: readonly Placed[]): Placed[] {
  const placeOf = ({ dataset }: Placed) => dataset.place ?? 0;
  const ordered = tensors.toSorted((a, b) => placeOf(a) - placeOf(b) || a.dataset.bytes - b.dataset.bytes);
  let end = 0;
  for (const { tensor, dataset } of ordered) {
    if (dataset.bytes === 0) continue;
    const subject = label(tensor.name);
    const { place } = dataset;
    if (place === undefined)
      throw new Error(`${subject}: expected ${dataset.bytes} bytes of values, got none written.`);
    if (place < end) throw new Error(`${subject}: expected values from ${end} on, got ${place}, an overlap.`);
    end = place + dataset.bytes;
    if (end > file.size) throw new Error(`${subject}: expected values in ${file.size} bytes, got an end at ${end}.`);
  }
  return ordered;
}

/** What the topology says, or the names where there is none. */
async function hintsOf(file: string, hdf5: Hdf5, found: readonly Found[]): Promise<NetworkHints> {
  const config = (await hdf5.attributes(hdf5.root)).find(({ name }) => name === MODEL_CONFIG);
  if (!config) return applicationHints(found.map(({ path }) => path.slice(-2).join('/')));
  const subject = `${file}: ${MODEL_CONFIG}`;
  const topology = parseJson(subject, new TextEncoder().encode(await hdf5.text(config)));
  return kerasHints(kerasLayers(subject, topology.value));
}

async function* pieces(file: RandomAccess, tensors: readonly Placed[]): AsyncGenerator<Piece, void, undefined> {
  const held = tensors.filter(({ dataset }) => dataset.bytes > 0);
  const first = held[0]?.dataset.place ?? 0;
  const stream = file.from(first);
  try {
    for (const { tensor, dataset } of held) {
      const { place = 0, bytes, float } = dataset;
      const ended = () => `${file.name}: expected ${place + bytes} bytes, got ${first + stream.position}.`;
      yield* spanPieces(stream, { tensor: undefined, bytes: place - first - stream.position }, ended);
      yield* spanPieces(stream, { tensor, bytes, stored: float }, ended);
    }
  } finally {
    await stream.close();
  }
}
