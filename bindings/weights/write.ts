/** Weights of any format -> safetensors: bytes to be written or sent as they come. */

import { ResnetError } from '../../models/errors.js';
import type { Graph } from '../../models/graph.js';
import { label } from '../util/messages.js';
import { size } from '../util/shape.js';
import { fromFloat32, toFloat32 } from './dtype.js';
import { configToMetadata, graphToMetadata, preprocessingToMetadata } from './metadata.js';
import { DTYPE_BYTES, type Dtype, type TensorInfo, type WeightFile } from './types.js';

const LARGEST_F16 = 65504;

export interface WriteOptions {
  /**
   * The type of matrices' values; by default the file's own. Vectors (biases, batch norms) are made float32 or left as
   * they are: they are a hundredth of a network's bytes, and a variance may be beyond float16's range.
   */
  readonly dtype?: Dtype | undefined;
  /** The network that the tensors belong to, with which `load` needs no name; by default the file's own, if it has one. */
  readonly graph?: Graph | undefined;
}

/**
 * Writes a safetensors file of all tensors of `file`: row-major, under its names and in its order, rounded to nearest,
 * ties to even. Every chunk has memory of its own. What the file says of its network, and its graph, are kept as
 * metadata. Holds one piece at a time, or one tensor twice if its order is Keras's. Throws if the file is damaged, or a value is beyond float16's range;
 * closes the file in any case.
 */
export async function* writeSafetensors(
  file: WeightFile,
  { dtype, graph = file.graph }: WriteOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const dtypes = file.tensors.map((tensor) => targetDtype(tensor, dtype));
  yield header({ ...file, graph }, dtypes);
  const remaining = file.tensors.map((tensor, i) => ({ tensor, dtype: dtypes[i] ?? tensor.dtype })).values();
  let writer: TensorWriter | undefined;
  for await (const { tensor, bytes } of file.pieces()) {
    if (tensor !== writer?.tensor) {
      writer?.end();
      let next = remaining.next().value;
      while (next && next.tensor !== tensor && size(next.tensor.shape) === 0) next = remaining.next().value;
      if (next?.tensor !== tensor) {
        throw new ResnetError(
          'weights',
          `${label(tensor.name)}: its bytes do not come in the order that the file states.`,
        );
      }
      writer = new TensorWriter(tensor, next.dtype);
    }
    const chunk = writer.push(bytes);
    if (chunk.length > 0) yield chunk;
  }
  writer?.end();
}

const targetDtype = ({ shape, dtype: own }: TensorInfo, wanted: Dtype = own): Dtype =>
  shape.length < 2 && wanted !== 'F32' ? own : wanted;

/** Makes the header, padded with spaces so that values begin at a multiple of eight bytes. */
function header({ tensors, metadata, config, graph, preprocessing }: WeightFile, dtypes: readonly Dtype[]): Uint8Array {
  let end = 0;
  const entries = tensors.map((tensor, i) => {
    const dtype = dtypes[i] ?? tensor.dtype;
    const begin = end;
    end += size(tensor.shape) * DTYPE_BYTES[dtype];
    return [tensor.name, { dtype, shape: tensor.shape, data_offsets: [begin, end] }] as const;
  });
  const all = {
    ...metadata,
    format: 'pt',
    ...configToMetadata(config),
    ...preprocessingToMetadata(preprocessing),
    ...graphToMetadata(graph),
  };
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries([['__metadata__', all], ...entries])));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

const EMPTY = new Uint8Array(0);

/** One tensor on its way: its bytes come in pieces cut anywhere. */
class TensorWriter {
  readonly tensor: TensorInfo;
  readonly #dtype: Dtype;
  /** Bytes that came and are not written yet: of a value, or of a whole tensor whose order is Keras's. */
  #kept: Uint8Array;
  #keptBytes = 0;
  #missing: number;

  constructor(tensor: TensorInfo, dtype: Dtype) {
    this.tensor = tensor;
    this.#dtype = dtype;
    const width = DTYPE_BYTES[tensor.dtype];
    this.#missing = size(tensor.shape) * width;
    this.#kept = new Uint8Array(tensor.order === 'IO' ? this.#missing : width);
  }

  push(bytes: Uint8Array): Uint8Array {
    const { dtype, order } = this.tensor;
    this.#missing -= bytes.length;
    if (order === 'IO') {
      this.#kept.set(bytes, this.#keptBytes);
      this.#keptBytes += bytes.length;
      return this.#missing === 0 ? this.#convert(transposed(this.tensor, this.#kept)) : EMPTY;
    }
    const width = DTYPE_BYTES[dtype];
    const whole = Math.floor((this.#keptBytes + bytes.length) / width) * width;
    if (whole === 0) {
      this.#kept.set(bytes, this.#keptBytes);
      this.#keptBytes += bytes.length;
      return EMPTY;
    }
    const values = new Uint8Array(whole);
    values.set(this.#kept.subarray(0, this.#keptBytes));
    const taken = whole - this.#keptBytes;
    values.set(bytes.subarray(0, taken), this.#keptBytes);
    this.#kept.set(bytes.subarray(taken));
    this.#keptBytes = bytes.length - taken;
    return this.#convert(values);
  }

  end(): void {
    if (this.#missing !== 0) {
      throw new ResnetError('weights', `${label(this.tensor.name)}: ${this.#missing} of its bytes are missing.`);
    }
  }

  #convert(bytes: Uint8Array): Uint8Array {
    const { name, dtype } = this.tensor;
    if (dtype === this.#dtype) return bytes;
    const values = toFloat32(dtype, bytes);
    if (this.#dtype === 'F16') {
      // Values that round to the largest are within range.
      const beyond = values.find((value) => Math.abs(value) >= LARGEST_F16 + 16 && Number.isFinite(value));
      if (beyond !== undefined) {
        throw new ResnetError(
          'weights',
          `${label(name)}: expected values up to ${LARGEST_F16}, float16's largest, got ${beyond}.`,
        );
      }
    }
    return fromFloat32(this.#dtype, values);
  }
}

/** Transposes [window, in, out] to [out, in, window]; the map that a matrix reads is a window over it. */
function transposed({ shape, dtype, map }: TensorInfo, bytes: Uint8Array): Uint8Array {
  const [outputs = 1, all = 1, ...window] = shape;
  const taps = size(map ?? window);
  const inputs = map ? all / taps : all;
  const Unit = DTYPE_BYTES[dtype] === 4 ? Uint32Array : Uint16Array;
  const from = new Unit(bytes.buffer as ArrayBuffer);
  const to = new Unit(from.length);
  let at = 0;
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) to[(o * inputs + i) * taps + tap] = from[at++] as number;
    }
  }
  return new Uint8Array(to.buffer);
}
