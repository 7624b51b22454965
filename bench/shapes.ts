/** What to measure: the convolutions and matrix products of a network, derived from its graph. Inputs are seeded. */

import {
  buildNetwork,
  type ConvOp,
  type Graph,
  inputShape,
  type Node,
  type Shape,
  shapeText,
} from '../models/index.js';

/** A convolution that a network has `count` times, whatever its parameters. */
export interface ConvShape {
  readonly op: ConvOp;
  readonly input: Shape;
  readonly output: Shape;
  readonly count: number;
  /** Floating-point operations of one: two a multiply–add. */
  readonly flops: number;
}

/** C[M,N] = A[M,K] · B[K,N]. */
export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly count: number;
  readonly flops: number;
}

const isConv = (node: Node): node is Node<ConvOp> => node.kind === 'conv';

const depth = ({ kernel, groups }: ConvOp, input: Shape): number => kernel[0] * kernel[1] * (input.c / groups);

/** Rows that are equal in what `key` says of them become one, with a count, in order of first appearance. */
function unique<Row>(rows: readonly Row[], key: (row: Row) => string): (Row & { count: number })[] {
  const found = new Map<string, Row & { count: number }>();
  for (const row of rows) {
    const before = found.get(key(row));
    if (before) before.count += 1;
    else found.set(key(row), { ...row, count: 1 });
  }
  return [...found.values()];
}

/** Every different convolution of a network, first to last. */
export function convShapes(name: string): ConvShape[] {
  const graph: Graph = buildNetwork(name);
  const rows = graph.nodes.filter(isConv).map((node) => {
    const { kind, channels, kernel, stride, dilation, padding, groups, shape: output } = node;
    const op: ConvOp = { kind, channels, kernel, stride, dilation, padding, groups };
    const input = inputShape(graph, node);
    return { op, input, output, flops: 2 * output.h * output.w * output.c * depth(op, input) };
  });
  return unique(rows, ({ op, input, output }) => JSON.stringify([op, input, output]));
}

/** The matrix products that im2col makes of those convolutions; of a grouped one, the product of one group. */
export function gemmShapes(name: string): GemmShape[] {
  const rows = convShapes(name).flatMap(({ op, input, output, count }) => {
    const { h, w, c } = output;
    const [m, n, k] = [h * w, c / op.groups, depth(op, input)];
    return Array.from({ length: count * op.groups }, () => ({ m, n, k, flops: 2 * m * n * k }));
  });
  return unique(rows, ({ m, n, k }) => `${m} ${n} ${k}`);
}

/** "3x3/2 56x56x128 -> 28x28x128": kernel, stride, groups where there are, input and output. */
export function convText({ op, input, output }: ConvShape): string {
  const stride = Math.max(...op.stride) > 1 ? `/${op.stride[0]}` : '';
  const groups = op.groups > 1 ? ` in ${op.groups} groups` : '';
  return `${op.kernel.join('x')}${stride}${groups} ${shapeText(input)} -> ${shapeText(output)}`;
}
