/** Keras's names of residual networks, of both generations, and what they and the topology tell of strides. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { identifyNetwork } from '../../../bindings/weights/identify.js';
import { withNetworkNames } from '../../../bindings/weights/network-names.js';
import { checkTensors, openWeights } from '../../../bindings/weights/open.js';
import { buildNetwork, parameters } from '../../../models/index.js';
import { kerasResnetModule } from '../../../models/keras-names.js';
import { conv, dense, type Layer, model, norm, weight } from '../../support/tfjs-models.js';
import { failure, utf8, withFiles } from '../../support/weight-files.js';

/** Keras's name of a torchvision module, in the generation of `keras-team/keras` 2.2 or the present one. */
function kerasLayer(module: string, generation: 'old' | 'new', counts: readonly number[]): string {
  const [, stage, block, unit = ''] = /^layer(\d)\.(\d+)\.(.+)$/.exec(module) ?? [];
  const bn = /bn\d$|downsample\.1$/.test(module);
  if (!stage) {
    if (module === 'fc') return generation === 'old' ? 'fc1000' : 'predictions';
    if (generation === 'new') return bn ? 'conv1_bn' : 'conv1_conv';
    return bn ? 'bn_conv1' : 'conv1';
  }
  const n = unit.startsWith('downsample') ? 0 : Number(unit.slice(-1));
  if (generation === 'new') return `conv${Number(stage) + 1}_block${Number(block) + 1}_${n}_${bn ? 'bn' : 'conv'}`;
  // Long stages count b1, b2 …; short ones go through the alphabet.
  const long = (counts[Number(stage) - 1] ?? 0) > 6;
  const letter = block === '0' ? 'a' : long ? `b${block}` : String.fromCharCode(97 + Number(block));
  return `${bn ? 'bn' : 'res'}${Number(stage) + 1}${letter}_branch${n === 0 ? '1' : `2${String.fromCharCode(96 + n)}`}`;
}

for (const [name, counts] of [
  ['resnet50', [3, 4, 6, 3]],
  ['resnet101', [3, 4, 23, 3]],
  ['resnet152', [3, 8, 36, 3]],
] as const) {
  for (const generation of ['old', 'new'] as const) {
    for (const stride of ['conv1', 'conv2'] as const) {
      test(`${name} with Keras's ${generation} names and stride at ${stride}`, async () => {
        const graph = buildNetwork(name, { strideIn: stride, convBias: true });
        const list = parameters(graph);
        const rename = (module: string) => kerasLayer(module, generation, counts);
        const layers = graph.nodes.flatMap((node): Layer[] => {
          if (node.kind === 'conv') return [conv(rename(node.name), node.stride[0])];
          if (node.kind === 'batchNorm') return [norm(rename(node.name))];
          return node.kind === 'linear' ? [dense(rename(node.name))] : [];
        });
        const manifest = list.map(({ name, shape, role }) => {
          const layer = rename(name.slice(0, name.lastIndexOf('.')));
          const variable = layers.find(({ config }) => config.name === layer)?.class_name;
          const bn = variable === 'BatchNormalization';
          const leaf = {
            weight: bn ? 'gamma' : 'kernel',
            bias: bn ? 'beta' : 'bias',
            running_mean: 'moving_mean',
            running_var: 'moving_variance',
          }[role];
          const [o = 0, i = 0, ...window] = shape;
          return weight(`${layer}/${leaf}`, leaf === 'kernel' ? [...window, i, o] : [...shape]);
        });
        const json = utf8(JSON.stringify(model(layers, { paths: ['w.bin'], weights: manifest })));
        await withFiles({ 'model.json': json }, async () => {
          const file = await openWeights('model.json');
          assert.equal(file.config, { batchNormEps: 0.001, convBias: true, strideIn: stride });
          checkTensors(withNetworkNames(file, name), list);
          checkTensors(withNetworkNames(file), list);
          assert.equal(identifyNetwork(file.tensors), { network: name, options: { convBias: true } });
          await file.close();
        });
      });
    }
  }
}

/** A list of ResNet-50's layers that does not say what they read, with others before and after, and its tensors. */
async function listing(before: Layer[], after: Layer[], activation?: string) {
  const graph = buildNetwork('resnet50', { convBias: true, classes: 5 });
  const rename = (module: string) => kerasLayer(module, 'new', [3, 4, 6, 3]);
  const layers = graph.nodes.flatMap((node): Layer[] => {
    if (node.kind === 'conv') return [conv(rename(node.name), node.stride[0])];
    return node.kind === 'batchNorm' ? [norm(rename(node.name))] : [];
  });
  const head = dense('predictions');
  Object.assign(head.config, { activation });
  const manifest = parameters(graph).map(({ name, shape, role, node }) => {
    const isNorm = graph.nodes[node]?.kind === 'batchNorm';
    const [o = 0, i = 0, ...window] = shape;
    const leaf = { weight: 'kernel', bias: 'bias', running_mean: 'moving_mean', running_var: 'moving_variance' }[role];
    const own = isNorm && role === 'weight' ? 'gamma' : isNorm && role === 'bias' ? 'beta' : leaf;
    const layer = rename(name.slice(0, name.lastIndexOf('.')));
    return weight(`${layer}/${own}`, leaf === 'kernel' && !isNorm ? [...window, i, o] : [...shape]);
  });
  const all = [...before, ...layers, ...after, head];
  const json = utf8(JSON.stringify(model(all, { paths: ['w.bin'], weights: manifest })));
  return withFiles({ 'model.json': json }, async () => {
    const file = await openWeights('model.json');
    await file.close();
    if (file.graph) checkTensors(file, parameters(file.graph));
    return file;
  });
}

