/** Weights that are in memory already: no file, no copy. */

import { ResnetError } from '../../models/errors.js';
import type { Graph } from '../../models/graph.js';
import { bytesOfNumbers } from '../util/bytes.js';
import { label, shown } from '../util/messages.js';
import { isA, shownKind } from '../util/realm.js';
import { checkedShape, size } from '../util/shape.js';
import {
  type ArchConfig,
  DTYPE_BYTES,
  type FloatDtype,
  type Piece,
  type TensorInfo,
  type WeightFile,
} from './types.js';

/**
 * Values of a tensor: numbers, of which those of 64 bits are rounded to float32; bits of 16-bit numbers; or
 * little-endian bytes.
 */
export type TensorValues = Float32Array | Float64Array | Uint16Array | Uint8Array;

/** One tensor in memory. */
export interface MemoryTensor {
  /** Name in the network: `layer1.0.conv1.weight`. */
  readonly name: string;
  /** As in a `state_dict`: OIHW for convolutions, [out, in] for linear layers, [C] for vectors. */
  readonly shape: readonly number[];
  /**
   * The values, in the order that `order` says. A function makes them each time they are read, piece by piece; a piece
   * need not outlive the next one.
   */
  readonly data: TensorValues | (() => Iterable<TensorValues>);
  /** What the bits or bytes of `data` are; by default F32, of a Uint16Array F16. */
  readonly dtype?: FloatDtype;
  /** By default `OI`, row-major in `shape`; `IO` is HWIO, or [in, out], as Keras has its kernels. */
  readonly order?: TensorInfo['order'];
}

export interface FromTensorsOptions {
  /** The network that the tensors belong to: with it `load` needs no name. */
  readonly graph?: Graph;
  /** What else is known of the network. */
  readonly config?: ArchConfig;
}

/**
 * Makes a weight file of tensors in memory. Pieces are views of the values, which must not change while they are read;
 * unlike another file's, they may be read again. Throws if a name is given twice, a shape is none, or values are too
 * many or too few; of values that a function makes, only `pieces` can tell.
 */
export function fromTensors(tensors: Iterable<MemoryTensor>, options: FromTensorsOptions = {}): WeightFile {
  if (typeof tensors !== 'object' || tensors === null || !(Symbol.iterator in tensors)) {
    throw new ResnetError('argument', `tensors: expected a list of {name, shape, data}, got ${shownKind(tensors)}.`);
  }
  const entries = [...tensors].map((tensor) => ({ info: checkedInfo(tensor), data: tensor.data }));
  const names = new Set<string>();
  for (const { info } of entries) {
    if (names.has(info.name))
      throw new ResnetError('argument', `${label(info.name)}: this name is given to two tensors.`);
    names.add(info.name);
  }
  for (const { info, data } of entries) {
    if (typeof data !== 'function') checkLength(info, bytesOf(info, data).length);
  }
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    for (const { info: tensor, data } of entries) {
      let length = 0;
      for (const part of typeof data === 'function' ? data() : [data]) {
        const bytes = bytesOf(tensor, part);
        length += bytes.length;
        if (length > bytesIn(tensor)) checkLength(tensor, length);
        if (bytes.length > 0) yield { tensor, bytes };
      }
      checkLength(tensor, length);
    }
  }
  return {
    format: 'memory',
    tensors: entries.map(({ info }) => info),
    metadata: {},
    config: options.config ?? {},
    graph: options.graph,
    total: entries.reduce((sum, { info }) => sum + bytesIn(info), 0),
    pieces,
    close: async () => {},
  };
}

const FLOATS: readonly FloatDtype[] = ['F32', 'F16', 'BF16'];

function checkedInfo(tensor: MemoryTensor): TensorInfo {
  if (typeof tensor !== 'object' || tensor === null) {
    throw new ResnetError('argument', `tensors: expected {name, shape, data} each, got ${shown(tensor)}.`);
  }
  const { name, shape, data, dtype, order = 'OI' } = tensor;
  if (typeof name !== 'string' || name === '')
    throw new ResnetError('argument', `tensors: expected a name, got ${shown(name)}.`);
  const subject = label(name);
  if (dtype !== undefined && !FLOATS.includes(dtype)) {
    throw new ResnetError('argument', `${subject}: expected dtype F32, F16 or BF16, got ${shown(dtype)}.`);
  }
  if (order !== 'OI' && order !== 'IO') {
    throw new ResnetError('argument', `${subject}: expected order OI or IO, got ${shown(order)}.`);
  }
  const held = dtype ?? (isA(data, 'Uint16Array') ? 'F16' : 'F32');
  return { name, shape: [...checkedShape(subject, shape)], dtype: held, order };
}

/** Views values as the bytes of a tensor; float64 is rounded first. */
function bytesOf({ name, dtype }: TensorInfo, values: TensorValues): Uint8Array {
  if (isA(values, 'Uint8Array')) return values;
  if (isA(values, 'Uint16Array') && dtype !== 'F32') return bytesOfNumbers(values);
  if (isA(values, 'Float32Array') && dtype === 'F32') return bytesOfNumbers(values);
  if (isA(values, 'Float64Array') && dtype === 'F32') return bytesOfNumbers(Float32Array.from(values));
  const kinds = dtype === 'F32' ? 'a Float32Array, a Float64Array' : 'a Uint16Array';
  const got = shownKind(values);
  throw new ResnetError(
    'argument',
    `${label(name)}: expected ${kinds} or a Uint8Array of ${dtype} values, got ${got}.`,
  );
}

const bytesIn = ({ shape, dtype }: TensorInfo): number => size(shape) * DTYPE_BYTES[dtype];

function checkLength(tensor: TensorInfo, bytes: number): void {
  if (bytes === bytesIn(tensor)) return;
  const { name, shape, dtype } = tensor;
  const got = bytes / DTYPE_BYTES[dtype];
  throw new ResnetError('argument', `${label(name)}: expected ${size(shape)} values for ${shown(shape)}, got ${got}.`);
}
