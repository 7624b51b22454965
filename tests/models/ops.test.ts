/** The table of operations, row by row, and what a node refuses. */

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Activation,
  activationFields,
  activationWords,
  type Fields,
  type Graph,
  GraphBuilder,
  inputShapes,
  kernelConstant,
  macs,
  type NodeId,
  nodeParameters,
  type OpKind,
  operationOf,
  ops,
  type Role,
  rowOf,
  type Shape,
} from '../../models/index.js';

/** Asserts that `run` throws exactly this sentence. */
function refuses(run: () => unknown, sentence: string): void {
  assert.throws(run, (error: Error) => assert.is(error.message, sentence) ?? true);
}

type Build = (g: GraphBuilder, x: NodeId, vector: NodeId) => NodeId;

/** A node of each kind, made of a map of 9 × 7 × 6 or a vector of 6; and all that its row says of it. */
interface Example {
  readonly build: Build;
  readonly shape: Shape;
  readonly words: string;
  readonly kernel: string | undefined;
  readonly macs?: number;
  readonly parameters?: Partial<Record<Role, readonly number[]>>;
  readonly fields?: Fields;
}

const MAP: Shape = { h: 9, w: 7, c: 6 };
const VECTOR: Shape = { h: 1, w: 1, c: 6 };

const WINDOW = { kernel: [3, 2], stride: [2, 1], padding: { top: 1, left: 0, bottom: 0, right: 1 } } as const;
const WINDOW_FIELDS = { kh: 3, kw: 2, strideH: 2, strideW: 1, padTop: 1, padLeft: 0 };

const examples: { readonly [Kind in OpKind]: readonly [Example, ...Example[]] } = {
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
function graphOf(build: Build): Graph {
  const g = new GraphBuilder('test');
  const [x, vector] = [g.input(MAP, 'map'), g.input(VECTOR, 'vector')];
  return g.finish(build(g, x, vector));
}

const nodeOf = (graph: Graph) => {
  const node = graph.nodes[graph.outputs[0].node];
  assert.ok(node);
  return node;
};

for (const [kind, list] of Object.entries(examples)) {
  test(`${kind}: shape, words, kernel, parameters, multiply-adds, fields`, () => {
    for (const example of list) {
      const graph = graphOf(example.build);
      const node = nodeOf(graph);
      const row = rowOf(node);
      assert.is(node.kind, kind);
      assert.equal(node.shape, example.shape);
      assert.is(operationOf(node), example.words);
      assert.is(row.kernel, example.kernel);
      assert.is(macs(graph, node), example.macs ?? 0);
      assert.equal(row.fields(node, inputShapes(graph, node)), example.fields ?? {});
      const parameters = nodeParameters(graph, node);
      assert.equal(Object.fromEntries(parameters.map(({ role, shape }) => [role, shape])), example.parameters ?? {});
      assert.ok(parameters.every(({ name, role, node: id }) => name === `n.${role}` && id === node.id));
      assert.equal(
        node.params,
        Object.fromEntries(Object.keys(example.parameters ?? {}).map((role) => [role, `n.${role}`])),
      );
    }
  });
}

test('a product has its vector second, whichever comes first', () => {
  const inputs = (build: Build) => nodeOf(graphOf(build)).inputs;
  assert.equal(
    inputs((g, x, v) => g.mul('n', x, v)),
    [0, 1],
  );
  assert.equal(
    inputs((g, x, v) => g.mul('n', v, x)),
    [0, 1],
  );
  assert.equal(
    inputs((g, x) => g.mul('n', g.relu('y', x), x)),
    [2, 0],
  );
});

test('every activation in words, and in a record', () => {
  const cases: readonly [Activation | undefined, string, string, Fields][] = [
    [undefined, '', 'ACTIVATION_NONE', {}],
    [{ kind: 'relu' }, 'ReLU', 'ACTIVATION_RELU', {}],
    [{ kind: 'clip', low: 0, high: 6 }, 'ReLU6', 'ACTIVATION_CLIP', { alpha: 0, beta: 6 }],
    [{ kind: 'clip', low: -1, high: 0.5 }, 'clip -1 to 0.5', 'ACTIVATION_CLIP', { alpha: -1, beta: 0.5 }],
    [{ kind: 'leakyRelu', slope: 0.01 }, 'leaky ReLU', 'ACTIVATION_LEAKY_RELU', { alpha: 0.01 }],
    [{ kind: 'prelu' }, 'PReLU', 'ACTIVATION_PRELU', {}],
    [{ kind: 'hardSigmoid' }, 'hard sigmoid', 'ACTIVATION_HARD_SIGMOID', { alpha: 1 / 6, beta: 0.5 }],
    [
      { kind: 'hardSigmoid', alpha: 0.2, beta: 0.4 },
      'hard sigmoid',
      'ACTIVATION_HARD_SIGMOID',
      { alpha: 0.2, beta: 0.4 },
    ],
    [{ kind: 'hardSwish' }, 'hard swish', 'ACTIVATION_HARD_SWISH', {}],
    [{ kind: 'sigmoid' }, 'sigmoid', 'ACTIVATION_SIGMOID', {}],
    [{ kind: 'silu' }, 'SiLU', 'ACTIVATION_SILU', {}],
    [{ kind: 'gelu' }, 'GELU', 'ACTIVATION_GELU', {}],
  ];
  for (const [activation, words, constant, fields] of cases) {
    if (activation) assert.is(activationWords(activation), words);
    assert.is(kernelConstant(activation), constant);
    assert.equal(activationFields(activation), fields);
  }
});

/** A refusal: of the node's own name, a sentence about what was expected and what was given. */
const SENTENCE = /^(n|test): expected [^\n]+, got [^\n]+\.$/;

const isWhole =
  (least: number) =>
  (value: unknown): boolean =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value < 2 ** 31;
const isPair = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isWhole(1));
const isPadding = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  ['top', 'left', 'bottom', 'right'].every((side) => isWhole(0)((value as Record<string, unknown>)[side]));

