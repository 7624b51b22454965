/** Scales of the inputs of a network's layers, for int8: the network runs on pictures, and the ranges are seen. */

import { ResnetError } from '../../models/errors.js';
import type { Graph, Node, NodeId, Port, Ports } from '../../models/graph.js';
import type { OpenOptions, WeightSource } from '../weights/open.js';
import { LARGEST_I8 } from '../weights/quantise.js';
import type { Calibration } from '../weights/write.js';
import { load } from './load.js';
import { Magnitudes } from './magnitudes.js';
import { openIdentified } from './open-network.js';
import type { ImageSource, Tensor } from './types.js';

export interface CalibrateOptions extends Pick<OpenOptions, 'signal' | 'prefix'> {
  /** Called after each picture with the number of those done. */
  readonly onPicture?: ((done: number) => void) | undefined;
}

/**
 * Runs a network on pictures in float32, and finds for the input of each convolution and linear layer the range that
 * has the least mean squared error if its values become whole numbers up to 127. Rejects with one sentence if the weights do
 * not tell their network, if there are no pictures, or if one cannot be read.
 */
export async function calibrate(
  weights: WeightSource,
  pictures: Iterable<ImageSource | Promise<ImageSource>>,
  { signal, prefix, onPicture = () => {} }: CalibrateOptions = {},
): Promise<Calibration> {
  const { file, graph } = await openIdentified(weights, { signal, prefix }, {});
  const layers = graph.nodes.filter(({ kind }) => kind === 'conv' || kind === 'linear');
  const seen = new Map<NodeId, Magnitudes>(layers.map(({ inputs: [from = 0] }) => [from, new Magnitudes()]));
  using model = await load(withOutputs(graph, [...seen.keys()]), { weights: file, signal });
  let count = 0;
  for (const picture of pictures) {
    const tensor = await model.preprocess(await picture, { signal });
    const { outputs = {} } = await model.run(tensor, { signal });
    for (const [id, magnitudes] of seen) magnitudes.add(valuesOf(graph, id, tensor, outputs));
    onPicture(++count);
  }
  if (count === 0) throw new ResnetError('argument', 'pictures: expected at least one to calibrate with, got none.');
  const inputScales = new Map<string, number>();
  for (const { params, inputs } of layers) {
    const range = seen.get(inputs[0] ?? 0)?.bestRange(LARGEST_I8) ?? 0;
    // A tensor that layers share is for the widest of their inputs.
    const before = inputScales.get(params.weight ?? '') ?? 0;
    inputScales.set(params.weight ?? '', Math.max(before, Math.fround(range / LARGEST_I8) || 1));
  }
  return { inputScales, method: `least mean squared error over ${count} ${count === 1 ? 'picture' : 'pictures'}` };
}

const nameOf = (id: NodeId): string => `value ${id}`;

/** The graph with the values of these nodes as outputs too. The graph's inputs are known without. */
function withOutputs(graph: Graph, ids: readonly NodeId[]): Graph {
  const more = ids.filter((id) => !isInput(graph, id)).map((node): Port => ({ name: nameOf(node), node }));
  return { ...graph, outputs: [...graph.outputs, ...more] as readonly Port[] as Ports };
}

const isInput = ({ nodes }: Graph, id: NodeId): boolean => (nodes[id] as Node).kind === 'input';

function valuesOf(
  graph: Graph,
  id: NodeId,
  input: Tensor,
  outputs: Record<string, { data: Float32Array }>,
): Float32Array {
  return isInput(graph, id) ? input.data : (outputs[nameOf(id)]?.data ?? new Float32Array(0));
}
