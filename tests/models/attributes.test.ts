/** What a node refuses: attributes, inputs and names that are none. */

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Activation, GraphBuilder, type NodeId, type OpKind, operationOf, rowOf } from '../../models/index.js';
import { type Build, examples, graphOf, MAP, nodeOf, VECTOR } from '../support/op-examples.js';
import { property } from '../support/property.js';

/** Asserts that `run` throws exactly this sentence. */
function refuses(run: () => unknown, sentence: string): void {
  assert.throws(run, (error: Error) => assert.is(error.message, sentence) ?? true);
}

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

const isPositive = (value: unknown): boolean => Number.isFinite(value) && (value as number) > 0;
const isBoolean = (value: unknown): boolean => typeof value === 'boolean';
const isOneOf =
  (...values: readonly string[]) =>
  (value: unknown): boolean =>
    values.includes(value as string);
const isOptional =
  (isValid: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || isValid(value);
const isList =
  (isValid: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.length > 0 && value.every(isValid);
const isTriple =
  (isValid: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.length === 3 && value.every(isValid);
const isAxes = isList(isOneOf('h', 'w', 'c'));
const SIZE = { h: isWhole(1), w: isWhole(1), c: isWhole(1) } as const;

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
  avgPool: {
    kernel: isPair,
    stride: isPair,
    padding: isPadding,
    countsPadding: (value) => value === true || value === false || value === undefined,
  },
  adaptiveAvgPool: { h: isWhole(1), w: isWhole(1) },
  reduce: { reduction: (value) => ['mean', 'max', 'sum'].includes(value as string) },
  resize: {
    h: isWhole(1),
    w: isWhole(1),
    mode: isOneOf('nearest', 'bilinear', 'cubic'),
    coordinates: isOneOf('halfPixel', 'asymmetric', 'alignCorners', 'pytorchHalfPixel', 'halfPixelSymmetric'),
    rounding: isOneOf('floor', 'ceil', 'preferFloor', 'preferCeil'),
    scale: isOptional((value) => Array.isArray(value) && value.length === 2 && value.every(isPositive)),
    cubic: isOptional(Number.isFinite),
    excludesOutside: isOptional(isBoolean),
    antialias: isOptional(isBoolean),
  },
  reduceAxes: { reduction: isOneOf('mean', 'max', 'sum', 'min', 'product', 'argMax', 'argMin'), axes: isAxes },
  softmaxAxes: { axes: isAxes, isLog: isBoolean },
  dilatedPool: {
    ...{ reduction: isOneOf('max', 'mean'), kernel: isPair, stride: isPair, dilation: isPair, padding: isPadding },
    ...{ ceil: isBoolean, countsPadding: isBoolean },
  },
  constant: SIZE,
  unary: {
    operator: isOneOf('affine'),
    alpha: Number.isFinite,
    beta: Number.isFinite,
  },
  binary: { operator: isOneOf('subtract') },
  matmul: { transposesB: isBoolean },
  reshape: SIZE,
  rearrange: { ...SIZE, dims: isList(isWhole(1)), order: isList(isWhole(0)) },
  slice: { ...SIZE, start: isTriple(Number.isSafeInteger), step: isTriple(Number.isSafeInteger) },
  expand: SIZE,
  pad: {
    mode: isOneOf('constant', 'edge', 'reflect', 'wrap'),
    before: isTriple(isWhole(0)),
    after: isTriple(isWhole(0)),
    value: (value) => typeof value === 'number' && !Number.isNaN(value),
  },
  layerNorm: { eps: isPositive },
  groupNorm: { groups: isWhole(1), eps: isPositive },
  localResponseNorm: { size: isWhole(1), alpha: Number.isFinite, beta: Number.isFinite, bias: Number.isFinite },
  convTranspose: {
    ...{ channels: isWhole(1), kernel: isPair, stride: isPair, dilation: isPair, padding: isPadding },
    ...{ outputPadding: (value: unknown) => Array.isArray(value) && value.length === 2 && value.every(isWhole(0)) },
    groups: isWhole(1),
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
  const attributes = Object.keys(rowOf({ kind }).attributes);

  test(`${kind}: attributes of other types and out of range are refused in a sentence`, async () => {
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
      await property(
        wrong,
        (value) => {
          if (!isValid(value)) attempt({ ...given, [attribute]: value });
        },
        { runs: 150 },
      );
      // It may be left out.
      if (isValid(undefined)) continue;
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
    const [fewest, most] = rowOf({ kind }).arity;
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
      (g, x) => g.op('reshape', 'n', [x], { h: 9, w: 6, c: 6 }),
      'n: expected a shape of 378 values, as 9x7x6 has, got 9x6x6.',
    ],
    [
      (g, x) => g.op('rearrange', 'n', [x], { ...MAP, dims: [9, 8, 6], order: [0, 1, 2] }),
      'n: expected at most 8 dims whose product is 378, as 9x7x6 has values, got [9, 8, 6].',
    ],
    [
      (g, x) => g.op('rearrange', 'n', [x], { ...MAP, dims: [1, 1, 1, 1, 1, 1, 9, 7, 6], order: [0] }),
      'n: expected at most 8 dims whose product is 378, as 9x7x6 has values, got [1, 1, 1, 1, 1, 1, 9, 7, 6].',
    ],
    [
      (g, x) => g.op('rearrange', 'n', [x], { ...MAP, dims: [9, 7, 6], order: [0, 1, 1] }),
      'n: expected an order of all 3 dims, got [0, 1, 1].',
    ],
    [
      (g, x) => g.op('slice', 'n', [x], { h: 1, w: 1, c: 6, start: [9, 0, 0], step: [1, 1, 1] }),
      'n: expected rows among the 9 that there are, got 9 to 9.',
    ],
    [
      (g, x) => g.op('slice', 'n', [x], { h: 1, w: 1, c: 6, start: [0, 0, 4], step: [1, 1, -1] }),
      'n: expected channels among the 6 that there are, got 4 to -1.',
    ],
    [
      (g, x) => g.op('expand', 'n', [x], { h: 9, w: 7, c: 12 }),
      'n: expected a shape that repeats axes of 1 in 9x7x6, got 9x7x12.',
    ],
    [
      (g, x) => g.op('pad', 'n', [x], { mode: 'reflect', before: [0, 0, 0], after: [0, 7, 0], value: 0 }),
      'n: expected to reflect at most 6 columns, got 7.',
    ],
    [
      (g, x) => g.op('binary', 'n', [x, g.linear('p', x, 5)], { operator: 'add' }),
      'n: expected two shapes whose axes are equal or 1, got 9x7x6 and 1x1x5.',
    ],
    [
      (g, x) => g.op('matmul', 'n', [x, x], { transposesB: false }),
      'n: expected matrices that can be multiplied, got 9x7x6 and 9x7x6.',
    ],
    [
      (g, x) => g.op('unary', 'n', [x], { operator: 'elu' }),
      'n: expected alpha for elu, got alpha undefined, beta undefined.',
    ],
    [
      (g, x) => g.op('unary', 'n', [x], { operator: 'exp', alpha: 1 }),
      'n: expected no number for exp, got alpha 1, beta undefined.',
    ],
    [
      (g, x) => g.op('reduceAxes', 'n', [x], { reduction: 'argMin', axes: ['h', 'w'] }),
      'n: expected one axis for argMin, got h, w.',
    ],
    [
      (g, x) => g.op('groupNorm', 'n', [x], { groups: 4, eps: 1e-5 }),
      'n: expected channels that 4 groups divide, got 6.',
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
