/** From a classifier's outputs to probabilities, and a network of several inputs and outputs. */

import type { ResnetError } from '../../models/errors.js';
import '../support/flags.mjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Classification, type Graph, GraphBuilder, type LoadOptions, load } from '../../bindings/index.node.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { assertOutputs } from '../support/evaluate.js';
import { anyTensors, memoryWeights } from '../support/memory-weights.js';
import { rejection } from '../support/weight-files.js';

const SIDE = 6;

/** A classifier of `classes`, of pictures of 6 × 6. */
function classifier(classes: number, hasSoftmax = false): Graph {
  const g = new GraphBuilder('classifier');
  const map = g.relu('relu', g.conv('conv', g.input({ h: SIDE, w: SIDE, c: 3 }), 8, { kernel: 3, padding: 1 }));
  const logits = g.linear('fc', g.globalAvgPool('pool', map), classes);
  return g.finish(hasSoftmax ? g.softmax('softmax', logits) : logits);
}

const values = uniform('picture', SIDE * SIDE * 3, 0, 256);
const image = { data: Uint8Array.from(values), width: SIDE, height: SIDE };

interface Ranked {
  readonly ranked: readonly Classification[];
  /** What the network gives for the same picture. */
  readonly output: Float32Array;
}

async function ranked(graph: Graph, options: Partial<LoadOptions> = {}): Promise<Ranked> {
  const weights = memoryWeights(graph, anyTensors(graph));
  using model = await load(graph, { weights, threads: 1, ...options });
  const { data } = await model.run(await model.preprocess(image));
  return { ranked: await model.classify(image, { topK: data.length }), output: data };
}

/** Fails if the classes are not these probabilities, best first. */
function assertProbabilities(classes: readonly Classification[], expected: readonly number[]): void {
  assert.is(classes.length, expected.length);
  const order = [...expected.keys()].sort((a, b) => (expected[b] as number) - (expected[a] as number));
  assert.equal(
    classes.map(({ index }) => index),
    order,
  );
  for (const { index, probability } of classes) {
    const wanted = expected[index] as number;
    assert.ok(Math.abs(probability - wanted) <= 1e-6, `class ${index}: expected ${wanted}, got ${probability}.`);
  }
}

const sigmoid = (output: Float32Array): number[] => Array.from(output, (v) => 1 / (1 + Math.exp(-v)));

function softmax(output: Float32Array): number[] {
  const powers = Array.from(output, Math.exp);
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / sum);
}

test('one output is the logit of a sigmoid, several are those of a softmax', async () => {
  const one = await ranked(classifier(1));
  assertProbabilities(one.ranked, sigmoid(one.output));
  assert.ok((one.ranked[0]?.probability ?? 1) < 1);
  const several = await ranked(classifier(4));
  assertProbabilities(several.ranked, softmax(several.output));
});

test('a network that ends in a softmax gives its own probabilities', async () => {
  const own = await ranked(classifier(4, true));
  assert.ok(Math.abs(own.output.reduce((a, b) => a + b, 0) - 1) < 1e-6);
  assertProbabilities(own.ranked, [...own.output]);
});

test('an activation that is given holds, whatever the number of outputs', async () => {
  const ways = { none: (output: Float32Array) => [...output], softmax, sigmoid } as const;
  for (const graph of [classifier(1), classifier(4), classifier(4, true)]) {
    for (const activation of ['none', 'softmax', 'sigmoid'] as const) {
      const { ranked: classes, output } = await ranked(graph, { activation });
      assertProbabilities(classes, ways[activation](output));
    }
  }
});

test('another activation is refused', async () => {
  const graph = classifier(4);
  const weights = memoryWeights(graph, anyTensors(graph));
  const reason = await rejection(load(graph, { weights, activation: 'tanh' as 'none' }));
  assert.is((reason as ResnetError).code, 'argument');
  assert.is((reason as Error).message, 'activation: expected softmax or sigmoid or none, got "tanh".');
});

test('a weight that is NaN makes classify reject with an error that names its layer', async () => {
  const graph = classifier(4);
  for (const layer of ['conv', 'fc']) {
    const tensors = anyTensors(graph);
    const weight = tensors.get(`${layer}.weight`) as Float32Array;
    weight[weight.length - 1] = Number.NaN;
    using model = await load(graph, { weights: memoryWeights(graph, tensors), threads: 1 });
    const reason = await rejection(model.classify(image));
    assert.is((reason as ResnetError).code, 'values');
    assert.match((reason as Error).message, new RegExp(`^classifier: values are not finite from layer ${layer} on;`));
  }
});

test('two inputs and two outputs go by their names, in any order', async () => {
  const g = new GraphBuilder('named');
  const shapes = { image: { h: 4, w: 5, c: 3 }, mask: { h: 4, w: 5, c: 8 } };
  const [first, second] = [g.input(shapes.image, 'image'), g.input(shapes.mask, 'mask')];
  const map = g.mul('masked', g.conv('conv', first, 8, { kernel: 3, padding: 1 }), second);
  const graph = g.finish({ vector: g.linear('fc', g.globalAvgPool('pool', map), 4), map });
  const tensors = anyTensors(graph);
  using model = await load(graph, { weights: memoryWeights(graph, tensors), threads: 1 });

  const batch = 2;
  const given = { image: uniform('image', batch * 4 * 5 * 3, -2, 2), mask: uniform('mask', batch * 4 * 5 * 8, -2, 2) };
  const tensor = (name: keyof typeof given) => {
    const { h, w, c } = shapes[name];
    return { data: given[name], shape: [batch, h, w, c], layout: 'NHWC' } as const;
  };
  const result = await model.run({ mask: tensor('mask'), image: tensor('image') });
  const { vector, map: masked } = result.outputs ?? {};
  assert.equal(
    [vector?.shape, masked?.shape],
    [
      [batch, 4],
      [batch, 4, 5, 8],
    ],
  );
  assert.equal(result.data, vector?.data);
  assertOutputs([vector?.data, masked?.data] as Float32Array[], graph, tensors, given, batch);

  const message = async (input: object) => ((await rejection(model.run(input as never))) as Error).message;
  assert.is(await message(tensor('image')), 'input: expected the inputs image, mask by name, got one tensor.');
  assert.is(await message({ image: tensor('image') }), 'mask: expected a tensor, got none.');
  assert.is(
    await message({
      image: tensor('image'),
      mask: { ...tensor('mask'), shape: [1, 4, 5, 8], data: given.mask.slice(160) },
    }),
    'mask: expected a batch of 2 as the inputs before it, got 1.',
  );
});

test.run();
