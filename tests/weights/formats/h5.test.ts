import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import '../../../bindings/index.node.js';
import { platform, usePlatform } from '../../../bindings/platform/platform.js';
import { slabsOf } from '../../../bindings/weights/formats/hdf5/hyperslabs.js';
import { loadLibhdf5, mount, PATH } from '../../../bindings/weights/formats/hdf5/libhdf5.js';
import { withNetworkNames } from '../../../bindings/weights/network-names.js';
import { openWeights } from '../../../bindings/weights/open.js';
import { writeSafetensors } from '../../../bindings/weights/write.js';
import { concat, type Entry, failure, hostileChunks, memoryFiles, readAll } from '../../support/weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

const data = (name: string): Bytes => new Uint8Array(readFileSync(new URL(`../../data/h5/${name}`, import.meta.url)));

const byName = (entries: Entry[]) => entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** All tensors under torchvision's names and in PyTorch's order: Keras's kernels are turned on the way. */
async function read(source: Parameters<typeof openWeights>[0]): Promise<Entry[]> {
  const chunks: Uint8Array[] = [];
  const file = withNetworkNames(await openWeights(source), 'resnet50');
  for await (const chunk of writeSafetensors(file)) chunks.push(chunk);
  return byName(await readAll(await openWeights(concat(...chunks))));
}

const expected = async (name: string) => byName(await readAll(await openWeights(data(`${name}.safetensors`))));

for (const [name, values] of [
  ['weights', 'weights'],
  ['model', 'model'],
  ['keras3_named', 'weights'],
  ['plain', 'plain'],
  ['latest', 'plain'],
  ['chunked', 'chunked'],
  ['dense', 'dense'],
  ['many', 'many'],
] as const) {
  test(`${name}.h5, as h5py wrote it, holds the values of ${values}.safetensors, from any source`, async () => {
    const bytes = data(`${name}.h5`);
    const entries = await expected(values);
    assert.equal(await read(bytes), entries);
    assert.equal(await read(new Blob([bytes])), entries);
    assert.equal(await read(new Response(bytes)), entries);
    assert.equal(await read(hostileChunks(bytes, [1000, 3])), entries);
    const files = memoryFiles({ 'x.h5': bytes }, [7000, 100]);
    try {
      assert.equal(await read('x.h5'), entries);
      assert.equal(files.closed, files.opened);
    } finally {
      files.restore();
    }
  });
}

test('kernels in the order of Keras, float64 rounded', async () => {
  const weights = await openWeights(data('weights.h5'));
  assert.is(weights.format, 'hdf5');
  const names = weights.tensors.map(({ name }) => name);
  assert.equal(
    (await readAll(weights)).map(({ name }) => name),
    names,
  );
  assert.ok(names.length > 5);
  for (const { shape, order } of weights.tensors) assert.is(order, shape.length > 1 ? 'IO' : 'OI');
  const plain = await openWeights(data('plain.h5'));
  assert.equal(
    plain.tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    [
      { name: 'bn1.bias', shape: [4], dtype: 'F16', order: 'OI' },
      { name: 'bn1.weight', shape: [4], dtype: 'F32', order: 'OI', stored: 'F64' },
      { name: 'conv1.weight', shape: [4, 3, 2, 2], dtype: 'F32', order: 'OI' },
      { name: 'fc.bias', shape: [], dtype: 'F32', order: 'OI' },
      { name: 'fc.weight', shape: [3, 4], dtype: 'F32', order: 'OI' },
    ],
  );
});

test('config: from the topology, or from the names where there is none', async () => {
  const config = async (name: string) => (await openWeights(data(name))).config;
  assert.equal(await config('model.h5'), { batchNormEps: 2e-5, convBias: false, strideIn: undefined });
  assert.equal(await config('weights.h5'), { batchNormEps: 1.001e-5, convBias: true, strideIn: 'conv1' });
  assert.equal(await config('keras3_named.h5'), await config('weights.h5'));
  assert.equal(await config('plain.h5'), {});
});

test('chunks that are packed, in stretches of whole ones', async () => {
  const weights = await openWeights(data('rows.h5'));
  const values: number[] = [];
  let pieces = 0;
  for await (const { bytes } of weights.pieces()) {
    assert.ok(bytes.length <= 2 ** 20);
    for (const value of new Float32Array(bytes.slice().buffer)) values.push(value);
    pieces += 1;
  }
  assert.is(pieces, 3);
  assert.is(values.length, 600_000);
  assert.ok(values.every((value, i) => value === i % 251));
});

