import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Hdf5, readSuperblock, SUPERBLOCK_BYTES } from '../bindings/weights/hdf5.js';
import { openWeights } from '../bindings/weights/index.js';
import { RandomAccess } from '../bindings/weights/random.js';
import { openSource } from '../bindings/weights/source.js';
import { writeSafetensors } from '../bindings/weights/write.js';
import { concat, type Entry, failure, hostileChunks, memoryFiles, readAll } from './weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

const data = (name: string): Bytes => new Uint8Array(readFileSync(new URL(`data/h5/${name}`, import.meta.url)));

const byName = (entries: Entry[]) => entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** All tensors in PyTorch's order: Keras's kernels are turned on the way. */
async function read(source: Parameters<typeof openWeights>[0]): Promise<Entry[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(await openWeights(source))) chunks.push(chunk);
  return byName(await readAll(await openWeights(concat(...chunks))));
}

const expected = async (name: string) => byName(await readAll(await openWeights(data(`${name}.safetensors`))));

for (const [name, values] of [
  ['weights', 'weights'],
  ['model', 'model'],
  ['plain', 'plain'],
  ['latest', 'plain'],
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

test('tensors in file order, kernels in the order of Keras, float64 rounded', async () => {
  const weights = await openWeights(data('weights.h5'));
  assert.is(weights.format, 'hdf5');
  const names = (await readAll(weights)).map(({ name }) => name);
  assert.equal(
    weights.tensors.map(({ name }) => name),
    names,
  );
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

test('hints: from the topology, or from the names where there is none', async () => {
  const hints = async (name: string) => (await openWeights(data(name))).hints;
  assert.equal(await hints('model.h5'), { batchNormEps: 2e-5, convBias: false, stride: undefined });
  assert.equal(await hints('weights.h5'), { batchNormEps: 1.001e-5, convBias: true, stride: 'conv1' });
  assert.equal(await hints('plain.h5'), {});
});

for (const [name, message] of [
  ['chunked', 'weight: expected values in one stretch, as Keras writes, got chunks.'],
  ['dense', 'weights: expected groups as h5py writes by default, got one of the newest form, in a fractal heap.'],
  ['whole_numbers', 'weight: expected values of floating point, got others.'],
  [
    'keras3',
    'layers/conv2d/vars/0: expected names of layers, as model.save("x.h5") writes, got numbers, as in a .weights.h5 of Keras 3.',
  ],
] as const) {
  test(`${name}.h5 is refused`, async () => assert.is(await failure(openWeights(data(`${name}.h5`))), message));
}

test('a file that is cut is refused, wherever that is', async () => {
  const bytes = data('plain.h5');
  for (let length = 8; length < bytes.length; length += length < 200 ? 1 : 50) {
    const message = await failure(openWeights(bytes.subarray(0, length)));
    if (length >= 96) assert.is(message, `weights: expected ${bytes.length} bytes, got ${length}.`);
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
  [
    'a root outside',
    changed((v) => v.setBigUint64(64, 2n ** 40n, true)),
    /^weights: expected structures in its \d+ bytes, got one of 0 at 1099511627776\.$/,
  ],
  [
    'a root beyond all',
    changed((v) => v.setBigUint64(64, 2n ** 64n - 2n, true)),
    /expected numbers up to 2\^53, got 18446/,
  ],
  ['no header', changed((v) => v.setUint8(ROOT, 7)), /expected OHDR before a structure, got /],
  [
    'a header that continues in itself',
    changed((v) => {
      v.setUint16(ROOT + 16, 16, true);
      v.setBigUint64(ROOT + 24, BigInt(ROOT + 16), true);
      v.setBigUint64(ROOT + 32, 24n, true);
    }),
    'weights: expected at most 10000 messages, got more.',
  ],
  [
    'a tree of another kind',
    changed((v, b) => v.setUint8(first(b, 'TREE') + 4, 1)),
    /expected a tree of a group's links, got one of type 1\.$/,
  ],
  [
    'a tree that holds itself',
    changed((v, b) => {
      const tree = first(b, 'TREE');
      v.setUint8(tree + 5, 1);
      v.setBigUint64(tree + 32, BigInt(tree), true);
    }),
    'weights: expected a node of level 0, got one of level 1.',
  ],
  [
    'a tree of more children than the file',
    changed((v, b) => v.setUint16(first(b, 'TREE') + 6, 65535, true)),
    /^weights: expected structures in its \d+ bytes, got one of 1048560 at \d+\.$/,
  ],
  ['no heap', changed((_, b) => b.set([0], first(b, 'HEAP'))), /expected HEAP before a structure, got /],
  [
    'a heap longer than the file',
    changed((v, b) => v.setBigUint64(first(b, 'HEAP') + 8, 2n ** 35n, true)),
    /expected structures in its \d+ bytes, got one of 34359738368 at \d+\.$/,
  ],
  [
    'a name outside its heap',
    changed((v, b) => v.setBigUint64(first(b, 'SNOD') + 8, 2n ** 20n, true)),
    'weights: expected names of members, at most 1024 bytes long, in their heap, got another.',
  ],
  [
    'a table of more links than the file',
    changed((v, b) => v.setUint16(first(b, 'SNOD') + 6, 65535, true)),
    /expected structures in its \d+ bytes, got one of 2621400 at \d+\.$/,
  ],
  [
    'a group in itself',
    changed((v, b) => v.setBigUint64(first(b, 'SNOD') + 16, BigInt(ROOT), true)),
    /^bn1\/bn1\/.+: expected at most 16 groups deep, got more\.$/,
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
    for (const table of places(b, 'SNOD')) {
      for (let i = 0; i < v.getUint16(table + 6, true); i++) v.setBigUint64(table + 16 + 40 * i, BigInt(ROOT), true);
    }
  }, 'many');
  const start = performance.now();
  assert.match(await failure(openWeights(bytes)), /expected at most \d+ .+, got more\.$/);
  assert.ok(performance.now() - start < 5000);
});

/** Where a tensor of `plain.h5` lies, and where its header says so. */
async function layoutOf(bytes: Bytes, name: string): Promise<{ field: number; place: number; bytes: number }> {
  const superblock = readSuperblock(name, bytes.subarray(0, SUPERBLOCK_BYTES));
  const hdf5 = await Hdf5.open(await RandomAccess.of(await openSource(bytes), superblock.end, undefined), superblock);
  const root = await hdf5.object('/', hdf5.root);
  const member = root && 'members' in root ? root.members.find((m) => m.name === name) : undefined;
  const object = await hdf5.object(name, member?.address ?? 0);
  if (!object || !('dataset' in object)) throw new Error(`${name}: expected a tensor, got none.`);
  const { place = 0, bytes: size } = object.dataset;
  const field = places(bytes, place).find((at) => at > (member?.address ?? 0)) ?? 0;
  return { field, place, bytes: size };
}

test('values that overlap, leave the file, are missing, or too few', async () => {
  const bytes = data('plain.h5');
  const view = new DataView(bytes.buffer);
  const conv = await layoutOf(bytes, 'conv1.weight');
  const fc = await layoutOf(bytes, 'fc.weight');
  const put = (place: bigint, size = fc.bytes) => {
    view.setBigUint64(fc.field, place, true);
    view.setBigUint64(fc.field + 8, BigInt(size), true);
    return failure(openWeights(bytes));
  };
  const end = conv.place + conv.bytes;
  assert.is(await put(BigInt(end - 4)), `fc.weight: expected values from ${end} on, got ${end - 4}, an overlap.`);
  const late = bytes.length - 8;
  assert.is(
    await put(BigInt(late)),
    `fc.weight: expected values in ${bytes.length} bytes, got an end at ${late + fc.bytes}.`,
  );
  assert.is(await put(2n ** 64n - 1n), `fc.weight: expected ${fc.bytes} bytes of values, got none written.`);
  assert.is(await put(BigInt(fc.place), 44), 'fc.weight: expected 48 bytes, got 44.');
});

test('of an endless stream no more is taken than the file says it has', async () => {
  const bytes = data('weights.h5');
  let taken = 0;
  const endless = async function* (): AsyncGenerator<Uint8Array, void> {
    for (let part = bytes; ; part = new Uint8Array(1000)) {
      taken += part.length;
      yield part;
    }
  };
  assert.equal(await read(endless()), await expected('weights'));
  assert.is(taken, bytes.length);
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
