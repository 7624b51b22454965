/** Files that hold a network under a prefix, beside other tensors, with another last layer, or more than once. */

import '../support/flags.mjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromTensors, load, type MemoryTensor, type WeightFile } from '../../bindings/index.node.js';
import { exactNetwork } from '../../bindings/weights/exact.js';
import { fitted, networkIn } from '../../bindings/weights/fitted.js';
import { identifyNetwork, networksIn } from '../../bindings/weights/identify.js';
import { withNetworkNames } from '../../bindings/weights/network-names.js';
import { withPrefix } from '../../bindings/weights/prefix.js';
import { seededInput } from '../../bindings/weights/uniform.js';
import {
  buildNetwork,
  GraphBuilder,
  type NetworkOptions,
  networkNames,
  networks,
  parameters,
} from '../../models/index.js';
import { anyTensors } from '../support/memory-weights.js';
import { assertSameBits } from '../support/records.js';
import { failure, readAll, safetensorsFile } from '../support/weight-files.js';

type Rename = (name: string) => string | undefined;

/** Shapes alone: what networks are identified by. */
const shapesOf = (network: string, options: NetworkOptions = {}, rename: Rename = (name) => name) =>
  parameters(buildNetwork(network, options)).flatMap(({ name, shape }) => {
    const other = rename(name);
    return other === undefined ? [] : [{ name: other, shape }];
  });

const network = 'resnet20_cifar';
const graph = buildNetwork(network);
const values = anyTensors(graph);

/** A small network's tensors with their values. */
const tensorsOf = (rename: Rename = (name) => name, of = values): MemoryTensor[] =>
  parameters(graph).flatMap(({ name, shape }) => {
    const other = rename(name);
    return other === undefined ? [] : [{ name: other, shape, data: of.get(name) as Float32Array }];
  });

const foreign = (name: string, ...shape: number[]): MemoryTensor => ({
  name,
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});

const input = { data: seededInput([1, 3, 32, 32]), shape: [1, 3, 32, 32], layout: 'NCHW' } as const;

async function outputOf(
  weights: WeightFile,
  options: { network?: string; prefix?: string } = {},
): Promise<Float32Array> {
  const { prefix } = options;
  using model = options.network
    ? await load(options.network, { weights, threads: 1, prefix })
    : await load(weights as never, { threads: 1, prefix });
  return (await model.run(input)).data;
}

const expected = await outputOf(fromTensors(tensorsOf()));

const withoutHead = (name: string) => (name.startsWith('fc.') ? undefined : name);

/** What the file is, its tensors, and how the warnings of `load` go on. */
const whole: [what: string, tensors: MemoryTensor[], warnings: RegExp[]][] = [
  [
    'a criterion beside a prefix',
    [...tensorsOf((n) => `model.${n}`), foreign('criterion.weight', 10)],
    [/criterion\.weight/],
  ],
  ["another's prefix", tensorsOf((n) => `backbone.${n}`), []],
  ['prefixes in each other', tensorsOf((n) => `student.encoder.module.${n}`), []],
  ['a prefix with another inside', tensorsOf((n) => n.replace('layer1.', 'layer1.module.')), []],
  [
    'counters',
    [...tensorsOf(), foreign('n_averaged'), foreign('layer1.0.total_ops', 1), foreign('total_params', 1)],
    [],
  ],
  ['a Sequential for the last layer', tensorsOf((n) => n.replace('fc.', 'fc.1.')), []],
  ['last_linear', tensorsOf((n) => n.replace('fc.', 'last_linear.')), []],
  ['head.fc', tensorsOf((n) => n.replace('fc.', 'head.fc.')), []],
  ['a Sequential called classifier', tensorsOf((n) => `resnet.${n.replace('fc.', 'classifier.1.')}`), []],
  [
    'five others',
    [...tensorsOf(), ...[1, 2, 3, 4, 5].map((i) => foreign(`neck.${i}`, 1))],
    [/^resnet20_cifar: 5 tensors .* are left out: neck\.1, neck\.2, neck\.3 and 2 more\.$/],
  ],
];

