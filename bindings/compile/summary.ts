/** A network layer by layer, as table 1 of He et al. 2015: output size, parameters, multiply–adds. */

import {
  type Graph,
  graphInput,
  macs,
  type Node,
  nodeParameters,
  operationOf,
  parameters,
  type Shape,
  trainableCount,
} from '../../models/index.js';
import { layersOf } from './fuse.js';

export interface SummaryRow {
  /** Of the layer's first node: its module path, as in torchvision. */
  readonly name: string;
  readonly kind: Node['kind'];
  /** What the layer does, in words: `conv 3x3, stride 2`. */
  readonly operation: string;
  /** Of the output, without the batch. */
  readonly shape: Shape;
  /** Trainable values, those of the batch norm and activation that belong to the layer among them. */
  readonly parameters: number;
  /** Multiply–adds for one image. */
  readonly macs: number;
}

export interface Summary {
  readonly name: string;
  /** The shape of the first input. */
  readonly input: Shape;
  /** Layers in the graph's order, without the inputs: see `layersOf`. */
  readonly rows: readonly SummaryRow[];
  readonly parameters: number;
  readonly macs: number;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Counts from the graph alone: no weights are needed. A tensor that layers share counts for the first of them. */
export function summary(graph: Graph): Summary {
  const all = parameters(graph);
  const owners = new Map(all.map(({ name, node }) => [name, node]));
  const count = (node: Node): number =>
    trainableCount(nodeParameters(graph, node).filter(({ name }) => owners.get(name) === node.id));
  const rows = layersOf(graph)
    .filter(({ nodes: [{ kind }] }) => kind !== 'input')
    .map(({ nodes }): SummaryRow => {
      const [node] = nodes;
      return {
        name: node.name,
        kind: node.kind,
        operation: operationOf(node),
        shape: node.shape,
        parameters: sum(nodes.map(count)),
        macs: macs(graph, node),
      };
    });
  return {
    name: graph.name,
    input: graphInput(graph),
    rows,
    parameters: trainableCount(all),
    macs: sum(rows.map((row) => row.macs)),
  };
}
