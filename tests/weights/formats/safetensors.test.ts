import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkTensors, openWeights } from '../../../bindings/weights/open.js';
import { buildNetwork, parameters } from '../../../models/index.js';
import { property } from '../../support/property.js';
import {
  concat,
  type Entry,
  failure,
  hostileChunks,
  pattern,
  rawSafetensors,
  readAll,
  safetensorsFile,
  u64,
  utf8,
} from '../../support/weight-files.js';

const f32 = (name: string, shape: number[], seed = 0): Entry => ({
  name,
  dtype: 'F32',
  shape,
  bytes: pattern(4 * shape.reduce((product, n) => product * n, 1), seed),
});

const one = (begin: number, end: number, rest: object = {}) => ({
  dtype: 'F32',
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
  ...rest,
});

test('safetensors: tensors in file order, metadata, scalars, empty tensors, 16-bit floats', async () => {
  const entries: Entry[] = [
    f32('b', [2, 3], 1),
    { name: 'half', dtype: 'F16', shape: [3], bytes: pattern(6, 2) },
    { name: 'brain', dtype: 'BF16', shape: [1, 1, 5], bytes: pattern(10, 3) },
    f32('a.scalar', [], 4),
    f32('empty', [0, 7], 5),
  ];
  const file = await openWeights(safetensorsFile(entries, { format: 'pt' }));
  assert.is(file.format, 'safetensors');
  assert.equal(file.metadata, { format: 'pt' });
  assert.equal(file.config, {});
  assert.is(file.total, 24 + 6 + 10 + 4);
  assert.equal(
    file.tensors,
    entries.map(({ name, dtype, shape }) => ({ name, dtype, shape, order: 'OI' })),
  );
  assert.equal(await readAll(file), entries.slice(0, 4));
});

test('safetensors: num_batches_tracked is passed over, whatever its type', async () => {
  const entries = [
    f32('bn1.weight', [2]),
    { name: 'bn1.num_batches_tracked', dtype: 'I64', shape: [], bytes: pattern(8) },
    f32('bn1.bias', [2], 1),
    f32('bn2.num_batches_tracked', []),
    { name: 'bn3.num_batches_tracked', dtype: 'F8_NEW', shape: [3], bytes: pattern(3) },
  ];
  const file = await openWeights(safetensorsFile(entries));
  assert.is(file.total, 16);
  assert.equal(await readAll(file), [entries[0], entries[2]]);
});

test('safetensors: a header padded with spaces, names with escapes and __proto__', async () => {
  const header = `{"__proto__":${JSON.stringify(one(0, 4))},"a\\"}\\u007b:" :${JSON.stringify(one(4, 8))}}   `;
  const file = await openWeights(rawSafetensors(header, pattern(8)));
  assert.equal(
    (await readAll(file)).map(({ name }) => name),
    ['__proto__', 'a"}{:'],
  );
});

test('safetensors: any tensors in any chunks come back', async () => {
  const tensor = fc.record({
    name: fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
    dtype: fc.constantFrom('F32', 'F16', 'BF16'),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    seed: fc.nat(255),
  });
  const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
  const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });
  const metadatas = fc.dictionary(fc.string(), fc.string());
  await property(
    fc.tuple(tensors, sizes, metadatas),
    async ([list, chunks, metadata]) => {
      const entries = list.map(({ name, dtype, shape, seed }) => {
        const bytes = shape.reduce((product, n) => product * n, dtype === 'F32' ? 4 : 2);
        return { name, dtype, shape, bytes: pattern(bytes, seed) };
      });
      const file = await openWeights(hostileChunks(safetensorsFile(entries, metadata), chunks));
      assert.equal(new Set(file.tensors.map(({ name }) => name)), new Set(entries.map(({ name }) => name)));
      assert.equal(Object.entries(file.metadata), Object.entries(metadata));
      const read = await readAll(file);
      assert.equal(
        read,
        entries.filter(({ bytes }) => bytes.length > 0),
      );
    },
    { runs: 200 },
  );
});

const whole = safetensorsFile([f32('conv1.weight', [4, 2, 3, 3]), f32('fc.weight', [5, 4], 1)]);

