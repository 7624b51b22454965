import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { summary } from '../../bindings/compile/summary.js';
import { load } from '../../bindings/index.node.js';
import { buildNetwork } from '../../models/index.js';
import { type Channel, channelsOf, colourOf, pixelsOf } from '../../web/channels.js';
import { Costs, stepTimes } from '../../web/costs.js';
import { median } from '../../web/statistics.js';
import { partsOf } from '../../web/structure.js';
import { description, share, short, unitDescription, value } from '../../web/words.js';

test('a median', () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([4, 1, 3, 2]), 2.5);
  assert.is(median([7]), 7);
});

const step = (name: string, ms: number) => ({ name, kind: 'conv', algorithm: 'gemm' as const, ms, macs: 0 });

test('the time of a layer is the median over the runs of all its steps', () => {
  const times = stepTimes([
    [step('a', 1), step('b', 5), step('a', 1)],
    [step('a', 4), step('b', 6), step('a', 2)],
    [step('a', 2), step('b', 9), step('a', 1)],
  ]);
  assert.equal(
    [...times],
    [
      ['a', 3],
      ['b', 6],
    ],
  );
});

test('what the parts of a network cost comes to what the network costs', async () => {
  for (const name of ['resnet20_cifar', 'densenet121', 'vgg16_bn']) {
    const graph = buildNetwork(name);
    const counts = summary(graph);
    const costs = new Costs(counts);
    const all = partsOf(graph).map((part) => costs.of(part));
    assert.is(
      all.reduce((sum, cost) => sum + cost.parameters, 0),
      counts.parameters,
    );
    assert.is(
      all.reduce((sum, cost) => sum + cost.macs, 0),
      counts.macs,
    );
    assert.ok(all.every(({ ms }) => ms === undefined));
    assert.is(costs.totalMs, undefined);
  }
});

test('every step of a run is the time of some part', async () => {
  const network = 'resnet20_cifar';
  const model = await load(network, { weights: { seed: 1 }, threads: 1 });
  const { profile = [] } = await model.run(
    { data: new Float32Array(3 * 32 * 32), shape: [1, 3, 32, 32], layout: 'NCHW' },
    { profile: true },
  );
  model.dispose();
  const costs = new Costs(summary(buildNetwork(network)), stepTimes([profile]));
  const parts = partsOf(buildNetwork(network));
  const shares = parts.map((part) => costs.share(part) ?? 0);
  assert.ok(Math.abs(shares.reduce((sum, each) => sum + each, 0) - 1) < 1e-9);
  const blocks = parts.filter(({ isBlock }) => isBlock);
  assert.is(blocks.length, 9);
  for (const part of blocks) {
    const units = part.units.reduce((sum, unit) => sum + (costs.share(unit) ?? 0), 0);
    assert.ok(Math.abs(units - (costs.share(part) ?? 0)) < 1e-9, part.name);
  }
});

// Two pixels of three channels.
const map = {
  layer: 'layer',
  data: Float32Array.of(0, -3, 1, 1, 1, 1),
  shape: [1, 2, 3] as const,
  crop: { x: 0, y: 0, width: 2, height: 1 },
};

test('channels come by their mean magnitude', () => {
  assert.equal(channelsOf(map), [
    { index: 1, least: -3, greatest: 1, mean: -1 },
    { index: 2, least: 1, greatest: 1, mean: 1 },
    { index: 0, least: 0, greatest: 1, mean: 0.5 },
  ]);
});

test('a channel is drawn from its least value to its greatest', () => {
  const [first, flat] = channelsOf(map) as [Channel, Channel];
  const dark = [...Uint8ClampedArray.of(...colourOf(0)), 255];
  const light = [...Uint8ClampedArray.of(...colourOf(1)), 255];
  assert.equal([...pixelsOf(map, first)], [...dark, ...light]);
  assert.equal([...pixelsOf(map, flat)], [...dark, ...dark]);
});

test('colours grow lighter all the way', () => {
  const lightness = Array.from({ length: 101 }, (_, i) => {
    const [r, g, b] = colourOf(i / 100);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  });
  assert.ok(lightness.every((each, i) => i === 0 || each > (lightness[i - 1] as number)));
});

test('layers and numbers in words', () => {
  const parts = partsOf(buildNetwork('resnet50'));
  const of = (name: string) => {
    const part = parts.find((each) => each.name === name);
    if (!part) throw new Error(`resnet50: expected a part ${name}, got none.`);
    return part;
  };
  assert.is(description(of('conv1')), 'conv 7×7, stride 2, then batch norm and ReLU');
  assert.is(description(of('layer1.0')), 'four convolutions with a projection shortcut');
  assert.is(description(of('layer1.1')), 'three convolutions with an identity shortcut');
  assert.is(description(of('maxpool')), 'max pool 3×3, stride 2');
  assert.is(of('layer1.1').units.map(unitDescription).at(-1), 'add, then ReLU');
  assert.equal([25_557_032, 4_089_184_256, 9408, 64, 0].map(short), ['25.6 M', '4.09 G', '9.41 k', '64', '0']);
  assert.equal([0, 0.0001, 0.004, 0.1234].map(share), ['0.0 %', '< 0.1 %', '0.4 %', '12 %']);
  assert.equal([-1.2345, 0, 1234.5].map(value), ['−1.23', '0', '1230']);
});

test.run();
