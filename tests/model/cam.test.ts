/** Class activation maps and feature maps, against float64, on every binary. */

import fc from 'fast-check';
import { test as always } from 'uvu';
import * as assert from 'uvu/assert';
import { makePlan } from '../../bindings/compile/plan.js';
import type { Binary } from '../../bindings/engine/binary.js';
import {
  buildNetwork,
  load,
  type Model,
  type NetworkOptions,
  type Pixels,
  preprocessings,
} from '../../bindings/index.node.js';
import { camStep } from '../../bindings/model/cam.js';
import { seededTensor, seededWeights } from '../../bindings/weights/random.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { type Graph, GraphBuilder, graphInput, networkNames, parameters } from '../../models/index.js';
import { anyGraph } from '../support/any-graph.js';
import { eachBinary } from '../support/each-binary.js';
import { evaluateAll } from '../support/evaluate.js';
import { withExecutor } from '../support/executors.js';
import { anyTensors, memoryWeights } from '../support/memory-weights.js';
import { property } from '../support/property.js';
import { assertSameBits } from '../support/records.js';
import { linear, size, tolerance } from '../support/reference.js';
import { failure } from '../support/weight-files.js';

const pixelsOf = (width: number, height: number): Pixels => ({
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7919 + (i >> 6) * 31) % 256),
  width,
  height,
});

const image = pixelsOf(90, 70);

const open = (graph: Graph, options: NetworkOptions & { threads?: number; binary?: Binary } = {}): Promise<Model> =>
  load(graph.name, { weights: seededWeights(graph), threads: 1, ...options });

/** Values of a parameter of the graph. */
function tensor(graph: Graph, name: string): Float32Array {
  const parameter = parameters(graph).find((one) => one.name === name);
  assert.ok(parameter, name);
  return seededTensor(graph, parameter);
}

const CASES = [
  { name: 'resnet20_cifar', options: {}, features: 'layer3.2.relu', classifier: 'fc' },
  { name: 'resnet18', options: { size: 64, classes: 37 }, features: 'layer4.1.relu', classifier: 'fc' },
  { name: 'densenet121', options: { size: 96, classes: 20 }, features: 'relu', classifier: 'classifier' },
] as const;

