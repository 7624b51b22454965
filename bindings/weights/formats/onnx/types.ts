/** What an ONNX file holds (onnx.proto): nodes, tensors and the types of what goes in and out. */

/** The types of TensorProto.DataType that are numbers, with the bytes of a value. */
export const DATA_TYPES = {
  1: { name: 'float', bytes: 4 },
  2: { name: 'uint8', bytes: 1 },
  3: { name: 'int8', bytes: 1 },
  4: { name: 'uint16', bytes: 2 },
  5: { name: 'int16', bytes: 2 },
  6: { name: 'int32', bytes: 4 },
  7: { name: 'int64', bytes: 8 },
  9: { name: 'bool', bytes: 1 },
  10: { name: 'float16', bytes: 2 },
  11: { name: 'double', bytes: 8 },
  12: { name: 'uint32', bytes: 4 },
  13: { name: 'uint64', bytes: 8 },
  16: { name: 'bfloat16', bytes: 2 },
} as const;

export type DataType = keyof typeof DATA_TYPES;

export const FLOAT: DataType = 1;
export const UINT8: DataType = 2;
export const INT8: DataType = 3;
export const INT32: DataType = 6;
export const INT64: DataType = 7;
export const BOOL: DataType = 9;
export const FLOAT16: DataType = 10;
export const DOUBLE: DataType = 11;
export const BFLOAT16: DataType = 16;

export const isDataType = (type: number): type is DataType => Object.hasOwn(DATA_TYPES, type);

const FLOATING: readonly DataType[] = [FLOAT, FLOAT16, DOUBLE, BFLOAT16];

export const isFloating = (type: DataType): boolean => FLOATING.includes(type);

export type Values = Float32Array | Float64Array;

/** A tensor whose values are at hand, row-major. */
export interface Tensor {
  readonly dims: readonly number[];
  readonly type: DataType;
  /** Float32 for the types of up to 32 bits of floating point; float64 for all others, whole numbers beyond 2^53 rounded. */
  readonly data: Values;
}

/** Bytes that can be read, once or again. */
export interface Held {
  readonly bytes: number;
  /** Parts, valid until the next is asked for. */
  parts(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Where the values of a tensor are, if they are too many to be at hand. */
export interface StoredTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: DataType;
  /** Little-endian values one after the other, or varints. */
  readonly encoding: 'raw' | 'varint';
  readonly held: Held | External;
}

/** A place in a file beside the model's. */
export interface External {
  readonly location: string;
  readonly offset: number;
  readonly bytes: number;
}

export const isExternal = (held: Held | External): held is External => 'location' in held;

/** An attribute of a node: what of it is there. */
export interface Attribute {
  readonly f?: number;
  readonly i?: number;
  readonly s?: string;
  readonly t?: Tensor;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly strings: readonly string[];
  readonly hasGraph: boolean;
}

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  /** An input that is left out is ''. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** What goes in or out. A dimension that only a run tells is undefined. */
export interface ValueInfo {
  readonly name: string;
  /** Undefined if it is no tensor of numbers. */
  readonly type: DataType | undefined;
  /** Undefined if the file does not tell the rank. */
  readonly dims: readonly (number | undefined)[] | undefined;
}

/** A model as its file says it. */
export interface OnnxModel {
  readonly producer: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of ONNX's own operations; of others by domain. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** By name, in file order. */
  readonly tensors: ReadonlyMap<string, Tensor | StoredTensor>;
  /** Bytes of the file, as far as it was read. */
  readonly bytes: number;
}

export const isStored = (tensor: Tensor | StoredTensor): tensor is StoredTensor => 'held' in tensor;