for (const [shape, chunks, width] of [
  [[], undefined, 4],
  [[7], undefined, 2],
  [[3, 1000, 700], undefined, 4],
  [[3, 1000, 700], [2, 100, 700], 4],
  [[3, 1000, 700], [1, 64, 50], 4],
  [[2, 2, 2 ** 20], [1, 2, 2 ** 18], 8],
  [[1, 3_000_000], [1, 1_000_000], 4],
  [[64, 2 ** 21], [64, 2 ** 12], 4],
  [[5, 0, 3], undefined, 4],
] as const) {
  test(`the slabs of [${shape}] in chunks of [${chunks ?? ''}] are all values in their order`, () => {
    const { bytes, slabs } = slabsOf(shape, chunks, width);
    const strides = shape.map((_, i) => shape.slice(i + 1).reduce((all, n) => all * n, 1));
    let at = 0;
    let largest = 0;
    for (const { offset, count } of slabs) {
      const first = offset.reduce((sum, n, i) => sum + n * (strides[i] ?? 0), 0);
      const last = offset.reduce((sum, n, i) => sum + (n + (count[i] ?? 0) - 1) * (strides[i] ?? 0), 0);
      const size = count.reduce((all, n) => all * n, 1);
      assert.is(first, at);
      assert.is(last - first + 1, size);
      at += size;
      largest = Math.max(largest, size * width);
    }
    assert.is(
      at,
      shape.reduce<number>((all, n) => all * n, 1),
    );
    assert.is(bytes, largest);
    assert.ok(bytes <= 2 ** 25);
  });
}

for (const [name, message] of [
  ['whole_numbers', 'weight: only values of floating point can be read.'],
  ['lzf', 'weight: expected values that are not compressed, or by gzip, got filter 32000 (lzf).'],
  ['view', 'weight: views of other datasets cannot be read.'],
  [
    'keras3',
    'conv2d/vars/0: expected the name of its layer, as newer versions of Keras 3 and model.save("x.h5") write, got a number alone.',
  ],
] as const) {
  test(`${name}.h5 is refused`, async () => assert.is(await failure(openWeights(data(`${name}.h5`))), message));
}

test('values that lie in another file are not read, though that is there', async () => {
  const weights = await openWeights(data('external.h5'));
  assert.is(await failure(readAll(weights)), 'weights: expected "weight" that libhdf5 can read, got damage.');
});

test('a file that is cut is refused, wherever that is', async () => {
  const bytes = data('plain.h5');
  for (let length = 8; length < bytes.length; length += length < 200 ? 1 : 50) {
    const message = await failure(openWeights(bytes.subarray(0, length)));
    if (length >= 52) assert.is(message, `weights: expected ${bytes.length} bytes, got ${length}.`);
    await failure(openWeights(hostileChunks(bytes.subarray(0, length), [64])));
  }
});
/** The places of a signature, or of a 64-bit number. */
function places(bytes: Bytes, wanted: string | number): number[] {
  const pattern = typeof wanted === 'string' ? new TextEncoder().encode(wanted) : new Uint8Array(8);
  if (typeof wanted === 'number') new DataView(pattern.buffer).setBigUint64(0, BigInt(wanted), true);
  return Array.from(bytes.keys()).filter((at) => pattern.every((byte, i) => bytes[at + i] === byte));
}

/** `plain.h5` with some bytes changed. */
function changed(change: (view: DataView, bytes: Bytes) => void, name = 'plain'): Bytes {
  const bytes = data(`${name}.h5`);
  change(new DataView(bytes.buffer), bytes);
  return bytes;
}

const ROOT = 96;
const first = (bytes: Bytes, signature: string): number => places(bytes, signature)[0] ?? 0;

const DAMAGED = 'weights: expected groups that libhdf5 can read, got damage.';

