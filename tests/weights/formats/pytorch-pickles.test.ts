/** PyTorch files whose pickles say what cannot be, or what no state_dict needs. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../../bindings/weights/open.js';
import {
  call,
  conv,
  dictionary,
  global,
  good,
  int,
  le,
  legacy,
  legacyFile,
  list,
  MARK,
  NONE,
  one,
  op,
  persistent,
  storage,
  tensor,
  text,
  tuple,
  values,
} from '../../support/pickles.js';
import { concat, failure, hostileChunks, pattern, read, utf8 } from '../../support/weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

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
  ['a memo that was not kept', op(0x68, 7), /expected the number of a value that was kept, got 7\.$/],
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

test.run();