test('safetensors: a truncated file, or one that goes on, is refused at once where the size is known', async () => {
  for (let length = 9; length < whole.length; length++) {
    const message = await failure(openWeights(whole.subarray(0, length)));
    assert.match(message, /^weights: expected /);
  }
  assert.is(
    await failure(openWeights(whole.subarray(0, whole.length - 1))),
    `weights: expected ${whole.length} bytes as its header says, got ${whole.length - 1}.`,
  );
  assert.is(
    await failure(openWeights(concat(whole, pattern(3)))),
    `weights: expected ${whole.length} bytes as its header says, got ${whole.length + 3}.`,
  );
});

test('safetensors: a truncated stream, or one that goes on, is refused at its end', async () => {
  const read = async (bytes: Uint8Array) => readAll(await openWeights(hostileChunks(bytes, [11])));
  for (let length = 9; length < whole.length; length++) await failure(read(whole.subarray(0, length)));
  assert.is(
    await failure(read(whole.subarray(0, whole.length - 1))),
    `weights: expected ${whole.length} bytes, got ${whole.length - 1}.`,
  );
  assert.is(await failure(read(concat(whole, pattern(1)))), `weights: expected ${whole.length} bytes, got more.`);
});

test('safetensors: a header longer than allowed or than the file', async () => {
  const rest = utf8('{"a":1}');
  for (const length of [100_000_001n, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n]) {
    const message = await failure(openWeights(concat(u64(length), rest)));
    assert.is(message, `weights: expected a header of at most 100000000 bytes, got one of ${length}.`);
  }
  assert.is(
    await failure(openWeights(concat(u64(99_999_999), rest))),
    "weights: expected a header of at most the file's 7 bytes, got one of 99999999.",
  );
  const heap = process.memoryUsage().arrayBuffers;
  const short = openWeights(hostileChunks(concat(u64(99_999_999), rest), [4]));
  assert.is(await failure(short), 'weights: expected a header of 99999999 bytes, got 7.');
  assert.ok(process.memoryUsage().arrayBuffers - heap < 10e6, 'a length that was only claimed took memory');
});

