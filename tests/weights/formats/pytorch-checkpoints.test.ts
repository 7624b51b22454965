/** Which tensors of a checkpoint are read, and what may lie beside them. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../../bindings/weights/open.js';
import {
  call,
  conv,
  dictionary,
  entry,
  global,
  good,
  instance,
  int,
  le,
  legacy,
  list,
  MARK,
  NONE,
  one,
  op,
  persistent,
  pickle,
  storage,
  tensor,
  text,
  tuple,
  values,
  zipFile,
} from '../../support/pickles.js';
import { concat, failure, hostileChunks, pattern, read, u64, utf8 } from '../../support/weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

const dict = (items: [Bytes, Bytes][]): Bytes => concat(op(0x7d), MARK, ...items.flat(), op(0x75));
const memo = (value: Bytes, index: number): Bytes => concat(value, op(0x71, index));
const recall = (index: number): Bytes => op(0x68, index);
const archive = (value: Bytes): Bytes => zipFile([entry('data.pkl', pickle(value)), entry('data/0', values)]);

const CALLS = {
  'a namespace': instance('argparse', 'Namespace', dictionary({ lr: int(1) })),
  'a scalar of NumPy': call(
    global('numpy.core.multiarray', 'scalar'),
    call(global('numpy', 'dtype'), text('f8')),
    int(0),
  ),
  'an array of NumPy': concat(
    call(global('numpy.core.multiarray', '_reconstruct'), global('numpy', 'ndarray'), tuple(int(0)), text('b')),
    tuple(
      int(1),
      tuple(int(3)),
      call(global('numpy', 'dtype'), text('f8')),
      op(0x89),
      concat(op(0x43, 24), pattern(24)),
    ),
    op(0x62),
  ),
  'a device': call(global('torch', 'device'), text('cpu')),
  'a path': call(global('pathlib', 'PosixPath'), text('x')),
  'a set of protocol 2': call(global('__builtin__', 'set'), list(int(1))),
  'the state of a scheduler': dictionary({ anneal: global('torch.optim.lr_scheduler', '_annealing_cos') }),
  'an instance with arguments by name': concat(global('a', 'B'), tuple(int(1)), dictionary({ x: int(1) }), op(0x92)),
  'attributes in slots': concat(global('a', 'B'), op(0x29, 0x81), tuple(NONE, dictionary({ x: int(1) })), op(0x62)),
  'a call of what a call gave': call(call(global('functools', 'partial'), global('os', 'system')), text('true')),
  'a call of a text': call(text('os.system'), text('true')),
  'a call without a tuple': concat(global('os', 'system'), int(1), op(0x52)),
  'a call of a type': call(global('torch', 'FloatStorage'), int(1)),
  'an old instance': utf8('(ios\nsystem\n'),
  'an old instance of a class on the stack': concat(MARK, global('os', 'system'), text('true'), op(0x6f)),
  'items of an instance': concat(global('a', 'Dict'), op(0x29, 0x81), text('k'), int(1), op(0x73), int(2), op(0x61)),
  'a name on the stack': concat(text('posix'), text('system'), op(0x93)),
  'a name as long as a book': concat(text('m'.repeat(400)), text('n'.repeat(400)), op(0x93)),
  'a name that is none': concat(list(), list(), op(0x93)),
  'attributes of a list': concat(list(), dictionary({ a: int(1) }), op(0x62)),
  extensions: list(op(0x82, 1), op(0x83, 1, 1), op(0x84, 1, 1, 1, 1)),
  'a persistent id of another kind': persistent(int(1)),
  'a tensor of a damaged shape': tensor(conv, 0, [-1], [1]),
  'a tensor beyond its storage': tensor(conv, 99, [100], [1]),
  'a sparse tensor': call(global('torch._utils', '_rebuild_sparse_tensor'), int(1)),
  'a tensor in a storage that is not there': tensor(storage('5', 7), 0, [7], [1]),
};

const OPCODES = {
  'a set': concat(op(0x8f), MARK, int(1), op(0x90)),
  'a frozen set': concat(MARK, int(1), op(0x91)),
  'long numbers': list(concat(op(0x8a, 26), pattern(26)), concat(op(0x8b), le(300, 4), pattern(300))),
  bytes: list(
    concat(op(0x43, 3), pattern(3)),
    concat(op(0x42), le(70_000, 4), pattern(70_000)),
    concat(op(0x8e), u64(70_000), pattern(70_000)),
    concat(op(0x96), u64(300), pattern(300), op(0x98)),
  ),
  'texts of all lengths': list(concat(op(0x8c, 1), utf8('a')), concat(op(0x8d), u64(1), utf8('a'))),
  'the lines of protocol 0': list(
    ...['I5\n', 'I01\n', 'L7L\n', 'F1.5\n', "S'a'\n", 'Va\n', 'I5\np9\n', 'g9\n', 'Pid\n'].map(utf8),
    concat(MARK, text('a'), int(1), op(0x64)),
    concat(MARK, int(1), op(0x6c)),
  ),
  'a value twice': concat(int(1), op(0x32, 0x30)),
};

for (const [what, value] of Object.entries({ ...CALLS, ...OPCODES })) {
  test(`${what} beside a state_dict is left alone`, async () => {
    for (const [before, after] of [
      [value, NONE],
      [NONE, value],
    ] as const) {
      const bytes = archive(dictionary({ before, state_dict: one(good), after }));
      assert.equal(await read(bytes), [{ name: 'a', dtype: 'F32', shape: [100], bytes: values }]);
    }
  });
}

const many = (count: number, first = 0): Bytes =>
  dictionary(Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, tensor(conv, first + i, [1], [1])])));

/** [what there is, its value, where the tensors are found, how many, where others are] */
const places: [what: string, value: Bytes, key: string, count: number, others: string[]][] = [
  ['nothing around it', many(3), '', 3, []],
  ['an unusual key', dictionary({ epoch: int(1), backbone_weights: many(3) }), 'backbone_weights', 3, []],
  ['keys in keys', one(one(one(many(3), 'state'), 'inner'), 'outer'), 'outer.inner.state', 3, []],
  ['a list', list(int(1), many(3)), '1', 3, []],
  ['an object', instance('a', 'B', dictionary({ net: many(3) })), 'net', 3, []],
  ['a usual key and a twin', dictionary({ x: many(3), model_state: many(3, 3) }), 'model_state', 3, ['x']],
  ['an average', dictionary({ ema: one(many(4), 'module'), model: many(3) }), 'model', 3, ['ema.module']],
  ['a small one under a usual key', dictionary({ model: many(1), x: many(3) }), 'x', 3, []],
  ['tensors of training', dictionary({ optimizer: one(many(9)), net: many(2) }), 'net', 2, []],
  ['an optimizer', dictionary({ x: instance('torch.optim.adam', 'Adam', one(many(9))), y: many(2) }), 'y', 2, []],
  ['a tensor around it', dictionary({ mean: good, state_dict: many(2) }), 'state_dict', 2, ['']],
];