/** For each attribute of each kind, whether a value is one. What is one may still not fit the map. */
const validity: { readonly [Kind in OpKind]: Readonly<Record<string, (value: unknown) => boolean>> } = {
  input: { h: isWhole(1), w: isWhole(1), c: isWhole(1) },
  conv: {
    channels: isWhole(1),
    kernel: isPair,
    stride: isPair,
    dilation: isPair,
    padding: isPadding,
    groups: isWhole(1),
  },
  linear: { channels: isWhole(1) },
  maxPool: { kernel: isPair, stride: isPair, padding: isPadding },
  avgPool: { kernel: isPair, stride: isPair, padding: isPadding },
  adaptiveAvgPool: { h: isWhole(1), w: isWhole(1) },
  reduce: { reduction: (value) => ['mean', 'max', 'sum'].includes(value as string) },
  resize: {
    h: isWhole(1),
    w: isWhole(1),
    mode: (value) => value === 'nearest' || value === 'bilinear',
    alignCorners: (value) => value === true || value === false,
  },
  batchNorm: { eps: (value) => typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY },
  activation: {
    activation: (value) =>
      ['relu', 'prelu', 'silu', 'sigmoid', 'hardSwish', 'hardSigmoid', 'gelu'].includes((value as Activation)?.kind),
  },
  add: {},
  mul: {},
  concat: {},
  softmax: {},
  zeroPadShortcut: { stride: isWhole(1), before: isWhole(0), after: isWhole(0) },
};

const wrong = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true }),
  fc.constantFrom<unknown>(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    0,
    0.5,
    2 ** 31,
    1e300,
    '2',
    true,
    null,
    undefined,
  ),
  fc.constantFrom<unknown>([], [1], [1, '2'], [0, 1], [2, 2.5], [1, 1, 1], {}, { kind: 'rely' }, { top: 1 }, () => 2),
  fc.constantFrom<unknown>(Symbol('x'), 2n, { top: -1, left: 0, bottom: 0, right: 0 }, 'median', 'cubic', new Date()),
  fc.tuple(fc.integer(), fc.double()),
  fc.integer(),
);

type AnyOp = (kind: string, name: string, inputs: readonly unknown[], attributes: unknown, options?: unknown) => NodeId;

for (const kind of Object.keys(examples) as OpKind[]) {
  const attributes = Object.keys(ops[kind].attributes);

  test(`${kind}: attributes of other types and out of range are refused in a sentence`, () => {
    assert.equal(attributes.sort(), Object.keys(validity[kind]).sort());
    const g = new GraphBuilder('test');
    const [x, vector] = [g.input(MAP, 'map'), g.input(VECTOR, 'vector')];
    const before = g.finish(x);
    const made = nodeOf(graphOf(examples[kind][0].build));
    const given = Object.fromEntries(Object.entries(made).filter(([name]) => attributes.includes(name)));
    const inputs = made.inputs.map((id) => (id === 0 ? x : vector));
    let refused = 0;
    const attempt = (values: unknown) => {
      assert.throws(() => (g.op as unknown as AnyOp).call(g, kind, 'n', inputs, values), SENTENCE);
      refused++;
    };
    for (const attribute of attributes) {
      const isValid = validity[kind][attribute] as (value: unknown) => boolean;
      fc.assert(
        fc.property(wrong, (value) => {
          if (!isValid(value)) attempt({ ...given, [attribute]: value });
        }),
        { numRuns: 150, seed: 5 },
      );
      attempt({ ...given, [attribute]: undefined });
      const { [attribute]: _, ...others } = given;
      attempt(others);
    }
    attempt({ ...given, colour: 'red' });
    attempt(attributes.length > 0 ? undefined : { h: 1 });
    assert.ok(refused >= 100 * attributes.length + 2, `${refused}`);
    assert.equal(g.finish(x), before);
  });

  test(`${kind}: a wrong number of inputs, and inputs that are none, are refused in a sentence`, () => {
    const g = new GraphBuilder('test');
    g.input(MAP, 'map');
    const made = nodeOf(graphOf(examples[kind][0].build));
    const given = Object.fromEntries(Object.entries(made).filter(([name]) => attributes.includes(name)));
    const [fewest, most] = ops[kind].arity;
    const lists: unknown[] = [undefined, null, 0, 'map', { length: 1 }];
    if (fewest > 0) lists.push([]);
    if (Number.isFinite(most)) lists.push(Array.from({ length: most + 1 }, () => 0));
    for (const id of [1, -1, 0.5, Number.NaN, '0', null, undefined, {}, 2n ** 64n]) {
      if (fewest > 0) lists.push(Array.from({ length: fewest }, () => id));
    }
    assert.ok(lists.length >= 6);
    for (const inputs of lists) {
      assert.throws(() => (g.op as unknown as AnyOp).call(g, kind, 'n', inputs as unknown[], given), SENTENCE);
    }
    assert.is(g.finish(0).nodes.length, 1);
  });
}

