import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  inspectWeights,
  type LoadOptions,
  load,
  openWeights,
  withNetworkNames,
  writeSafetensors,
} from '../../../bindings/index.node.js';
import { dequantised } from '../../../bindings/weights/dequantise.js';
import { fromTensors } from '../../../bindings/weights/from-tensors.js';
import { withPrefix } from '../../../bindings/weights/prefix.js';
import { randomWeights } from '../../../bindings/weights/random.js';
import { seededInput } from '../../../bindings/weights/uniform.js';
import type { WriteOptions } from '../../../bindings/weights/write.js';
import { buildNetwork } from '../../../models/index.js';
import { property } from '../../support/property.js';
import {
  concat,
  type Entry,
  failure,
  hostileChunks,
  read,
  readAll,
  safetensorsFile,
  utf8,
  withFiles,
} from '../../support/weight-files.js';

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const entry = (name: string, dtype: string, shape: number[], bytes: Uint8Array): Entry => ({
  name,
  dtype,
  shape,
  bytes,
});

const NUMBERS = Uint8Array.from([127, 0, 1, 255, 0, 129]);
const weight = entry('fc.weight', 'I8', [2, 3], NUMBERS);
const scale = (...values: number[]) => entry('fc.weight_scale', 'F32', [values.length], floats(...values));
const input = (...values: number[]) => entry('fc.input_scale', 'F32', [values.length], floats(...values));
const bias = entry('fc.bias', 'F32', [2], floats(1, 2));

async function written(...args: Parameters<typeof writeSafetensors>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(...args)) chunks.push(chunk);
  return concat(...chunks);
}

function assertSameBytes(got: Uint8Array, expected: Uint8Array): void {
  const at = got.findIndex((byte, i) => byte !== expected[i]);
  assert.is(at, -1, `${got.length} bytes for ${expected.length}, of which the first that differs is ${at}`);
  assert.is(got.length, expected.length);
}

const float32s = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

test('whole numbers come with their scales, in pieces of any size', async () => {
  const file = safetensorsFile([bias, scale(0.5, 2), input(0.125), weight]);
  for (const sizes of [[1], [3, 50], [1000]]) {
    const opened = await openWeights(hostileChunks(file, sizes));
    assert.equal(
      opened.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
      [
        { name: 'fc.bias', dtype: 'F32', shape: [2] },
        { name: 'fc.weight', dtype: 'I8', shape: [2, 3] },
      ],
    );
    assert.is(opened.total, 14);
    assert.is(opened.selection, undefined);
    const numbers: number[] = [];
    for await (const { tensor, bytes } of opened.pieces()) {
      if (!tensor.scales) continue;
      assert.equal(tensor.scales.weight, Float32Array.of(0.5, 2));
      assert.equal(tensor.scales.input, Float32Array.of(0.125));
      numbers.push(...bytes);
    }
    assert.equal(Uint8Array.from(numbers), NUMBERS);
  }
});

test('as floats they are number times scale', async () => {
  const file = safetensorsFile([scale(0.5, 2), bias, weight]);
  for (const sizes of [[1], [4, 1], [1000]]) {
    const [, [, values] = []] = (await readAll(dequantised(await openWeights(hostileChunks(file, sizes))))).map(
      ({ dtype, bytes }) => [dtype, float32s(bytes)] as const,
    );
    assert.equal(values, Float32Array.of(63.5, 0, 0.5, -2, 0, -254));
  }
  const plain = fromTensors([{ name: 'a', shape: [1], data: new Float32Array(1) }]);
  assert.is(dequantised(plain), plain);
});

