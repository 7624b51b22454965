/** PyTorch files as torch writes them, and tensors that view their storages in all ways. */

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withNetworkNames } from '../../../bindings/weights/network-names.js';
import { openWeights } from '../../../bindings/weights/open.js';
import { conv, dictionary, legacy, one, op, storage, tensor, text, values } from '../../support/pickles.js';
import { concat, failure, hostileChunks, read, readAll } from '../../support/weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

const data = (name: string): Bytes => new Uint8Array(readFileSync(new URL(`../../data/pth/${name}`, import.meta.url)));

const byName = (entries: Awaited<ReturnType<typeof readAll>>) => entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));

const SAVED = ['state_dict', 'protocol4', 'checkpoint', 'types', 'views', 'beside', 'beside5'];
const FILES = [
  ...SAVED.flatMap((name) => [
    [name, 'pt'],
    [name, 'legacy.pt'],
  ]),
  ['module2', 'pt'],
  ['module5', 'pt'],
] as const;

for (const [name = '', form = ''] of FILES) {
  test(`${name}.${form}, as PyTorch wrote it, holds the values of ${name}.safetensors`, async () => {
    const expected = byName(await readAll(withNetworkNames(await openWeights(data(`${name}.safetensors`)))));
    const bytes = data(`${name}.${form}`);
    for (const source of [bytes, hostileChunks(bytes, [1]), hostileChunks(bytes, [97, 5, 300])]) {
      const file = withNetworkNames(await openWeights(source));
      assert.is(file.format, 'pytorch');
      const entries = await readAll(file);
      assert.equal(byName(entries), expected);
      // In file order, empty ones aside.
      const names = file.tensors.filter(({ shape }) => !shape.includes(0)).map((info) => info.name);
      assert.equal(
        names,
        entries.map((entry) => entry.name),
      );
    }
  });
}

test('a big-endian archive holds the same values', async () => {
  const expected = byName(await read(data('types.safetensors')));
  assert.equal(byName(await read(hostileChunks(data('big_endian.pt'), [3]))), expected);
});

test('float64 is rounded to float32, and the file is said to have it', async () => {
  const { tensors, total } = await openWeights(data('types.pt'));
  const double = tensors.find(({ name }) => name === 'double');
  assert.equal(double, { name: 'double', shape: [2, 2], dtype: 'F32', order: 'OI', stored: 'F64' });
  assert.is(total, 15 * 2 + 7 * 2 + 4 * 4 + 5 * 4);
});

test('what is beside the state_dict is metadata', async () => {
  const file = withNetworkNames(await openWeights(data('checkpoint.pt')), 'resnet20_cifar');
  assert.equal(file.metadata, { epoch: '7', arch: 'small', best_prec1: '91.75' });
  assert.equal(file.selection, { key: 'state_dict', others: [], skipped: ['module.bn1.num_batches_tracked'] });
  const shapes = Object.fromEntries(file.tensors.map(({ name, shape }) => [name, shape]));
  assert.equal(shapes, {
    'conv1.weight': [4, 3, 3, 3],
    'bn1.weight': [4],
    'bn1.bias': [4],
    'bn1.running_mean': [4],
    'bn1.running_var': [4],
    'fc.weight': [11, 4],
    'fc.bias': [11],
  });
});

test('a whole model is read by the attributes of its modules, without its code', async () => {
  const { tensors } = await openWeights(data('whole_model.pt'));
  assert.equal(
    tensors.map(({ name, shape }) => [name, shape]),
    [
      ['0.weight', [2, 2]],
      ['0.bias', [2]],
    ],
  );
});

test('a compressed archive is refused', async () => {
  assert.is(
    await failure(openWeights(data('deflated.pt'))),
    'weights: types/data.pkl: expected a stored entry, as PyTorch writes, got one compressed by method 8.',
  );
});

for (const [name, step] of [
  ['checkpoint.pt', 7],
  ['checkpoint.legacy.pt', 5],
  ['views.pt', 1],
  ['views.legacy.pt', 1],
  ['big_endian.pt', 1],
] as const) {
  test(`${name} cut anywhere, or with more behind it, is refused`, async () => {
    const bytes = data(name);
    for (let length = 20; length < bytes.length; length += step) {
      const cut = bytes.subarray(0, length);
      assert.match(await failure(read(cut)), /^(weights|storage [^:]+): /);
      if (length % 8 === 0) await failure(read(hostileChunks(cut, [64])));
    }
    await failure(read(concat(bytes, op(0))));
    await failure(read(hostileChunks(concat(bytes, op(0)), [64])));
  });
}
test('strides: rows, columns, steps, axes of one value, and gaps', async () => {
  const at = (...places: number[]) => concat(...places.map((place) => values.slice(4 * place, 4 * place + 4)));
  const file = legacy(
    dictionary({
      later: tensor(conv, 90, [2, 2], [2, 1]),
      gap: tensor(conv, 3, [2], [1]),
      columns: tensor(conv, 1, [2, 3], [1, 2]),
      steps: tensor(conv, 0, [2, 1, 2], [50, 77, 9]),
    }),
  );
  const entries = byName(await read(hostileChunks(file, [9])));
  assert.equal(entries, [
    { name: 'columns', dtype: 'F32', shape: [2, 3], bytes: at(1, 3, 5, 2, 4, 6) },
    { name: 'gap', dtype: 'F32', shape: [2], bytes: at(3, 4) },
    { name: 'later', dtype: 'F32', shape: [2, 2], bytes: at(90, 91, 92, 93) },
    { name: 'steps', dtype: 'F32', shape: [2, 1, 2], bytes: at(0, 9, 50, 59) },
  ]);
});

test('a large tensor with strides comes in pieces, and in order', async () => {
  const [rows, columns] = [700, 900];
  const numbers = Float32Array.from({ length: rows * columns }, (_, i) => i);
  const file = legacy(
    one(tensor(storage('0', numbers.length), 0, [columns, rows], [1, columns])),
    [text('0')],
    [[numbers.length, new Uint8Array(numbers.buffer)]],
  );
  const opened = await openWeights(file);
  const got = new Float32Array(numbers.length);
  let filled = 0;
  for await (const { bytes } of opened.pieces()) {
    assert.ok(bytes.length <= 2 ** 20);
    new Uint8Array(got.buffer).set(bytes, filled);
    filled += bytes.length;
  }
  assert.is(filled, got.byteLength);
  assert.ok(got.every((value, i) => value === (i % rows) * columns + Math.floor(i / rows)));
});

test.run();
