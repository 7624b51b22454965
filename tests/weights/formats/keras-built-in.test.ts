/** Keras's own networks are those of the registry, if their topology is; and what differs from them is a graph. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load } from '../../../bindings/index.node.js';
import { identifyNetwork } from '../../../bindings/weights/identify.js';
import { withNetworkNames } from '../../../bindings/weights/network-names.js';
import { checkTensors, openWeights } from '../../../bindings/weights/open.js';
import type { WeightFile } from '../../../bindings/weights/types.js';
import { buildNetwork, graphOutput, parameters } from '../../../models/index.js';
import { type Choices, densenet, resnet, vgg } from '../../support/keras-applications.js';
import {
  KerasBuilder,
  type KerasJson,
  sequential,
  single,
  tfjsFiles,
  type Variable,
  type Version,
} from '../../support/keras-models.js';
import { reference } from '../../support/keras-reference.js';
import { failure, memoryFiles, withFiles } from '../../support/weight-files.js';

interface Made {
  readonly json: KerasJson;
  readonly variables: readonly Variable[];
}

const opened = (model: Made, version: Version): Promise<WeightFile> =>
  withFiles(tfjsFiles(model, version), async () => {
    const file = await openWeights('model.json');
    await file.close();
    return file;
  });

const SOFTMAX = ['predictions', 'softmax'] as const;
const RESNET = { batchNormEps: 1.001e-5, convBias: true, strideIn: 'conv1' };
const DENSENET = { batchNormEps: 1.001e-5, convBias: undefined, strideIn: undefined };
const VGG = { batchNormEps: undefined, convBias: undefined, strideIn: undefined };

const applications: readonly (readonly [string, (choices: Choices) => Made, object, string])[] = [
  ['resnet50', (choices) => resnet([3, 4, 6, 3], choices), RESNET, 'caffe'],
  ['resnet101', (choices) => resnet([3, 4, 23, 3], choices), RESNET, 'caffe'],
  ['resnet152', (choices) => resnet([3, 8, 36, 3], choices), RESNET, 'caffe'],
  ['vgg16', (choices) => vgg([2, 2, 3, 3, 3], choices), VGG, 'caffe'],
  ['vgg19', (choices) => vgg([2, 2, 4, 4, 4], choices), VGG, 'caffe'],
  ['densenet121', (choices) => densenet([6, 12, 24, 16], choices), DENSENET, 'torch'],
  ['densenet169', (choices) => densenet([6, 12, 32, 32], choices), DENSENET, 'torch'],
  ['densenet201', (choices) => densenet([6, 12, 48, 32], choices), DENSENET, 'torch'],
];

for (const [name, make, config, preprocessing] of applications) {
  for (const version of [2, 3] as const) {
    test(`${name} of Keras ${version} is the registry's, whatever its head is called`, async () => {
      for (const head of [SOFTMAX, ['dense', 'linear'] as const]) {
        const file = await opened(make({ version, head, classes: 7 }), version);
        assert.is(file.graph, undefined);
        assert.equal(file.config, config);
        assert.is(file.preprocessing, preprocessing);
        const match = identifyNetwork(file.tensors);
        assert.is(match?.network, name);
        assert.is(match?.options.classes, 7);
        const graph = buildNetwork(name, { ...file.config, ...match?.options });
        checkTensors(withNetworkNames(file, name), parameters(graph));
        const maps = file.tensors.flatMap(({ map }) => (map ? [map] : []));
        assert.equal(maps, name.startsWith('vgg') ? [[7, 7]] : []);
      }
    });
  }
}

for (const [what, choices] of [
  ['a max pool at its end', { pool: 'GlobalMaxPooling2D' }],
  ['a sigmoid', { head: ['predictions', 'sigmoid'] }],
  ['another size', { size: 160 }],
  // TensorFlow pads at the bottom and right alone then, torchvision on all sides.
  ["the stride in its 3x3 convolutions, padded 'same'", { strideIn: 2 }],
] as const) {
  test(`a ResNet-50 with ${what} is a graph of its own`, async () => {
    const model = resnet([3, 4, 6, 3], { version: 3, head: SOFTMAX, ...choices });
    const file = await opened(model, 3);
    assert.is(file.graph?.name, 'resnet50');
    checkTensors(file, parameters(file.graph as NonNullable<typeof file.graph>));
    await withFiles(tfjsFiles(model, 3), async () => {
      assert.is(
        await failure(load('resnet50', { weights: 'model.json', threads: 1 })),
        'resnet50: the file is of another network; load it without a name.',
      );
    });
  });
}

for (const version of [2, 3] as const) {
  test(`a ResNet-50 within a model is the registry's, Keras ${version}`, async () => {
    const base = resnet([3, 4, 6, 3], { version });
    const head = single('Dense', 'dense_4', { units: 5, activation: 'softmax' }, { kernel: [2048, 5], bias: [5] });
    const stacked = sequential(
      version,
      'sequential',
      [224, 224, 3],
      [base, single('GlobalAveragePooling2D', 'gap'), head],
    );
    const k = new KerasBuilder(version);
    const x = k.model(base, k.layer('RandomFlip', 'flip', k.input('image', 224, 224, 3)), version === 2);
    const y = k.dense(
      'dense',
      k.layer('Dropout', 'drop', k.layer('GlobalAveragePooling2D', 'gap', x)),
      2048,
      5,
      'softmax',
    );
    for (const model of [stacked, k.functional('classifier', 'image', y)]) {
      const file = await opened(model, version);
      assert.is(file.graph, undefined);
      assert.equal(file.config, RESNET);
      assert.equal(identifyNetwork(file.tensors), { network: 'resnet50', options: { convBias: true, classes: 5 } });
    }
  });
}

test('a ResNet-50 of Keras gives logits, under the names of the registry, whether it is named or not', async () => {
  const model = resnet([3, 4, 6, 3], { version: 3, head: ['dense', 'softmax'], classes: 4, hasValues: true });
  const shape = [1, 224, 224, 3];
  const data = Float32Array.from({ length: 224 * 224 * 3 }, (_, i) => ((i * 7919) % 255) - 128);
  const files = memoryFiles(tfjsFiles(model, 3), [2 ** 20]);
  try {
    using own = await load('model.json', { threads: 1 });
    assert.is(own.name, 'resnet50');
    assert.ok(own.layers.includes('layer3.5.conv2'));
    assert.is(own.preprocessing?.channelOrder, 'BGR');
    using named = await load('resnet50', { weights: 'model.json', threads: 1, classes: 4 });
    const [a, b] = [await own.run({ data, shape, layout: 'NHWC' }), await named.run({ data, shape, layout: 'NHWC' })];
    assert.equal(a.data, b.data);
    assert.is(graphOutput(own.graph).kind, 'linear');
  } finally {
    files.restore();
  }
});

test('a small DenseNet gives what Keras does', async () => {
  const model = densenet([2, 2, 1, 1], { version: 3, head: SOFTMAX, classes: 3, size: 64, hasValues: true }, 'small');
  const data = Float32Array.from({ length: 64 * 64 * 3 }, (_, i) => Math.sin(i));
  const input = { shape: [64, 64, 3], data: Float64Array.from(data) };
  const expected = reference(model.json, model.variables, input, 3).data;
  await withFiles(tfjsFiles(model, 3), async () => {
    using own = await load('model.json', { threads: 1 });
    const { data: actual } = await own.run({ data, shape: [1, 64, 64, 3], layout: 'NHWC' });
    assert.is(actual.length, 3);
    for (const [i, value] of actual.entries()) assert.ok(Math.abs(value - (expected[i] as number)) < 1e-5, `${i}`);
  });
});

test.run();