test('any floats: the largest of a row is 127, and none is further than half a scale from its number', async () => {
  const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 8, maxLength: 8 });
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
  await property(fc.tuple(fc.array(values, { minLength: 1, maxLength: 5 }), sizes), async ([rows, chunks]) => {
    const data = Float32Array.from(rows.flat());
    const source = await written(fromTensors([{ name: 'a.weight', shape: [rows.length, 8], data }]));
    const file = await openWeights(
      hostileChunks(await written(await openWeights(hostileChunks(source, chunks)), { dtype: 'I8' }), chunks),
    );
    assert.is(file.metadata.quantization, 'int8');
    const numbers: number[] = [];
    let scales = new Float32Array(0);
    for await (const { tensor, bytes } of file.pieces()) {
      numbers.push(...new Int8Array(bytes.slice().buffer));
      scales = Float32Array.from(tensor.scales?.weight ?? []);
    }
    rows.forEach((row, o) => {
      const own = numbers.slice(8 * o, 8 * o + 8);
      const [largest, step] = [Math.max(...row.map(Math.abs)), scales[o] as number];
      // Below, a 127th is no float32 of full precision.
      if (largest > 1e-36) {
        assert.is(Math.max(...own.map(Math.abs)), 127);
        const near = row.map((value, i) => Math.abs(value - (own[i] as number) * step) <= step * 0.50001);
        assert.ok(near.every(Boolean));
      } else assert.ok(own.every((number) => Math.abs(number) <= 127) && step > 0);
    });
  });
});

const [network, shape] = ['resnet20_cifar', [1, 3, 32, 32]];

