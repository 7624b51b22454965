import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { summary } from '../../bindings/compile/summary.js';
import {
  buildNetwork,
  defaultPreprocessing,
  depth,
  type Graph,
  GraphBuilder,
  graphOutput,
  loadNetworks,
  type NetworkOptions,
  type NodeId,
  networkNames,
  networks,
  parameters,
  preprocessings,
  trainableCount,
  weightSets,
} from '../../models/index.js';
import { moreNetworks } from '../../models/more-networks.js';
import { property } from '../support/property.js';

interface Reference {
  readonly input: readonly number[];
  readonly parameters: number;
  readonly stages: Readonly<Record<string, { readonly shape: readonly number[] }>>;
  readonly output: readonly number[];
}

const reference = (name: string): Reference =>
  JSON.parse(readFileSync(new URL(`../data/logits/${name}.json`, import.meta.url), 'utf8'));

/** The shape after a top-level module, NCHW. */
function stageShape(graph: Graph, stage: string): number[] {
  const node = graph.nodes.findLast(({ name }) => name === stage || name.startsWith(`${stage}.`));
  assert.ok(node, stage);
  return [1, node.shape.c, node.shape.h, node.shape.w];
}

/** A vector, which PyTorch writes as [N, C], is [N, C, 1, 1] here. */
const vector = (shape: readonly number[]): number[] => [...shape, 1, 1].slice(0, 4);

const paths = (graph: Graph): string[] => graph.nodes.map(({ name }) => name);

const count = (graph: Graph): number => trainableCount(parameters(graph));

/** Asserts that `run` throws exactly this sentence. */
function refuses(run: () => unknown, sentence: string): void {
  assert.throws(run, (error: Error) => assert.is(error.message, sentence) ?? true);
}

await loadNetworks();
const NAMES = networkNames();

test('there are networks', () => assert.ok(NAMES.length > 30, `${NAMES.length}`));

for (const name of NAMES) {
  test(`${name} has the reference's parameters and stage shapes`, () => {
    const graph = buildNetwork(name);
    const { input, parameters: expected, stages, output } = reference(name);
    assert.is(graph.name, name);
    assert.equal(stageShape(graph, 'input'), input);
    assert.is(count(graph), expected);
    assert.is(summary(graph).parameters, expected);
    assert.ok(Object.keys(stages).length >= 2, `${Object.keys(stages)}`);
    for (const [stage, { shape }] of Object.entries(stages)) {
      // An adaptive pool to the size that the map has is no node.
      if (stage === 'avgpool' && !graph.nodes.some(({ name: node }) => node === stage)) continue;
      assert.equal(stageShape(graph, stage), vector(shape), stage);
    }
    assert.is(graphOutput(graph).shape.c, output.length);
  });
}

test('the Keras listing has the shapes that it states', () => {
  const graph = buildNetwork('resnet50_keras_listing');
  const last = (prefix: string): string => {
    const node = graph.nodes.findLast(({ name }) => name === prefix || name.startsWith(`${prefix}.`));
    return node ? `1x${node.shape.c}x${node.shape.h}x${node.shape.w}` : 'none';
  };
  assert.is(last('conv1'), '1x64x112x112');
  assert.is(last('maxpool'), '1x64x56x56');
  assert.is(last('layer1'), '1x256x56x56');
  assert.is(last('layer2'), '1x512x28x28');
  assert.is(last('layer3'), '1x1024x14x14');
  assert.is(last('layer4'), '1x2048x7x7');
  assert.is(last('softmax'), '1x1000x1x1');
});

test("the Keras listing has TensorFlow's shapes at every size: ⌈in / stride⌉", () => {
  for (let size = 193; size <= 256; size++) {
    const graph = buildNetwork('resnet50_keras_listing', { size });
    const side = (name: string): number | undefined => graph.nodes.find((node) => node.name === name)?.shape.h;
    const half = Math.ceil(size / 2);
    assert.equal([side('conv1'), side('maxpool')], [half, Math.ceil(half / 2)], `${size}`);
  }
});

