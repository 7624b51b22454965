/** Arguments of other types than they should be are told in a sentence that names them, before anything is read or run. */

import '../support/flags.mjs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromTensors, openWeights, pretrained, load as typedLoad } from '../../bindings/index.node.js';
import { networkNames } from '../../models/index.js';
import { failure } from '../support/weight-files.js';

type Any = (...args: readonly unknown[]) => Promise<unknown>;

/** As from JavaScript, where no compiler looks at arguments. */
const load = typedLoad as unknown as Any;
const weights = { seed: 1 };
const network = 'resnet20_cifar';
const model = await typedLoad(network, { weights, threads: 1 });
test.after(() => model.dispose());

const picture = { data: new Uint8Array(32 * 32 * 3), width: 32, height: 32, channels: 3 };
const data = new Float32Array(3 * 32 * 32);
const call = (method: 'classify' | 'cam' | 'analyse' | 'featureMap' | 'run' | 'embed', ...args: readonly unknown[]) =>
  (model[method] as unknown as Any).call(model, ...args);

const cases: readonly (readonly [what: string, action: () => Promise<unknown>, message: string | RegExp])[] = [
  ['load()', () => load(), /^weights: expected a path, URL, .+, got undefined\.$/],
  ['options null', () => load(network, null), 'resnet20_cifar: expected an object of options, got null.'],
  ['options 5', () => load(network, 5), 'resnet20_cifar: expected an object of options, got 5.'],
  ['an unknown option', () => load(network, { weights, wieghts: 1 }), /got wieghts; the closest is weights\.$/],
  [
    'a signal of one’s own',
    () => load(network, { weights, signal: { aborted: false } }),
    'signal: expected an AbortSignal, got an object.',
  ],
  [
    'labels as a text',
    () => load(network, { weights, labels: 'abcdefghij' }),
    'labels: expected a list of texts, got "abcdefghij".',
  ],
  ['labels as numbers', () => load(network, { weights, labels: [1] }), 'labels: expected a list of texts, got [1].'],
  ['a prefix of numbers', () => load(network, { weights, prefix: 5 }), 'prefix: expected a text, got 5.'],
  [
    'weights as a function',
    () => load(network, { weights: () => 1 }),
    /^weights: expected a path, .+, got a function\.$/,
  ],
  ['classify with null', () => call('classify', picture, null), 'classify: expected an object of options, got null.'],
  [
    'topk',
    () => call('classify', picture, { topk: 2 }),
    'classify: expected options among topK, signal, got topk; the closest is topK.',
  ],
  [
    'topK as a symbol',
    () => call('classify', picture, { topK: Symbol('a') }),
    'topK: expected a whole number from 1, got Symbol(a).',
  ],
  ['classes 3', () => call('cam', picture, { classes: 3 }), 'classes: expected a list of whole numbers, got 3.'],
  ['cam 5', () => call('analyse', picture, { cam: 5 }), 'cam: expected an object of options, got 5.'],
  [
    'an option of cam',
    () => call('analyse', picture, { cam: { class: [3] } }),
    'cam: expected options among classes, got class; the closest is classes.',
  ],
  ['one layer', () => call('analyse', picture, { layers: 'fc' }), 'layers: expected a list of texts, got "fc".'],
  [
    'a layer that is none',
    () => call('featureMap', picture, Symbol('x')),
    /^layer: expected the name of a node of resnet20_cifar, got Symbol\(x\);/,
  ],
  ['run()', () => call('run'), 'input: expected {data, shape, layout}, got undefined.'],
  ['run of values', () => call('run', data), 'input: expected {data, shape, layout}, got a Float32Array.'],
  [
    'a shape as a text',
    () => call('run', { data, shape: '1,3,32,32', layout: 'NCHW' }),
    'input: expected shape [N, 3, 32, 32] (NCHW), got "1,3,32,32".',
  ],
  [
    'no shape',
    () => call('run', { data, shape: null, layout: 'NCHW' }),
    'input: expected shape [N, 3, 32, 32] (NCHW), got null.',
  ],
  [
    'a long shape',
    () => call('run', { data, shape: Array(99).fill(1), layout: 'NCHW' }),
    /got \[1, 1, 1, 1, 1, 1, 1, 1, …\]\.$/,
  ],
  [
    'a layout as a symbol',
    () => call('run', { data, shape: [1], layout: Symbol('a') }),
    'layout: expected NCHW or NHWC, got Symbol(a).',
  ],
  [
    'a list of values',
    () => call('run', { data: [1], shape: [1, 3, 32, 32], layout: 'NCHW' }),
    'input: expected a Float32Array of 3072 values, got [1].',
  ],
  ['no tensors', async () => fromTensors(null as never), 'tensors: expected a list of {name, shape, data}, got null.'],
  [
    'a tensor that is none',
    async () => fromTensors([null as never]),
    'tensors: expected {name, shape, data} each, got null.',
  ],
];

for (const [what, action, message] of cases) {
  test(`${what} is told`, async () => {
    const told = await failure(action());
    if (typeof message === 'string') assert.is(told, message);
    else assert.match(told, message);
  });
}

test('names without weights are told, with those that have some', async () => {
  const sets = pretrained();
  assert.ok(sets.length > 25);
  const none = await failure(load(network));
  assert.is(
    none,
    `resnet20_cifar: expected weights (a path, URL, Response, Blob, stream or bytes), got none; there are pretrained ones of ${sets.join(', ')}.`,
  );
  const unknown = await failure(load('resnet27'));
  for (const name of [...networkNames(), ...sets]) assert.ok(unknown.includes(name), name);
  assert.match(unknown, /^network: expected one of .+, got resnet27; the closest is resnet\d\d\.$/);
  assert.match(
    await failure(load('resnet50.tv3_in1k')),
    /got resnet50\.tv3_in1k; the closest is resnet50\.tv2?_in1k\.$/,
  );
});

test('pretrained weights of another number of classes are refused by what was given', async () => {
  const set = pretrained.describe('resnet18');
  assert.is(
    await failure(load('resnet18', { weights: { set, path: 'none', labels: [] }, classes: 10 })),
    'resnet18: expected the 1000 classes of its pretrained weights, got 10; other numbers need weights of your own.',
  );
});

test('a network of another size classifies', async () => {
  using large = await typedLoad(network, { weights, size: [40, 48], threads: 1 });
  assert.is((await large.classify({ ...picture, channels: 3 })).length, 5);
});

test('paths that are none are told by name, and not whole if they are long', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'arguments-'));
  try {
    assert.is(await failure(openWeights(folder)), `${folder}: expected a file, got a folder.`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const base64 = 'iVBORw0KGgo'.repeat(1000);
  for (const path of [base64, `/9j/${base64}`, './none.pth']) {
    const message = await failure(openWeights(path));
    assert.ok(message.length < 300, message);
    assert.match(message, /: no such file\.$/);
    assert.ok(message.startsWith(path.slice(0, 200)));
  }
  const url = `data:image/png;base64,${Buffer.from('\x89PNG\r\n\x1a\n'.repeat(99), 'latin1').toString('base64')}`;
  assert.match(await failure(openWeights(url)), /^weights: expected safetensors, .+, got a picture\.$/);
});

test.run();
