/** A node of every kind, and all that the table of operations says of it. */

import * as assert from 'uvu/assert';
import {
  type Fields,
  type Graph,
  GraphBuilder,
  loadOps,
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

const RESIZE_FIELDS = {
  ...{
    resizeMode: 0,
    coordinates: 0,
    rounding: 0,
    scaleH: 0,
    scaleW: 0,
    alpha: -0.75,
    excludesOutside: 0,
    antialias: 0,
  },
} as const;

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
      fields: { ...RESIZE_FIELDS, coordinates: 1 },
    },
    {
      build: (g, x) => g.resize('n', x, 3, 14, { mode: 'bilinear' }),
      shape: { h: 3, w: 14, c: 6 },
      words: 'resize to 3x14, bilinear',
      kernel: 'KIND_RESIZE',
      fields: { ...RESIZE_FIELDS, resizeMode: 1 },
    },
    {
      build: (g, x) => g.resize('n', x, 3, 14, { mode: 'bilinear', alignCorners: true }),
      shape: { h: 3, w: 14, c: 6 },
      words: 'resize to 3x14, bilinear',
      kernel: 'KIND_RESIZE',
      fields: { ...RESIZE_FIELDS, resizeMode: 1, coordinates: 2 },
    },
    {
      build: (g, x) =>
        g.op('resize', 'n', [x], {
          ...{ h: 4, w: 3, mode: 'cubic', coordinates: 'halfPixelSymmetric', rounding: 'preferCeil' },
          ...{ scale: [0.5, 0.5], cubic: -0.5, excludesOutside: true, antialias: true },
        }),
      shape: { h: 4, w: 3, c: 6 },
      words: 'resize to 4x3, cubic',
      kernel: 'KIND_RESIZE',
      fields: {
        ...{ resizeMode: 2, coordinates: 4, rounding: 3, scaleH: 0.5, scaleW: 0.5, alpha: -0.5 },
        ...{ excludesOutside: 1, antialias: 1 },
      },
    },
  ],
  reduceAxes: [
    {
      build: (g, x) => g.op('reduceAxes', 'n', [x], { reduction: 'min', axes: ['c', 'h'] }),
      shape: { h: 1, w: 7, c: 1 },
      words: 'smallest over h, c',
      kernel: 'KIND_REDUCE_AXES',
      fields: { reduction: 3, overH: 1, overW: 0, overC: 1 },
    },
    {
      build: (g, x) => g.op('reduceAxes', 'n', [x], { reduction: 'argMax', axes: ['w'] }),
      shape: { h: 9, w: 1, c: 6 },
      words: 'place of the greatest over w',
      kernel: 'KIND_REDUCE_AXES',
      fields: { reduction: 5, overH: 0, overW: 1, overC: 0 },
    },
  ],
  softmaxAxes: [
    {
      build: (g, x) => g.op('softmaxAxes', 'n', [x], { axes: ['c'], isLog: true }),
      shape: MAP,
      words: 'log softmax over c',
      kernel: 'KIND_SOFTMAX_AXES',
      fields: { isLog: 1, overH: 0, overW: 0, overC: 1 },
    },
  ],
  dilatedPool: [
    {
      build: (g, x) =>
        g.op('dilatedPool', 'n', [x], {
          ...{ ...WINDOW, reduction: 'max', dilation: [1, 2], ceil: false, countsPadding: false },
        }),
      shape: { h: 4, w: 6, c: 6 },
      words: 'max pool 3x2, stride 2x1, dilation 1x2',
      kernel: 'KIND_DILATED_POOL',
      fields: {
        ...{ ...WINDOW_FIELDS, dilationH: 1, dilationW: 2, padBottom: 0, padRight: 1, reduction: 1, leavesPadding: 1 },
      },
    },
    {
      build: (g, x) =>
        g.op('dilatedPool', 'n', [x], {
          ...{ kernel: [2, 2], stride: [2, 4], padding: { top: 0, left: 1, bottom: 0, right: 1 } },
          ...{ reduction: 'mean', dilation: [1, 1], ceil: true, countsPadding: true },
        }),
      // Of the columns a third window would begin in the padding.
      shape: { h: 5, w: 2, c: 6 },
      words: 'average pool 2x2, stride 2x4',
      kernel: 'KIND_DILATED_POOL',
      fields: {
        ...{ kh: 2, kw: 2, strideH: 2, strideW: 4, padTop: 0, padLeft: 1, padBottom: 0, padRight: 1 },
        ...{ dilationH: 1, dilationW: 1, reduction: 0, leavesPadding: 0 },
      },
    },
  ],
  constant: [
    {
      build: (g) => g.op('constant', 'n', [], { h: 2, w: 1, c: 3 }),
      shape: { h: 2, w: 1, c: 3 },
      words: 'constant',
      kernel: 'KIND_CONSTANT',
      parameters: { weight: [2, 1, 3] },
    },
  ],
  unary: [
    {
      build: (g, x) => g.op('unary', 'n', [x], { operator: 'affine', alpha: 2, beta: -1 }),
      shape: MAP,
      words: 'multiply and add numbers',
      kernel: 'KIND_UNARY',
      fields: { operator: 0, alpha: 2, beta: -1 },
    },
    {
      build: (g, x) => g.op('unary', 'n', [x], { operator: 'erf' }),
      shape: MAP,
      words: 'erf',
      kernel: 'KIND_UNARY',
      fields: { operator: 6, alpha: 0, beta: 0 },
    },
  ],
  binary: [
    {
      build: (g, x, v) => g.op('binary', 'n', [v, x], { operator: 'subtract' }),
      shape: MAP,
      words: 'subtract',
      kernel: 'KIND_BINARY',
      fields: { operator: 1, h2: 9, w2: 7, c2: 6 },
    },
  ],
  matmul: [
    {
      build: (g, x) => g.op('matmul', 'n', [x, x], { transposesB: true }),
      shape: { h: 9, w: 7, c: 7 },
      words: 'matrix product, second transposed',
      kernel: 'KIND_MATMUL',
      macs: 9 * 7 * 7 * 6,
      fields: { h2: 9, transposesB: 1 },
    },
    {
      build: (g, x) =>
        g.op('matmul', 'n', [x, g.op('constant', 'k', [], { h: 1, w: 6, c: 4 })], { transposesB: false }),
      shape: { h: 9, w: 7, c: 4 },
      words: 'matrix product',
      kernel: 'KIND_MATMUL',
      macs: 9 * 7 * 4 * 6,
      fields: { h2: 1, transposesB: 0 },
    },
  ],
  reshape: [
    {
      build: (g, x) => g.op('reshape', 'n', [x], { h: 1, w: 63, c: 6 }),
      shape: { h: 1, w: 63, c: 6 },
      words: 'reshape to 1x63x6',
      kernel: undefined,
    },
  ],
  rearrange: [
    {
      // To CHW order.
      build: (g, x) => g.op('rearrange', 'n', [x], { h: 1, w: 1, c: 378, dims: [9, 7, 6], order: [2, 0, 1] }),
      shape: { h: 1, w: 1, c: 378 },
      words: 'rearrange 9x7x6 as 2, 0, 1',
      kernel: 'KIND_REARRANGE',
      fields: { axes: 2, size0: 6, stride0: 1, size1: 63, stride1: 6 },
    },
    {
      // A channel shuffle of two groups.
      build: (g, x) => g.op('rearrange', 'n', [x], { ...MAP, dims: [9, 7, 2, 3], order: [0, 1, 3, 2] }),
      shape: MAP,
      words: 'rearrange 9x7x2x3 as 0, 1, 3, 2',
      kernel: 'KIND_REARRANGE',
      fields: { axes: 3, size0: 63, stride0: 6, size1: 3, stride1: 1, size2: 2, stride2: 3 },
    },
  ],
  slice: [
    {
      build: (g, x) => g.op('slice', 'n', [x], { h: 3, w: 2, c: 6, start: [0, 6, 0], step: [4, -6, 1] }),
      shape: { h: 3, w: 2, c: 6 },
      words: 'slice 3x2x6',
      kernel: 'KIND_SLICE',
      fields: { startH: 0, startW: 6, startC: 0, stepH: 4, stepW: -6, stepC: 1 },
    },
  ],
  expand: [
    {
      build: (g, _, v) => g.op('expand', 'n', [v], MAP),
      shape: MAP,
      words: 'expand to 9x7x6',
      kernel: 'KIND_SLICE',
      fields: { startH: 0, startW: 0, startC: 0, stepH: 0, stepW: 0, stepC: 1 },
    },
  ],
  pad: [
    {
      build: (g, x) => g.op('pad', 'n', [x], { mode: 'reflect', before: [8, 0, 1], after: [0, 6, 0], value: 0 }),
      shape: { h: 17, w: 13, c: 7 },
      words: 'pad, reflect',
      kernel: 'KIND_PAD',
      fields: { padMode: 2, startH: 8, startW: 0, startC: 1, alpha: 0 },
    },
  ],
  layerNorm: [
    {
      build: (g, x) => g.op('layerNorm', 'n', [x], { eps: 1e-6 }, { params: { weight: 'n.weight', bias: 'n.bias' } }),
      shape: MAP,
      words: 'layer norm',
      kernel: 'KIND_LAYER_NORM',
      parameters: { weight: [6], bias: [6] },
      fields: { alpha: 1e-6 },
    },
  ],
  groupNorm: [
    {
      build: (g, x) => g.op('groupNorm', 'n', [x], { groups: 3, eps: 1e-5 }, { params: { weight: 'n.weight' } }),
      shape: MAP,
      words: 'group norm, 3 groups',
      kernel: 'KIND_GROUP_NORM',
      parameters: { weight: [6] },
      fields: { groups: 3, alpha: 1e-5 },
    },
  ],
  localResponseNorm: [
    {
      build: (g, x) => g.op('localResponseNorm', 'n', [x], { size: 5, alpha: 0.5, beta: 0.75, bias: 2 }),
      shape: MAP,
      words: 'local response norm over 5 channels',
      kernel: 'KIND_LOCAL_RESPONSE_NORM',
      fields: { windowC: 5, alpha: 0.1, beta: 0.75, gamma: 2 },
    },
  ],
  convTranspose: [
    {
      build: (g, x) =>
        g.op(
          'convTranspose',
          'n',
          [x],
          {
            ...{ channels: 4, kernel: [3, 2], stride: [2, 1], dilation: [1, 2], outputPadding: [1, 0], groups: 2 },
            padding: { top: 1, left: 0, bottom: 0, right: 1 },
          },
          { params: { bias: 'n.bias' } },
        ),
      shape: { h: 19, w: 8, c: 4 },
      words: 'transposed conv 3x2, stride 2x1, 2 groups',
      kernel: 'KIND_CONV_TRANSPOSE',
      macs: 9 * 7 * 6 * 2 * 6,
      parameters: { weight: [6, 2, 3, 2], bias: [4] },
      fields: { ...WINDOW_FIELDS, dilationH: 1, dilationW: 2, groups: 2 },
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

await loadOps(Object.keys(examples));

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