test("the padding 'same' is larger at the bottom and right, and follows dilation", () => {
  const g = new GraphBuilder('same');
  const x = g.input({ h: 9, w: 12, c: 3 });
  const sides = (id: NodeId): unknown => {
    const node = g.finish(id).nodes[id];
    return node && 'padding' in node ? [node.padding, node.shape.h, node.shape.w] : undefined;
  };
  const conv = g.conv('conv', x, 4, { kernel: [5, 4], stride: 2, padding: 'same' });
  assert.equal(sides(conv), [{ top: 2, left: 1, bottom: 2, right: 1 }, 5, 6]);
  const dilated = g.conv('dilated', x, 4, { kernel: [3, 2], dilation: 2, padding: 'same' });
  assert.equal(sides(dilated), [{ top: 2, left: 1, bottom: 2, right: 1 }, 9, 12]);
  const pool = g.maxPool('pool', x, { kernel: 2, stride: 2, padding: 'same' });
  assert.equal(sides(pool), [{ top: 0, left: 0, bottom: 1, right: 0 }, 5, 6]);
});

test('AlexNet and VGG pool the maps of other input sizes to those of 224x224, so that the same weights fit', () => {
  for (const [name, side] of [
    ['alexnet', 6],
    ['vgg16', 7],
  ] as const) {
    for (const size of [64, 200, [256, 512]] as const) {
      const graph = buildNetwork(name, { size });
      assert.equal(stageShape(graph, 'avgpool').slice(2), [side, side]);
      assert.equal(
        parameters(graph).map(({ shape }) => shape),
        parameters(buildNetwork(name)).map(({ shape }) => shape),
      );
    }
  }
});

test('families stand together, and each network says in a line what sets it apart', () => {
  const list = Object.values(networks);
  const runs = list.filter(({ family }, i) => family !== list[i - 1]?.family).map(({ family }) => family);
  assert.is(runs.length, new Set(runs).size, runs.join(', '));
  const lines = list.map(({ family, description }) => `${family}: ${description}`);
  assert.is(new Set(lines).size, lines.length);
  for (const line of lines) assert.match(line, /^[A-Z].{5,99}$/);
});

test('depth is the number in a name, unless stems of three convolutions and gates have none', () => {
  for (const name of NAMES.filter((each) => !Object.hasOwn(moreNetworks, each))) {
    const number = Number(/\d+/.exec(name)?.[0] ?? 8);
    assert.is(depth(buildNetwork(name)), number, name);
  }
});

test('multiply-adds are those of the paper', () => {
  const gmacs = (name: string, options?: NetworkOptions) =>
    (summary(buildNetwork(name, options)).macs / 1e9).toFixed(2);
  assert.is(gmacs('resnet18'), '1.81');
  assert.is(gmacs('resnet34'), '3.66');
  assert.is(gmacs('resnet50'), '4.09');
  assert.is(gmacs('resnet50', { strideIn: 'conv1' }), '3.86');
  assert.is(gmacs('resnet101'), '7.80');
  assert.is(gmacs('resnet152'), '11.51');
  // By hand: fc 512 · 10, and a 3x3 stem of 3 · 16 channels on 32x32.
  const { rows } = summary(buildNetwork('resnet20_cifar'));
  assert.is(rows[0]?.macs, 32 * 32 * 16 * 3 * 9);
  assert.is(rows.at(-1)?.macs, 64 * 10);
});

test('the names and shapes of parameters are those of a state_dict', () => {
  const list = parameters(buildNetwork('resnet50'));
  const shapes = new Map(list.map(({ name, shape }) => [name, shape]));
  assert.is(shapes.size, list.length);
  assert.is(list.length, 53 + 53 * 4 + 2);
  assert.equal(shapes.get('conv1.weight'), [64, 3, 7, 7]);
  assert.equal(shapes.get('bn1.running_var'), [64]);
  assert.equal(shapes.get('layer1.0.downsample.0.weight'), [256, 64, 1, 1]);
  assert.equal(shapes.get('layer1.0.downsample.1.bias'), [256]);
  assert.equal(shapes.get('layer4.2.conv2.weight'), [512, 512, 3, 3]);
  assert.equal(shapes.get('fc.weight'), [1000, 2048]);
  // The order of a state_dict: a block's branch, then its projection.
  const names = list.map(({ name }) => name);
  assert.ok(names.indexOf('layer1.0.bn3.weight') < names.indexOf('layer1.0.downsample.0.weight'));
  assert.ok(names.indexOf('layer1.0.downsample.1.running_var') < names.indexOf('layer1.1.conv1.weight'));
});

