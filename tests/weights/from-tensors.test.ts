import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load } from '../../bindings/index.node.js';
import { fromFloat32 } from '../../bindings/weights/dtype.js';
import { fromTensors, type MemoryTensor } from '../../bindings/weights/from-tensors.js';
import { randomWeights, seededTensor } from '../../bindings/weights/random.js';
import type { WeightFile } from '../../bindings/weights/types.js';
import { seededInput } from '../../bindings/weights/uniform.js';
import { writeSafetensors } from '../../bindings/weights/write.js';
import { buildNetwork, parameters } from '../../models/index.js';
import { assertSameBits } from '../support/records.js';
import { concat, failure, readAll } from '../support/weight-files.js';

const NAME = 'resnet20_cifar';
const graph = buildNetwork(NAME, { size: 16 });

/** Every tensor of the network, its values those of random weights. */
const tensors = (): MemoryTensor[] =>
  parameters(graph).map((parameter) => {
    const { name, shape } = parameter;
    return { name, shape, data: seededTensor(graph, parameter) };
  });

const input = { data: seededInput([1, 3, 16, 16]), shape: [1, 3, 16, 16], layout: 'NCHW' } as const;

async function outputOf(weights: WeightFile | { seed: number } | Uint8Array): Promise<Float32Array> {
  using model = await load(NAME, { weights, size: 16, threads: 1 });
  return (await model.run(input)).data;
}

test('values of every type come out as views, in order, and may be read again', async () => {
  const values = Float32Array.of(1, -2, 0.5, 3e38, Number.NaN, 7);
  const halves = new Uint16Array(fromFloat32('F16', values.subarray(0, 3)).slice().buffer);
  const bytes = fromFloat32('BF16', values.subarray(0, 2));
  const file = fromTensors([
    { name: 'a.weight', shape: [2, 3], data: values, order: 'IO' },
    { name: 'a.bias', shape: [2], data: Float64Array.of(1 / 3, 1e300) },
    { name: 'b.weight', shape: [3, 1], data: halves },
    { name: 'b.bias', shape: [2], data: bytes, dtype: 'BF16' },
    { name: 'none', shape: [0, 4], data: new Float32Array(0) },
    { name: 'scalar', shape: [], data: () => [values.subarray(1, 2)] },
  ]);
  assert.is(file.total, 24 + 8 + 6 + 4 + 4);
  assert.equal(file.tensors[0], { name: 'a.weight', shape: [2, 3], dtype: 'F32', order: 'IO' });
  assert.is(file.tensors[2]?.dtype, 'F16');
  const { value: first } = await file.pieces().next();
  assert.is(first?.bytes.buffer, values.buffer);
  const raw = (array: Float32Array | Uint16Array) => new Uint8Array(array.slice().buffer);
  const expected = [
    { name: 'a.weight', dtype: 'F32', shape: [2, 3], bytes: raw(values) },
    { name: 'a.bias', dtype: 'F32', shape: [2], bytes: raw(Float32Array.of(1 / 3, Number.POSITIVE_INFINITY)) },
    { name: 'b.weight', dtype: 'F16', shape: [3, 1], bytes: raw(halves) },
    { name: 'b.bias', dtype: 'BF16', shape: [2], bytes: new Uint8Array(bytes) },
    { name: 'scalar', dtype: 'F32', shape: [], bytes: raw(values.subarray(1, 2)) },
  ];
  for (let i = 0; i < 2; i++) assert.equal(await readAll(file), expected);
});

test('a network runs on tensors in memory as on their file', async () => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(fromTensors(tensors()))) chunks.push(chunk);
  const expected = await outputOf(concat(...chunks));
  const file = fromTensors(tensors());
  assertSameBits(await outputOf(file), expected, 'from tensors');
  assertSameBits(await outputOf(file), expected, 'the same again');
  assertSameBits(await outputOf(randomWeights(graph, 0)), expected, 'random weights');
  assertSameBits(await outputOf({ seed: 0 }), expected, 'a seed');
  assert.not.equal(await outputOf({ seed: 1 }), expected);
  const wrapped = tensors().map((tensor) => ({ ...tensor, name: `module.${tensor.name.replace(/^fc/, 'linear')}` }));
  assertSameBits(await outputOf(fromTensors(wrapped)), expected, 'under an alias');
});

test('random weights are never held whole', async () => {
  const vgg = buildNetwork('vgg11');
  const before = process.memoryUsage().arrayBuffers;
  const file = randomWeights(vgg, 3);
  assert.ok(file.total > 500e6);
  let pieces = 0;
  for await (const { bytes } of file.pieces()) {
    assert.ok(bytes.length <= 2 ** 20);
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 24);
    if (++pieces === 40) break;
  }
  assert.is(pieces, 40);
});

test('what is no tensor is refused in one sentence', async () => {
  const refused = async (change: object) =>
    failure((async () => fromTensors([{ name: 'fc.bias', shape: [3], data: new Float32Array(3), ...change }]))());
  assert.is(await refused({ name: '' }), 'tensors: expected a name, got "".');
  assert.is(await refused({ data: new Float32Array(2) }), 'fc.bias: expected 3 values for [3], got 2.');
  assert.is(await refused({ data: new Uint8Array(10) }), 'fc.bias: expected 3 values for [3], got 2.5.');
  assert.is(await refused({ shape: [-1] }), 'fc.bias: expected a shape of whole numbers from 0, got [-1].');
  assert.is(await refused({ order: 'HWIO' }), 'fc.bias: expected order OI or IO, got "HWIO".');
  assert.is(await refused({ dtype: 'I8' }), 'fc.bias: expected dtype F32, F16 or BF16, got "I8".');
  assert.is(
    await refused({ data: [1, 2, 3] }),
    'fc.bias: expected a Float32Array, a Float64Array or a Uint8Array of F32 values, got [1, 2, 3].',
  );
  assert.is(
    await refused({ data: new Float32Array(3), dtype: 'F16' }),
    'fc.bias: expected a Uint16Array or a Uint8Array of F16 values, got a Float32Array.',
  );
  const twice = { name: 'x', shape: [1], data: new Float32Array(1) };
  assert.is(await failure((async () => fromTensors([twice, twice]))()), 'x: this name is given to two tensors.');
  for (const count of [2, 4]) {
    const made = fromTensors([
      { name: 'y', shape: [3], data: () => [new Float32Array(2), new Float32Array(count - 2)] },
    ]);
    assert.is(await failure(readAll(made)), `y: expected 3 values for [3], got ${count}.`);
  }
});

test('tensors that are not the network’s are refused in one sentence', async () => {
  const list = tensors();
  const without = list.filter(({ name }) => name !== 'fc.bias');
  const short = list.filter(({ name }) => name !== 'bn1.bias');
  assert.match(await failure(outputOf(fromTensors(short))), /^bn1\.bias: expected \[16\], got no such tensor; /);
  const other = [...without, { name: 'fc.bias', shape: [5, 2], data: new Float32Array(10) }];
  assert.is(await failure(outputOf(fromTensors(other))), 'fc.bias: expected [10], got [5, 2].');
});

test.run();
