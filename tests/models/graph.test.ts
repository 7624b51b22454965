import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  depth,
  GraphBuilder,
  graphInput,
  graphOutput,
  type NodeId,
  nodeParameters,
  parameters,
  trainableCount,
} from '../../models/index.js';
import { property } from '../support/property.js';

/** Asserts that `run` throws exactly this sentence. */
function refuses(run: () => unknown, sentence: string): void {
  assert.throws(run, (error: Error) => assert.is(error.message, sentence) ?? true);
}

test('shape rules refuse what cannot be', () => {
  const g = new GraphBuilder('test');
  const x = g.input({ h: 5, w: 6, c: 6 });
  const refused: [() => unknown, string][] = [
    [() => g.input({ h: 5, w: 6, c: 6 }), 'test: expected names used once, got input twice.'],
    [
      () => g.conv('c', x, 8, { kernel: 7 }),
      'c: expected an input that a 7x7 window fits into, got 5x6x6 (5x6 with padding).',
    ],
    [
      () => g.conv('c', x, 8, { kernel: 3, dilation: 3, padding: [0, 1] }),
      'c: expected an input that a 3x3 window fits into, got 5x6x6 (5x8 with padding).',
    ],
    [
      () => g.conv('c', x, 8, { kernel: 1, groups: 3 }),
      'c: expected channels that 3 groups divide, got 6 in and 8 out.',
    ],
    [() => g.conv('c', x, 8, { kernel: 1, stride: 0 }), 'c: expected stride to be a whole number from 1, got 0.'],
    [() => g.conv('c', x, 8, { kernel: 1, padding: -1 }), 'c: expected padding to be a whole number from 0, got -1.'],
    [
      () => g.maxPool('p', x, { kernel: 3, padding: { top: 0, left: 0, bottom: 3, right: 0 } }),
      'p: expected less padding than the 3x3 window has rows and columns, got 0 above, 0 left, 3 below, 0 right.',
    ],
    [() => g.adaptiveAvgPool('p', x, 0, 7), 'p: expected height to be a whole number from 1, got 0.'],
    [() => g.softmax('s', x), 's: expected a vector for softmax, got 5x6x6.'],
    [() => g.relu('r', 99), 'test: expected a node id below 1, got 99.'],
    [() => g.concat('cat', []), 'cat: expected at least 1 input, got 0.'],
    [() => g.zeroPadShortcut('z', x, 9, 2), 'z: expected to add an even number of zero channels to 6, got 9 channels.'],
    [() => g.batchNorm('b', x, Number.NaN), 'b: expected eps to be above 0, got NaN.'],
  ];
  for (const [run, sentence] of refused) refuses(run, sentence);
  const smaller = g.maxPool('pool', x, { kernel: 2 });
  refuses(() => g.add('sum', x, smaller), 'sum: expected two equal shapes to add, got 5x6x6 and 2x3x6.');
  refuses(() => g.concat('cat', [x, smaller]), 'cat: expected maps of 5x6 to concatenate, got 2x3.');
  assert.equal(g.finish(smaller).nodes.length, 2);
});

const small = (from: number, to: number) => fc.integer({ min: from, max: to });
const axis = fc.record({
  size: small(1, 40),
  kernel: small(1, 7),
  stride: small(1, 4),
  dilation: small(1, 3),
  before: small(0, 4),
  after: small(0, 4),
});
type Axis = { size: number; kernel: number; stride: number; dilation: number; before: number; after: number };

/** Places of a window along an axis, counted one by one. */
function places({ size, kernel, stride, dilation, before, after }: Axis): number {
  let found = 0;
  for (let start = -before; start + dilation * (kernel - 1) < size + after; start += stride) found++;
  return found;
}

test('convolutions have as many outputs as their window has places', async () => {
  await property(fc.tuple(axis, axis, small(1, 3)), ([v, h, groups]) => {
    const g = new GraphBuilder('test');
    const x = g.input({ h: v.size, w: h.size, c: 2 * groups });
    const make = () =>
      g.conv('conv', x, 3 * groups, {
        kernel: [v.kernel, h.kernel],
        stride: [v.stride, h.stride],
        dilation: [v.dilation, h.dilation],
        padding: { top: v.before, left: h.before, bottom: v.after, right: h.after },
        groups,
      });
    if (places(v) === 0 || places(h) === 0) {
      assert.throws(make, /^conv: expected an input that a/);
      return;
    }
    const y = make();
    assert.equal(g.shape(y), { h: places(v), w: places(h), c: 3 * groups });
    assert.equal(parameters(g.finish(y))[0]?.shape, [3 * groups, 2, v.kernel, h.kernel]);
  });
});