async function logits(weights: Parameters<typeof load>[0], options: LoadOptions = {}): Promise<Float32Array> {
  using model = await load(weights, { threads: 1, memory: 'small', ...options });
  return (await model.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data;
}

test('a network of int8 is known, loads, and comes close; written again it has the same bytes', async () => {
  const graph = buildNetwork(network);
  const random = () => randomWeights(graph, 0);
  const int8 = await written(random(), { dtype: 'I8' });
  const half = await written(random(), { dtype: 'F16' });
  assert.ok(int8.length < 0.6 * half.length);
  const report = await inspectWeights(int8, { against: await written(random()) });
  assert.is(report.network?.network, network);
  assert.equal(report.warnings, []);
  const matrices = report.tensors.filter(({ dtype }) => dtype === 'I8');
  assert.is(matrices.length, 20);
  assert.ok(matrices.every(({ signalToNoise = 0 }) => signalToNoise > 40 && signalToNoise < 60));
  assert.ok(report.tensors.every((tensor) => !('scales' in tensor)));
  const [expected, got] = [await logits(await written(random())), await logits(int8)];
  const [most, off] = [
    Math.max(...expected.map(Math.abs)),
    Math.max(...got.map((v, i) => Math.abs(v - (expected[i] ?? 0)))),
  ];
  assert.ok(off > 0 && off < 0.1 * most, `${off} of ${most}`);
  assertSameBytes(await written(await openWeights(int8)), int8);
  assertSameBytes(await written(await openWeights(int8), { dtype: 'I8' }), int8);
  // As floats they are what the numbers stand for.
  const back = await openWeights(await written(await openWeights(int8), { dtype: 'F32' }));
  assert.is(back.metadata.quantization, undefined);
  assert.equal(await readAll(back), await readAll(dequantised(await openWeights(int8))));
});

test('whole numbers load as they are, and as floats if asked for', async () => {
  const source = () => randomWeights(buildNetwork(network), 0);
  const int8 = await written(source(), { dtype: 'I8' });
  const back = await written(await openWeights(int8), { dtype: 'F32' });
  // A row's largest number is 127, so that what is quantised anew comes to the same numbers.
  assert.equal(await logits(int8), await logits(back, { quantize: 'int8' }));
  assert.equal(await logits(int8, { quantize: false }), await logits(back));
  // Of whole numbers, some layers compute with floats.
  assert.equal(await logits(int8, { memory: 'fast' }), await logits(back, { quantize: 'int8', memory: 'fast' }));
});

test('scales of inputs from calibration are used, unless told otherwise', async () => {
  const graph = buildNetwork(network);
  const names = randomWeights(graph)
    .tensors.filter(({ shape: dims }) => dims.length > 1)
    .map(({ name }) => name);
  const calibration = { inputScales: new Map(names.map((name) => [name, 0.05])), method: 'none' };
  const plain = await written(randomWeights(graph, 0), { dtype: 'I8' });
  const ranged = await written(randomWeights(graph, 0), { dtype: 'I8', calibration });
  const dynamic = await logits(plain);
  assert.equal(await logits(ranged, { activationScales: 'dynamic' }), dynamic);
  assert.not.equal(await logits(ranged), dynamic);
});

test('names from elsewhere, and prefixes, take the scales along', async () => {
  const graph = buildNetwork(network);
  const tensors = await readAll(randomWeights(graph, 0));
  const elsewhere = fromTensors(
    tensors.map(({ name, shape: dims, bytes }) => ({ name: `net.${name}`, shape: dims, data: bytes })),
  );
  const own = await written(randomWeights(graph, 0), { dtype: 'I8' });
  const int8 = await written(elsewhere, { dtype: 'I8' });
  assert.equal(await logits(int8), await logits(own));
  assertSameBytes(await written(withNetworkNames(await openWeights(int8))), own);
  assertSameBytes(await written(withPrefix(await openWeights(int8), 'net')), own);
});

test('a calibration is kept, until another takes its place', async () => {
  const source = () =>
    fromTensors([{ name: 'fc.weight', shape: [2, 4], data: Float32Array.from({ length: 8 }, (_, i) => i) }]);
  const options: WriteOptions = {
    dtype: 'I8',
    calibration: { inputScales: new Map([['fc.weight', 0.25]]), method: 'by hand' },
  };
  const scalesIn = async (bytes: Uint8Array) => {
    const file = await openWeights(bytes);
    const [, tensor] = [await readAll(file), file.tensors[0]];
    return [file.metadata.calibration, tensor?.scales?.input?.[0]];
  };
  const bytes = await written(source(), options);
  assert.equal(await scalesIn(bytes), ['by hand', 0.25]);
  assert.equal(await scalesIn(await written(await openWeights(bytes))), ['by hand', 0.25]);
  assert.is((await inspectWeights(bytes)).tensors[0]?.inputScale, 0.25);
  const other = { inputScales: new Map([['fc.weight', 0.5]]), method: 'again' };
  assert.equal(await scalesIn(await written(await openWeights(bytes), { calibration: other })), ['again', 0.5]);
  assert.equal(await scalesIn(await written(source(), { dtype: 'I8' })), [undefined, undefined]);
});

test('what is odd stays in floating point, and what is not finite is refused', async () => {
  const data = (count: number, value = 1) => new Float32Array(count).fill(value);
  const file = fromTensors([
    { name: 'odd.weight', shape: [3, 3], data: data(9) },
    { name: 'none.weight', shape: [3, 0], data: data(0) },
    { name: 'zero.weight', shape: [2, 2], data: data(4, 0) },
    { name: 'bias', shape: [4], data: data(4) },
  ]);
  const dtypes = (await openWeights(await written(file, { dtype: 'I8' }))).tensors.map(({ dtype }) => dtype);
  assert.equal(dtypes, ['F32', 'F32', 'I8', 'F32']);
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const odd = fromTensors([{ name: 'fc.weight', shape: [1, 4], data: Float32Array.of(1, value, 2, 0) }]);
    const got = Number.isNaN(value) ? 'NaN' : 'Infinity';
    assert.is(await failure(written(odd, { dtype: 'I8' })), `fc.weight: expected finite values for int8, got ${got}.`);
  }
  const taken = fromTensors([
    { name: 'fc.weight', shape: [2, 2], data: data(4) },
    { name: 'fc.weight_scale', shape: [2], data: data(2) },
  ]);
  assert.is(
    await failure(written(taken, { dtype: 'I8' })),
    'fc.weight_scale: int8 needs this name, which a tensor of the file has.',
  );
});