test('the stride of a bottleneck lies where it is asked for', () => {
  const strides = (graph: Graph) =>
    graph.nodes.flatMap((node) => (node.kind === 'conv' && node.stride[0] === 2 ? [node.name] : []));
  const last = ['layer2.0', 'layer3.0', 'layer4.0'];
  const at = (conv: string) => ['conv1', ...last.flatMap((name) => [`${name}.${conv}`, `${name}.downsample.0`])];
  assert.equal(strides(buildNetwork('resnet50')), at('conv2'));
  assert.equal(strides(buildNetwork('resnet50', { strideIn: 'conv1' })), at('conv1'));
  assert.equal(strides(buildNetwork('resnet50_v1')), at('conv1'));
  assert.equal(strides(buildNetwork('resnet50_v1', { strideIn: 'conv2' })), at('conv2'));
  assert.equal(strides(buildNetwork('resnet18', { strideIn: 'conv1' })), at('conv1'));
});

test('shortcuts: A has no parameters, B projects where shapes differ, C in every block', () => {
  const build = (name: string, shortcut: 'A' | 'B' | 'C') => {
    const graph = buildNetwork(name, { shortcut });
    const projected = paths(graph).filter((path) => path.endsWith('.downsample.0'));
    const padded = graph.nodes.flatMap((node) => (node.kind === 'zeroPadShortcut' ? [node] : []));
    return { graph, projected, padded };
  };
  const changed = ['layer2.0', 'layer3.0', 'layer4.0'];
  const [a, b, c] = [build('resnet18', 'A'), build('resnet18', 'B'), build('resnet18', 'C')];
  assert.equal(a.projected, []);
  assert.equal(
    a.padded.map(({ name, stride, before, after }) => [name, stride, before, after]),
    changed.map((name, stage) => [`${name}.shortcut`, 2, 32 << stage, 32 << stage]),
  );
  assert.equal(
    b.projected,
    changed.map((name) => `${name}.downsample.0`),
  );
  assert.equal(b.padded, []);
  assert.is(c.projected.length, 8);
  const [projections, norms] = [128 * 64 + 256 * 128 + 512 * 256, 2 * (128 + 256 + 512)];
  assert.is(count(b.graph) - count(a.graph), projections + norms);
  // The first block of a bottleneck network widens without a stride.
  assert.is(build('resnet50', 'A').padded[0]?.stride, 1);
  assert.is(build('resnet50', 'B').projected.length, 4);
  assert.is(build('resnet20_cifar', 'B').projected.length, 2);
});

test('options change the network and nothing else', () => {
  const changed = buildNetwork('resnet18', { classes: 7, size: [96, 160], inChannels: 1 });
  assert.equal(stageShape(changed, 'input'), [1, 1, 96, 160]);
  assert.equal(stageShape(changed, 'layer4'), [1, 512, 3, 5]);
  assert.is(count(changed), 11689512 - 2 * 64 * 49 - 993 * 513);
  const keras = buildNetwork('resnet50', { convBias: true, batchNormEps: 1e-3 });
  const biases = keras.nodes.reduce((sum, node) => sum + (node.kind === 'conv' ? node.shape.c : 0), 0);
  assert.is(count(keras), 25557032 + biases);
  assert.ok(keras.nodes.every((node) => node.kind !== 'batchNorm' || node.eps === 1e-3));
  assert.equal(buildNetwork('resnet50', { size: undefined }), buildNetwork('resnet50'));
  assert.equal(buildNetwork('resnet20_cifar', networks.resnet20_cifar?.defaults), buildNetwork('resnet20_cifar'));
});

test('a network takes every input from the smallest that its windows fit into, and refuses smaller ones', () => {
  // Zero padding keeps a residual network's maps at 1x1; what is pooled without it must be there.
  const smallest: Readonly<Record<string, number>> = { DenseNet: 29, VGG: 32, AlexNet: 63 };
  for (const [name, { family }] of Object.entries(networks)) {
    const size = name === 'resnet50_keras_listing' ? 193 : (smallest[family] ?? 1);
    buildNetwork(name, { size });
    assert.throws(
      () => buildNetwork(name, { size: size - 1 }),
      size > 1 ? /^[\w.]+: expected an input that a \dx\d window fits into, got / : /^input: expected height/,
    );
  }
});