/** [the fault, what makes it, the message or its form] */
const faults: [string, Bytes, string | RegExp][] = [
  [
    'a superblock to come',
    changed((v) => v.setUint8(8, 4)),
    'weights: expected a superblock of version 0 to 3, got 4.',
  ],
  [
    'short addresses',
    changed((v) => v.setUint8(13, 4)),
    'weights: expected addresses and sizes of 8 bytes, got 4 and 8.',
  ],
  [
    'a base of its own',
    changed((v) => v.setUint8(24, 1)),
    'weights: expected addresses from the beginning of the file, got from 1.',
  ],
  ['an end beyond all', changed((v) => v.setBigUint64(40, 2n ** 60n, true)), /expected an end up to 2\^53, got 1152/],
  ['a root outside', changed((v) => v.setBigUint64(64, 2n ** 40n, true)), DAMAGED],
  ['no header', changed((v) => v.setUint8(ROOT, 7)), DAMAGED],
  [
    'a header that continues in itself',
    changed((v) => {
      v.setUint16(ROOT + 16, 16, true);
      v.setBigUint64(ROOT + 24, BigInt(ROOT + 16), true);
      v.setBigUint64(ROOT + 32, 24n, true);
    }),
    DAMAGED,
  ],
  [
    'a tree that holds itself',
    changed((v, b) => {
      const tree = first(b, 'TREE');
      v.setUint8(tree + 5, 1);
      v.setBigUint64(tree + 32, BigInt(tree), true);
    }),
    DAMAGED,
  ],
  ['a tree of more children than the file', changed((v, b) => v.setUint16(first(b, 'TREE') + 6, 65535, true)), DAMAGED],
  ['a heap longer than the file', changed((v, b) => v.setBigUint64(first(b, 'HEAP') + 8, 2n ** 35n, true)), DAMAGED],
  [
    'a group in itself',
    changed((v, b) => v.setBigUint64(first(b, 'SNOD') + 16, BigInt(ROOT), true)),
    /^bn1\/bn1\/.+: expected at most 16 groups deep, got more\.$/,
  ],
  // libhdf5 alone would never come back from these two.
  [
    'a text in a heap with free space of no size',
    changed((v, b) => v.setBigUint64(first(b, 'GCOL') + 16, 0n, true), 'model'),
    /that libhdf5 can read, got a damaged heap of texts\.$/,
  ],
  [
    'a text in a heap with an object of 2^32 bytes',
    changed((v, b) => v.setBigUint64(first(b, 'GCOL') + 24, 2n ** 32n - 16n, true), 'model'),
    /that libhdf5 can read, got a damaged heap of texts\.$/,
  ],
];

for (const [fault, bytes, message] of faults) {
  test(`a file with ${fault} is refused`, async () => {
    const got = await failure(openWeights(bytes));
    if (typeof message === 'string') assert.is(got, message);
    else assert.match(got, message);
  });
}

test('groups that hold each other many times over end soon', async () => {
  // Every one of 700 members is the group that holds it.
  const bytes = changed((v, b) => {
    const tables = places(b, 'SNOD');
    assert.ok(tables.length > 0);
    for (const table of tables) {
      for (let i = 0; i < v.getUint16(table + 6, true); i++) v.setBigUint64(table + 16 + 40 * i, BigInt(ROOT), true);
    }
  }, 'many');
  const start = performance.now();
  assert.match(await failure(openWeights(bytes)), /expected at most \d+ .+, got more\.$/);
  assert.ok(performance.now() - start < 5000);
});

test('more values than a file can hold', async () => {
  const bytes = data('plain.h5');
  const view = new DataView(bytes.buffer);
  // The axes of conv1.weight, [4, 3, 2, 2], in its header.
  const at = places(bytes, 4).find((place) => view.getBigUint64(place + 8, true) === 3n) ?? 0;
  view.setBigUint64(at, 2n ** 40n, true);
  const message = await failure(openWeights(bytes));
  assert.match(message, /damage|expected values of at most its \d+ bytes, got \d+\.$/);
});

test('after a damaged file a whole one is read', async () => {
  for (const [, bytes] of faults) await failure(openWeights(bytes));
  assert.equal(await read(data('plain.h5')), await expected('plain'));
});

test('damaged files share an instance, as if it were new for each, and with whole ones', async () => {
  const { compile } = WebAssembly;
  let made = 0;
  WebAssembly.compile = (bytes) => {
    made += 1;
    return compile(bytes);
  };
  try {
    const whole = await expected('plain');
    for (let round = 0; round < 5; round++) {
      for (const [, bytes] of faults) {
        await failure(openWeights(bytes));
        assert.equal(await read(data('plain.h5')), whole);
      }
    }
  } finally {
    WebAssembly.compile = compile;
  }
  assert.ok(made <= 1, `${made} instances`);
});

