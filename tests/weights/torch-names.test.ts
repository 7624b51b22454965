import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../bindings/weights/open.js';
import { torchvisionNames } from '../../bindings/weights/torch-names.js';
import { failure, pattern, readAll, safetensorsFile } from '../support/weight-files.js';

const named = (...names: string[]) => torchvisionNames(names.map((name) => ({ name, shape: [2] }))).map((t) => t.name);

test('a prefix is cut off where all names have it, whatever wraps what', () => {
  assert.equal(named('module.conv1.weight', 'module.fc.bias'), ['conv1.weight', 'fc.bias']);
  assert.equal(named('_orig_mod.module.a.weight', '_orig_mod.module.b.bias'), ['a.weight', 'b.bias']);
  assert.equal(named('model.net.a.weight'), ['a.weight']);
  assert.equal(named('module.a.weight', 'b.weight'), ['module.a.weight', 'b.weight']);
  assert.equal(named('module.', 'module.a'), ['module.', 'module.a']);
  assert.equal(named(), []);
});

test("timm's VGG: its last convolutions are torchvision's linear layers", () => {
  const timm = [
    { name: 'features.0.weight', shape: [64, 3, 3, 3] },
    { name: 'pre_logits.fc1.weight', shape: [4096, 512, 7, 7] },
    { name: 'pre_logits.fc1.bias', shape: [4096] },
    { name: 'pre_logits.fc2.weight', shape: [4096, 4096, 1, 1] },
    { name: 'head.fc.weight', shape: [1000, 4096] },
  ];
  assert.equal(torchvisionNames(timm), [
    { name: 'features.0.weight', shape: [64, 3, 3, 3] },
    { name: 'classifier.0.weight', shape: [4096, 25088] },
    { name: 'classifier.0.bias', shape: [4096] },
    { name: 'classifier.3.weight', shape: [4096, 4096] },
    { name: 'classifier.6.weight', shape: [1000, 4096] },
  ]);
});

test("DenseNets of old, and the names of CIFAR's implementations", () => {
  assert.equal(
    named('features.denseblock1.denselayer12.norm.1.running_mean', 'features.denseblock4.denselayer1.conv.2.weight'),
    ['features.denseblock1.denselayer12.norm1.running_mean', 'features.denseblock4.denselayer1.conv2.weight'],
  );
  assert.equal(named('linear.weight', 'layer2.0.shortcut.0.weight', 'layer2.0.shortcut.1.bias'), [
    'fc.weight',
    'layer2.0.downsample.0.weight',
    'layer2.0.downsample.1.bias',
  ]);
});

test('names that others use stay as they are', () => {
  const names = ['classifier.1.weight', 'layer1.0.downsample.0.weight', 'fc.weight', 'features.norm0.bias', 'linear'];
  assert.equal(named(...names), names);
});

test('a safetensors file has the same names and shapes', async () => {
  const weight = { name: 'pre_logits.fc1.weight', dtype: 'F16', shape: [2, 3, 1, 2], bytes: pattern(24) };
  const counter = { name: 'bn.num_batches_tracked', dtype: 'I64', shape: [], bytes: pattern(8) };
  const double = { name: 'head.fc.bias', dtype: 'F64', shape: [1], bytes: new Uint8Array(Float64Array.of(1.5).buffer) };
  assert.equal(await readAll(await openWeights(safetensorsFile([weight, counter, double]))), [
    { ...weight, name: 'classifier.0.weight', shape: [2, 6] },
    { name: 'classifier.6.bias', dtype: 'F32', shape: [1], bytes: new Uint8Array(Float32Array.of(1.5).buffer) },
  ]);
  const twice = safetensorsFile([
    { ...double, name: 'linear.bias' },
    { ...double, name: 'fc.bias' },
  ]);
  assert.is(await failure(openWeights(twice)), 'fc.bias: expected one tensor, got "linear.bias" and "fc.bias".');
});

test.run();
