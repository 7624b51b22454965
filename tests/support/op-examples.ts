/** A node of every kind, and all that the table of operations says of it. */

import * as assert from 'uvu/assert';
import {
  type Fields,
  type Graph,
  GraphBuilder,
  type NodeId,
  type OpKind,
  type Role,
  type Shape,
} from '../../models/index.js';

export type Build = (g: GraphBuilder, x: NodeId, vector: NodeId) => NodeId;

/** A node of each kind, made of a map of 9 × 7 × 6 or a vector of 6; and all that its row says of it. */
export interface Example {
  readonly build: Build;
  readonly shape: Shape;
  readonly words: string;
  readonly kernel: string | undefined;
  readonly macs?: number;
  readonly parameters?: Partial<Record<Role, readonly number[]>>;
  readonly fields?: Fields;
}

export const MAP: Shape = { h: 9, w: 7, c: 6 };
export const VECTOR: Shape = { h: 1, w: 1, c: 6 };

const WINDOW = { kernel: [3, 2], stride: [2, 1], padding: { top: 1, left: 0, bottom: 0, right: 1 } } as const;
const WINDOW_FIELDS = { kh: 3, kw: 2, strideH: 2, strideW: 1, padTop: 1, padLeft: 0 };

export const examples: { readonly [Kind in OpKind]: readonly [Example, ...Example[]] } = {
  input: [{ build: (_, x) => x, shape: MAP, words: 'input', kernel: undefined }],
  conv: [
    {
      build: (g, x) => g.conv('n', x, 8, { ...WINDOW, groups: 2, dilation: [1, 2], bias: true }),
      shape: { h: 4, w: 6, c: 8 },
      words: 'conv 3x2, stride 2x1, dilation 1x2, 2 groups',
      kernel: 'KIND_CONV',
      macs: 4 * 6 * 8 * 3 * 6,
      parameters: { weight: [8, 3, 3, 2], bias: [8] },
      fields: { ...WINDOW_FIELDS, dilationH: 1, dilationW: 2, groups: 2 },
    },
    {
      build: (g, x) => g.conv('n', x, 6, { kernel: 3, padding: 1, groups: 6, stride: 2 }),
      shape: { h: 5, w: 4, c: 6 },
      words: 'conv 3x3, stride 2, 6 groups',
      kernel: 'KIND_CONV',
      macs: 5 * 4 * 6 * 9,
      parameters: { weight: [6, 1, 3, 3] },
      fields: {
        ...{ kh: 3, kw: 3, strideH: 2, strideW: 2, padTop: 1, padLeft: 1 },
        ...{ dilationH: 1, dilationW: 1, groups: 6 },
      },
    },
  ],
  linear: [
    {
      build: (g, x) => g.linear('n', x, 10),
      shape: { h: 1, w: 1, c: 10 },
      words: 'linear',
      kernel: 'KIND_LINEAR',
      macs: 9 * 7 * 6 * 10,
      parameters: { weight: [10, 9 * 7 * 6], bias: [10] },
    },
  ],
  maxPool: [
    {
      build: (g, x) => g.maxPool('n', x, WINDOW),
      shape: { h: 4, w: 7, c: 6 },
      words: 'max pool 3x2, stride 2x1',
      kernel: 'KIND_MAX_POOL',
      fields: WINDOW_FIELDS,
    },
  ],
  avgPool: [
    {
      build: (g, x) => g.avgPool('n', x, { kernel: 2 }),
      shape: { h: 4, w: 3, c: 6 },
      words: 'average pool 2x2, stride 2',
      kernel: 'KIND_AVG_POOL',
      fields: { kh: 2, kw: 2, strideH: 2, strideW: 2, padTop: 0, padLeft: 0 },
    },
    {
      build: (g, x) => g.avgPool('n', x, { ...WINDOW, countsPadding: false }),
      shape: { h: 4, w: 7, c: 6 },
      words: 'average pool 3x2, stride 2x1',
      kernel: 'KIND_AVG_POOL',
      fields: { ...WINDOW_FIELDS, leavesPadding: 1 },
    },
  ],
  adaptiveAvgPool: [
    {
      build: (g, x) => g.adaptiveAvgPool('n', x, 12, 2),
      shape: { h: 12, w: 2, c: 6 },
      words: 'average pool to 12x2',
      kernel: 'KIND_ADAPTIVE_AVG_POOL',
    },
  ],
  reduce: [
    {
      build: (g, x) => g.globalAvgPool('n', x),
      shape: VECTOR,
      words: 'global average pool',
      kernel: 'KIND_REDUCE',
      fields: { reduction: 0 },
    },
    {
      build: (g, x) => g.reduce('n', x, 'max'),
      shape: VECTOR,
      words: 'global max pool',
      kernel: 'KIND_REDUCE',
      fields: { reduction: 1 },
    },
    {
      build: (g, x) => g.reduce('n', x, 'sum'),
      shape: VECTOR,
      words: 'global sum',
      kernel: 'KIND_REDUCE',
      fields: { reduction: 2 },
    },
  ],
  resize: [
    {
      build: (g, x) => g.resize('n', x, 18, 14),
      shape: { h: 18, w: 14, c: 6 },
      words: 'resize to 18x14, nearest',
      kernel: 'KIND_RESIZE',
      fields: { resizeMode: 0 },
    },
    {
      build: (g, x) => g.resize('n', x, 3, 4, { mode: 'bilinear' }),
      shape: { h: 3, w: 4, c: 6 },
      words: 'resize to 3x4, bilinear',
      kernel: 'KIND_RESIZE',
      fields: { resizeMode: 1 },
    },
    {
      build: (g, x) => g.resize('n', x, 3, 4, { mode: 'bilinear', alignCorners: true }),
      shape: { h: 3, w: 4, c: 6 },
      words: 'resize to 3x4, bilinear',
      kernel: 'KIND_RESIZE',
      fields: { resizeMode: 2 },
    },
  ],
  batchNorm: [
    {
      build: (g, x) => g.batchNorm('n', x),
      shape: MAP,
      words: 'batch norm',
      kernel: 'KIND_BATCH_NORM',
      parameters: { weight: [6], bias: [6], running_mean: [6], running_var: [6] },
    },
  ],
  activation: [
    { build: (g, x) => g.relu('n', x), shape: MAP, words: 'ReLU', kernel: 'KIND_COPY' },
    {
      build: (g, x) => g.activation('n', x, { kind: 'prelu' }),
      shape: MAP,
      words: 'PReLU',
      kernel: 'KIND_COPY',
      parameters: { weight: [6] },
    },
  ],
  add: [{ build: (g, x) => g.add('n', x, x), shape: MAP, words: 'add', kernel: 'KIND_COPY' }],
  mul: [
    { build: (g, x) => g.mul('n', x, x), shape: MAP, words: 'multiply', kernel: 'KIND_MUL' },
    { build: (g, x, v) => g.mul('n', x, v), shape: MAP, words: 'multiply', kernel: 'KIND_MUL' },
    { build: (g, x, v) => g.mul('n', v, x), shape: MAP, words: 'multiply', kernel: 'KIND_MUL' },
    { build: (g, _, v) => g.mul('n', v, v), shape: VECTOR, words: 'multiply', kernel: 'KIND_MUL' },
  ],
  concat: [
    { build: (g, x) => g.concat('n', [x, x, x]), shape: { ...MAP, c: 18 }, words: 'concatenate', kernel: undefined },
    { build: (g, x) => g.concat('n', [x]), shape: MAP, words: 'concatenate', kernel: undefined },
  ],
  softmax: [{ build: (g, _, v) => g.softmax('n', v), shape: VECTOR, words: 'softmax', kernel: 'KIND_SOFTMAX' }],
  zeroPadShortcut: [
    {
      build: (g, x) => g.zeroPadShortcut('n', x, 16, 2),
      shape: { h: 5, w: 4, c: 16 },
      words: 'zero padding, stride 2',
      kernel: 'KIND_ZERO_PAD_SHORTCUT',
      fields: { strideH: 2, strideW: 2, zerosBefore: 5 },
    },
  ],
};

/** The graph of one node, which is its last. */
export function graphOf(build: Build): Graph {
  const g = new GraphBuilder('test');
  const [x, vector] = [g.input(MAP, 'map'), g.input(VECTOR, 'vector')];
  return g.finish(build(g, x, vector));
}

export const nodeOf = (graph: Graph) => {
  const node = graph.nodes[graph.outputs[0].node];
  assert.ok(node);
  return node;
};
