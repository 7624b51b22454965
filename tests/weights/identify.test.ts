import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { identifyNetwork } from '../../bindings/weights/identify.js';
import { buildNetwork, type NetworkOptions, networkNames, parameters } from '../../models/index.js';

const tensorsOf = (name: string, options?: NetworkOptions) => parameters(buildNetwork(name, options));

test('every network is known by its tensors, up to those that have the same', () => {
  const names = networkNames();
  assert.ok(names.length > 30);
  for (const name of names) {
    const tensors = tensorsOf(name);
    const guess = identifyNetwork(tensors.toReversed());
    assert.ok(guess, name);
    // What differs beside the tensors (strides, shortcuts without parameters) cannot be told.
    const shapes = (list: typeof tensors) => list.map((tensor) => [tensor.name, tensor.shape]);
    assert.equal(shapes(tensorsOf(guess.network, guess.options)), shapes(tensors), name);
  }
});

test('of several, the first and plainest', () => {
  const names = (name: string, options?: NetworkOptions) => identifyNetwork(tensorsOf(name, options));
  for (const name of [
    'resnet18',
    'resnet34',
    'resnet50',
    'resnet101',
    'resnet152',
    'resnet20_cifar',
    'resnet110_cifar',
  ]) {
    assert.equal(names(name), { network: name, options: {} });
  }
  assert.equal(names('resnet50_v1'), { network: 'resnet50', options: {} });
  assert.equal(names('resnet50', { size: 64, batchNormEps: 0.1 }), { network: 'resnet50', options: {} });
});

test('classes, channels, biases and shortcuts show', () => {
  for (const [name, options] of [
    ['resnet18', { classes: 7 }],
    ['resnet50', { classes: 10, inChannels: 1 }],
    ['resnet50', { convBias: true }],
    ['resnet34', { shortcut: 'C', classes: 3 }],
    ['resnet20_cifar', { shortcut: 'B', inChannels: 4 }],
    ['resnet110_cifar', { convBias: true, classes: 100 }],
  ] as const) {
    assert.equal(identifyNetwork(tensorsOf(name, options)), { network: name, options });
  }
});

test('other tensors are of no network', () => {
  const tensors = tensorsOf('resnet20_cifar');
  const change = (name: string, shape: number[]) => tensors.map((t) => (t.name === name ? { ...t, shape } : t));
  assert.is(identifyNetwork([]), undefined);
  assert.is(identifyNetwork([{ name: 'x', shape: [1] }]), undefined);
  assert.is(identifyNetwork(tensors.slice(1)), undefined);
  assert.is(identifyNetwork([...tensors, { name: 'layer3.more', shape: [1] }]), undefined);
  assert.is(identifyNetwork(change('layer2.1.conv1.weight', [32, 32, 5, 5])), undefined);
  assert.is(identifyNetwork(change('fc.weight', [11, 64])), undefined);
  assert.is(identifyNetwork(change('fc.weight', [])), undefined);
  assert.is(identifyNetwork(change('fc.weight', [0, 64])), undefined);
  assert.is(identifyNetwork(change('conv1.weight', [16, 0, 3, 3])), undefined);
});

test.run();
