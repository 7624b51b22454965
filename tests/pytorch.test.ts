import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../bindings/weights/index.js';
import {
  call,
  descriptor,
  dictionary,
  type Entry,
  global,
  HAS_DESCRIPTOR,
  int,
  le,
  legacyFile,
  list,
  MARK,
  NONE,
  op,
  persistent,
  pickle,
  storage,
  tensor,
  text,
  tuple,
  zipFile,
} from './pickles.js';
import { concat, failure, hostileChunks, pattern, readAll, u64, utf8 } from './weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

const data = (name: string): Bytes => new Uint8Array(readFileSync(new URL(`data/pth/${name}`, import.meta.url)));

const read = async (source: Uint8Array | AsyncIterable<Uint8Array>) => readAll(await openWeights(source));

const byName = (entries: Awaited<ReturnType<typeof readAll>>) => entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));

for (const name of ['state_dict', 'protocol4', 'checkpoint', 'types', 'views']) {
  for (const form of ['pt', 'legacy.pt']) {
    test(`${name}.${form}, as PyTorch wrote it, holds the values of ${name}.safetensors`, async () => {
      const expected = byName(await read(data(`${name}.safetensors`)));
      const bytes = data(`${name}.${form}`);
      for (const source of [bytes, hostileChunks(bytes, [1]), hostileChunks(bytes, [97, 5, 300])]) {
        const file = await openWeights(source);
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

test('names lose what wraps them, and what is beside the state_dict is metadata', async () => {
  const file = await openWeights(data('checkpoint.pt'));
  assert.equal(file.metadata, { epoch: '7', arch: 'small', best_prec1: '91.75' });
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

test('a whole model is refused by the name of its code', async () => {
  assert.is(
    await failure(openWeights(data('whole_model.pt'))),
    'weights: data.pkl: expected tensors in dictionaries, as of model.state_dict(), ' +
      'got torch.nn.modules.container.Sequential, which is not run.',
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

const values = pattern(400);
const conv = storage('0', 100);

const legacy = (value: Bytes, keys = [text('0')], storages: [number, Bytes][] = [[100, values]]) =>
  legacyFile({ value, keys, storages });

const one = (of: Bytes, name = 'a') => dictionary({ [name]: of });

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
  assert.ok(got.every((value, i) => value === (i % rows) * columns + Math.floor(i / rows)));
});

/** [the fault, the state_dict, what the message ends with] */
const tensors: [string, Bytes, string | RegExp][] = [
  [
    'a place beyond the storage',
    tensor(conv, 1, [100], [1]),
    'a: expected a place in its storage of 100 values, got 100.',
  ],
  [
    'a stride beyond it',
    tensor(conv, 0, [2, 2], [100, 1]),
    'a: expected a place in its storage of 100 values, got 101.',
  ],
  [
    'an expanded tensor',
    tensor(conv, 0, [1000, 1000], [0, 0]),
    'a: expected every value once, got shape [1000, 1000] with strides [0, 0] in 100 values.',
  ],
  [
    'windows over the storage',
    tensor(conv, 0, [50, 51], [1, 1]),
    'a: expected every value once, got shape [50, 51] with strides [1, 1] in 100 values.',
  ],
  [
    'a shape below zero',
    tensor(conv, 0, [-1], [1]),
    'weights: expected a tensor (storage, offset, shape, stride), got 0, [-1], [1].',
  ],
  [
    'too few strides',
    tensor(conv, 0, [1, 1], [1]),
    'weights: expected a tensor (storage, offset, shape, stride), got 0, [1, 1], [1].',
  ],
  [
    'a tensor of no storage',
    tensor(NONE, 0, [1], [1]),
    'weights: expected a tensor (storage, offset, shape, stride), got 0, [1], [1].',
  ],
  [
    'whole numbers',
    tensor(storage('0', 50, 'LongStorage'), 0, [50], [1]),
    'a: expected values of floating point, got a LongStorage.',
  ],
  [
    'an unknown storage',
    tensor(storage('0', 50, 'QInt8Storage'), 0, [50], [1]),
    'weights: expected tensors in dictionaries, as of model.state_dict(), got torch.QInt8Storage, which is not run.',
  ],
  [
    'a storage of two sizes',
    concat(call(global('torch._utils', '_rebuild_parameter'), storage('0', 3)), op(0x30), tensor(conv, 0, [1], [1])),
    'weights: expected one count and type of storage 0, got 3 in a FloatStorage and 100 in a FloatStorage.',
  ],
  [
    'a part of a storage',
    persistent(
      tuple(text('storage'), global('torch', 'FloatStorage'), text('0'), text('cpu'), int(1), tuple(text('1'))),
    ),
    'weights: expected a storage (kind, type, key, place, count), got ["storage", …, "0", "cpu", 1, …].',
  ],
  [
    'a module',
    persistent(tuple(text('module'), text('code'))),
    /^weights: expected a storage .+, got \["module", "code"\]\.$/,
  ],
  ['no id', persistent(NONE), 'weights: expected a storage (kind, type, key, place, count), got null.'],
];

for (const [fault, of, expected] of tensors) {
  test(`a tensor with ${fault} is refused`, async () => {
    const message = await failure(openWeights(legacy(one(of))));
    if (typeof expected === 'string') assert.is(message, expected);
    else assert.match(message, expected);
  });
}

test('tensors that share a storage more often than any network does are refused', async () => {
  const names = Array.from({ length: 17 }, (_, i) => `t${i}`);
  const shared = (count: number) =>
    legacy(dictionary(Object.fromEntries(names.slice(0, count).map((name) => [name, tensor(conv, 0, [100], [1])]))));
  assert.is((await read(shared(16))).length, 16);
  const message = await failure(openWeights(shared(17)));
  assert.is(message, 'storage 0: expected tensors of at most 16 times the 100 values, got 1700.');
});

const good = tensor(conv, 0, [100], [1]);

/** [what is in the pickle, its value, the whole message or its form] */
const pickles: [string, Bytes, string | RegExp][] = [
  ['no state_dict: a number', int(3), 'weights: expected a state_dict, got no dictionary.'],
  ['no state_dict: a tensor', good, 'weights: expected a state_dict, got a tensor.'],
  [
    'no state_dict: other things',
    dictionary({ epoch: int(1), optimizer: list() }),
    'weights: expected a state_dict, got a dictionary of ["epoch", "optimizer"] without tensors.',
  ],
  [
    'wrappers in wrappers in wrappers',
    one(one(one(one(one(good, 'a'), 'model'), 'model'), 'model'), 'model'),
    /expected a state_dict, got a dictionary of \["model"\] without tensors\.$/,
  ],
  [
    'a key twice',
    concat(op(0x7d), MARK, text('a'), good, text('a'), good, op(0x75)),
    /expected every key once, got "a" twice\.$/,
  ],
  [
    'names that become one',
    dictionary({ 'linear.bias': good, 'fc.bias': good }),
    'fc.bias: expected one tensor, got "linear.bias" and "fc.bias".',
  ],
  [
    'a pair twice in an OrderedDict',
    call(global('collections', 'OrderedDict'), list(list(text('a'), good), list(text('a'), good))),
    /expected pairs of different keys, got \["a", …\]\.$/,
  ],
  ['a call to run', call(global('os', 'system'), text('true')), /got os\.system, which is not run\.$/],
  [
    'a call of what is no function',
    call(text('os.system'), text('true')),
    /expected a function .+, got "os\.system" and a list\.$/,
  ],
  [
    'a call of a type',
    call(global('torch', 'FloatStorage'), int(1)),
    /expected a function .+, got FloatStorage and a list\.$/,
  ],
  ['a name on the stack', concat(text('posix'), text('system'), op(0x93)), /got posix\.system, which is not run\.$/],
  ['a name that is a list', concat(list(), list(), op(0x93)), /expected a module and a name, got a list and a list\.$/],
  ['an endless name', utf8(`c${'x'.repeat(300)}`), /expected names of at most 256 bytes, got one longer\.$/],
  [
    'an instance',
    concat(global('collections', 'OrderedDict'), tuple(), op(0x81)),
    /expected an opcode .+, got 0x81\.$/,
  ],
  ['an extension', op(0x82, 1), /expected an opcode .+, got 0x82\.$/],
  ['a pop of nothing', op(0x30), /expected a value on the stack, got none\.$/],
  ['a pop across a mark', concat(int(1), MARK, op(0x30)), /expected a value on the stack, got none\.$/],
  ['a tuple without a mark', op(0x74), /expected a mark on the stack, got none\.$/],
  ['two values', concat(int(1), int(2)), /expected one value at its end, got 2\.$/],
  ['a memo that was not kept', op(0x68, 7), /expected to recall what was kept, got number 7, which was not\.$/],
  [
    'items for a list',
    concat(list(), MARK, text('a'), int(1), op(0x75)),
    /expected a dictionary to put items into, got a list\.$/,
  ],
  [
    'an odd number of items',
    concat(op(0x7d), MARK, text('a'), op(0x75)),
    /expected keys and values in pairs, got 1 of them\.$/,
  ],
  [
    'appending to a dictionary',
    concat(op(0x7d), int(1), op(0x61)),
    /expected a list to append to, got a dictionary\.$/,
  ],
  [
    'attributes of a list',
    concat(list(), op(0x7d), op(0x62)),
    /expected attributes of a dictionary, got those of a list\.$/,
  ],
  [
    'a number of 300 bytes',
    concat(op(0x8b), le(300, 4), pattern(300)),
    /expected whole numbers of at most 16 bytes, got one of 300\.$/,
  ],
  ['a text longer than allowed', concat(op(0x58), le(2 ** 32 - 1, 4)), /expected at most 16777216 bytes, got more\.$/],
  ['a text longer than the file', concat(op(0x58), le(1e6, 4)), /expected its end, got the file's, \d+ bytes in\.$/],
  ['protocol 9', op(0x80, 9), /expected protocol 2 to 5, got 9\.$/],
];

for (const [what, value, expected] of pickles) {
  test(`a pickle with ${what} is refused`, async () => {
    const message = await failure(openWeights(legacy(value)));
    if (typeof expected === 'string') assert.is(message, expected);
    else assert.match(message, expected);
  });
}

test('bombs: lists in lists, a list in itself, a million opcodes, dictionaries by the thousand', async () => {
  const heap = process.memoryUsage().arrayBuffers;
  // Each list holds the one before it twice: 2^1000 at the end, if they were walked.
  const doubled = (i: number) => concat(op(0x71, i % 250), op(0x5d, 0x28), op(0x68, i % 250, 0x68, i % 250, 0x65));
  const laughs = concat(MARK, list(int(1)), ...Array.from({ length: 1000 }, (_, i) => doubled(i)));
  assert.match(
    await failure(openWeights(legacy(concat(laughs, op(0x74))))),
    /expected a state_dict, got no dictionary\.$/,
  );
  const nested = concat(new Uint8Array(100_000).fill(0x5d), new Uint8Array(99_999).fill(0x61));
  assert.match(await failure(openWeights(legacy(one(nested)))), /expected a state_dict, got a dictionary of \["a"\]/);
  const cycle = concat(op(0x5d, 0x71, 1, 0x68, 1, 0x61));
  assert.match(await failure(openWeights(legacy(cycle))), /expected a state_dict, got no dictionary\.$/);
  assert.match(await failure(openWeights(legacy(call(global('torch', 'Size'), cycle)))), /got no dictionary\.$/);
  const ring = concat(op(0x7d, 0x71, 1), text('model'), op(0x68, 1, 0x73));
  assert.match(await failure(openWeights(legacy(ring))), /got a dictionary of \["model"\] without tensors\.$/);
  const many = new Uint8Array(1_000_000).fill(0x7d);
  assert.match(await failure(openWeights(legacy(many))), /expected at most 500000 opcodes, got more\.$/);
  assert.ok(process.memoryUsage().arrayBuffers - heap < 50e6);
});

test('the form before 1.6: another protocol, keys that do not fit, counts that lie', async () => {
  const of = (parts: Partial<Parameters<typeof legacyFile>[0]>) =>
    failure(read(legacyFile({ value: one(good), keys: [text('0')], storages: [[100, values]], ...parts })));
  assert.is(await of({ protocol: 7 }), 'weights: expected protocol 1001, got 7.');
  assert.is(await of({ keys: [] }), 'weights: expected the keys of 1 storages, got [].');
  assert.is(await of({ keys: [text('0'), text('0')] }), 'weights: expected the keys of 1 storages, got ["0", "0"].');
  assert.is(await of({ keys: [text('1')] }), 'weights: expected the keys of 1 storages, got ["1"].');
  assert.is(await of({ keys: [list()] }), 'weights: expected the keys of 1 storages, got […].');
  assert.is(await of({ storages: [[99, values]] }), 'weights: expected 100 values of storage 0, got 99.');
  assert.is(await of({ storages: [[-1 >>> 0, values]] }), 'weights: expected 100 values of storage 0, got 4294967295.');
  assert.match(
    await of({ storages: [[100, values.slice(1)]] }),
    /^weights: expected \d+ bytes as its pickles say, got \d+\.$/,
  );
});

test('a size that is only claimed takes no memory', async () => {
  const heap = process.memoryUsage().arrayBuffers;
  const count = 2 ** 31 - 1;
  const huge = one(tensor(storage('0', count), 0, [2, 3], [1, 2]));
  const file = legacy(huge, [text('0')], [[count, values]]);
  assert.match(await failure(openWeights(file)), /^weights: expected \d+ bytes as its pickles say/);
  assert.match(
    await failure(read(hostileChunks(file, [50]))),
    /^weights: expected \d+ bytes of storage 0, got fewer\.$/,
  );
  assert.ok(process.memoryUsage().arrayBuffers - heap < 10e6);
});

const entry = (name: string, content: Bytes, rest: Partial<Entry> = {}): Entry => ({
  name: `a/${name}`,
  data: content,
  ...rest,
});
const pkl = entry('data.pkl', pickle(one(good)));
const zero = entry('data/0', values);
const unused = entry('data/7', concat(descriptor(3), pattern(70_000)));
const version = entry('version', utf8('3\n'));

test('archives: sizes in headers or behind, of 32 or 64 bits, other entries, a comment', async () => {
  const expected = [{ name: 'a', dtype: 'F32', shape: [100], bytes: values }];
  const behind = (of: Entry, width: 4 | 8): Entry => ({
    ...of,
    flags: HAS_DESCRIPTOR,
    bytes: 0,
    descriptor: descriptor(of.data.length, width),
    central: { bytes: of.data.length },
  });
  const wide = (of: Entry): Entry => ({
    ...of,
    bytes: 0xffffffff,
    extra: concat(le(0x4246, 2), le(2, 2), pattern(2), le(1, 2), le(16, 2), u64(of.data.length), u64(of.data.length)),
    central: { bytes: of.data.length },
  });
  const empty = entry('empty', op(), { flags: HAS_DESCRIPTOR });
  const confusing = behind(entry('odd', concat(descriptor(99), utf8('PK'), op(7, 8))), 4);
  for (const entries of [
    [pkl, zero, version],
    [pkl, zero],
    [behind(pkl, 4), behind(zero, 4), behind(version, 4)],
    [behind(pkl, 8), behind(zero, 8), behind(version, 8)],
    [wide(pkl), wide(zero), version],
    [pkl, version, empty, confusing, zero, unused, empty],
  ]) {
    const named = entries.map((of, i) => (of === empty ? { ...of, name: `a/empty${i}` } : of));
    assert.equal(await read(hostileChunks(zipFile(named, 'a comment'), [11])), expected);
  }
});

/** [the fault, entries, the whole message or its form] */
const archives: [string, Entry[], string | RegExp][] = [
  ['no entries', [], /^weights: expected safetensors, .+, got something else\.$/],
  [
    'other entries',
    [{ name: 'weights.npy', data: values }],
    'weights: expected a ZIP archive of PyTorch, which begins with data.pkl, got one that begins with "weights.npy".',
  ],
  [
    'an encrypted entry',
    [{ ...pkl, flags: 1 }],
    'weights: a/data.pkl: expected an entry as it is, got an encrypted one.',
  ],
  [
    'a pickle that ends early',
    [{ ...pkl, data: concat(pkl.data, op(0)) }],
    /^weights: a\/data\.pkl: expected \d+ bytes, got \d+ in its header\.$/,
  ],
  ['a lying header', [pkl, { ...zero, bytes: 396 }], 'weights: data/0: expected 400 bytes, got 396.'],
  ['a storage missing', [pkl, unused], 'weights: expected storage 0, got no such entry.'],
  [
    'a storage twice',
    [pkl, zero, zero],
    "weights: data/0: expected storages once, in torch.save's order, got another.",
  ],
  [
    'a lying descriptor',
    [pkl, { ...zero, flags: HAS_DESCRIPTOR, bytes: 0, descriptor: descriptor(399) }],
    'weights: a/data/0: expected 400 bytes, as its data descriptor says, got another number or none.',
  ],
  [
    'a descriptor missing',
    [pkl, { ...zero, flags: HAS_DESCRIPTOR, bytes: 0 }],
    'weights: a/data/0: expected 400 bytes, as its data descriptor says, got another number or none.',
  ],
  [
    'an end that is not found',
    [pkl, unused, { ...version, flags: HAS_DESCRIPTOR, bytes: 0 }],
    'weights: a/version: expected its end in 65536 bytes, got none.',
  ],
  [
    'another size in the directory',
    [pkl, { ...zero, central: { bytes: 4 } }],
    /^weights: a\/data\/0: expected the central directory to agree with the entries, got 4 bytes at \d+, \d+ bytes in\.$/,
  ],
  [
    'another name there',
    [pkl, { ...zero, central: { name: 'a/data/1' } }],
    /^weights: a\/data\/1: expected the central directory to agree/,
  ],
  [
    'another place there',
    [pkl, { ...zero, central: { at: 0 } }],
    /^weights: a\/data\/0: expected the central directory to agree/,
  ],
  [
    'no mention there',
    [pkl, { ...zero, central: undefined }],
    'weights: a/data/0: expected to be in the central directory, got no mention there.',
  ],
  [
    'a byte order of its own',
    [pkl, entry('byteorder', utf8('mixed')), zero],
    'weights: byteorder: expected little or big, got "mixed".',
  ],
  [
    'a byte order too long',
    [pkl, entry('byteorder', pattern(17)), zero],
    'weights: a/byteorder: expected at most 16 bytes, got 17.',
  ],
  [
    'a byte order too late',
    [pkl, zero, entry('byteorder', utf8('big'))],
    'weights: expected byteorder before storages, got it after.',
  ],
  [
    'less than its pickle says',
    [{ ...pkl, data: pickle(one(tensor(storage('0', 1e6), 0, [1], [1]))) }, zero],
    /^weights: expected 4000000 bytes of storages, got \d+\.$/,
  ],
];

for (const [fault, entries, expected] of archives) {
  test(`an archive with ${fault} is refused`, async () => {
    const message = await failure(read(zipFile(entries)));
    if (typeof expected === 'string') assert.is(message, expected);
    else assert.match(message, expected);
  });
}

test('storages in another order than torch.save has are refused', async () => {
  const two = dictionary({
    a: good,
    b: tensor(storage('10', 2), 0, [2], [1]),
    c: tensor(storage('2', 1), 0, [1], [1]),
  });
  const entries = [entry('data.pkl', pickle(two)), zero, entry('data/10', pattern(8)), entry('data/2', pattern(4))];
  assert.equal(
    (await read(zipFile(entries))).map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  const message = await failure(read(zipFile([...entries.slice(0, 2), ...entries.slice(2).reverse()])));
  assert.is(message, "weights: data/2: expected storages once, in torch.save's order, got another.");
});

test.run();