test('pools have as many outputs as their window has places', async () => {
  await property(fc.tuple(axis, axis, fc.constantFrom('maxPool' as const, 'avgPool' as const)), ([v, h, kind]) => {
    const pad = (a: Axis): Axis => ({
      ...a,
      dilation: 1,
      before: Math.min(a.before, a.kernel >> 1),
      after: Math.min(a.after, a.kernel >> 1),
    });
    const [rows, columns] = [pad(v), pad(h)];
    const g = new GraphBuilder('test');
    const x = g.input({ h: rows.size, w: columns.size, c: 5 });
    const make = () =>
      g[kind]('pool', x, {
        kernel: [rows.kernel, columns.kernel],
        stride: [rows.stride, columns.stride],
        padding: { top: rows.before, left: columns.before, bottom: rows.after, right: columns.after },
      });
    if (places(rows) === 0 || places(columns) === 0) assert.throws(make, /^pool: expected an input that a/);
    else assert.equal(g.shape(make()), { h: places(rows), w: places(columns), c: 5 });
  });
});

test('a list of inputs that grows afterwards leaves the nodes before as they were', () => {
  const g = new GraphBuilder('test');
  const features = [g.input({ h: 4, w: 4, c: 2 })];
  const first = g.concat('first', features);
  features.push(g.conv('conv', first, 3, { kernel: 1 }));
  const graph = g.finish(g.concat('second', features));
  assert.equal(
    graph.nodes.map(({ inputs }) => inputs),
    [[], [0], [1], [0, 2]],
  );
});

test('an adaptive pool has the size that is asked for, whatever the map', () => {
  const g = new GraphBuilder('test');
  const x = g.input({ h: 5, w: 9, c: 3 });
  assert.equal(g.shape(g.adaptiveAvgPool('pool', x, 7, 2)), { h: 7, w: 2, c: 3 });
});

test('depth counts the layers with weights on the longest way to the output', () => {
  const g = new GraphBuilder('test');
  const x = g.conv('stem', g.input({ h: 4, w: 4, c: 4 }), 4, { kernel: 1 });
  const branch = g.conv('b', g.relu('relu', g.batchNorm('norm', g.conv('a', x, 4, { kernel: 1 }))), 4, { kernel: 1 });
  const sum = g.add('sum', g.conv('shortcut', x, 4, { kernel: 1 }), branch);
  const end = g.linear('fc', g.globalAvgPool('pool', sum), 2);
  g.linear('beside', end, 2);
  assert.is(depth(g.finish(end)), 4);
  assert.is(depth(g.finish(x)), 1);
});

test('inputs and outputs have names, in the order of the graph and of what is asked for', () => {
  const g = new GraphBuilder('ports');
  const left = g.input({ h: 2, w: 2, c: 3 }, 'left');
  const right = g.input({ h: 2, w: 2, c: 3 }, 'right');
  const sum = g.add('sum', left, right);
  const graph = g.finish({ sum, left, again: sum });
  assert.equal(graph.inputs, [
    { name: 'left', node: left },
    { name: 'right', node: right },
  ]);
  assert.equal(graph.outputs, [
    { name: 'sum', node: sum },
    { name: 'left', node: left },
    { name: 'again', node: sum },
  ]);
  assert.equal(graphInput(graph), { h: 2, w: 2, c: 3 });
  assert.is(graphOutput(graph), graph.nodes[sum]);
  assert.equal(g.finish(sum).outputs, [{ name: 'output', node: sum }]);

  const one = new GraphBuilder('one');
  const x = one.input({ h: 1, w: 1, c: 1 });
  assert.equal(one.finish(x).inputs, [{ name: 'input', node: x }]);
});

test('outputs that are none are refused', () => {
  const g = new GraphBuilder('ports');
  refuses(() => g.finish(0), 'ports: expected a node id below 0, got 0.');
  g.input({ h: 1, w: 1, c: 1 });
  refuses(() => g.finish({}), 'ports: expected at least one output, got none.');
  refuses(() => g.finish({ a: 0, b: 1 }), 'ports: expected a node id below 1, got 1.');
  for (const output of [undefined, null, '0', 0.5, Number.NaN]) {
    assert.throws(() => g.finish(output as NodeId), /^ports: expected a node id below 1, got .+\.$/);
  }
  for (const outputs of [[0], { '': 0 }]) {
    assert.throws(() => g.finish(outputs as never), /^ports: expected (outputs by name|the name of an output), got /);
  }
});

