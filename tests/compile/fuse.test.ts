/** Which nodes are one layer, and which layers are one step. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Draft, fuse, layersOf } from '../../bindings/compile/fuse.js';
import { type Activation, buildNetwork, GraphBuilder, type NodeId, networkNames } from '../../models/index.js';

const ACTIVATIONS: readonly Activation[] = [
  { kind: 'relu' },
  { kind: 'clip', low: 0, high: 6 },
  { kind: 'leakyRelu', slope: 0.1 },
  { kind: 'prelu' },
  { kind: 'silu' },
  { kind: 'sigmoid' },
  { kind: 'hardSwish' },
  { kind: 'hardSigmoid' },
  { kind: 'gelu' },
];

type Build = (g: GraphBuilder, x: NodeId) => NodeId;

/** The drafts of a graph whose input has 4 × 4 × 8 values. */
function draftsOf(build: Build): Draft[] {
  const g = new GraphBuilder('test');
  return fuse(g.finish(build(g, g.input({ h: 4, w: 4, c: 8 }))));
}

const namesOf = (drafts: readonly Draft[]): string[] => drafts.map(({ kind, node }) => `${kind} ${node.name}`);

/** Layers that an activation is computed with, each made of `x`. */
const ACTIVATED: Readonly<Record<string, Build>> = {
  'conv x': (g, x) => g.conv('x', x, 8, { kernel: 3, padding: 1 }),
  'linear x': (g, x) => g.linear('x', x, 5),
  'batchNorm x': (g, x) => g.batchNorm('x', x),
  'mul x': (g, x) => g.mul('x', x, x),
  'copy x': (g, x) => g.add('x', x, x),
};

for (const [name, build] of Object.entries(ACTIVATED)) {
  test(`every activation is computed with ${name.split(' ')[0]} before it`, () => {
    for (const activation of ACTIVATIONS) {
      const drafts = draftsOf((g, x) => g.activation('end', build(g, x), activation));
      assert.equal(namesOf(drafts), [name], activation.kind);
      assert.equal(drafts[0]?.activation, activation);
      assert.is(drafts[0]?.slopes?.name, activation.kind === 'prelu' ? 'end' : undefined);
    }
  });
}

test('an activation after a convolution, its batch norm and the sum that it ends in', () => {
  for (const activation of ACTIVATIONS) {
    const [first, second, ...others] = draftsOf((g, x) => {
      const a = g.conv('a', x, 8, { kernel: 1 });
      const b = g.batchNorm('bn', g.conv('b', a, 8, { kernel: 3, padding: 1 }));
      return g.activation('end', g.add('sum', a, b), activation);
    });
    assert.equal([first?.node.name, first?.activation, others.length], ['a', undefined, 0]);
    assert.equal([second?.node.name, second?.folded?.name, second?.residual], ['b', 'bn', first?.output]);
    assert.equal(second?.activation, activation);
    assert.is(second?.slopes?.name, activation.kind === 'prelu' ? 'end' : undefined);
    assert.equal(second?.parts, [2, 3, 4, 5]);
  }
});

test('an activation that other layers end in is a step of its own', () => {
  const ends: readonly Build[] = [
    (g, x) => g.maxPool('x', x, { kernel: 2 }),
    (g, x) => g.reduce('x', x, 'max'),
    (g, x) => g.resize('x', x, 8, 8),
    (g, x) => g.concat('x', [x, x]),
    (g, x) => g.activation('x', x, { kind: 'silu' }),
  ];
  for (const build of ends) {
    const drafts = draftsOf((g, x) => g.activation('end', build(g, x), { kind: 'gelu' }));
    assert.is(namesOf(drafts).at(-1), 'copy end');
    assert.equal(drafts.at(-1)?.activation, { kind: 'gelu' });
  }
});

test('a sum after an activation is not computed with the convolution before', () => {
  const drafts = draftsOf((g, x) => g.add('sum', g.relu('relu', g.conv('a', x, 8, { kernel: 1 })), x));
  assert.equal(namesOf(drafts), ['conv a', 'copy sum']);
});

test('what is read twice, or given away, is not fused', () => {
  const g = new GraphBuilder('test');
  const a = g.conv('a', g.input({ h: 4, w: 4, c: 8 }), 8, { kernel: 1 });
  const norm = g.batchNorm('norm', a);
  const end = g.activation('end', norm, { kind: 'silu' });
  assert.equal(namesOf(fuse(g.finish(end))), ['conv a']);
  assert.equal(namesOf(fuse(g.finish({ end, norm }))), ['conv a', 'copy end']);
  assert.equal(namesOf(fuse(g.finish({ end, a }))), ['conv a', 'batchNorm norm']);
  assert.equal(namesOf(fuse(g.finish({ a, norm, end }))), ['conv a', 'batchNorm norm', 'copy end']);
  g.relu('beside', a);
  assert.equal(namesOf(fuse(g.finish(end))), ['conv a', 'batchNorm norm', 'copy beside']);
});

test('only ReLU goes to the packing of a pointwise convolution', () => {
  for (const activation of ACTIVATIONS) {
    const drafts = draftsOf((g, x) =>
      g.conv('conv', g.activation('act', g.batchNorm('norm', x), activation), 8, { kernel: 1 }),
    );
    const isPacked = activation.kind === 'relu';
    assert.equal(namesOf(drafts), isPacked ? ['conv conv'] : ['batchNorm norm', 'conv conv'], activation.kind);
    assert.is(drafts.at(-1)?.preActivation?.name, isPacked ? 'norm' : undefined);
    assert.is(drafts.at(-1)?.activation, undefined);
  }
});

test('squeeze and excitation: a step for each of pool, two convolutions and product, the map first', () => {
  const drafts = draftsOf((g, x) => {
    const map = g.conv('map', x, 8, { kernel: 1 });
    const inner = g.conv('fc1', g.globalAvgPool('pool', map), 2, { kernel: 1, bias: true });
    const outer = g.conv('fc2', g.activation('silu', inner, { kind: 'silu' }), 8, { kernel: 1, bias: true });
    return g.mul('scale', g.activation('gate', outer, { kind: 'sigmoid' }), map);
  });
  assert.equal(namesOf(drafts), ['conv map', 'reduce pool', 'conv fc1', 'conv fc2', 'mul scale']);
  assert.equal(
    drafts.map(({ activation }) => activation?.kind),
    [undefined, undefined, 'silu', 'sigmoid', undefined],
  );
  const [map, , , gate, scale] = drafts;
  assert.equal([scale?.input, scale?.residual], [map?.output, gate?.output]);
});

test('every node is in one layer, and layers are in the order of their first nodes', () => {
  const names = networkNames();
  assert.ok(names.length > 30);
  for (const name of names) {
    const graph = buildNetwork(name);
    const layers = layersOf(graph);
    const ids = layers.flatMap(({ nodes }) => nodes.map(({ id }) => id));
    assert.equal(
      [...ids].sort((a, b) => a - b),
      [...graph.nodes.keys()],
      name,
    );
    const firsts = layers.map(({ nodes: [{ id }] }) => id);
    assert.equal(
      firsts,
      [...firsts].sort((a, b) => a - b),
    );
    for (const { nodes, norm, activation, output } of layers) {
      assert.is(nodes.at(-1)?.id, output);
      assert.ok([norm, activation].every((node) => !node || nodes.includes(node)));
    }
  }
});

test.run();
