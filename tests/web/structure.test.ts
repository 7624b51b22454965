import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makePlan } from '../../bindings/compile/plan.js';
import { camStep } from '../../bindings/model/cam.js';
import { buildNetwork, networkNames } from '../../models/index.js';
import { layoutBlock, layoutNetwork, neighbour } from '../../web/graph-layout.js';
import { groupsOf, hasMaps, type Part, partsOf } from '../../web/structure.js';

const part = (network: string, name: string): Part => {
  const found = partsOf(buildNetwork(network)).find((each) => each.name === name);
  if (!found) throw new Error(`${network}: expected a part ${name}, got none.`);
  return found;
};

const NAMES = networkNames();

test('there are networks', () => assert.ok(NAMES.length > 30, `${NAMES.length}`));

for (const name of NAMES) {
  test(`${name}: every node is in one layer, and every part reads the one before it`, () => {
    const graph = buildNetwork(name);
    const { nodes } = graph;
    const parts = partsOf(graph);
    assert.ok(parts.length > 2, `${parts.length} parts`);
    const drawn = parts.flatMap(({ units }) => units.flatMap((unit) => unit.nodes.map(({ id }) => id)));
    assert.equal(
      [...drawn].sort((a, b) => a - b),
      [...nodes.keys()],
    );
    const partOf = new Map(
      parts.flatMap(({ units }, i) => units.flatMap((unit) => unit.nodes.map(({ id }) => [id, i] as const))),
    );
    parts.forEach(({ units, shortcut }, i) => {
      const sources = units.flatMap((unit) => unit.nodes.flatMap(({ inputs }) => inputs.map((id) => partOf.get(id))));
      const outside = [...new Set(sources)].filter((source) => source !== i);
      if (shortcut === 'concat') assert.ok(outside.includes(i - 1), `part ${i}`);
      else assert.equal(outside, i === 0 ? [] : [i - 1], `part ${i}`);
    });
    assert.equal(
      groupsOf(parts).flatMap((group) => group.parts),
      parts,
    );
  });

  test(`${name}: boxes stand apart within the width`, () => {
    for (const width of [296, 326, 700, 1040]) {
      const layout = layoutNetwork(groupsOf(partsOf(buildNetwork(name))), width);
      assert.ok(layout.width <= width, `${layout.width} wide in ${width}`);
      assert.ok(layout.parts.length > 2, `${layout.parts.length} parts`);
      layout.parts.forEach((a, i) => {
        assert.ok(a.x >= 0 && a.x + a.width <= width && a.y + a.height <= layout.height, a.part.name);
        for (const b of layout.parts.slice(i + 1)) {
          const overlaps = a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
          assert.not(overlaps, `${a.part.name} and ${b.part.name}`);
        }
      });
    }
  });
}

test('a ResNet has a stem, a group for each stage and a head', () => {
  const groups = groupsOf(partsOf(buildNetwork('resnet50')));
  assert.equal(
    groups.map(({ title, note, parts }) => [title, note, parts.length]),
    [
      ['Stem', '', 3],
      ['56 × 56', 'layer1', 3],
      ['28 × 28', 'layer2', 4],
      ['14 × 14', 'layer3', 6],
      ['7 × 7', 'layer4', 3],
      ['Head', '', 2],
    ],
  );
});

test('shortcuts are told apart by the graph', () => {
  assert.is(part('resnet50', 'layer1.0').shortcut, 'projection');
  assert.is(part('resnet50', 'layer1.1').shortcut, 'identity');
  assert.is(part('resnet20_cifar', 'layer2.0').shortcut, 'projection');
  assert.is(part('plain18', 'layer1.0').shortcut, undefined);
  assert.is(part('densenet121', 'features.denseblock1.denselayer2').shortcut, 'concat');
  assert.is(part('densenet121', 'features.transition1').shortcut, undefined);
});

test('networks with maps of their classes', () => {
  for (const name of NAMES) {
    const graph = buildNetwork(name);
    // As the library itself finds it.
    const find = () => camStep(makePlan(graph));
    if (hasMaps(graph)) find();
    else assert.throws(find, /class activation maps/);
  }
});

test('a network without blocks is a chain of layers', () => {
  const parts = partsOf(buildNetwork('vgg16_bn'));
  assert.ok(parts.every(({ isBlock, units }) => !isBlock && units.length === 1));
  assert.is(parts.length, 1 + 13 + 5 + 3);
});

test('a layer has the batch norm and ReLU that follow it', () => {
  assert.equal(
    part('resnet50', 'layer2.0').units.map(({ nodes, inputs }) => [nodes.map(({ kind }) => kind).join(' '), inputs]),
    [
      ['conv batchNorm activation', [-1]],
      ['conv batchNorm activation', [0]],
      ['conv batchNorm', [1]],
      ['conv batchNorm', [-1]],
      ['add activation', [2, 3]],
    ],
  );
});

test('a projection stands beside the layers that it passes', () => {
  const { units, lines } = layoutBlock(part('resnet50', 'layer2.0'), 320);
  const x = units.map((unit) => unit.x);
  assert.equal(
    x.map((at) => at > 0),
    [false, false, false, true, false],
  );
  assert.is(units[3]?.y, units[0]?.y);
  assert.is(lines.length, 6);
});

test('arrow keys follow the flow down and the columns across', () => {
  const layout = layoutNetwork(groupsOf(partsOf(buildNetwork('resnet50'))), 1040);
  assert.is(neighbour(layout, 0, 'ArrowDown'), 1);
  assert.is(neighbour(layout, 0, 'ArrowUp'), undefined);
  assert.is(neighbour(layout, 4, 'ArrowRight'), 7);
  assert.is(neighbour(layout, 7, 'ArrowLeft'), 4);
  assert.is(neighbour(layout, 0, 'End'), layout.parts.length - 1);
  assert.is(neighbour(layout, 0, 'a'), undefined);
  const seen = new Set([0]);
  for (const i of seen) {
    for (const key of ['ArrowDown', 'ArrowUp', 'ArrowLeft', 'ArrowRight']) seen.add(neighbour(layout, i, key) ?? i);
  }
  assert.is(seen.size, layout.parts.length);
});

test.run();