eachBinary('class activation maps', (test, binary) => {
  for (const { name, options, features: layer, classifier } of CASES) {
    const graph = buildNetwork(name, options);

    test(`${name}: features · weights at each place, and their mean + bias is the logit`, async () => {
      using model = await open(graph, { ...options, binary });
      const before = await model.classify(image, { topK: 3 });
      const { maps, shape, crop } = await model.cam(image, { topK: 3 });
      const features = await model.featureMap(image, layer);
      const logits = await model.featureMap(image, classifier);
      assert.is(features.layer, layer);
      assert.equal(features.shape.slice(0, 2), [...shape]);
      assert.equal(features.crop, crop);
      assert.equal(
        maps.map(({ data: _, ...found }) => found),
        before,
      );
      const [h, w, c] = features.shape;
      const classes = logits.shape[2];
      const [weight, bias] = [tensor(graph, `${classifier}.weight`), tensor(graph, `${classifier}.bias`)];
      const at = { batch: h * w, h: 1, w: 1, c };
      const expected = linear(features.data, at, weight, undefined, classes);
      assert.is(maps.length, 3);
      for (const { index, data } of maps) {
        assert.is(data.length, h * w);
        data.forEach((got, place) => {
          const i = place * classes + index;
          const [wanted, magnitude] = [expected.values[i] as number, expected.magnitudes[i] as number];
          const most = tolerance(c, magnitude);
          assert.ok(Math.abs(got - wanted) <= most, `${index}: expected ${wanted} ± ${most} at ${place}, got ${got}`);
        });
        const logit = data.reduce((sum, v) => sum + v, 0) / data.length + (bias[index] as number);
        const wanted = logits.data[index] as number;
        assert.ok(Math.abs(logit - wanted) <= 1e-5 * Math.max(1, Math.abs(wanted)), `${index}: ${logit}, ${wanted}`);
      }
    });

    test(`${name}: neither leaves a trace in what runs afterwards`, async () => {
      using model = await open(graph, { ...options, binary });
      const before = await model.classify(image);
      const { h, w, c } = graphInput(graph);
      const three = uniform('three', 3 * h * w * c, -2, 2);
      const run = async () => (await model.run({ data: three, shape: [3, h, w, c], layout: 'NHWC' })).data;
      const [first, batch] = [await model.cam(image), await run()];
      await model.featureMap(image, 'input');
      assert.equal(await model.classify(image), before);
      assertSameBits(await run(), batch, 'a batch');
      const again = await model.cam(image);
      assert.ok(first.maps.length > 0);
      first.maps.forEach(({ data }, i) => {
        assertSameBits(again.maps[i]?.data as Float32Array, data, `map ${i}`);
      });
      const together = await Promise.all([model.cam(image), model.classify(image), model.featureMap(image, layer)]);
      assertSameBits(together[0].maps[0]?.data as Float32Array, first.maps[0]?.data as Float32Array, 'at a time');
      assert.equal(together[1], before);
    });
  }

  test('any number of threads gives the same bits', async () => {
    for (const { name, options, features } of CASES) {
      const graph = buildNetwork(name, options);
      const results: Float32Array[][] = [];
      for (const threads of [1, 2, 3]) {
        using model = await open(graph, { ...options, binary, threads });
        const { maps } = await model.cam(image, { topK: 9 });
        results.push([...maps.map(({ data }) => data), (await model.featureMap(image, features)).data]);
      }
      for (const [threads, result] of results.entries()) {
        result.forEach((data, i) => {
          assertSameBits(data, results[0]?.[i] as Float32Array, `${name}, ${threads + 1} threads, ${i}`);
        });
      }
    }
  });

  test('classes are those asked for, in their order', async () => {
    using model = await open(buildNetwork('resnet20_cifar'), { binary });
    const all = await model.cam(image, { topK: 10 });
    const some = await model.cam(image, { classes: [7, 0, 7] });
    assert.equal(
      some.maps,
      [7, 0, 7].map((wanted) => all.maps.find(({ index }) => index === wanted)),
    );
    assert.equal((await model.cam(image, { classes: [] })).maps, []);
    assert.is((await model.cam(image)).maps.length, 5);
  });

  test('a network’s own softmax gives the probabilities', async ({ core }) => {
    const g = new GraphBuilder('own');
    const x = g.conv('conv', g.input({ h: 5, w: 4, c: 3 }), 8, { kernel: 3, padding: 1 });
    const graph = g.finish(g.softmax('softmax', g.linear('fc', g.adaptiveAvgPool('pool', x, 1, 1), 11)));
    const tensors = anyTensors(graph);
    const input = uniform('x', 5 * 4 * 3, -2, 2);
    const values = evaluateAll(graph, tensors, input, 1);
    await withExecutor(core, graph, memoryWeights(graph, tensors), async (executor) => {
      const { step, before } = camStep(executor.plan);
      executor.setInput(1, input);
      const {
        outputs: [output],
        extra,
      } = await executor.run({ extra: { step, before } });
      const evidence = extra as Float32Array;
      (output as Float32Array).forEach((got, i) => {
        assert.ok(Math.abs(got - (values[graph.outputs[0].node]?.[i] as number)) < 1e-6);
      });
      const weight = tensors.get('fc.weight') as Float32Array;
      const expected = linear(values[x] as Float64Array, { batch: 20, h: 1, w: 1, c: 8 }, weight, undefined, 11);
      assert.is(evidence.length, expected.values.length);
      evidence.forEach((got, i) => {
        assert.ok(Math.abs(got - (expected.values[i] as number)) < 1e-5, `at ${i}`);
      });
    });
  });

  test('features among concatenated channels are read where they lie', async ({ core }) => {
    const g = new GraphBuilder('among');
    const input = g.input({ h: 4, w: 4, c: 3 });
    const [a, b] = [g.conv('a', input, 5, { kernel: 1 }), g.conv('b', input, 4, { kernel: 1 })];
    g.concat('both', [a, b]);
    const graph = g.finish(g.linear('fc', g.globalAvgPool('pool', b), 9));
    const tensors = anyTensors(graph);
    const x = uniform('x', 4 * 4 * 3, -2, 2);
    const values = evaluateAll(graph, tensors, x, 1);
    await withExecutor(core, graph, memoryWeights(graph, tensors), async (executor) => {
      const { step, before } = camStep(executor.plan);
      assert.is(step.input.ld, 9);
      executor.setInput(1, x);
      const evidence = (await executor.run({ extra: { step, before } })).extra as Float32Array;
      const weight = tensors.get('fc.weight') as Float32Array;
      const expected = linear(values[b] as Float64Array, { batch: 16, h: 1, w: 1, c: 4 }, weight, undefined, 9);
      evidence.forEach((got, i) => {
        assert.ok(Math.abs(got - (expected.values[i] as number)) < 1e-5, `at ${i}`);
      });
    });
  });
});

/** Plans refuse linear layers over some of a concatenation's channels. */
const hasPlan = (graph: Graph): boolean => {
  try {
    return makePlan(graph) !== undefined;
  } catch {
    return false;
  }
};