test('kinds and names that are none are refused in a sentence', () => {
  const g = new GraphBuilder('test');
  const x = g.input(MAP);
  const op = g.op.bind(g) as unknown as AnyOp;
  for (const kind of ['constructor', 'relu', '', undefined, null, {}]) {
    assert.throws(
      () => op(kind as string, 'n', [x], {}),
      /^n: expected the kind of operation to be input, conv, .* got /,
    );
  }
  for (const name of ['', undefined, null, 3, {}]) {
    assert.throws(() => op('add', name as string, [x, x], {}), /^test: expected the name of a node to be a name, got /);
    assert.throws(() => new GraphBuilder(name as string), /^graph: expected its name to be a name, got /);
  }
});

test('numbers of an activation are checked', () => {
  const cases: readonly [unknown, string][] = [
    [{ kind: 'clip', low: 1, high: 0 }, 'n: expected numbers low ≤ high to clip to, got 1 and 0.'],
    [{ kind: 'clip', low: 0 }, 'n: expected numbers low ≤ high to clip to, got 0 and undefined.'],
    [{ kind: 'clip', low: '0', high: 6 }, 'n: expected numbers low ≤ high to clip to, got "0" and 6.'],
    [{ kind: 'clip', low: Number.NaN, high: 6 }, 'n: expected numbers low ≤ high to clip to, got NaN and 6.'],
    [{ kind: 'leakyRelu' }, 'n: expected slope to be a finite number, got undefined.'],
    [{ kind: 'leakyRelu', slope: '0.1' }, 'n: expected slope to be a finite number, got "0.1".'],
    [{ kind: 'hardSigmoid', alpha: Number.NaN }, 'n: expected alpha to be a finite number, got NaN.'],
    [{ kind: 'hardSigmoid', beta: null }, 'n: expected beta to be a finite number, got null.'],
    ['relu', 'n: expected an activation like { kind: \'relu\' }, got "relu".'],
  ];
  for (const [activation, sentence] of cases) {
    refuses(() => graphOf((g, x) => g.activation('n', x, activation as Activation)), sentence);
  }
  const open = nodeOf(
    graphOf((g, x) => g.activation('n', x, { kind: 'clip', low: 0, high: Number.POSITIVE_INFINITY })),
  );
  assert.is(operationOf(open), 'clip 0 to Infinity');
});

test('inputs that do not go together are refused', () => {
  const cases: readonly [Build, string][] = [
    [(g, x, v) => g.add('n', x, v), 'n: expected two equal shapes to add, got 9x7x6 and 1x1x6.'],
    [
      (g, x) => g.mul('n', x, g.maxPool('p', x, { kernel: 2 })),
      'n: expected two equal shapes, or a map and a vector of its channels, to multiply, got 9x7x6 and 4x3x6.',
    ],
    [
      (g, x, v) => g.mul('n', x, g.linear('p', v, 5)),
      'n: expected two equal shapes, or a map and a vector of its channels, to multiply, got 9x7x6 and 1x1x5.',
    ],
    [
      (g, x) => g.resize('n', x, 2, 2, { alignCorners: true }),
      'n: expected alignCorners to go with bilinear, got it with nearest.',
    ],
  ];
  for (const [build, sentence] of cases) refuses(() => graphOf(build), sentence);
});

test('a node keeps a copy of its attributes', () => {
  const padding = { top: 1, left: 1, bottom: 1, right: 1 };
  const activation = { kind: 'clip' as const, low: 0, high: 6 };
  const graph = graphOf((g, x) => g.activation('act', g.conv('n', x, 4, { kernel: 3, padding }), activation));
  padding.top = 9;
  activation.high = -1;
  assert.equal(
    graph.nodes.map((node) =>
      node.kind === 'conv' ? node.padding.top : node.kind === 'activation' && node.activation,
    ),
    [false, false, 1, { kind: 'clip', low: 0, high: 6 }],
  );
});

test.run();