test('scales that are wrong, missing or left over are refused in one sentence', async () => {
  const INT8 = { quantization: 'int8' };
  const other = entry('fc.other', 'F32', [1], floats(1));
  const zero = entry('fc.weight_zero_point', 'I8', [2], new Uint8Array(2));
  const cases: readonly (readonly [Entry[], string, Record<string, string>?])[] = [
    [[scale(0, 1), weight], 'fc.weight_scale: expected finite scales above 0, got 0 at 0.'],
    [[scale(1, -2), weight], 'fc.weight_scale: expected finite scales above 0, got -2 at 1.'],
    [[scale(1, Number.NaN), weight], 'fc.weight_scale: expected finite scales above 0, got NaN at 1.'],
    [[scale(1, 1), input(1 / 0), weight], 'fc.input_scale: expected finite scales above 0, got Infinity at 0.'],
    [[scale(1, 2, 3), weight], 'fc.weight_scale: expected F32 [2], got F32 [3].'],
    [[scale(1, 2), input(1, 2), weight], 'fc.input_scale: expected F32 [1], got F32 [2].'],
    [[{ ...scale(1), dtype: 'F16', shape: [2] }, weight], 'fc.weight_scale: expected F32 [2], got F16 [2].'],
    [[weight, scale(1, 2)], 'fc.weight_scale: expected it before fc.weight in the file, got it behind.'],
    [[weight], 'fc.weight: expected its scales in fc.weight_scale, got no such tensor.', INT8],
    [
      [{ ...scale(1, 2), name: 'fb.weight_scale' }, { ...weight, name: 'fb.weight' }, weight],
      'fc.weight: expected its scales in fc.weight_scale, got no such tensor.',
    ],
    [[scale(1, 2)], 'fc.weight_scale: expected a tensor fc.weight of I8 that it scales, got no such tensor.', INT8],
    [
      [scale(1, 2), entry('fc.weight', 'F32', [2, 1], floats(1, 2))],
      'fc.weight_scale: expected a tensor fc.weight of I8 that it scales, got F32.',
      INT8,
    ],
    [
      [input(1), entry('fc.weight', 'F32', [2, 1], floats(1, 2))],
      'fc.input_scale: expected a tensor fc.weight of I8 that it scales, got F32.',
      INT8,
    ],
    [
      [scale(1, 2), weight, zero],
      'fc.weight_zero_point: expected no zero point, since int8 is symmetric here, got one.',
    ],
    [[scale(1, 2), { ...weight, bytes: NUMBERS.slice(1) }], 'fc.weight: expected 6 bytes of I8 [2, 3], got 5.'],
  ];
  for (const [entries, expected, metadata] of cases) {
    assert.is(await failure(read(safetensorsFile([...entries, other], metadata))), expected);
  }
  // Files of floats may call tensors so, and hold whole numbers that no network reads.
  const names = ['logit_scale', 'fc.weight_scale', 'fc.input_scale'];
  const plain = names.map((name) => entry(name, 'F32', [1], floats(1)));
  const skipped = await openWeights(
    safetensorsFile([...plain, weight].filter(({ name }) => name !== 'fc.weight_scale')),
  );
  assert.equal(skipped.selection?.skipped, ['fc.weight']);
  assert.is((await read(safetensorsFile(plain))).length, 3);
});

test('int8 in shards, and a file that lacks what another has, are refused', async () => {
  const int8 = safetensorsFile([scale(1, 2), weight]);
  const index = utf8(JSON.stringify({ weight_map: { 'fc.weight': 'one', 'fc.weight_scale': 'one' } }));
  const message = await withFiles({ 'index.json': index, one: int8 }, () => failure(openWeights('index.json')));
  assert.is(message, 'fc.weight: expected floating point in shards, got int8.');
  const against = safetensorsFile([entry('fc.weight', 'F32', [3, 2], floats(1, 2, 3, 4, 5, 6))]);
  assert.is(await failure(inspectWeights(int8, { against })), 'against: expected fc.weight [2, 3], got [3, 2].');
  assert.is(
    await failure(inspectWeights(int8, { against: safetensorsFile([bias]) })),
    'against: expected fc.weight [2, 3], got no such tensor.',
  );
});

test.run();
