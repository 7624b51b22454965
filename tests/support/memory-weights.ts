/** Weight files from values in memory: any order of tensors, any type, any pieces. */

import { fromTensors } from '../../bindings/weights/from-tensors.js';
import type { FloatDtype, TensorInfo, WeightFile } from '../../bindings/weights/types.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { type Graph, inputShape, type Node, type Parameter, parameters } from '../../models/index.js';
import type { Values } from './reference.js';

/** An IEEE 754 half float's value. */
export function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A bfloat16's value: the upper half of a float32. */
export function brain(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
}

/** Bits of a half float near `value`, which is within its range: the fraction is cut. */
function halfBits(value: number): number {
  const magnitude = Math.abs(value);
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 1)));
  const fraction = Math.floor(magnitude / 2 ** (exponent - 10));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 14) * 1024 + fraction);
}

/** Bits of a bfloat16 near `value`. */
function brainBits(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint16(0);
}

/** What a file of type `dtype` keeps of `values`. */
export function kept(values: Float32Array, dtype: FloatDtype): Float32Array {
  if (dtype === 'F32') return values;
  return values.map((v) => (dtype === 'F16' ? half(halfBits(v)) : brain(brainBits(v))));
}

function bytesOf(values: Float32Array, dtype: FloatDtype): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return new Uint8Array(Uint16Array.from(values, dtype === 'F16' ? halfBits : brainBits).buffer);
}

/** OIHW to HWIO; [out, in] to [in, out], a map that is flattened going from CHW to Keras's HWC. */
function transposed(graph: Graph, { node: id, shape }: Parameter, values: Float32Array): Float32Array {
  const node = graph.nodes[id] as Node;
  const from = inputShape(graph, node);
  const outputs = shape[0] as number;
  const inner = node.kind === 'linear' ? from.c : (shape[1] as number);
  const taps = values.length / outputs / inner;
  const result = new Float32Array(values.length);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inner; i++)
      for (let s = 0; s < taps; s++) {
        result[(s * inner + i) * outputs + o] = values[(o * inner + i) * taps + s] as number;
      }
  return result;
}

/** Tame values for every parameter of a graph: He et al.'s range for matrices, positive variances. */
export function anyTensors(graph: Graph): Map<string, Float32Array> {
  const values = ({ name, role, shape, node }: Parameter): Float32Array => {
    const count = shape.reduce((a, b) => a * b, 1);
    if (role === 'running_var') return uniform(name, count, 0.5, 1.5);
    if (role !== 'weight') return uniform(name, count, -0.2, 0.2);
    if (graph.nodes[node]?.kind === 'batchNorm') return uniform(name, count, 0.6, 1.2);
    if (graph.nodes[node]?.kind === 'activation') return uniform(name, count, 0.1, 0.3);
    const bound = Math.sqrt((6 * (shape[0] as number)) / count);
    return uniform(name, count, -bound, bound);
  };
  return new Map(parameters(graph).map((parameter) => [parameter.name, values(parameter)]));
}

export interface FileOptions {
  readonly dtype?: FloatDtype;
  /** Of the values of matrices. */
  readonly order?: TensorInfo['order'];
  /** Rearranges the file's tensors, which come in `state_dict` order. */
  readonly arrange?: (list: Parameter[]) => Parameter[];
  /** Bytes of pieces, in turn. */
  readonly pieces?: readonly number[];
  /** Thrown before the piece of this number. */
  readonly failure?: { readonly at: number; readonly error: unknown };
}

/** A file of all parameters of a graph. Each piece is overwritten when the next one is asked for. */
export function memoryWeights(
  graph: Graph,
  tensors: ReadonlyMap<string, Values>,
  options: FileOptions = {},
): WeightFile {
  const { dtype = 'F32', order = 'OI', arrange = (list) => list, pieces = [65536], failure } = options;
  let count = 0;
  function* cut(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length; ) {
      if (count === failure?.at) throw failure.error;
      const piece = bytes.slice(at, at + (pieces[count++ % pieces.length] as number));
      at += piece.length;
      yield piece;
      piece.fill(0xdd);
    }
  }
  return fromTensors(
    arrange(parameters(graph)).map((parameter) => {
      const { name, shape } = parameter;
      const values = Float32Array.from(tensors.get(name) ?? []);
      const isTurned = shape.length > 1 && order === 'IO';
      const bytes = bytesOf(isTurned ? transposed(graph, parameter, values) : values, dtype);
      return { name, shape, dtype, order: isTurned ? 'IO' : 'OI', data: () => cut(bytes) };
    }),
  );
}
