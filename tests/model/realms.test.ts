/** Values of another realm, as a vm context or an iframe has them, are what they are here. */

import '../support/flags.mjs';
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromTensors, load } from '../../bindings/index.node.js';
import { isA, isBlob, isError, kindOf, shownKind } from '../../bindings/util/realm.js';
import { seededWeights } from '../../bindings/weights/random.js';
import { seededInput } from '../../bindings/weights/uniform.js';
import { buildNetwork, parameters } from '../../models/index.js';
import { anyTensors } from '../support/memory-weights.js';
import { assertSameBits } from '../support/records.js';
import { concat, failure } from '../support/weight-files.js';

/** Makes a value of another realm, in which `own` is one of this realm. */
const foreign = <Value>(code: string, own?: unknown): Value => runInNewContext(code, { own }) as Value;

const network = 'resnet20_cifar';
const graph = buildNetwork(network);
const parts: Uint8Array[] = [];
for await (const part of seededWeights(graph)) parts.push(part);
const bytes = concat(...parts);
const data = seededInput([1, 3, 32, 32]);
const input = { data, shape: [1, 3, 32, 32], layout: 'NCHW' } as const;
const model = await load(network, { weights: bytes, threads: 1 });
const expected = (await model.run(input)).data;
test.after(() => model.dispose());

test('what a value is does not depend on its realm, nor on its class', () => {
  const cases = [
    ['new Float32Array(2)', 'Float32Array'],
    ['new (class extends Uint8Array {})(2)', 'Uint8Array'],
    ['new ArrayBuffer(2)', 'ArrayBuffer'],
    ['new SharedArrayBuffer(2)', 'SharedArrayBuffer'],
    ['new (class extends TypeError {})()', 'Error'],
    ['new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))', 'WebAssembly.Module'],
  ] as const;
  for (const [code, kind] of cases) {
    const value = foreign(code);
    assert.is(kindOf(value), kind);
    assert.ok(isA(value, kind), code);
    assert.not(value instanceof Object, code);
  }
  assert.ok(isError(foreign('new (class extends RangeError {})()')) && isError(new DOMException()));
  assert.ok(isBlob(new Blob([])) && isBlob(new File([], 'a')) && !isBlob({}) && !isError({ message: '' }));
  assert.ok(isA(Buffer.from('a'), 'Uint8Array') && !isA([1], 'Uint8Array') && !isA(undefined, 'URL'));
  assert.equal([new Int8Array(1), new Uint8Array(1), new ArrayBuffer(1), null, 'a', {}].map(shownKind), [
    'an Int8Array',
    'a Uint8Array',
    'an ArrayBuffer',
    'null',
    '"a"',
    'an object',
  ]);
});

test('inputs of another realm, and in shared memory', async () => {
  const shared = new Float32Array(new SharedArrayBuffer(data.byteLength));
  shared.set(data);
  for (const each of [foreign<Float32Array>('Float32Array.from(own)', data), shared]) {
    assertSameBits((await model.run({ ...input, data: each })).data, expected, 'NCHW');
    const nhwc = { data: each, shape: [1, 32, 32, 3], layout: 'NHWC' } as const;
    const own = (await model.run({ ...nhwc, data: data as Float32Array })).data;
    assertSameBits((await model.run(nhwc)).data, own, 'NHWC');
  }
  assert.is(
    await failure(model.run({ ...input, data: foreign<Float32Array>('new Float64Array(3072)') })),
    'input: expected a Float32Array of 3072 values, got a Float64Array.',
  );
});

test('weights of another realm: bytes, chunks, tensors', async () => {
  const values = anyTensors(graph);
  const tensors = (turn: (array: Float32Array) => Float32Array) =>
    fromTensors(
      parameters(graph).map(({ name, shape }) => ({ name, shape, data: turn(values.get(name) as Float32Array) })),
    );
  using own = await load(network, { weights: tensors((array) => array), threads: 1 });
  const ownExpected = (await own.run(input)).data;
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    yield foreign<Uint8Array>('Uint8Array.from(own)', bytes);
  }
  for (const [weights, wanted] of [
    [foreign<Uint8Array>('Uint8Array.from(own)', bytes), expected],
    [foreign<ArrayBuffer>('Uint8Array.from(own).buffer', bytes), expected],
    [chunks(), expected],
    [tensors((array) => foreign('Float32Array.from(own)', array)), ownExpected],
  ] as const) {
    using other = await load(network, { weights, threads: 1 });
    assertSameBits((await other.run(input)).data, wanted, kindOf(weights));
  }
});

test('weights in shared memory are refused in a sentence', async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  for (const weights of [shared, shared.buffer, foreign('new SharedArrayBuffer(8)')]) {
    assert.is(
      await failure(load(network, { weights: weights as ArrayBuffer })),
      'weights: expected memory that no thread can change, got a SharedArrayBuffer; copy its bytes.',
    );
  }
});

test('pictures of another realm: pixels and files', async () => {
  const pixels = new Uint8ClampedArray(32 * 32 * 4).map((_, i) => i * 5);
  const picture = { data: pixels, width: 32, height: 32 };
  const wanted = await model.classify(picture);
  const other = foreign<typeof picture>('({ data: Uint8ClampedArray.from(own), width: 32, height: 32 })', pixels);
  assert.equal(await model.classify(other), wanted);
  const file = readFileSync(new URL('../data/images/palette.png', import.meta.url));
  const named = await model.classify(file);
  for (const code of ['Uint8Array.from(own)', 'Uint8Array.from(own).buffer']) {
    assert.equal(await model.classify(foreign<Uint8Array>(code, file)), named, code);
  }
  const wrong = foreign<Uint8ClampedArray>('new Float32Array(4096)');
  assert.is(
    await failure(model.classify({ ...picture, data: wrong })),
    'image: expected 8-bit pixels, got a Float32Array.',
  );
});

test('a binary of another realm, as bytes or compiled', async () => {
  const wasm = readFileSync(new URL('../../build/baseline.wasm', import.meta.url));
  for (const code of ['Uint8Array.from(own)', 'Uint8Array.from(own).buffer', 'new WebAssembly.Module(own)']) {
    using other = await load(network, { weights: bytes, threads: 1, wasm: foreign<Uint8Array>(code, wasm) });
    assert.is(other.info().binary, 'baseline');
    assert.is((await other.run(input)).data.length, expected.length);
  }
});

test.run();
