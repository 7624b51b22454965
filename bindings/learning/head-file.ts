/** Files of heads: the last layer alone, or a whole network with it. */

import { ResnetError } from '../../models/errors.js';
import type { Graph, Node } from '../../models/index.js';
import type { LinearLayer } from '../engine/row-matrix.js';
import { openNetwork } from '../model/open-network.js';
import { shown } from '../util/messages.js';
import { sameShape } from '../util/shape.js';
import { toFloat32 } from '../weights/dtype.js';
import { fromTensors, type MemoryTensor } from '../weights/from-tensors.js';
import { headOf } from '../weights/heads.js';
import { baseFromMetadata, baseToMetadata, labelsFromMetadata, labelsToMetadata } from '../weights/metadata.js';
import { openWeights, type Piece, type WeightFile, type WeightSource } from '../weights/open.js';
import { writeSafetensors } from '../weights/write.js';
import type { Embedder } from './types.js';

/** A linear layer that gives one score per label. */
export interface LabelledLayer extends LinearLayer {
  readonly labels: readonly string[];
}

/** The layer's tensors under the names that a network's last layer has. */
function tensorsOf({ weight, bias, labels }: LabelledLayer, graph: Graph): MemoryTensor[] {
  const head = headOf(graph);
  const names = { weight: head?.weight ?? 'fc.weight', bias: head?.bias ?? `${head?.name ?? 'fc'}.bias` };
  return [
    { name: names.weight, shape: [labels.length, weight.length / labels.length], data: weight },
    { name: names.bias, shape: [labels.length], data: bias },
  ];
}

/** The bytes of a file of the layer alone. */
export async function writeHead(layer: LabelledLayer, { graph, name }: Embedder): Promise<Uint8Array<ArrayBuffer>> {
  const file = {
    ...fromTensors(tensorsOf(layer, graph)),
    metadata: { ...labelsToMetadata(layer.labels), ...baseToMetadata(name) },
  };
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(file)) chunks.push(chunk);
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

/** Reads a file that `writeHead` wrote for a model of the same name. Rejects with one sentence if it is none, or damaged. */
export async function readHead(source: WeightSource, { name }: Pick<Embedder, 'name'>): Promise<LabelledLayer> {
  const file = await openWeights(source);
  try {
    const refuse = (got: string): never => {
      throw new ResnetError('weights', `head: expected a last layer with labels, as save() writes it, got ${got}.`);
    };
    const base = baseFromMetadata(file.metadata) ?? refuse('a file of another kind');
    if (base !== name) throw new ResnetError('weights', `head: expected one on ${name}, got one on ${base}.`);
    const [weight, bias, ...others] = file.tensors;
    const labels = labelsFromMetadata('head', file.metadata) ?? refuse('no labels');
    if (!weight || !bias || others.length > 0) return refuse(`${file.tensors.length} tensors`);
    if (weight.shape.length !== 2 || weight.shape[0] !== labels.length || !sameShape(bias.shape, [labels.length])) {
      refuse(`${shown(weight.shape)} and ${shown(bias.shape)} for ${labels.length} labels`);
    }
    const values = new Map<string, Uint8Array[]>();
    for await (const { tensor, bytes } of file.pieces()) {
      values.set(tensor.name, [...(values.get(tensor.name) ?? []), bytes.slice()]);
    }
    const valuesOf = async ({ name, dtype }: typeof weight): Promise<Float32Array> => {
      if (dtype === 'I8') return refuse('int8 values');
      const parts = (values.get(name) ?? []) as Uint8Array<ArrayBuffer>[];
      return toFloat32(dtype, new Uint8Array(await new Blob(parts).arrayBuffer()));
    };
    const layer = { weight: await valuesOf(weight), bias: await valuesOf(bias), labels };
    if (![...layer.weight, ...layer.bias].every(Number.isFinite)) refuse('values that are not finite');
    return layer;
  } finally {
    await file.close();
  }
}

/** The graph whose last layer, and what comes after it, has `count` classes. */
function withClasses(graph: Graph, count: number): Graph {
  const name = headOf(graph)?.name;
  const first = graph.nodes.findIndex((node) => node.name === name);
  const nodes = graph.nodes.map((node, i): Node => {
    if (i < first) return node;
    const resized = { ...node, shape: { ...node.shape, c: count } };
    return i === first ? ({ ...resized, channels: count } as Node) : resized;
  });
  return { ...graph, nodes };
}

/** The bytes of a file of a whole network that ends in the layer. `source`: the weights of `model`. */
export async function* mergeHead(
  layer: LabelledLayer,
  { graph, name }: Embedder,
  source: WeightSource,
): AsyncGenerator<Uint8Array, void, undefined> {
  const head = headOf(graph);
  if (!head)
    throw new ResnetError('unsupported', `${name}: expected a network with a last linear layer to replace, got none.`);
  const { file } = await openNetwork(graph, source, {}, {});
  const own = fromTensors(tensorsOf(layer, graph));
  const kept = file.tensors.filter((tensor) => !head.own.has(tensor.name));
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    for await (const piece of file.pieces()) if (!head?.own.has(piece.tensor.name)) yield piece;
    yield* own.pieces();
  }
  const merged: WeightFile = {
    ...file,
    tensors: [...kept, ...own.tensors],
    metadata: { ...file.metadata, ...labelsToMetadata(layer.labels) },
    graph: file.graph && withClasses(graph, layer.labels.length),
    pieces,
  };
  yield* writeSafetensors(merged);
}
