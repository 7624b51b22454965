/** Checkpoints as trainers save them: the network runs, whatever lies beside it. */

import '../support/flags.mjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load } from '../../bindings/index.node.js';
import { inspectWeights } from '../../bindings/weights/inspect.js';
import { openWeights } from '../../bindings/weights/open.js';
import { seededInput } from '../../bindings/weights/uniform.js';
import { buildNetwork, parameters } from '../../models/index.js';
import { anyTensors } from '../support/memory-weights.js';
import {
  dictionary,
  instance,
  int,
  list,
  NONE,
  op,
  pickle,
  storage,
  tensor,
  text,
  zipFile,
} from '../support/pickles.js';
import { assertSameBits } from '../support/records.js';
import { failure, hostileChunks } from '../support/weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

const network = 'resnet20_cifar';
const list20 = parameters(buildNetwork(network));
const own = anyTensors(buildNetwork(network));
const COUNT = list20.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

/** Values of a network, one tensor after the other, times `factor`. */
function valuesOf(factor: number): Bytes {
  const values = list20.flatMap(({ name }) => Array.from(own.get(name) as Float32Array, (v) => v * factor));
  return new Uint8Array(Float32Array.from(values).buffer);
}

const FACTORS = [1, 1.5, 2];

/** Tensors of the network in the storage of a set, by their names. */
function tensorsIn(set: number): [name: string, value: Bytes][] {
  let at = 0;
  return list20.map(({ name, shape }) => {
    const stride = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
    const value = tensor(storage(`${set}`, COUNT), at, [...shape], stride);
    at += shape.reduce((a, b) => a * b, 1);
    return [name, value];
  });
}

const counter = tensor(storage('9', 1, 'LongStorage'), 0, [], []);

/** A state_dict, with the counters of batch norms, behind a prefix. */
const stateDict = (set: number, prefix = '', beside: Record<string, Bytes> = {}): Bytes =>
  dictionary({
    ...Object.fromEntries(tensorsIn(set).map(([name, value]) => [prefix + name, value])),
    [`${prefix}bn1.num_batches_tracked`]: counter,
    ...beside,
  });

/** A module and those in it, as pickled with its class. */
function moduleOf(set: number): Bytes {
  interface Parts {
    readonly parameters: Record<string, Bytes>;
    readonly buffers: Record<string, Bytes>;
    readonly modules: Map<string, Parts>;
  }
  const empty = (): Parts => ({ parameters: {}, buffers: {}, modules: new Map() });
  const root = empty();
  for (const [name, value] of tensorsIn(set)) {
    const path = name.split('.');
    const leaf = path.pop() as string;
    let at = root;
    for (const part of path) {
      if (!at.modules.has(part)) at.modules.set(part, empty());
      at = at.modules.get(part) as Parts;
    }
    (leaf.startsWith('running') ? at.buffers : at.parameters)[leaf] = value;
  }
  const written = ({ parameters: some, buffers, modules }: Parts): Bytes =>
    instance(
      'my.models',
      'Layer',
      dictionary({
        training: op(0x89),
        _parameters: dictionary(some),
        _buffers: dictionary(buffers),
        _modules: dictionary(Object.fromEntries([...modules].map(([name, each]) => [name, written(each)]))),
      }),
    );
  return written(root);
}

const archive = (value: Bytes): Bytes =>
  zipFile([
    { name: 'a/data.pkl', data: pickle(value) },
    ...FACTORS.map((factor, i) => ({ name: `a/data/${i}`, data: valuesOf(factor) })),
    { name: 'a/data/9', data: new Uint8Array(8) },
  ]);

/** SGD with momentum: as many tensors as the network has, under numbers. */
const optimizer = dictionary({
  state: dictionary(
    Object.fromEntries(tensorsIn(2).map(([, value], i) => [`${i}`, dictionary({ momentum_buffer: value })])),
  ),
  param_groups: list(dictionary({ params: list(int(0), int(1)) })),
});
const args = instance('argparse', 'Namespace', dictionary({ lr: int(1), model: text('resnet20') }));

const input = { data: seededInput([1, 3, 32, 32]), shape: [1, 3, 32, 32], layout: 'NCHW' } as const;

async function outputOf(file: Bytes, options: { prefix?: string; network?: string } = {}): Promise<Float32Array> {
  const { prefix } = options;
  using model = options.network
    ? await load(options.network, { weights: file, prefix, threads: 1 })
    : await load(file, { prefix, threads: 1 });
  return (await model.run(input)).data;
}

const outputs = await Promise.all(FACTORS.map((_, i) => outputOf(archive(stateDict(i)))));

