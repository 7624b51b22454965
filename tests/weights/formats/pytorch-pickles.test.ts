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
  instance,
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
import { concat, failure, hostileChunks, read, utf8 } from '../../support/weight-files.js';

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
    'a: expected a plain tensor of floating point, got one of offset 0, shape [-1] and strides [1].',
  ],
  [
    'too few strides',
    tensor(conv, 0, [1, 1], [1]),
    'a: expected a plain tensor of floating point, got one of offset 0, shape [1, 1] and strides [1].',
  ],
  [
    'a tensor of no storage',
    tensor(NONE, 0, [1], [1]),
    'a: expected a plain tensor of floating point, got one in null.',
  ],
  [
    'whole numbers alone',
    tensor(storage('0', 50, 'LongStorage'), 0, [50], [1]),
    'weights: expected a state_dict, got a dictionary of ["a"] without tensors of floating point.',
  ],
  [
    'an unknown storage',
    tensor(storage('0', 50, 'OddStorage'), 0, [50], [1]),
    'a: expected a plain tensor of floating point, got values of OddStorage.',
  ],
  [
    'a storage of two sizes',
    concat(call(global('torch._utils', '_rebuild_parameter'), storage('0', 3)), op(0x30), tensor(conv, 0, [1], [1])),
    'weights: expected one count and type of storage 0, got 3 in a FloatStorage and 100 in a FloatStorage.',
  ],
  [
    'a part of a storage',
    tensor(
      persistent(
        tuple(text('storage'), global('torch', 'FloatStorage'), text('0'), text('cpu'), int(1), tuple(text('1'))),
      ),
      0,
      [1],
      [1],
    ),
    'a: expected a plain tensor of floating point, got one in a part of a storage.',
  ],
  [
    'no id',
    tensor(persistent(NONE), 0, [1], [1]),
    'a: expected a plain tensor of floating point, got one in what a persistent id stands for.',
  ],
  [
    'a class of its own',
    call(global('torch._tensor', '_rebuild_from_type_v2'), global('f', 'g'), global('my', 'Tensor'), tuple(), NONE),
    'a: expected a plain tensor of floating point, got a my.Tensor.',
  ],
  [
    'sparse values',
    call(global('torch._utils', '_rebuild_sparse_tensor'), int(1), tuple()),
    'a: expected a plain tensor of floating point, got one that torch._utils._rebuild_sparse_tensor makes.',
  ],
  [
    'float8 values',
    call(
      global('torch._utils', '_rebuild_tensor_v3'),
      storage('0', 4),
      int(0),
      tuple(int(4)),
      tuple(int(1)),
      NONE,
      NONE,
      global('torch', 'float8_e4m3fn'),
    ),
    'a: expected a plain tensor of floating point, got values of torch.float8_e4m3fn.',
  ],
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
  assert.is(message, 'storage 0: expected tensors of at most 16 times its 400 bytes, got 6800.');
});

/** [what is in the pickle, its value, the whole message or its form] */
const pickles: [string, Bytes, string | RegExp][] = [
  ['no state_dict: a number', int(3), 'weights: expected a state_dict, got no dictionary.'],
  ['no state_dict: a tensor', good, 'weights: expected a state_dict, got a tensor alone.'],
  [
    'no state_dict: other things',
    dictionary({ epoch: int(1), optimizer: list() }),
    'weights: expected a state_dict, got a dictionary of ["epoch", "optimizer"] without tensors of floating point.',
  ],
  [
    'dictionaries nine deep',
    Array.from({ length: 9 }).reduce<Bytes>((inner) => one(inner, 'model'), one(good)),
    'weights: expected a state_dict, got a dictionary of ["model"] without tensors of floating point.',
  ],
  [
    'what scikit-learn makes',
    instance('sklearn.linear_model', 'LinearRegression', dictionary({ coef_: list(int(1)) })),
    'weights: expected a state_dict, got sklearn.linear_model.LinearRegression without tensors of floating point.',
  ],
  [
    'buffers that are elsewhere',
    one(op(0x97)),
    'weights: expected all values in the file, got a buffer that is kept elsewhere.',
  ],
  [
    'a storage of an unknown size beside',
    dictionary({ model: one(good), other: storage('1', 3, 'OddStorage') }),
    'weights: expected storages of known types, one after the other, got OddStorage.',
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
  ['an endless name', utf8(`c${'x'.repeat(300)}`), /expected names of at most 256 bytes, got one longer\.$/],
  ['no opcode', op(0xff), /expected an opcode of pickles, got 0xff\.$/],
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
  ['a text longer than allowed', concat(op(0x58), le(2 ** 32 - 1, 4)), /expected at most 67108864 bytes, got more\.$/],
  ['a text longer than the file', concat(op(0x58), le(1e6, 4)), /expected its end, got the file's, \d+ bytes in\.$/],
  ['protocol 9', op(0x80, 9), /expected protocol 0 to 5, got 9\.$/],
];

for (const [what, value, expected] of pickles) {
  test(`a pickle with ${what} is refused`, async () => {
    const message = await failure(
      openWeights(legacy(value, what.includes('beside') ? [text('0'), text('1')] : undefined)),
    );
    if (typeof expected === 'string') assert.is(message, expected);
    else assert.match(message, expected);
  });
}

test('bombs: lists in lists, a list in itself, millions of opcodes, dictionaries by the thousand', async () => {
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
  assert.match(
    await failure(openWeights(legacy(ring))),
    /got a dictionary of \["model"\] without tensors of floating point\.$/,
  );
  const many = new Uint8Array(2_000_001).fill(0x7d);
  assert.match(await failure(openWeights(legacy(many))), /expected at most 2000000 opcodes, got more\.$/);
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
