/** Weights of any format -> safetensors: bytes to be written or sent as they come. */

import { ResnetError } from '../../models/errors.js';
import type { Graph } from '../../models/graph.js';
import { bytesOfNumbers, joined } from '../util/bytes.js';
import { label } from '../util/messages.js';
import { size } from '../util/shape.js';
import { dequantised } from './dequantise.js';
import { fromFloat32, toFloat32 } from './dtype.js';
import { inputScaleName, QUANTIZATION, weightScaleName } from './formats/int8.js';
import { configToMetadata, graphToMetadata, preprocessingToMetadata } from './metadata.js';
import { Quantiser } from './quantise.js';
import { DTYPE_BYTES, type Dtype, type FloatDtype, type TensorInfo, type WeightFile } from './types.js';

const LARGEST_F16 = 65504;

/** Scales of the inputs of layers, found by running the network. */
export interface Calibration {
  /** By the names of weights: inputs of the layer are clipped to ±127 · scale. */
  readonly inputScales: ReadonlyMap<string, number>;
  /** How they were found, for the file's metadata. */
  readonly method: string;
}

export interface WriteOptions {
  /**
   * The type of matrices' values; by default the file's own. Vectors (biases, batch norms) are made float32 or left as
   * they are: they are a hundredth of a network's bytes, and a variance may be beyond float16's range. I8 has a scale per
   * output: the largest magnitude is 127.
   */
  readonly dtype?: Dtype | undefined;
  /** For I8: scales of inputs that the file keeps, so that they need not be found while the network runs. */
  readonly calibration?: Calibration | undefined;
  /** The network that the tensors belong to, with which `load` needs no name; by default the file's own, if it has one. */
  readonly graph?: Graph | undefined;
}

/**
 * Writes a safetensors file of all tensors of `file`: row-major, under its names and in its order, rounded to nearest,
 * ties to even. Every chunk has memory of its own. What the file says of its network, and its graph, are kept as
 * metadata. Holds one piece at a time, the numbers of one tensor if they become I8, or one tensor twice if its order is Keras's. Throws if the file is
 * damaged, or a value is beyond the type's range; closes the file in any case.
 */
export async function* writeSafetensors(
  file: WeightFile,
  { dtype, calibration, graph = file.graph }: WriteOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const from = dtype === undefined || dtype === 'I8' ? file : dequantised(file);
  const targets = from.tensors.map(
    (tensor): Target => ({
      tensor,
      dtype: targetDtype(tensor, dtype),
      inputScale: calibration?.inputScales.get(tensor.name),
    }),
  );
  yield header({ ...from, graph }, targets, calibration?.method);
  const remaining = targets.values();
  let writer: TensorWriter | undefined;
  for await (const { tensor, bytes } of from.pieces()) {
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
      writer = new TensorWriter(next);
      if (tensor.scales) yield scaleBytes(bytesOfNumbers(tensor.scales.weight), next);
    }
    const chunk = writer.push(bytes);
    if (chunk.length > 0) yield chunk;
  }
  writer?.end();
}

/** A tensor as it is written. */
interface Target {
  readonly tensor: TensorInfo;
  readonly dtype: Dtype;
  /** From a calibration, if it has become or stays I8. */
  readonly inputScale: number | undefined;
}

function targetDtype({ shape, dtype: own }: TensorInfo, wanted: Dtype = own): Dtype {
  if (shape.length < 2 && wanted !== 'F32') return own;
  // Floats behind an odd number of bytes would not be aligned, as other programs want them.
  const values = size(shape);
  return wanted === 'I8' && (values === 0 || values % 4 !== 0) ? own : wanted;
}

/** The scales that a tensor's numbers need before them: of its outputs, and of its layer's input if there is one. */
function scaleBytes(weight: Uint8Array, { tensor, inputScale = tensor.scales?.input?.[0] }: Target): Uint8Array {
  const input = inputScale === undefined ? EMPTY : bytesOfNumbers(Float32Array.of(inputScale));
  return joined([weight, input]);
}

/** Lists the entries of a header that a tensor needs, in the order of their bytes. */
function entriesOf({ tensor: { name, shape, scales }, dtype, inputScale }: Target) {
  const own = { name, dtype, shape };
  if (dtype !== 'I8') return [own];
  const weight = { name: weightScaleName(name), dtype: 'F32' as const, shape: shape.slice(0, 1) };
  const input = { name: inputScaleName(name), dtype: 'F32' as const, shape: [1] };
  return inputScale === undefined && !scales?.input ? [weight, own] : [weight, input, own];
}

/** Makes the header, padded with spaces so that values begin at a multiple of eight bytes. */
function header(
  { metadata, config, graph, preprocessing }: WeightFile,
  targets: readonly Target[],
  calibration: string | undefined,
): Uint8Array {
  let end = 0;
  const names = new Set<string>();
  const entries = targets.flatMap(entriesOf).map(({ name, dtype, shape }) => {
    if (names.has(name))
      throw new ResnetError('weights', `${label(name)}: int8 needs this name, which a tensor of the file has.`);
    names.add(name);
    const begin = end;
    end += size(shape) * DTYPE_BYTES[dtype];
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const { [QUANTIZATION]: _, [CALIBRATION]: before, ...others } = metadata;
  const isInt8 = targets.some(({ dtype }) => dtype === 'I8');
  const all = {
    ...others,
    format: 'pt',
    ...(isInt8 && quantisationMetadata(calibration ?? before)),
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

/** What an int8 file says of itself. */
const CALIBRATION = 'calibration';
const quantisationMetadata = (calibration: string | undefined): Record<string, string> => ({
  [QUANTIZATION]: 'int8',
  ...(calibration !== undefined && { [CALIBRATION]: calibration }),
});

const EMPTY = new Uint8Array(0);

/** One tensor on its way: its bytes come in pieces cut anywhere. */
class TensorWriter {
  readonly tensor: TensorInfo;
  readonly #target: Target;
  readonly #quantiser: Quantiser | undefined;
  /** Bytes that came and are not written yet: of a value, or of a whole tensor whose order is Keras's. */
  #kept: Uint8Array;
  #keptBytes = 0;
  #missing: number;

  constructor(target: Target) {
    const { tensor, dtype } = target;
    this.tensor = tensor;
    this.#target = target;
    this.#quantiser = dtype === 'I8' && tensor.dtype !== 'I8' ? new Quantiser(tensor) : undefined;
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
    const wanted = this.#target.dtype;
    if (dtype === wanted) return bytes;
    const values = toFloat32(dtype as FloatDtype, bytes);
    if (this.#quantiser) {
      this.#quantiser.push(values);
      if (this.#missing > 0) return EMPTY;
      const { scales, numbers } = this.#quantiser.result;
      return joined([scaleBytes(scales, this.#target), numbers]);
    }
    if (wanted === 'F16') {
      // Values that round to the largest are within range.
      const beyond = values.find((value) => Math.abs(value) >= LARGEST_F16 + 16 && Number.isFinite(value));
      if (beyond !== undefined) {
        throw new ResnetError(
          'weights',
          `${label(name)}: expected values up to ${LARGEST_F16}, float16's largest, got ${beyond}.`,
        );
      }
    }
    return fromFloat32(wanted as FloatDtype, values);
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
