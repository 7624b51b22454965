import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromTensors } from '../../bindings/weights/from-tensors.js';
import { identifyNetwork } from '../../bindings/weights/identify.js';
import { inspectWeights } from '../../bindings/weights/inspect.js';
import { withNetworkNames } from '../../bindings/weights/network-names.js';
import { openWeights } from '../../bindings/weights/open.js';
import { torchvisionNames } from '../../bindings/weights/torch-names.js';
import { buildNetwork, GraphBuilder, networks, parameters } from '../../models/index.js';
import { failure, pattern, readAll, safetensorsFile } from '../support/weight-files.js';

const named = (network: string | undefined, ...names: string[]) => {
  const tensors = names.map((name) => ({ name, shape: [2] }));
  return torchvisionNames(tensors, network === undefined ? {} : networks[network]?.aliases).map(({ name }) => name);
};

/** A file of tensors of two zeros. */
const fileOf = (...names: string[]) =>
  fromTensors(names.map((name) => ({ name, shape: [2], data: new Float32Array(2) })));

const namesOf = ({ tensors }: { tensors: readonly { name: string }[] }) => tensors.map(({ name }) => name);

test('a prefix is cut off if all names have it, whatever wraps what', () => {
  assert.equal(named(undefined, 'module.conv1.weight', 'module.fc.bias'), ['conv1.weight', 'fc.bias']);
  assert.equal(named(undefined, '_orig_mod.module.a.weight', '_orig_mod.module.b.bias'), ['a.weight', 'b.bias']);
  assert.equal(named(undefined, 'model.net.a.weight'), ['a.weight']);
  assert.equal(named(undefined, 'module.a.weight', 'b.weight'), ['module.a.weight', 'b.weight']);
  assert.equal(named(undefined, 'module.', 'module.a'), ['module.', 'module.a']);
  assert.equal(named(undefined), []);
});

test("timm's VGG: its last convolutions are torchvision's linear layers", () => {
  const timm = [
    { name: 'features.0.weight', shape: [64, 3, 3, 3] },
    { name: 'pre_logits.fc1.weight', shape: [4096, 512, 7, 7] },
    { name: 'pre_logits.fc1.bias', shape: [4096] },
    { name: 'pre_logits.fc2.weight', shape: [4096, 4096, 1, 1] },
    { name: 'head.fc.weight', shape: [1000, 4096] },
  ];
  assert.equal(torchvisionNames(timm, networks.vgg13_bn?.aliases), [
    { name: 'features.0.weight', shape: [64, 3, 3, 3] },
    { name: 'classifier.0.weight', shape: [4096, 25088] },
    { name: 'classifier.0.bias', shape: [4096] },
    { name: 'classifier.3.weight', shape: [4096, 4096] },
    { name: 'classifier.6.weight', shape: [1000, 4096] },
  ]);
});

test("DenseNets of old, and the names of CIFAR's implementations", () => {
  assert.equal(
    named(
      'densenet201',
      'features.denseblock1.denselayer12.norm.1.running_mean',
      'features.denseblock4.denselayer1.conv.2.weight',
    ),
    ['features.denseblock1.denselayer12.norm1.running_mean', 'features.denseblock4.denselayer1.conv2.weight'],
  );
  const cifar = ['linear.weight', 'layer2.0.shortcut.0.weight', 'layer2.0.shortcut.1.bias'];
  const torch = ['fc.weight', 'layer2.0.downsample.0.weight', 'layer2.0.downsample.1.bias'];
  assert.equal(named('resnet110_cifar', ...cifar), torch);
  assert.equal(named('plain20_cifar', ...cifar), torch);
});

test("torchvision's own names are nobody's aliases", () => {
  const names = Object.keys(networks);
  assert.ok(names.length > 30);
  for (const name of names) {
    const own = parameters(buildNetwork(name));
    assert.equal(namesOf({ tensors: torchvisionNames(own, networks[name]?.aliases) }), namesOf({ tensors: own }), name);
  }
});