for (const [what, value, key, count, others] of places) {
  test(`with ${what}, the state_dict is found`, async () => {
    const { selection, tensors } = await openWeights(archive(value));
    assert.equal(selection, { key, others, skipped: [] });
    assert.is(tensors.length, count);
  });
}

test('of several under keys of which none is usual, a prefix chooses', async () => {
  const file = archive(dictionary({ student: many(4), teacher: one(many(3), 'net'), epoch: int(1) }));
  assert.is(
    await failure(openWeights(file)),
    'weights: data.pkl: expected one state_dict, got several, "teacher.net", "student"; choose one by its prefix.',
  );
  for (const [prefix, key, count] of [
    ['student', 'student', 4],
    ['student.', 'student', 4],
    ['teacher.net', 'teacher.net', 3],
  ] as const) {
    for (const source of [file, hostileChunks(file, [999])]) {
      const { selection, tensors } = await openWeights(source, { prefix });
      assert.equal([selection?.key, selection?.prefix, tensors.length], [key, prefix, count]);
    }
  }
  assert.is(
    await failure(openWeights(archive(dictionary({ model: many(4), ema: many(4) })), { prefix: 'emma' })),
    'prefix: expected what tensors\' names begin with, got "emma"; the file has t0, t1, t2 and 1 more under "model", "ema".',
  );
  const average = await openWeights(archive(dictionary({ model: many(4), ema: many(4, 4) })), { prefix: 'ema' });
  assert.equal([average.selection?.key, average.tensors.length], ['ema', 4]);
  const inner = dictionary({ 'a.x': good, 'b.x': good, 'b.y': good });
  const cut = await openWeights(archive(dictionary({ state_dict: inner })), { prefix: 'state_dict.b' });
  assert.equal(
    cut.tensors.map(({ name }) => name),
    ['x', 'y'],
  );
});

test('counters, whole numbers, truth values and complex numbers are left out and named', async () => {
  const of = (type: string) => tensor(storage(type, 2, `${type}Storage`), 0, [2], [1]);
  const skipped = {
    'bn.num_batches_tracked': of('Long'),
    n_averaged: of('Long'),
    total_ops: of('Double'),
    'conv.total_params': of('Double'),
    index: of('Int'),
    mask: of('Bool'),
    filter: of('ComplexFloat'),
  };
  const file = await openWeights(archive(dictionary({ ...skipped, a: good })));
  assert.equal(
    file.tensors.map(({ name }) => name),
    ['a'],
  );
  assert.equal(file.selection?.skipped, Object.keys(skipped));
});