/** The trainer, its checkpoint, the set that is read, and prefixes of others. */
const checkpoints: [what: string, value: Bytes, set: number, others: Record<string, number>][] = [
  [
    'timm',
    dictionary({
      epoch: int(3),
      arch: text('resnet20'),
      state_dict: stateDict(0),
      optimizer,
      version: int(2),
      args,
      amp_scaler: dictionary({ scale: int(65536), _growth_tracker: int(0) }),
      state_dict_ema: stateDict(1),
      metric: int(71),
    }),
    0,
    { state_dict_ema: 1, state_dict: 0 },
  ],
  [
    'torchvision',
    dictionary({
      model: stateDict(0),
      optimizer,
      lr_scheduler: dictionary({ last_epoch: int(3), _schedulers: list(dictionary({ step_size: int(30) })) }),
      epoch: int(3),
      args,
      model_ema: stateDict(1, 'module.', { n_averaged: counter }),
      scaler: NONE,
    }),
    0,
    { model_ema: 1, 'model_ema.module': 1 },
  ],
  [
    'Lightning',
    dictionary({
      epoch: int(1),
      'pytorch-lightning_version': text('2.2.0'),
      state_dict: stateDict(0, 'model.', { 'criterion.weight': tensor(storage('1', COUNT), 0, [10], [1]) }),
      loops: dictionary({ fit_loop: dictionary({ state_dict: dictionary({}) }) }),
      optimizer_states: list(optimizer),
      hyper_parameters: dictionary({ lr: int(1) }),
    }),
    0,
    { 'state_dict.model': 0, 'model.': 0 },
  ],
  ['an unusual key', dictionary({ step: int(1), my_weights: stateDict(1) }), 1, {}],
  ['AveragedModel', stateDict(1, 'module.', { n_averaged: counter }), 1, {}],
  ['a whole module', moduleOf(0), 0, {}],
  ['a module in a dictionary', dictionary({ epoch: int(1), model: moduleOf(1), optimizer }), 1, {}],
  ['a module and its average', dictionary({ model: moduleOf(0), ema: moduleOf(1), updates: int(5) }), 0, { ema: 1 }],
];

for (const [what, value, set, others] of checkpoints) {
  test(`the network of ${what} runs, by its name and without`, async () => {
    const file = archive(value);
    assertSameBits(await outputOf(file), outputs[set] as Float32Array, what);
    assertSameBits(await outputOf(file, { network }), outputs[set] as Float32Array, what);
    for (const [prefix, other] of Object.entries(others)) {
      assertSameBits(await outputOf(file, { prefix }), outputs[other] as Float32Array, prefix);
    }
    assert.equal((await inspectWeights(file)).network, { network, options: {} });
  });
}

test('what could be meant too, or is not read, is named', async () => {
  const [timm, , lightning] = checkpoints.map(([, value]) => archive(value));
  const both = await inspectWeights(timm as Bytes);
  assert.equal(both.warnings, [
    'weights: "state_dict" is read of this checkpoint; the option prefix chooses "state_dict_ema" instead.',
  ]);
  assert.equal([both.metadata.epoch, both.metadata.arch], ['3', 'resnet20']);
  const beside = await inspectWeights(lightning as Bytes);
  assert.equal(beside.warnings, [
    "resnet20_cifar: one tensor of the file is not the network's, and is left out: criterion.weight.",
  ]);
  assert.is(beside.tensors.length, list20.length + 1);
});

test('a student and a teacher, which are told and chosen, also in a stream', async () => {
  const file = archive(
    dictionary({
      student: stateDict(0, 'module.backbone.'),
      teacher: stateDict(1, 'backbone.', { 'head.mlp.0.weight': tensor(storage('0', COUNT), 0, [4, 4], [4, 1]) }),
      optimizer,
      epoch: int(1),
      args,
    }),
  );
  assert.is(
    await failure(load(file)),
    'weights: data.pkl: expected one state_dict, got several, "teacher", "student"; choose one by its prefix.',
  );
  for (const [prefix, set] of [
    ['student', 0],
    ['teacher', 1],
    ['teacher.backbone', 1],
  ] as const) {
    assertSameBits(await outputOf(file, { prefix }), outputs[set] as Float32Array, prefix);
    const streamed = await openWeights(hostileChunks(file, [60000]), { prefix });
    using model = await load(network, { weights: streamed, threads: 1 });
    assertSameBits((await model.run(input)).data, outputs[set] as Float32Array, `${prefix} of a stream`);
  }
});

test.run();