for (const [what, tensors, warnings] of whole) {
  test(`with ${what}, a network is found, and gives what it should`, async () => {
    assert.is(identifyNetwork(tensors)?.network, network);
    assertSameBits(await outputOf(fromTensors(tensors)), expected, what);
    assertSameBits(await outputOf(fromTensors(tensors), { network }), expected, what);
    const { file } = fitted(fromTensors(tensors), network, graph, true);
    assert.is(file.warnings?.length, warnings.length);
    for (const [i, warning] of warnings.entries()) assert.match(file.warnings?.[i] as string, warning);
    assert.equal(file.tensors.length, parameters(graph).length);
    assert.is(
      file.total,
      (await readAll(file)).reduce((sum, { bytes }) => sum + bytes.length, 0),
    );
  });
}

test('a last layer without bias adds none, and a warning says so', async () => {
  const zero = new Map([...values, ['fc.bias', new Float32Array(10)]]);
  const wanted = await outputOf(fromTensors(tensorsOf(undefined, zero)));
  const bare = fromTensors(tensorsOf((name) => (name === 'fc.bias' ? undefined : name)));
  for (const each of [await outputOf(bare), await outputOf(bare, { network })]) assertSameBits(each, wanted, 'no bias');
  const { warnings } = fitted(bare, network, graph, true).file;
  assert.equal(warnings, ['resnet20_cifar: the file has no bias of fc, so that none is added.']);
});

test('without a last layer, or with one of several layers, a model gives features and no classes', async () => {
  const mlp = [foreign('fc.0.weight', 64, 64), foreign('fc.0.bias', 64), foreign('fc.2.weight', 8, 64)];
  using reference = await load(network, { weights: fromTensors(tensorsOf()), threads: 1 });
  const picture = {
    data: new Uint8Array(32 * 32 * 3).map((_, i) => i * 7),
    width: 32,
    height: 32,
    channels: 3,
  } as const;
  const embedding = await reference.embed(picture);
  const labels = Array.from({ length: 10 }, (_, i) => `${i}`);
  for (const [tensors, count] of [
    [[], 1],
    [mlp, 2],
  ] as const) {
    const file = fromTensors([...tensorsOf(withoutHead), ...tensors]);
    assert.is(fitted(file, network, graph, true).file.warnings?.length, count);
    using model = await load(network, { weights: file, threads: 1, labels });
    using same = await load(file as never, { threads: 1 });
    assert.equal([model.labels, same.graph.outputs[0].name], [undefined, 'features']);
    assertSameBits(await model.embed(picture), embedding, 'embed');
    assertSameBits((await model.featureMap(picture, 'avgpool')).data, embedding, 'featureMap');
    assert.equal((await model.run(input)).shape, [1, 64]);
    assert.is(
      await failure(model.classify(picture)),
      'resnet20_cifar: expected a classifier, got features alone, since its weights have no last layer; use embed.',
    );
    assert.match(await failure(model.cam(picture)), /^resnet20_cifar: expected a classifier, got features alone/);
    // Whoever asks for classes has a last layer in mind.
    assert.match(
      await failure(load(network, { weights: file, classes: 10 })),
      /^fc\.weight: expected \[10, 64\], got no such tensor/,
    );
  }
});

test('the features of AlexNet without its linear layers are means over its last map', async () => {
  const small = { size: 64 };
  const body = shapesOf('alexnet', {}, (n) => (n.startsWith('classifier') ? undefined : `net.${n}`));
  const data = anyTensors(buildNetwork('alexnet', small));
  const file = fromTensors(body.map((each) => ({ ...each, data: data.get(each.name.slice(4)) as Float32Array })));
  using model = await load(file as never, { ...small, threads: 1 });
  const output = await model.run({ data: seededInput([1, 3, 64, 64]), shape: [1, 3, 64, 64], layout: 'NCHW' });
  assert.equal(output.shape, [1, 256]);
  assert.ok(output.data.some((value) => value > 0));
});

