/**
 * Weights that are pure functions of their names: networks can be timed without a weight file, and checked against
 * logits that another implementation computed from the same rule.
 */

import { type Graph, type Parameter, parameters } from '../../models/graph.js';
import { fnv1a32 } from '../util/hash.js';
import { size } from '../util/shape.js';
import { fromTensors } from './from-tensors.js';
import type { WeightFile } from './types.js';
import { fill, uniform } from './uniform.js';
import { writeSafetensors } from './write.js';

/** Tells the batch norm that ends a residual branch: its scale is small, so that 50 additions stay in range. */
function endsBranch(graph: Graph, id: number): boolean {
  const name = graph.nodes[id]?.name ?? '';
  return (
    /\.bn[23]$/.test(name) &&
    graph.nodes.some(({ kind, inputs }) => (kind === 'add' || kind === 'mul') && inputs.includes(id))
  );
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

/** Makes the values of one parameter, row-major in its shape. */
export function seededTensor(graph: Graph, parameter: Parameter): Float32Array {
  return uniform(parameter.name, size(parameter.shape), ...range(graph, parameter));
}

/** Values in a piece: 1 MiB, so that no tensor is held whole. */
const PIECE = 262144;

/**
 * Makes a weight file of all parameters in `state_dict` order, float32, whose values are made as they are read: of VGG's
 * 550 MB there is never more than a piece. Seed 0 depends on the names alone.
 */
export const randomWeights = (graph: Graph, seed = 0): WeightFile =>
  fromTensors(
    parameters(graph).map((parameter) => ({
      name: parameter.name,
      shape: parameter.shape,
      data: () => valuesOf(graph, parameter, seed),
    })),
  );

/** Makes the values of one parameter in pieces, each in the place of the one before. */
function* valuesOf(graph: Graph, parameter: Parameter, seed: number): Generator<Float32Array, void, undefined> {
  const bounds = range(graph, parameter);
  const key = fnv1a32(parameter.name) ^ Math.imul(seed, 0x9e3779b9);
  const count = size(parameter.shape);
  const piece = new Float32Array(Math.min(PIECE, count));
  for (let first = 0; first < count; first += PIECE) {
    const values = piece.subarray(0, count - first);
    fill(values, key, first, bounds);
    yield values;
  }
}

/** Writes `randomWeights` as a safetensors file, chunk by chunk. */
export const seededWeights = (graph: Graph, seed = 0): AsyncGenerator<Uint8Array, void, undefined> =>
  writeSafetensors(randomWeights(graph, seed));