test('tensors are called by their node and role, or as told; a bias is there if it is named', () => {
  const g = new GraphBuilder('names');
  const x = g.input({ h: 4, w: 4, c: 8 });
  const plain = g.conv('plain', x, 8, { kernel: 1 });
  const biased = g.conv('biased', plain, 8, { kernel: 1, bias: true });
  const told = g.conv('told', biased, 8, { kernel: 1, params: { weight: 'onnx::Conv_497', bias: 'onnx::Conv_498' } });
  const half = g.linear('half', told, 3, true, { params: { weight: 'w' } });
  const graph = g.finish(half);
  assert.equal(
    graph.nodes.map(({ params }) => params),
    [
      {},
      { weight: 'plain.weight' },
      { weight: 'biased.weight', bias: 'biased.bias' },
      { weight: 'onnx::Conv_497', bias: 'onnx::Conv_498' },
      { weight: 'w', bias: 'half.bias' },
    ],
  );
  assert.equal(
    parameters(graph).map(({ name, role, node }) => [name, role, node]),
    [
      ['plain.weight', 'weight', plain],
      ['biased.weight', 'weight', biased],
      ['biased.bias', 'bias', biased],
      ['onnx::Conv_497', 'weight', told],
      ['onnx::Conv_498', 'bias', told],
      ['w', 'weight', half],
      ['half.bias', 'bias', half],
    ],
  );
  assert.equal(g.finish(g.linear('bare', x, 2, false)).nodes.at(-1)?.params, { weight: 'bare.weight' });
});

test('nodes may share tensors, which count once', () => {
  const g = new GraphBuilder('shared');
  const x = g.input({ h: 4, w: 4, c: 8 });
  const params = { weight: 'w' };
  const a = g.conv('a', x, 8, { kernel: 3, padding: 1, params });
  const b = g.conv('b', a, 8, { kernel: 3, padding: 1, params, bias: true });
  const graph = g.finish(g.batchNorm('norm', b, 1e-5, { params: { weight: 'b.bias' } }));
  assert.equal(
    parameters(graph).map(({ name, node }) => [name, node]),
    [
      ['w', a],
      ['b.bias', b],
      ['norm.bias', 3],
      ['norm.running_mean', 3],
      ['norm.running_var', 3],
    ],
  );
  assert.is(trainableCount(parameters(graph)), 8 * 8 * 9 + 8 + 8);
  assert.equal(
    graph.nodes.flatMap((node) => nodeParameters(graph, node).map(({ name }) => name)),
    ['w', 'w', 'b.bias', 'b.bias', 'norm.bias', 'norm.running_mean', 'norm.running_var'],
  );
});

test('names of tensors that do not fit are refused, and the graph stays as it was', () => {
  const g = new GraphBuilder('shared');
  const x = g.input({ h: 4, w: 4, c: 8 });
  const a = g.conv('a', x, 8, { kernel: 3, padding: 1 });
  const before = g.finish(a);
  const conv = (params: object) => () => g.conv('b', a, 8, { kernel: 1, params });
  refuses(conv({ weight: 'a.weight' }), 'a.weight: expected [8, 8, 3, 3], as a has it, got [8, 8, 1, 1] for b.');
  refuses(conv({ weight: 't', bias: 't' }), 't: expected [8, 8, 1, 1], as b has it, got [8] for b.');
  refuses(conv({ weight: '' }), 'b: expected the name of its weight to be a name, got "".');
  refuses(conv({ bias: 7 }), 'b: expected the name of its bias to be a name, got 7.');
  refuses(conv({ gamma: 'g' }), 'b: expected names of tensors among weight, bias, got one of gamma.');
  refuses(
    () => g.activation('act', a, { kind: 'relu' }, { params: { weight: 'w' } }),
    'act: expected names of tensors among none, got one of weight.',
  );
  assert.equal(g.finish(a), before);
  // A refused node leaves none of its tensors behind.
  assert.is(g.conv('b', a, 8, { kernel: 3, params: { weight: 't' } }), 2);
});

test.run();