/** [the fault, header, bytes of data, message] */
const headers: [string, unknown, number, string | RegExp][] = [
  ['not JSON', '{"a": nonsense', 0, /^weights: header: expected JSON, got 14 bytes that are not \(.+\)\.$/],
  ['entry null', { a: null }, 0, 'a: expected {dtype, shape, data_offsets} in the header, got null.'],
  ['entry array', { a: [1, 'x'] }, 0, 'a: expected {dtype, shape, data_offsets} in the header, got [1, "x"].'],
  ['dtype missing', { a: one(0, 4, { dtype: undefined }) }, 4, 'a: expected F64, F32, F16 or BF16, got undefined.'],
  ['dtype I65', { 'a.w': one(0, 8, { dtype: 'I65' }) }, 8, 'a.w: expected F64, F32, F16 or BF16, got "I65".'],
  ['dtype of Object', { a: one(0, 4, { dtype: 'toString' }) }, 4, 'a: expected F64, F32, F16 or BF16, got "toString".'],
  [
    'counter without a type',
    { 'a.num_batches_tracked': one(0, 8, { dtype: 3 }) },
    8,
    'a.num_batches_tracked: expected F64, F32, F16 or BF16, got 3.',
  ],
  ['shape text', { a: one(0, 4, { shape: '1' }) }, 4, 'a: expected a shape of whole numbers from 0, got "1".'],
  ['shape part', { a: one(0, 4, { shape: [1.5] }) }, 4, 'a: expected a shape of whole numbers from 0, got [1.5].'],
  ['shape below 0', { a: one(0, 4, { shape: [-1, -1] }) }, 4, /^a: expected a shape of .+, got \[-1, -1\]\.$/],
  ['shape nested', { a: one(0, 4, { shape: [[1]] }) }, 4, 'a: expected a shape of whole numbers from 0, got […].'],
  [
    'shape overflow',
    { a: one(0, 4, { shape: [2 ** 30, 2 ** 30, 4] }) },
    4,
    'a: expected a shape of at most 2^53 bytes, got [1073741824, 1073741824, 4].',
  ],
  [
    'shape infinite',
    '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}',
    4,
    /^a: expected .+ got \[Infinity\]/,
  ],
  ['bytes too few', { a: one(0, 4, { shape: [2] }) }, 4, 'a: expected 8 bytes of F32 [2], got 4.'],
  ['bytes too many', { a: one(0, 8, { dtype: 'F16', shape: [2] }) }, 8, 'a: expected 4 bytes of F16 [2], got 8.'],
  ['offsets missing', { a: { dtype: 'F32', shape: [1] } }, 4, /^a: expected data_offsets .+, got undefined\.$/],
  ['offsets below 0', { a: one(-4, 0) }, 4, /^a: expected data_offsets .+, got \[-4, 0\]\.$/],
  [
    'offsets part',
    { a: one(0, 4, { data_offsets: [0.5, 4.5] }) },
    5,
    /^a: expected data_offsets .+ got \[0.5, 4.5\]\.$/,
  ],
  ['offsets swapped', { a: one(0, 4, { data_offsets: [4, 0] }) }, 4, /^a: expected data_offsets .+ got \[4, 0\]\.$/],
  [
    'offsets three',
    { a: one(0, 4, { data_offsets: [0, 2, 4] }) },
    4,
    /^a: expected data_offsets .+ got \[0, 2, 4\]\.$/,
  ],
  [
    'offsets huge',
    { a: one(0, 4, { data_offsets: [0, 2 ** 53] }) },
    4,
    'a: expected data_offsets [begin, end] of whole numbers from 0, got [0, 9007199254740992].',
  ],
  ['overlap', { a: one(0, 8), b: one(4, 12) }, 12, 'b: expected data of weights to begin at 8, got 4, an overlap.'],
  [
    'the same place',
    { a: one(0, 8), b: one(0, 8) },
    8,
    'b: expected data of weights to begin at 8, got 0, an overlap.',
  ],
  ['hole', { a: one(0, 4), b: one(8, 12) }, 12, 'b: expected data of weights to begin at 4, got 8, a hole.'],
  ['hole at the start', { a: one(4, 8) }, 8, 'a: expected data of weights to begin at 0, got 4, a hole.'],
  ['leaves the file', { a: one(0, 400) }, 8, /^weights: expected \d+ bytes as its header says, got \d+\.$/],
  ['metadata no object', { __metadata__: 7 }, 0, /^weights: header: expected __metadata__ .+, got 7\.$/],
  [
    'metadata no strings',
    { __metadata__: { a: 1 } },
    0,
    /^weights: header: expected __metadata__ .+, got an object\.$/,
  ],
  [
    'name twice',
    `{"a":${JSON.stringify(one(0, 4))},"b":${JSON.stringify(one(4, 8))},"\\u0061":${JSON.stringify(one(0, 4))}}`,
    8,
    'weights: header: expected every name once, got "a" twice.',
  ],
  [
    'field twice',
    '{"a":{"dtype":"F32","shape":[9],"shape":[1],"data_offsets":[0,4]}}',
    4,
    'weights: header: expected every name once, got "shape" twice.',
  ],
  ['control characters', { 'a\n\0': 1 }, 0, 'a\\n\\u0000: expected {dtype, shape, data_offsets} in the header, got 1.'],
  [`deep nesting`, `{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`, 0, /^a: expected .+ in the header, got \[…\]\.$/],
];

test('safetensors: whole numbers and the like are passed over and named', async () => {
  const types = ['I64', 'U8', 'BOOL', 'F8_E4M3', 'C64'];
  const other = types.map((dtype, i) => [dtype, one(4 + 8 * i, 12 + 8 * i, { dtype })] as const);
  const file = await openWeights(rawSafetensors({ a: one(0, 4), ...Object.fromEntries(other) }, pattern(44)));
  assert.equal(file.selection, { key: '', others: [], skipped: types });
  assert.equal(await readAll(file), [{ name: 'a', dtype: 'F32', shape: [1], bytes: pattern(4) }]);
});