test('wrong names and options are refused in one sentence', () => {
  const names = networkNames().join(', ');
  refuses(
    () => buildNetwork('ResNet-51'),
    `network: expected one of ${names}, got ResNet-51; the closest is resnet50.`,
  );
  refuses(
    () => buildNetwork('resnet_20_cifar'),
    `network: expected one of ${names}, got resnet_20_cifar; the closest is resnet20_cifar.`,
  );
  assert.throws(() => buildNetwork('constructor'), /^network: expected one of/);
  assert.throws(() => buildNetwork('x'.repeat(1e6)), /^network: expected one of/);
  refuses(
    () => buildNetwork('resnet50', { clases: 10 } as NetworkOptions),
    'resnet50: expected options among classes, size, inChannels, shortcut, strideIn, convBias, batchNormEps, got clases.',
  );
  refuses(() => buildNetwork('resnet18', { strideIn: 'conv2' }), 'resnet18: expected strideIn to be conv1, got conv2.');
  refuses(
    () => buildNetwork('resnet50', { shortcut: 'D' as 'A' }),
    'resnet50: expected shortcut to be A, B, C, or none, got D.',
  );
  refuses(
    () => buildNetwork('resnet50', { convBias: 1 as unknown as boolean }),
    'resnet50: expected convBias to be true or false, got 1.',
  );
  refuses(
    () => buildNetwork('resnet50', { size: '224' as unknown as number }),
    'resnet50: expected size to be a number or [height, width], got "224".',
  );
  for (const size of [0, -1, 22.5, Number.NaN]) {
    refuses(
      () => buildNetwork('resnet50', { size }),
      `input: expected height to be a whole number from 1, got ${size}.`,
    );
  }
  refuses(() => buildNetwork('resnet50', { classes: 0 }), 'fc: expected outputs to be a whole number from 1, got 0.');
  refuses(() => buildNetwork('resnet50', { batchNormEps: 0 }), 'bn1: expected eps to be above 0, got 0.');
});

const small = (from: number, to: number) => fc.integer({ min: from, max: to });

test('a residual block joins at every input size, with every shortcut', async () => {
  await property(
    fc.tuple(
      small(1, 70),
      small(1, 70),
      fc.constantFrom('A' as const, 'B' as const, 'C' as const),
      fc.constantFrom('resnet18', 'resnet50', 'resnet50_v1', 'resnet20_cifar'),
    ),
    ([h, w, shortcut, name]) => {
      const graph = buildNetwork(name, { size: [h, w], shortcut });
      const halvings = name.endsWith('_cifar') ? 2 : 5;
      const half = (n: number): number => Math.ceil(n / 2);
      const [rows, columns] = Array.from({ length: halvings }).reduce<[number, number]>(
        ([a, b]) => [half(a), half(b)],
        [h, w],
      );
      const end = graph.nodes.findLast(({ kind }) => kind === 'add');
      assert.equal([end?.shape.h, end?.shape.w], [rows, columns]);
    },
    { runs: 40 },
  );
});

test('every weight set fits its network and names its files', () => {
  assert.ok(Object.keys(weightSets).length > 0);
  for (const [name, { network, options, source, preprocessing }] of Object.entries(weightSets)) {
    const graph = buildNetwork(network, options);
    const stored = parameters(graph).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4), 0);
    const { weights, labels, files } = source;
    const bytes = Object.entries(files).reduce((sum, [path, n]) => sum + (path === labels ? 0 : n), 0);
    assert.ok(weights in files && labels in files, name);
    assert.is(bytes - (files[weights] ?? 0), stored, name);
    assert.match(source.integrity, /^sha512-[A-Za-z0-9+/]{86}==$/);
    assert.is(graph.nodes[0]?.shape.h, preprocessing.crop, name);
  }
});

test('a weight file that says nothing gets the preprocessing of its input size', () => {
  assert.equal(defaultPreprocessing(buildNetwork('resnet50')), preprocessings.torch);
  assert.equal(defaultPreprocessing(buildNetwork('resnet20_cifar')), preprocessings.cifar);
  assert.is(defaultPreprocessing(buildNetwork('resnet50', { size: 288 }))?.resize, 329);
  assert.equal(defaultPreprocessing(buildNetwork('resnet50', { size: [224, 192] }))?.crop, [224, 192]);
  assert.is(defaultPreprocessing(buildNetwork('resnet50', { inChannels: 1 })), undefined);
});

test.run();
