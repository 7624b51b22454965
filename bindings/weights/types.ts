/** What weights are: named tensors in file order, and their bytes as they come. */

import type { Graph } from '../../models/graph.js';
import type { PreprocessingName } from '../../models/preprocessing.js';
import type { ByteStream } from './stream/byte-stream.js';
import type { OpenOptions } from './stream/types.js';

export type FloatDtype = 'F32' | 'F16' | 'BF16';

/** I8 are whole numbers from −127 to 127 that stand for floats, by `TensorInfo.scales`. */
export type Dtype = FloatDtype | 'I8';

export const DTYPE_BYTES: Readonly<Record<Dtype, number>> = { F32: 4, F16: 2, BF16: 2, I8: 1 };

/** What whole numbers stand for. Of a file that is read, both are there when the tensor's first piece comes. */
export interface Int8Scales {
  /** One per output, [O]: a weight of output o is its number · weight[o]. */
  readonly weight: Float32Array;
  /** One value, if the file was calibrated: inputs of the layer are clipped to ±127 · input[0]. */
  readonly input?: Float32Array | undefined;
}

export interface TensorInfo {
  /** The file's own name, until it is named after a network. */
  readonly name: string;
  /** As in a `state_dict`: OIHW for convolutions, [out, in] for linear layers, [C] for vectors. */
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** The file's order of values: `OI` is row-major in `shape`; `IO` is Keras's HWIO, or [in, out]. */
  readonly order: 'OI' | 'IO';
  /** The file's own type, if it is rounded to `dtype` as it is read. */
  readonly stored?: 'F64';
  /** Of an `IO` matrix [out, in] that reads a map: rows and columns of the map, whose channels come last in `in`. */
  readonly map?: readonly [number, number];
  /** Of an I8 tensor, whose order is `OI`. */
  readonly scales?: Int8Scales | undefined;
}

/** Consecutive little-endian bytes of one tensor, whole elements or not; valid until the next piece is asked for. */
export interface Piece {
  readonly tensor: TensorInfo;
  readonly bytes: Uint8Array;
}

/** What a file says of its network beyond its tensors. */
export interface ArchConfig {
  readonly batchNormEps?: number;
  readonly convBias?: boolean;
  /** The convolution of a bottleneck that has the stride. */
  readonly strideIn?: 'conv1' | 'conv2';
}

/** A checkpoint may hold several sets of tensors, and tensors that are no weights. */
export interface Selection {
  /** Where in the checkpoint the tensors are, keys joined by dots: `state_dict`; empty if they are the whole. */
  readonly key: string;
  /** Where others are that could be meant. */
  readonly others: readonly string[];
  /** Tensors beside them that are no weights, and were left out: counters, whole numbers, truth values. */
  readonly skipped: readonly string[];
  /** What the names began with, if it was asked for: it is cut off. */
  readonly prefix?: string | undefined;
}

export interface WeightFile {
  readonly format: string;
  /** In file order; known, with every length checked, before the first piece. */
  readonly tensors: readonly TensorInfo[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly config: ArchConfig;
  /** What of a checkpoint was read. */
  readonly selection?: Selection | undefined;
  /** Sentences on what of the file is not read, or not there, and no error. */
  readonly warnings?: readonly string[] | undefined;
  /** The network itself, if the file brings it. */
  readonly graph?: Graph | undefined;
  /** A label per class, if the file has them. */
  readonly labels?: readonly string[] | undefined;
  /** How the file's network wants its pictures, if that is not torchvision's way. */
  readonly preprocessing?: PreprocessingName | undefined;
  /** Bytes of all tensors, which are the bytes of all pieces. */
  readonly total: number;
  /**
   * Reads the bytes of every tensor, in file order, once. Throws if the file ends early or goes on past its last tensor.
   * Leaving the loop early closes the source.
   */
  pieces(): AsyncGenerator<Piece, void, undefined>;
  /** Closes the source without reading on. */
  close(): Promise<void>;
}

interface OpenContext extends OpenOptions {
  /** Opens another file of the same set, in a format that stands alone. */
  openOther(source: string | URL): Promise<WeightFile>;
}

/** What reads files of a format. */
export interface Reader {
  /**
   * Reads and checks all but the tensors' values. If it throws, the caller closes the stream.
   */
  open(stream: ByteStream, context: OpenContext): Promise<WeightFile>;
}

/** One format: a row of the table in open.ts. */
export interface Format {
  readonly name: string;
  /** Tells by the first bytes, up to 512 of them. */
  matches(head: Uint8Array): boolean;
  /** Fetches the reader when such a file comes: a page has no script for formats that it does not use. */
  reader(): Promise<Reader>;
  /** Whether such a file names others that hold the values. */
  readonly isSet?: boolean;
}