eachBinary('values of every node', (test) => {
  test('are those of float64, of random graphs too, and the output is as before', async ({ core }) => {
    const check = async (graph: Graph): Promise<void> => {
      const tensors = anyTensors(graph);
      await withExecutor(core, graph, memoryWeights(graph, tensors), async (executor) => {
        for (const batch of [1, 2]) {
          const x = uniform(`input ${batch}`, size({ batch, ...graphInput(graph) }), -2, 2);
          const run = async () => {
            executor.setInput(batch, x);
            return (await executor.run()).outputs[0] as Float32Array;
          };
          const before = await run();
          const expected = evaluateAll(graph, tensors, x, batch);
          const largest = expected.flatMap((list) => [...list]).reduce((a, v) => Math.max(a, Math.abs(v)), 0);
          for (const [id, value] of executor.plan.values.entries()) {
            executor.setInput(batch, x);
            const [got] = (await executor.run({ values: [value], isPartial: true })).values as [Float32Array];
            const wanted = expected[value.node.id] as Float64Array;
            assert.is(got.length, wanted.length);
            const far = got.findIndex((v, i) => !(Math.abs(v - (wanted[i] as number)) <= 1e-5 * largest));
            if (far >= 0) {
              const subject = `${graph.nodes[id]?.name} (${value.node.name})`;
              assert.unreachable(`${subject}: expected ${wanted[far]} at ${far}, got ${got[far]}.`);
            }
          }
          assertSameBits(await run(), before, 'the output');
        }
      });
    };
    await property(
      anyGraph,
      async (graph) => {
        fc.pre(hasPlan(graph));
        await check(graph);
      },
      { runs: 150 },
    );
  });
});

always('every network either has class activation maps or says why not', () => {
  const refusals = networkNames().flatMap((name) => {
    try {
      const plan = makePlan(buildNetwork(name));
      const { step, before } = camStep(plan);
      const { shape } = plan.outputs[0].view;
      assert.equal([step.output.shape.c, plan.steps[before]?.kind], [shape.c, 'reduce']);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  const end = 'expected to end in globalAvgPool and linear for class activation maps, got';
  const vgg = [11, 13, 16, 19].flatMap((depth) => [`vgg${depth}`, `vgg${depth}_bn`]);
  assert.equal(refusals, [
    `resnet50_keras_listing: ${end} maxPool and linear.`,
    ...[...vgg, 'alexnet'].map((name) => `${name}: ${end} activation and linear.`),
    ...[18, 34, 50, 100, 200].map((depth) => `iresnet${depth}: ${end} linear and batchNorm.`),
  ]);
});

always('the crop is the part of the picture that the network saw', async () => {
  const graph = buildNetwork('resnet20_cifar');
  const cropOf = async (width: number, height: number, resize: number) => {
    using model = await load(graph.name, {
      weights: seededWeights(graph),
      threads: 1,
      preprocessing: { ...preprocessings.cifar, resize },
    });
    return (await model.cam(pixelsOf(width, height))).crop;
  };
  assert.equal(await cropOf(32, 32, 32), { x: 0, y: 0, width: 32, height: 32 });
  // 80x64 -> 50x40, of which 9 and 4 pixels are cut off.
  assert.equal(await cropOf(80, 64, 40), { x: 14.4, y: 6.4, width: 51.2, height: 51.2 });
  // 64x80 -> 16x20: 8 and 6 pixels of padding.
  assert.equal(await cropOf(64, 80, 16), { x: -32, y: -24, width: 128, height: 128 });
});

always('what cannot be is refused in one sentence, and the model runs on', async () => {
  using model = await open(buildNetwork('resnet20_cifar'));
  const before = await model.classify(image);
  assert.is(await failure(model.cam(image, { topK: 0 })), 'topK: expected a whole number from 1, got 0.');
  for (const index of [-1, 10, 1.5, Number.NaN]) {
    const got = await failure(model.cam(image, { classes: [3, index] }));
    assert.is(got, `classes: expected whole numbers from 0 to 9, got ${index}.`);
  }
  for (const [layer, near] of [
    ['', 'fc'],
    ['layer9', 'relu'],
    ['layer1.0.conv', 'layer1.0.conv1'],
  ] as const) {
    const got = await failure(model.featureMap(image, layer));
    assert.is(got, `layer: expected the name of a node of resnet20_cifar, got ${layer}; the closest is ${near}.`);
  }
  for (const broken of [{ ...image, width: 91 }, 'no/such/picture.jpg']) {
    await failure(model.cam(broken));
    await failure(model.featureMap(broken, 'conv1'));
  }
  assert.equal(await model.classify(image), before);
  model.dispose();
  assert.match(await failure(model.cam(image)), /this model has been disposed/);
  assert.match(await failure(model.featureMap(image, 'conv1')), /this model has been disposed/);

  using grey = await open(buildNetwork('resnet20_cifar', { inChannels: 1 }), { inChannels: 1 });
  assert.match(await failure(grey.cam(image)), /expected a preprocessing for pictures of 32x32x1/);
  assert.match(await failure(grey.featureMap(image, 'conv1')), /expected a preprocessing for pictures of 32x32x1/);
});

always.run();