test('without h5wasm', async () => {
  const before = platform;
  try {
    usePlatform({ ...before, hdf5: undefined });
    const bytes = data('plain.h5');
    assert.is(
      await failure(openWeights(bytes)),
      'h5wasm: reading HDF5 files needs this package; give the URL of its ES module as option hdf5.',
    );
    const nowhere = new URL('../../nowhere/hdf5_hl.js', import.meta.url);
    assert.match(
      await failure(openWeights(bytes, { hdf5: nowhere })),
      /^h5wasm: .+hdf5_util\.js of this package does not load \(.+\)\.$/,
    );
    assert.is(await failure(openWeights(bytes, { hdf5: 'hdf5.js' })), 'hdf5: expected a URL, got "hdf5.js".');
    const found = before.hdf5?.();
    assert.equal(
      await readAll(await openWeights(bytes, { hdf5: found })),
      await readAll(await openWeights(bytes, { hdf5: found })),
    );
  } finally {
    usePlatform(before);
  }
});

test('of an endless stream one chunk is asked for behind what the file says it has', async () => {
  const bytes = data('weights.h5');
  let taken = 0;
  const endless = async function* (): AsyncGenerator<Uint8Array, void> {
    for (let part = bytes; ; part = new Uint8Array(1000)) {
      taken += part.length;
      yield part;
    }
  };
  assert.equal(await read(endless()), await expected('weights'));
  assert.is(taken, bytes.length + 1000);
});

test('libhdf5 gets memory by the size of the file, and other modules as much as they want', async () => {
  const { instantiate } = WebAssembly;
  const instances = await Promise.all([loadLibhdf5(undefined), loadLibhdf5(undefined)]);
  assert.is(WebAssembly.instantiate, instantiate);
  for (const { lib } of instances) {
    mount(lib, 1000, () => 0);
    assert.not(lib._malloc(2 ** 25) === 0);
    assert.is(lib._malloc(2 ** 26), 0);
    lib.FS.unlink(PATH);
    mount(lib, 2 ** 25, () => 0);
    assert.not(lib._malloc(2 ** 26) === 0);
  }
});

test('a module of the application that is instantiated meanwhile is left alone', async () => {
  // It imports what Emscripten's modules do, and exports that again, with a memory.
  const other = Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f],
    ...[2, 30, 1, 3, ...Buffer.from('env'), 22, ...Buffer.from('emscripten_resize_heap'), 0, 0],
    ...[5, 3, 1, 0, 1],
    ...[7, 17, 2, 6, ...Buffer.from('memory'), 2, 0, 4, ...Buffer.from('grow'), 0, 0],
  );
  const imports = { env: { emscripten_resize_heap: () => 1 }, 'GOT.mem': {}, 'GOT.func': {} };
  const { instantiate, compile } = WebAssembly;
  // An instance that is kept would be handed out without another being made.
  await loadLibhdf5(undefined);
  let made: Promise<WebAssembly.WebAssemblyInstantiatedSource> | undefined;
  try {
    WebAssembly.compile = (bytes) => {
      WebAssembly.compile = compile;
      assert.is.not(WebAssembly.instantiate, instantiate);
      made = WebAssembly.instantiate(other, imports);
      return compile(bytes);
    };
    await loadLibhdf5(undefined);
  } finally {
    WebAssembly.compile = compile;
  }
  assert.is(WebAssembly.instantiate, instantiate);
  const { module, instance } = (await made) ?? {};
  assert.instance(module, WebAssembly.Module);
  assert.instance(instance?.exports.memory, WebAssembly.Memory);
  const grow = instance?.exports.grow as (bytes: number) => number;
  assert.is(grow(2 ** 31 - 1), 1);
});

test('closing, leaving early, abort', async () => {
  const bytes = data('weights.h5');
  let closed = 0;
  const source = hostileChunks(bytes, [500], () => closed++);
  const file = await openWeights(source);
  assert.is(closed, 1);
  await file.close();
  const files = memoryFiles({ 'x.h5': bytes });
  try {
    for await (const _ of (await openWeights('x.h5')).pieces()) break;
    const controller = new AbortController();
    const pieces = (await openWeights('x.h5', { signal: controller.signal })).pieces();
    await pieces.next();
    const reason = new Error('enough');
    controller.abort(reason);
    assert.is(
      await pieces.next().then(
        () => undefined,
        (error) => error,
      ),
      reason,
    );
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(files.closed, files.opened);
  } finally {
    files.restore();
  }
});

test.run();