test('every network is found behind a prefix, beside others, with and without its last layer', () => {
  // Those of faces have no classes.
  const names = networkNames().filter((name) => networks[name]?.defaults.classes !== undefined);
  assert.ok(names.length > 60);
  const beside = [{ name: 'loss.weight', shape: [3] }];
  for (const name of names) {
    const exact = exactNetwork(shapesOf(name, { classes: 7 }));
    assert.ok(exact, name);
    const own = networksIn({ tensors: [...shapesOf(name, { classes: 7 }, (n) => `a.b.${n}`), ...beside], skipped: [] });
    assert.equal(own, [{ ...exact, prefix: 'a.b.' }], name);
    const last = parameters(buildNetwork(name))
      .at(-1)
      ?.name.replace(/\.\w+$/, '.') as string;
    const bare = shapesOf(name, {}, (n) => (n.startsWith(last) ? undefined : n));
    assert.equal(identifyNetwork(bare), exactNetwork(shapesOf(name)), name);
  }
});

test('a module with more in it than a network has is of another one', async () => {
  const more = (...names: string[]) => [
    ...tensorsOf((n) => `model.${n}`),
    ...names.map((name) => foreign(`model.${name}`, 1)),
  ];
  for (const name of ['layer1.3.conv1.weight', 'layer2.0.se.fc.weight', 'conv1.1.weight', 'fc.scale', 'bn1.extra']) {
    assert.is(identifyNetwork(more(name)), undefined, name);
    const message = await failure(load(network, { weights: fromTensors(more(name)) }));
    assert.match(message, /tensor/, name);
    assert.ok(message.includes(name.replace('.weight', '')) || message.includes('the file has'), message);
  }
});

test('two networks are told, and one is chosen by its prefix', async () => {
  const other = new Map([...values].map(([name, each]) => [name, each.map((v) => v * 1.5)]));
  const both = fromTensors([
    ...tensorsOf((n) => `student.module.${n}`),
    ...tensorsOf((n) => `teacher.backbone.${n}`, other),
    foreign('teacher.head.weight', 5),
  ]);
  const told =
    'expected one network, got resnet20_cifar at "student.module", resnet20_cifar at "teacher.backbone"; choose one by its prefix.';
  assert.is(await failure(load(both as never)), `weights: ${told}`);
  assert.is(await failure(load(network, { weights: both })), `resnet20_cifar: ${told}`);
  assert.is(withNetworkNames(both), both);
  const teacher = await outputOf(fromTensors(tensorsOf(undefined, other)));
  for (const [prefix, wanted] of [
    ['student', expected],
    ['student.module.', expected],
    ['teacher', teacher],
    ['teacher.backbone', teacher],
  ] as const) {
    assertSameBits(await outputOf(both, { prefix }), wanted, prefix);
    assertSameBits(await outputOf(both, { prefix, network }), wanted, prefix);
  }
  assert.is(
    await failure(load(both as never, { prefix: 'techer' })),
    'prefix: expected what tensors\' names begin with, got "techer"; the file has student.module.conv1.weight, student.module.bn1.weight, student.module.bn1.bias and 235 more.'.replace(
      '235',
      `${both.tensors.length - 3}`,
    ),
  );
  // Where one has no prefix, the empty one chooses it.
  const nested = fromTensors([...tensorsOf(), ...tensorsOf((n) => `ema.${n}`, other)]);
  assert.match(await failure(load(nested as never)), /got resnet20_cifar at "", resnet20_cifar at "ema";/);
  assertSameBits(await outputOf(nested, { prefix: '' }), expected, 'none');
  assertSameBits(await outputOf(nested, { prefix: 'ema' }), teacher, 'ema');
});