test("a file is renamed by its own network's aliases alone", () => {
  const names = [
    'head.fc.weight',
    'linear.weight',
    'a.shortcut.0.weight',
    'conv1_conv.weight',
    'x.denselayer1.norm.1.bias',
  ];
  const foreign = fileOf(...names);
  assert.is(withNetworkNames(foreign), foreign);
  assert.is(withNetworkNames(foreign, 'alexnet'), foreign);
  const changed = (network: string) => {
    const renamed = namesOf(withNetworkNames(foreign, network));
    return names.flatMap((name, i) => (renamed[i] === name ? [] : [renamed[i]]));
  };
  assert.equal(changed('vgg16'), ['classifier.6.weight']);
  assert.equal(changed('resnet20_cifar'), ['fc.weight']);
  assert.equal(changed('resnet50'), ['conv1.weight']);
  assert.equal(changed('densenet121'), ['x.denselayer1.norm1.bias']);
});

test('a graph keeps its names, also those that look like wrappers or aliases', () => {
  const g = new GraphBuilder('own');
  const graph = g.finish(g.linear('net.head.fc', g.linear('net.linear', g.input({ h: 1, w: 1, c: 2 }), 2, false), 2));
  const own = fileOf('net.linear.weight', 'net.head.fc.weight', 'net.head.fc.bias');
  assert.is(withNetworkNames(own, graph), own);
  const plain = new GraphBuilder('plain');
  const other = plain.finish(plain.linear('linear', plain.input({ h: 1, w: 1, c: 2 }), 2));
  const wrapped = fileOf('module.linear.weight', 'module.linear.bias');
  assert.equal(namesOf(withNetworkNames(wrapped, other)), ['linear.weight', 'linear.bias']);
  // Not what its tensors look like, but what it says.
  const withGraph = fromTensors(
    parameters(buildNetwork('resnet20_cifar')).map(({ name, shape }) => ({
      name: `module.${name}`,
      shape,
      data: () => [],
    })),
    { graph },
  );
  assert.is(withNetworkNames(withGraph), withGraph);
});

test('a network is known by its aliases, and inspected under its own names', async () => {
  const graph = buildNetwork('resnet20_cifar', { shortcut: 'B', classes: 7 });
  const list = parameters(graph);
  const entries = list.map(({ name, shape }) => ({
    name: `module.${name.replace(/^fc/, 'linear').replace('downsample', 'shortcut')}`,
    dtype: 'F32',
    shape: [...shape],
    bytes: pattern(4 * shape.reduce((a, b) => a * b, 1)).fill(0),
  }));
  assert.ok(entries.some(({ name }) => name === 'module.layer2.0.shortcut.1.bias'));
  const network = { network: 'resnet20_cifar', options: { shortcut: 'B', classes: 7 } };
  assert.equal(identifyNetwork(entries), network);
  const report = await inspectWeights(safetensorsFile(entries));
  assert.equal(report.network, network);
  assert.equal(namesOf(report), namesOf({ tensors: list }));
  // The file itself keeps its names.
  assert.equal(namesOf(await openWeights(safetensorsFile(entries))), namesOf({ tensors: entries }));
});

test('values come under the new names and shapes; two tensors of one name are refused', async () => {
  const weight = { name: 'pre_logits.fc1.weight', dtype: 'F16', shape: [2, 3, 1, 2], bytes: pattern(24) };
  const counter = { name: 'bn.num_batches_tracked', dtype: 'I64', shape: [], bytes: pattern(8) };
  const double = { name: 'head.fc.bias', dtype: 'F64', shape: [1], bytes: new Uint8Array(Float64Array.of(1.5).buffer) };
  const file = withNetworkNames(await openWeights(safetensorsFile([weight, counter, double])), 'vgg16');
  assert.equal(await readAll(file), [
    { ...weight, name: 'classifier.0.weight', shape: [2, 6] },
    { name: 'classifier.6.bias', dtype: 'F32', shape: [1], bytes: new Uint8Array(Float32Array.of(1.5).buffer) },
  ]);
  const twice = async () => withNetworkNames(fileOf('linear.bias', 'fc.bias'), 'resnet20_cifar');
  assert.is(await failure(twice()), 'fc.bias: "linear.bias" and "fc.bias" are both this tensor.');
  assert.is(identifyNetwork(fileOf('linear.bias', 'fc.bias').tensors), undefined);
});

test.run();
