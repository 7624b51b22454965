/** Several results of one picture, several pictures in one call, and calls that are dropped. */

import '../support/flags.mjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, GraphBuilder, load, type Model, type Pixels } from '../../bindings/index.node.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { anyTensors, memoryWeights } from '../support/memory-weights.js';
import { assertSameBits } from '../support/records.js';
import { failure, rejection } from '../support/weight-files.js';

const NAME = 'resnet20_cifar';

const open = (): Promise<Model> => load(NAME, { weights: { seed: 5 }, threads: 1 });

/** A picture of seeded bytes. */
function picture(seed: string, width = 40, height = 36): Pixels {
  const data = Uint8Array.from(uniform(seed, width * height * 3, 0, 256), Math.floor);
  return { data, width, height };
}

const three = [picture('a'), picture('b', 32, 32), picture('c', 64, 50)];

test('a list of pictures gives a list of what each gives', async () => {
  using model = await open();
  const lists = await model.classify(three, { topK: 3 });
  assert.is(lists.length, 3);
  for (const [i, image] of three.entries()) assert.equal(lists[i], await model.classify(image, { topK: 3 }));
  assert.not.equal(lists[0], lists[1]);
  assert.equal(await model.classify([]), []);
  const embeddings = await model.embed(three);
  for (const [i, image] of three.entries()) {
    assertSameBits(embeddings[i] as Float32Array, await model.embed(image), `embedding ${i}`);
  }
});

test('an embedding is what the classifier reads; normalised, its length is 1', async () => {
  using model = await open();
  const [image] = three as [Pixels];
  const embedding = await model.embed(image);
  assert.is(embedding.length, 64);
  const { data } = await model.featureMap(image, 'avgpool');
  assertSameBits(embedding, data, 'the pooled features');
  const unit = await model.embed(image, { normalise: true });
  assert.ok(Math.abs(unit.reduce((sum, v) => sum + v * v, 0) - 1) < 1e-6);
  unit.forEach((v, i) => {
    assert.ok(Math.abs(v / (unit[0] as number) - (embedding[i] as number) / (embedding[0] as number)) < 1e-4);
  });
});

test('analyse gives in one run what the other calls give', async () => {
  using model = await open();
  const [image] = three as [Pixels];
  const layers = ['layer1.0.conv1', 'layer3.2.relu', 'input'];
  const {
    classes,
    cam,
    layers: maps,
    embedding,
  } = await model.analyse(image, { topK: 2, cam: true, layers, embedding: true });
  assert.equal(classes, await model.classify(image, { topK: 2 }));
  assert.equal(cam, await model.cam(image, { topK: 2 }));
  assert.is(maps.length, 3);
  for (const [i, layer] of layers.entries()) assert.equal(maps[i], await model.featureMap(image, layer), layer);
  assert.equal(embedding, await model.embed(image));
  const plain = await model.analyse(image);
  assert.equal([plain.cam, plain.layers, plain.embedding], [undefined, [], undefined]);
  const chosen = await model.analyse(image, { cam: { classes: [7, 1] } });
  assert.equal(
    chosen.cam?.maps.map(({ index }) => index),
    [7, 1],
  );
});

test('preprocess gives the tensor that a picture becomes', async () => {
  using model = await open();
  const [image] = three as [Pixels];
  const tensor = await model.preprocess(image);
  assert.equal([tensor.shape, tensor.layout], [[1, 32, 32, 3], 'NHWC']);
  const { data } = await model.run(tensor);
  const [best] = await model.classify(image, { topK: 1 });
  assert.is(data.indexOf(Math.max(...data)), best?.index);
});

test('a model tells what it is', async () => {
  using model = await open();
  assert.equal(model.input, { h: 32, w: 32, c: 3 });
  assert.is(model.labels, undefined);
  assert.is(model.graph.name, NAME);
  assert.equal(
    model.layers,
    buildNetwork(NAME).nodes.map(({ name }) => name),
  );
  assert.is(model.preprocessing?.crop, 32);
});

test('a call that is aborted while it waits is dropped, and rejects with the reason', async () => {
  using model = await open();
  const controller = new AbortController();
  const reason = new Error('enough');
  const tensor = await model.preprocess(three[1] as Pixels);
  const first = model.classify(three[0] as Pixels);
  const waiting = rejection(model.classify(three, { signal: controller.signal }));
  const run = rejection(model.run(tensor, { signal: AbortSignal.abort(reason) }));
  controller.abort(reason);
  assert.is(await waiting, reason);
  assert.is(await run, reason);
  assert.is((await first).length, 5);
  assert.is((await model.classify(three[1] as Pixels)).length, 5);
});

test('unknown options are refused with the closest name, before anything is decoded', async () => {
  using model = await open();
  const none = 'no-such-file.jpg';
  assert.is(
    await failure(model.classify(none, { topk: 2 } as never)),
    'classify: expected options among topK, signal, got topk; the closest is topK.',
  );
  assert.is(await failure(model.classify(none, null as never)), 'classify: expected an object of options, got null.');
  assert.match(
    await failure(model.cam(none, { classes: 3 } as never)),
    /^classes: expected a list of whole numbers, got 3/,
  );
  assert.match(
    await failure(model.run({} as never, { signal: { aborted: false } } as never)),
    /^signal: expected an Abort/,
  );
  assert.match(await failure(model.featureMap(none, 'layer1.0.conv')), /the closest is layer1\.0\.conv1\.$/);
});

test('values that are not finite are an error that names the layer where they begin', async () => {
  const g = new GraphBuilder('damaged');
  const x = g.conv('first', g.input({ h: 4, w: 4, c: 3 }), 4, { kernel: 1 });
  const y = g.batchNorm('norm', g.conv('second', g.relu('relu', x), 4, { kernel: 1 }));
  const graph = g.finish(g.linear('fc', g.globalAvgPool('pool', y), 3));
  const tensors = anyTensors(graph);
  tensors.set('norm.running_var', new Float32Array(4).fill(-1));
  using model = await load(graph, { weights: memoryWeights(graph, tensors), threads: 1 });
  const image = picture('small', 4, 4);
  for (const call of [() => model.classify(image), () => model.cam(image), () => model.embed(image)]) {
    assert.match(await failure(call() as Promise<unknown>), /^damaged: values are not finite from layer second on/);
  }
});

test.run();
