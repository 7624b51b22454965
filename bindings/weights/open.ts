/** Opens weights of any format that the project reads. */

import { isHdf5, isIndex, isJson, isLegacyPytorch, isSafetensors, isVersioned, isZip } from './formats/sniff.js';
import type { ByteStream } from './stream/byte-stream.js';
import { openSource } from './stream/open.js';
import type { ByteSource, OpenOptions, WeightSource } from './stream/types.js';
import type { Format, WeightFile } from './types.js';

export { checkTensors } from './match.js';
export type { OpenOptions, WeightSource } from './stream/types.js';
export type { ArchConfig, Dtype, FloatDtype, Int8Scales, Piece, Selection, TensorInfo, WeightFile } from './types.js';

/** In the order of trial. Content tells formats apart, since a stream has no name and names deceive. */
const FORMATS: readonly Format[] = [
  {
    name: 'safetensors',
    matches: isSafetensors,
    reader: async () => (await import('./formats/safetensors.js')).safetensors,
  },
  {
    name: 'PyTorch checkpoint',
    matches: (head) => isZip(head) || isLegacyPytorch(head),
    reader: async () => (await import('./formats/pytorch/reader.js')).pytorch,
  },
  { name: 'Keras HDF5 file', matches: isHdf5, reader: async () => (await import('./formats/keras/h5.js')).h5 },
  { name: 'ONNX model', matches: isVersioned, reader: async () => (await import('./formats/onnx/reader.js')).onnx },
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

/**
 * Reads what a weight file says of itself, up to its first value. Tensors have the names of the file; of a Keras file,
 * those of its layers and of the roles in a `state_dict`. Rejects if it is no weight file or a damaged one, or with the
 * signal's reason, now or while the pieces are read; the source is closed then.
 */
export async function openWeights(source: WeightSource, options: OpenOptions = {}): Promise<WeightFile> {
  const file = await openFile(source, FORMATS, options);
  return options.prefix === undefined ? file : prefixed(file, options.prefix);
}

/** Leaves the tensors whose names begin with `prefix`. A file that has none is closed. */
export async function prefixed(file: WeightFile, prefix: string): Promise<WeightFile> {
  try {
    return (await import('./prefix.js')).withPrefix(file, prefix);
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
  const openOther = (other: string | URL) => openFile(other, SINGLE_FORMATS, { ...options, prefix: undefined });
  try {
    const { reader } = await formatOf(stream, formats);
    return await (await reader()).open(stream, { ...options, openOther });
  } catch (error) {
    await stream.close();
    throw error;
  }
}

/** Formats whose files name no others: a set of sets would have no end. */
const SINGLE_FORMATS = FORMATS.filter(({ isSet }) => !isSet);

async function formatOf(stream: ByteStream, formats: readonly Format[]): Promise<Format> {
  const head = await stream.peek(HEAD_BYTES);
  const format = formats.find(({ matches }) => matches(head));
  if (format) return format;
  const { refusal } = await import('./formats/impostors.js');
  throw refusal(stream.name, formats, head);
}