for (const [fault, header, length, expected] of headers) {
  test(`safetensors: ${fault}`, async () => {
    const bytes = rawSafetensors(header, pattern(length));
    for (const source of [bytes, new Blob([bytes])]) {
      const message = await failure(openWeights(source).then(() => {}));
      if (typeof expected === 'string') assert.is(message, expected);
      else assert.match(message, expected);
    }
  });
}

test('safetensors: a very long name makes no very long message', async () => {
  const message = await failure(openWeights(rawSafetensors({ ['x'.repeat(1e6)]: 1 })));
  assert.ok(message.length < 200, message.slice(0, 300));
});

test('safetensors: a header that is no UTF-8', async () => {
  const header = concat(utf8('{"'), Uint8Array.of(0xff), utf8('":1}'));
  const message = await failure(openWeights(concat(u64(header.length), header)));
  assert.match(message, /^weights: header: expected JSON, got 7 bytes that are not/);
});

const either =
  'weights: expected safetensors, PyTorch checkpoint, Keras HDF5 file, ONNX model, index of shards or TensorFlow.js layers model, got';

for (const [what, content, got] of [
  ['nothing', '', 'an empty file'],
  [
    'HTML',
    '\n <!DOCTYPE html><html>{',
    "an HTML or XML page (a server's answer in the file's place; the hub has files under resolve/, not blob/)",
  ],
  ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n', 'a Git LFS pointer'],
  ['text', 'Not Found', 'a text that begins with "Not Found"'],
] as const) {
  test(`not a weight file: ${what}`, async () => {
    const message = await failure(openWeights(utf8(content)));
    assert.ok(message.startsWith(`${either} ${got}`), message);
  });
}

test('not a weight file: a few bytes', async () => {
  assert.is(await failure(openWeights(u64(3))), `${either} something else.`);
});

test('not a weight file: JSON of another kind, also where its ninth byte is a brace', async () => {
  const other = 'weights: expected modelTopology and weightsManifest of a TensorFlow.js model, got other JSON.';
  for (const json of ['{"error":"Not Found"}', '[1]', '{"err1":{}}', '{"err":\n{}}', '\ufeff {"a": {"b": 1}}']) {
    assert.is(await failure(openWeights(utf8(json))), other);
  }
});

test('a weight file is read once, and not after close', async () => {
  const file = await openWeights(whole);
  await readAll(file);
  assert.is(await failure(readAll(file)), 'weights: its tensors can be read only once; open it again.');
  const other = await openWeights(whole);
  await other.close();
  await other.close();
  assert.is(await failure(readAll(other)), 'weights: this source is closed.');
});

test('checkTensors: equal, missing, misshapen, extra', async () => {
  const list = parameters(buildNetwork('resnet20_cifar'));
  const tensors = list.map(({ name, shape }) => ({ name, shape, dtype: 'F32' as const, order: 'OI' as const }));
  const check = (changed: typeof tensors) => failure((async () => checkTensors({ tensors: changed }, list))());
  checkTensors({ tensors }, list);
  checkTensors({ tensors: tensors.toReversed() }, list);

  assert.is(await check(tensors.slice(1)), 'conv1.weight: expected [16, 3, 3, 3], got no such tensor.');
  assert.is(
    await check(tensors.slice(3)),
    'conv1.weight: expected [16, 3, 3, 3], got no such tensor (3 tensors are missing).',
  );
  const reshape = (name: string, shape: number[]) => tensors.map((t) => (t.name === name ? { ...t, shape } : t));
  assert.is(await check(reshape('fc.weight', [100, 64])), 'fc.weight: expected [10, 64], got [100, 64].');
  assert.is(await check(reshape('fc.bias', [])), 'fc.bias: expected [10], got [].');
  assert.is(await check(reshape('fc.bias', [10, 1])), 'fc.bias: expected [10], got [10, 1].');
  const more = { name: 'layer4.0.conv1.weight', shape: [1, 2], dtype: 'F32' as const, order: 'OI' as const };
  assert.is(await check([...tensors, more]), 'layer4.0.conv1.weight: expected no such tensor, got [1, 2].');
});

test.run();
