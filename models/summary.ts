/** A network layer by layer, as table 1 of He et al. 2015: output size, parameters, multiply–adds. */

import {
  type Graph,
  graphInput,
  macs,
  type Node,
  nodeParameters,
  type Pair,
  type Shape,
  shapeText,
  trainableCount,
} from './graph.js';

export interface SummaryRow {
  /** Module path, as in torchvision. */
  readonly name: string;
  readonly kind: Node['kind'];
  /** What the layer does, in words: `conv 3x3, stride 2`. */
  readonly operation: string;
  /** Of the output, without the batch. */
  readonly shape: Shape;
  /** Trainable values; those of a batch norm that follows a convolution are counted with it. */
  readonly parameters: number;
  /** Multiply–adds for one image. */
  readonly macs: number;
}

export interface Summary {
  readonly name: string;
  readonly input: Shape;
  /** In the graph's order, without the input and the activations. */
  readonly rows: readonly SummaryRow[];
  readonly parameters: number;
  readonly macs: number;
}

const once = ([a, b]: Pair): string => (a === b ? `${a}` : `${a}x${b}`);

function operation(node: Node): string {
  switch (node.kind) {
    case 'conv': {
      const { kernel, stride, dilation, groups } = node;
      const extra = [
        once(stride) === '1' ? '' : `, stride ${once(stride)}`,
        once(dilation) === '1' ? '' : `, dilation ${once(dilation)}`,
        groups === 1 ? '' : `, ${groups} groups`,
      ];
      return `conv ${kernel.join('x')}${extra.join('')}`;
    }
    case 'maxPool':
    case 'avgPool':
      return `${node.kind === 'maxPool' ? 'max' : 'average'} pool ${node.kernel.join('x')}, stride ${once(node.stride)}`;
    case 'zeroPadShortcut':
      return `zero padding, stride ${node.stride}`;
    case 'adaptiveAvgPool':
      return `average pool to ${node.shape.h}x${node.shape.w}`;
    case 'globalAvgPool':
      return 'global average pool';
    case 'batchNorm':
      return 'batch norm';
    default:
      return node.kind;
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Counts from the graph alone: no weights are needed. */
export function summary(graph: Graph): Summary {
  const count = (node: Node) => trainableCount(nodeParameters(graph, node));
  // A batch norm right after a layer belongs to that layer's row: it is folded into its weights.
  const norms = new Map<number, Node>();
  for (const node of graph.nodes) {
    const from = graph.nodes[node.inputs[0] ?? -1];
    if (node.kind === 'batchNorm' && (from?.kind === 'conv' || from?.kind === 'linear')) norms.set(from.id, node);
  }
  const folded = new Set(norms.values());
  const rows = graph.nodes
    .filter((node) => node.kind !== 'input' && node.kind !== 'relu' && !folded.has(node))
    .map((node) => {
      const norm = norms.get(node.id);
      return {
        name: node.name,
        kind: node.kind,
        operation: operation(node),
        shape: node.shape,
        parameters: count(node) + (norm ? count(norm) : 0),
        macs: macs(graph, node),
      };
    });
  return {
    name: graph.name,
    input: graphInput(graph),
    rows,
    parameters: sum(rows.map((row) => row.parameters)),
    macs: sum(rows.map((row) => row.macs)),
  };
}

/** 4.09 GMACs, 40.6 MMACs. */
const inMacs = (n: number): string => (n < 1e9 ? `${(n / 1e6).toFixed(1)} MMACs` : `${(n / 1e9).toFixed(2)} GMACs`);

const digits = new Intl.NumberFormat('en-US');

/** Lines of aligned plain text: a heading, a row a layer, the totals. */
export function summaryTable({ name, input, rows, parameters, macs }: Summary): string {
  const table = [
    ['layer', 'operation', 'output', 'parameters', 'multiply-adds'],
    ...rows.map((row) => [
      row.name,
      row.operation,
      shapeText(row.shape),
      digits.format(row.parameters),
      digits.format(row.macs),
    ]),
    ['total', '', '', digits.format(parameters), digits.format(macs)],
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  const lines = table.map((cells) =>
    cells
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  const rule = '-'.repeat(lines[0]?.length ?? 0);
  lines.splice(1, 0, rule);
  lines.splice(-1, 0, rule);
  const heading = `${name}, input ${shapeText(input)}: ${digits.format(parameters)} parameters, ${inMacs(macs)}`;
  return [heading, '', ...lines].join('\n');
}
