/**
 * Weights that are pure functions of their names: networks can be timed without a weight file, and checked against
 * logits that another implementation computed from the same rule.
 */

import { type Graph, type Parameter, parameters } from '../../models/graph.js';

/** A seed from a name: 32-bit FNV-1a over its UTF-8 bytes. */
function fnv1a32(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Writes values `first`, `first` + 1, … of the tensor that `key` names to `to`: mulberry32, scaled to [low, high). */
function fill(to: Float32Array, key: number, first: number, [low, high]: readonly [number, number]): void {
  const span = high - low;
  // The generator's state grows by a constant at each step, so any value can be reached at once.
  let state = (key + Math.imul(first, 0x6d2b79f5)) | 0;
  for (let i = 0; i < to.length; i++) {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    to[i] = low + span * (((t ^ (t >>> 14)) >>> 0) / 4294967296);
  }
}

/** `count` values in [low, high), rounded to float32 once. */
export function uniform(name: string, count: number, low: number, high: number): Float32Array {
  const values = new Float32Array(count);
  fill(values, fnv1a32(name), 0, [low, high]);
  return values;
}

const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** The batch norm that ends a residual branch has a small scale, so that 50 additions stay in range. */
function endsBranch(graph: Graph, id: number): boolean {
  const name = graph.nodes[id]?.name ?? '';
  return /\.bn[23]$/.test(name) && graph.nodes.some(({ kind, inputs }) => kind === 'add' && inputs.includes(id));
}

function range(graph: Graph, { node, role, shape }: Parameter): readonly [number, number] {
  if (graph.nodes[node]?.kind === 'batchNorm') {
    if (role === 'weight') return endsBranch(graph, node) ? [0.1, 0.3] : [0.6, 1.0];
    return role === 'running_var' ? [0.5, 1.5] : [-0.1, 0.1];
  }
  if (role === 'bias') return [-0.05, 0.05];
  // The slopes of a PReLU.
  if (shape.length === 1) return [0.1, 0.3];
  const bound = Math.sqrt(6 / size(shape.slice(1)));
  return [-bound, bound];
}

/** Values of one parameter, row-major in its shape. */
export function seededTensor(graph: Graph, parameter: Parameter): Float32Array {
  return uniform(parameter.name, size(parameter.shape), ...range(graph, parameter));
}

/** The input of `shape`, NCHW. */
export const seededInput = (shape: readonly number[]): Float32Array => uniform('input', size(shape), -2, 2);

// Values in a piece: 1 MiB, so that no tensor is held whole.
const PIECE = 262144;

/**
 * A safetensors file of all parameters in `state_dict` order, float32: the header, then pieces of at most 1 MiB. Seed 0
 * depends on the names alone.
 */
export async function* seededWeights(graph: Graph, seed = 0): AsyncGenerator<Uint8Array, void, undefined> {
  const list = parameters(graph);
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape } of list) {
    const end = offset + 4 * size(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const head = new Uint8Array(8 + json.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(json.length), true);
  head.set(json, 8);
  yield head;
  for (const parameter of list) {
    const bounds = range(graph, parameter);
    const key = fnv1a32(parameter.name) ^ Math.imul(seed, 0x9e3779b9);
    const count = size(parameter.shape);
    for (let first = 0; first < count; first += PIECE) {
      const values = new Float32Array(Math.min(PIECE, count - first));
      fill(values, key, first, bounds);
      yield new Uint8Array(values.buffer);
    }
  }
}