test('of networks with the same names, that of the right shapes is taken', () => {
  const file = fromTensors(
    [...shapesOf('resnet50', {}, (n) => `a.${n}`), ...shapesOf('wide_resnet50_2', {}, (n) => `b.${n}`)].map((each) => ({
      ...each,
      data: () => [],
    })),
  );
  const { file: found } = fitted(file, 'resnet50', buildNetwork('resnet50'), true);
  assert.equal(found.tensors.find(({ name }) => name === 'layer1.0.conv2.weight')?.shape, [64, 64, 3, 3]);
});

test('whole numbers are passed over, unless a network needs them', async () => {
  const entry = (name: string, dtype: string, shape: number[], width: number) => ({
    name,
    dtype,
    shape,
    bytes: new Uint8Array(width * shape.reduce((a, b) => a * b, 1)),
  });
  const own = parameters(graph).map(({ name, shape }) => entry(name, 'F32', [...shape], 4));
  const file = safetensorsFile([...own, entry('queue_ptr', 'I64', [1], 8), entry('bn1.seen', 'BOOL', [2], 1)]);
  using model = await load(file, { threads: 1 });
  assert.is(model.name, network);
  const quantised = own.map((each) => (each.name === 'fc.weight' ? entry(each.name, 'I8', each.shape, 1) : each));
  assert.is(
    await failure(load(safetensorsFile(quantised))),
    'fc.weight: expected values of 64, 32 or 16 bits of floating point, got others.',
  );
});

test('what fits nothing is told with some of its names and the closest network', async () => {
  const renamed = fromTensors(tensorsOf((n) => n.replace('layer3.2.conv2', 'layer3.2.last')));
  const close = 'resnet20_cifar, of whose 97 tensors 96 are there, but not layer3.2.conv2.weight';
  assert.is(
    await failure((async () => networkIn(renamed, 'x.pth'))()),
    `x.pth: no known network has these tensors (conv1.weight, bn1.weight, bn1.bias and 94 more); the closest is ${close}; name the network, or give its graph.`,
  );
  assert.is(
    await failure(load('resnet32_cifar', { weights: renamed })),
    `layer1.3.conv1.weight: expected [16, 16, 3, 3], got no such tensor (61 tensors are missing); the file has conv1.weight, bn1.weight, bn1.bias and 94 more; the closest network is ${close}.`,
  );
  const g = new GraphBuilder('own');
  const own = g.finish(g.linear('a', g.input({ h: 1, w: 1, c: 2 }), 2));
  assert.is(
    await failure(load(own, { weights: fromTensors([foreign('b.weight', 2, 2)]) })),
    'a.weight: expected [2, 2], got no such tensor (2 tensors are missing); the file has b.weight.',
  );
});

test("a graph of one's own is found behind a prefix too, with its last layer as it is", async () => {
  const renamed = (rename: Rename) => fromTensors(tensorsOf(rename));
  using model = await load(graph, { weights: renamed((n) => `net.${n}`), threads: 1 });
  assertSameBits((await model.run(input)).data, expected, 'prefix');
  assert.match(
    await failure(load(graph, { weights: renamed(withoutHead) })),
    /^fc\.weight: expected \[10, 64\], got no/,
  );
});

test('names that are cut off, and tensors that are left out, keep what is not asked for', () => {
  const file = fromTensors([foreign('a.x', 1), foreign('a.y.z', 2), foreign('b.x', 3)]);
  const cut = withPrefix(file, 'a');
  assert.equal(
    cut.tensors.map(({ name }) => name),
    ['x', 'y.z'],
  );
  assert.is(cut.total, 12);
  assert.equal(cut.selection, { key: '', others: [], skipped: [], prefix: 'a' });
  // All of a file stays under the names of its network.
  const beside = fromTensors([...tensorsOf((n) => `model.${n}`), foreign('criterion.weight', 1)]);
  const names = withNetworkNames(beside).tensors.map(({ name }) => name);
  assert.equal(names, [...parameters(graph).map(({ name }) => name), 'criterion.weight']);
  // A name that would then be there twice stays as it is.
  const twice = fromTensors([...tensorsOf((n) => `model.${n}`), foreign('fc.weight', 1)]);
  assert.is(withNetworkNames(twice), twice);
});

test.run();