test('parameters of all kinds, tied tensors, and values of an untyped storage', async () => {
  const parameter = (name: string, ...rest: Bytes[]) => call(global('torch._utils', name), good, op(0x88), ...rest);
  const bytes = storage('1', 400, 'UntypedStorage');
  const untyped = (offset: number, count: number, type: string) =>
    call(
      global('torch._utils', '_rebuild_tensor_v3'),
      ...[bytes, int(offset), tuple(int(count)), tuple(int(1)), op(0x89), NONE, global('torch', type)],
    );
  const value = dictionary({
    a: parameter('_rebuild_parameter', call(global('collections', 'OrderedDict'))),
    b: parameter('_rebuild_parameter_with_state', NONE, dictionary({ x: int(1) })),
    c: call(global('torch.nn.parameter', 'Parameter'), good, op(0x88)),
    d: call(
      global('torch._tensor', '_rebuild_from_type_v2'),
      global('torch._utils', '_rebuild_tensor_v2'),
      global('torch.nn.parameter', 'Parameter'),
      tuple(conv, int(0), tuple(int(100)), tuple(int(1))),
      NONE,
    ),
    e: untyped(0, 50, 'float32'),
    f: untyped(100, 25, 'bfloat16'),
    g: untyped(0, 10, 'uint16'),
  });
  const file = zipFile([entry('data.pkl', pickle(value)), entry('data/0', values), entry('data/1', values)]);
  const got = await read(file);
  const whole = { dtype: 'F32', shape: [100], bytes: values };
  assert.equal(got, [
    ...['a', 'b', 'c', 'd'].map((name) => ({ name, ...whole })),
    { name: 'e', dtype: 'F32', shape: [50], bytes: values.slice(0, 200) },
    { name: 'f', dtype: 'BF16', shape: [25], bytes: values.slice(200, 250) },
  ]);
});

const EMPTY = op(0x7d);
const moduleOf = (
  parameters: Bytes,
  modules: Bytes = EMPTY,
  buffers: Bytes = EMPTY,
  rest: Record<string, Bytes> = {},
) => instance('my.code', 'Net', dictionary({ ...rest, _parameters: parameters, _buffers: buffers, _modules: modules }));

test('a whole module: the names of its state_dict(), in its order', async () => {
  const layer = moduleOf(dictionary({ weight: good, bias: NONE }), EMPTY, dictionary({ mean: good, saved: good }), {
    _non_persistent_buffers_set: call(global('builtins', 'set'), list(text('saved'))),
  });
  const net = moduleOf(
    one(good, 'scale'),
    dictionary({ stem: moduleOf(EMPTY, one(layer, '0')), none: NONE, head: layer }),
  );
  for (const value of [net, one(net, 'model'), one(one(net), 'checkpoint')]) {
    const { tensors } = await openWeights(archive(value));
    assert.equal(
      tensors.map(({ name }) => name),
      ['scale', 'stem.0.weight', 'stem.0.mean', 'head.weight', 'head.mean'],
    );
  }
  // Before 1.6 a module's class comes with its source, as a persistent id.
  const source = persistent(tuple(text('module'), global('my.code', 'Net'), text('net.py'), text('class Net: pass')));
  const state = dictionary({ _parameters: one(good), _buffers: EMPTY, _modules: EMPTY });
  assert.is((await read(legacy(concat(source, op(0x29, 0x81), state, op(0x62))))).length, 1);
});

test('modules without an end are refused, soon', async () => {
  const expected = /data\.pkl: expected modules of at most 1000000 parts, 64 in each other, .+, got more at .+\.$/;
  // A module in itself.
  const state = dictionary({ _parameters: one(good), _buffers: EMPTY, _modules: one(recall(1), 'm') });
  const ring = concat(memo(concat(global('my', 'Net'), op(0x29, 0x81)), 1), state, op(0x62));
  assert.match(await failure(openWeights(archive(ring))), expected);
  // Forty modules, each with the one before twice: 2^40 names.
  let doubled = memo(moduleOf(one(good)), 0);
  for (let i = 1; i <= 40; i++) {
    const inner = dict([
      [text('a'), doubled],
      [text('b'), recall(i - 1)],
    ]);
    doubled = memo(moduleOf(EMPTY, inner), i);
  }
  assert.match(await failure(openWeights(archive(doubled))), expected);
});

test('a list that is made an OrderedDict again and again has an end', async () => {
  const pairs = list(...Array.from({ length: 5000 }, (_, i) => list(int(i), int(i))));
  const again = Array.from({ length: 300 }, () => call(global('collections', 'OrderedDict'), recall(1)));
  const value = list(memo(pairs, 1), ...again);
  assert.match(
    await failure(openWeights(archive(value))),
    /expected at most 1000000 pairs for OrderedDicts, got more\.$/,
  );
});

test.run();