test('layers that a list has beside those of a ResNet are done, or refused by name', async () => {
  const layer = (kind: string, config: object = {}): Layer => ({
    class_name: kind,
    config: { name: 'other', ...config },
  });
  assert.is((await listing([], [layer('GlobalAveragePooling2D')])).graph, undefined);
  const pooled = (await listing([], [layer('GlobalMaxPooling2D')])).graph;
  assert.equal(
    pooled?.nodes.flatMap((node) => (node.kind === 'reduce' ? [node.reduction] : [])),
    ['max'],
  );
  const sigmoid = (await listing([], [], 'sigmoid')).graph;
  const end = sigmoid?.nodes[sigmoid.outputs[0].node];
  assert.equal(end?.kind === 'activation' && end.activation, { kind: 'sigmoid' });
  const rescaled = await listing([layer('Rescaling', { scale: 0.5, offset: -1 })], []);
  assert.is(rescaled.preprocessing, 'raw');
  assert.equal(
    rescaled.graph?.nodes.slice(0, 3).map(({ kind }) => kind),
    ['input', 'batchNorm', 'conv'],
  );
  const refused = async (...args: Parameters<typeof listing>) => failure(listing(...args));
  const reason = 'cannot be run here: the topology does not say what it reads.';
  assert.is(await refused([layer('Lambda')], []), `other: this Lambda ${reason}`);
  assert.is(await refused([], [layer('Rescaling', { scale: 2 })]), `other: this Rescaling ${reason}`);
  assert.match(
    await refused([], [], 'tanh'),
    /^predictions\.activation: this Activation cannot be run here: there is no/,
  );
});

test('layers of other networks keep their names, and say nothing of a ResNet', async () => {
  const layers = [conv('block1_conv1'), conv('block1_conv2'), norm('norm'), dense('fc1')];
  const weights = [
    weight('block1_conv1/kernel', [3, 3, 2, 4]),
    weight('norm/gamma', [4]),
    weight('fc1/kernel', [8, 5]),
  ];
  Object.assign(layers[1]?.config ?? {}, { use_bias: false });
  const json = utf8(JSON.stringify(model(layers, { paths: ['w.bin'], weights })));
  await withFiles({ 'model.json': json }, async () => {
    const file = await openWeights('model.json');
    const names = file.tensors.map(({ name, shape, order }) => [name, shape, order]);
    assert.equal(names, [
      ['block1_conv1.weight', [4, 2, 3, 3], 'IO'],
      ['norm.weight', [4], 'OI'],
      ['fc1.weight', [5, 8], 'IO'],
    ]);
    assert.equal(file.config, {});
    assert.is(withNetworkNames(file), file);
    await file.close();
  });
});

test('strides of bottlenecks that contradict each other', async () => {
  const units = (stage: number, first: number, second: number): Layer[] => [
    conv(`res${stage}a_branch2a`, first),
    conv(`res${stage}a_branch2b`, second),
    conv(`res${stage}a_branch2c`),
  ];
  const stride = async (...blocks: Layer[][]) => {
    const json = utf8(JSON.stringify(model(blocks.flat())));
    return withFiles({ 'm.json': json }, async () => (await openWeights('m.json')).config.strideIn);
  };
  assert.is(await stride(units(3, 2, 1), units(4, 2, 1)), 'conv1');
  assert.is(await stride(units(2, 1, 1), units(3, 1, 2)), 'conv2');
  assert.is(await stride(units(2, 1, 1)), undefined);
  assert.is(
    await failure(stride(units(3, 2, 1), units(4, 1, 2))),
    'layer3.0: expected stride 2 in conv1 alone, got 1 in conv1 and 2 in conv2.',
  );
  for (const [first, second] of [
    [1, 1],
    [2, 2],
    [3, 1],
  ] as const) {
    assert.match(
      await failure(stride(units(3, first, second))),
      /^layer2\.0: expected stride 2 in conv1 or conv2 alone/,
    );
  }
});

test('layers of other networks have no name here', () => {
  for (const layer of [
    'conv2_block1_preact_bn',
    'conv6_block1_1_conv',
    'conv2_block0_1_conv',
    'conv2_block1_4_conv',
    'res2a_branch2d',
    'res6a_branch1',
    'res3c1_branch1',
    'res3b0_branch2a',
    'block1_conv1',
    'Conv1',
    'fc',
  ]) {
    assert.is(kerasResnetModule(layer), undefined, layer);
  }
});

test.run();
