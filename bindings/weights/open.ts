/** Opens weights of any format that the project reads. */

import { textStart } from '../util/json.js';
import { either } from '../util/messages.js';
import { safetensors } from './formats/safetensors.js';
import {
  isGguf,
  isGzip,
  isHdf5,
  isIndex,
  isJson,
  isLegacyPytorch,
  isNumpy,
  isOnnx,
  isPickle,
  isPicture,
  isSafetensors,
  isSavedModel,
  isTar,
  isTflite,
  isZip,
} from './formats/sniff.js';
import type { ByteStream } from './stream/byte-stream.js';
import { openSource } from './stream/open.js';
import type { ByteSource, OpenOptions, WeightSource } from './stream/types.js';
import { withTorchvisionNames } from './torch-names.js';
import type { Format, WeightFile } from './types.js';

export { checkTensors } from './match.js';
export type { OpenOptions, WeightSource } from './stream/types.js';
export type { ArchConfig as NetworkHints, Dtype, Piece, TensorInfo, WeightFile } from './types.js';

/** In the order of trial; told apart by content, since a stream has no name and names deceive. */
const FORMATS: readonly Format[] = [
  { name: 'safetensors', matches: isSafetensors, reader: async () => safetensors },
  {
    name: 'PyTorch checkpoint',
    matches: (head) => isZip(head) || isLegacyPytorch(head),
    reader: async () => (await import('./formats/pytorch/reader.js')).pytorch,
  },
  { name: 'Keras HDF5 file', matches: isHdf5, reader: async () => (await import('./formats/keras/h5.js')).h5 },
  {
    name: 'index of shards',
    matches: isIndex,
    reader: async () => (await import('./formats/sharded.js')).shards,
    isSet: true,
  },
  // All other JSON: its reader says what this one lacks.
  {
    name: 'TensorFlow.js layers model',
    matches: isJson,
    reader: async () => (await import('./formats/keras/tfjs.js')).tfjs,
    isSet: true,
  },
];

const HEAD_BYTES = 512;

/** What people have instead of weights, with what to do. ZIP archives have a table of their own (pytorch/impostors.ts). */
const IMPOSTORS: readonly { readonly is: (head: Uint8Array, text: string) => boolean; readonly what: string }[] = [
  {
    is: (_, text) => text.startsWith('version https://git-lfs'),
    what: 'a Git LFS pointer ("git lfs pull" fetches the file itself)',
  },
  {
    is: (_, text) => text.startsWith('<'),
    what: 'an HTML or XML page',
  },
  { is: isOnnx, what: 'an ONNX model (save the weights of the PyTorch model that it was made of)' },
  { is: isTflite, what: 'a TensorFlow Lite model (save the Keras model that it was made of as HDF5)' },
  { is: isSavedModel, what: "TensorFlow's SavedModel (load it with Keras, and save it as HDF5)" },
  { is: isGguf, what: 'a GGUF file, which holds language models' },
  { is: isNumpy, what: "one of NumPy's arrays, .npy (make tensors of all arrays, and torch.save them by their names)" },
  {
    is: isPickle,
    what: 'a Python pickle that torch.save did not write (scikit-learn and joblib write such; torch.save a state_dict)',
  },
  { is: isGzip, what: 'a gzip archive (unpack it)' },
  { is: isTar, what: 'a tar archive (unpack it)' },
  { is: isPicture, what: 'a picture' },
  { is: (_, text) => text === '', what: 'an empty file' },
];

/**
 * Reads what a weight file says of itself, up to its first value. Throws one sentence where it is not a weight file or
 * a damaged one, or the signal's reason when that aborts, now or while the pieces are read; the source is closed then.
 */
export async function openWeights(source: WeightSource, options: OpenOptions = {}): Promise<WeightFile> {
  const file = await openFile(source, FORMATS, options);
  try {
    return withTorchvisionNames(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openFile(
  source: WeightSource | ByteSource,
  formats: readonly Format[],
  options: OpenOptions,
): Promise<WeightFile> {
  const stream = await openSource(source, options);
  const openOther = (other: string | URL) => openFile(other, SINGLE_FORMATS, options);
  try {
    const { reader } = await formatOf(stream, formats);
    return await (await reader()).open(stream, { ...options, openOther });
  } catch (error) {
    await stream.close();
    throw error;
  }
}

/** Those that name no other files: a set of sets would have no end. */
const SINGLE_FORMATS = FORMATS.filter(({ isSet }) => !isSet);

async function formatOf(stream: ByteStream, formats: readonly Format[]): Promise<Format> {
  const head = await stream.peek(HEAD_BYTES);
  const format = formats.find(({ matches }) => matches(head));
  if (format) return format;
  const text = textStart(head);
  const what = IMPOSTORS.find(({ is }) => is(head, text))?.what ?? 'something else';
  throw new Error(`${stream.name}: expected ${either(formats.map(({ name }) => name))}, got ${what}.`);
}
