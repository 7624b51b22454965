import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromFloat32, toFloat32 } from '../../bindings/weights/dtype.js';
import { openWeights } from '../../bindings/weights/open.js';
import type { ArchConfig, Dtype, Piece, TensorInfo, WeightFile } from '../../bindings/weights/types.js';
import { writeSafetensors } from '../../bindings/weights/write.js';
import { property } from '../support/property.js';
import {
  concat,
  type Entry,
  failure,
  hostileChunks,
  pattern,
  readAll,
  safetensorsFile,
} from '../support/weight-files.js';

/** A file whose pieces are of these sizes, in one buffer that each overwrites. */
function fileOf(
  tensors: readonly { info: TensorInfo; bytes: Uint8Array }[],
  sizes: readonly number[] = [5],
  config: ArchConfig = {},
): WeightFile & { closed: number } {
  const file = {
    format: 'test',
    metadata: { author: 'me' },
    config,
    tensors: tensors.map(({ info }) => info),
    total: 0,
    closed: 0,
    async *pieces(): AsyncGenerator<Piece, void, undefined> {
      try {
        for (const { info, bytes } of tensors) {
          for await (const part of hostileChunks(bytes, sizes)) yield { tensor: info, bytes: part };
        }
      } finally {
        file.closed += 1;
      }
    },
    close: async () => {},
  };
  return file;
}

/** All chunks, kept to the end as a stream that writes them may. */
async function written(file: WeightFile, dtype?: Dtype): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(file, { dtype })) chunks.push(chunk);
  return concat(...chunks);
}

const rewritten = async (file: WeightFile, dtype?: Dtype) => readAll(await openWeights(await written(file, dtype)));

const info = (name: string, shape: number[], dtype: Dtype = 'F32', order: TensorInfo['order'] = 'OI'): TensorInfo => ({
  name,
  shape,
  dtype,
  order,
});

const data = (name: string) => new Uint8Array(readFileSync(new URL(`../data/${name}`, import.meta.url)));

test('what a PyTorch file holds comes through as it is', async () => {
  for (const name of ['state_dict', 'types', 'views']) {
    const open = () => openWeights(hostileChunks(data(`pth/${name}.pt`), [77]));
    assert.equal(await rewritten(await open()), await readAll(await open()));
  }
});

test('any tensors in any pieces: the same bytes, values at a multiple of eight bytes', async () => {
  const tensor = fc.record({
    dtype: fc.constantFrom<Dtype>('F32', 'F16', 'BF16'),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    seed: fc.nat(255),
  });
  const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 });
  await property(fc.tuple(fc.array(tensor, { maxLength: 6 }), sizes), async ([list, chunks]) => {
    const entries: Entry[] = list.map(({ dtype, shape, seed }, i) => {
      const bytes = shape.reduce((product, n) => product * n, dtype === 'F32' ? 4 : 2);
      return { name: `t${i}`, dtype, shape, bytes: pattern(bytes, seed) };
    });
    const tensors = entries.map(({ name, shape, dtype, bytes }) => ({
      info: info(name, shape, dtype as Dtype),
      bytes,
    }));
    const bytes = await written(fileOf(tensors, chunks));
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    assert.is(length % 8, 0);
    const file = await openWeights(bytes);
    assert.equal(
      file.tensors,
      tensors.map((t) => t.info),
    );
    assert.equal(
      await readAll(file),
      entries.filter((entry) => entry.bytes.length > 0),
    );
  });
});

test("Keras's order becomes PyTorch's", async () => {
  for (const dtype of ['F32', 'F16'] as const) {
    const [o, i, h, w] = [3, 2, 4, 5];
    const width = dtype === 'F32' ? 4 : 2;
    const bytes = pattern(o * i * h * w * width);
    const place = (a: number, b: number, c: number, d: number) => (((c * w + d) * i + b) * o + a) * width;
    const parts: Uint8Array[] = [];
    for (let a = 0; a < o; a++)
      for (let b = 0; b < i; b++)
        for (let c = 0; c < h; c++)
          for (let d = 0; d < w; d++) parts.push(bytes.slice(place(a, b, c, d), place(a, b, c, d) + width));
    const tensors = [
      { info: info('conv.weight', [o, i, h, w], dtype, 'IO'), bytes },
      { info: info('fc.weight', [2, 3], dtype, 'IO'), bytes: pattern(6 * width, 7) },
    ];
    const matrix = tensors[1]?.bytes ?? bytes;
    const at = (n: number) => matrix.slice(n * width, (n + 1) * width);
    assert.equal(await rewritten(fileOf(tensors, [7, 3])), [
      { name: 'conv.weight', dtype, shape: [o, i, h, w], bytes: concat(...parts) },
      { name: 'fc.weight', dtype, shape: [2, 3], bytes: concat(...[0, 2, 4, 1, 3, 5].map(at)) },
    ]);
  }
});

test('another type for matrices; vectors become float32 or stay', async () => {
  const values = Float32Array.from({ length: 12 }, (_, i) => (i - 5) / 3);
  const odd = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, -65504, 65519.99);
  const tensors = [
    { info: info('a.weight', [3, 4]), bytes: fromFloat32('F32', values) },
    { info: info('a.odd', [2, 2]), bytes: fromFloat32('F32', odd) },
    { info: info('a.bias', [12]), bytes: fromFloat32('F32', values) },
    { info: info('b.weight', [4, 3], 'F16'), bytes: fromFloat32('F16', values) },
    { info: info('b.bias', [12], 'F16'), bytes: fromFloat32('F16', values) },
  ];
  const half = toFloat32('F16', fromFloat32('F16', values));
  for (const dtype of ['F32', 'F16', 'BF16'] as const) {
    const entries = await rewritten(fileOf(tensors, [1, 6]), dtype);
    const own = dtype === 'F32' ? 'F32' : 'F16';
    const dtypes = entries.map((entry) => entry.dtype);
    assert.equal(dtypes, [dtype, dtype, 'F32', dtype, own]);
    assert.equal(entries[0]?.bytes, fromFloat32(dtype, values));
    assert.equal(entries[1]?.bytes, fromFloat32(dtype, odd));
    assert.equal(entries[2]?.bytes, fromFloat32('F32', values));
    assert.equal(entries[3]?.bytes, fromFloat32(dtype, half));
  }
});

test('a value beyond float16 is refused by its name', async () => {
  const tensors = [{ info: info('fc.weight', [1, 2]), bytes: fromFloat32('F32', Float32Array.of(1, -65520)) }];
  const message = await failure(written(fileOf(tensors), 'F16'));
  assert.is(message, "fc.weight: expected values up to 65504, float16's largest, got -65520.");
  assert.equal((await rewritten(fileOf(tensors), 'BF16'))[0]?.dtype, 'BF16');
});

test('what a file says of its network is kept', async () => {
  const config: ArchConfig = { batchNormEps: 1.001e-5, convBias: true, strideIn: 'conv1' };
  const file = await openWeights(await written(fileOf([], [5], config)));
  assert.equal(file.config, config);
  assert.is(file.metadata.author, 'me');
  assert.equal((await openWeights(await written(fileOf([], [5], { convBias: undefined })))).config, {});
  for (const [key, text] of [
    ['stride', 'conv3'],
    ['convBias', 'yes'],
    ['batchNormEps', '-1'],
    ['batchNormEps', 'Infinity'],
  ]) {
    const bytes = safetensorsFile([], { [`resnet-wasm.${key}`]: text ?? '' });
    const expected = `weights: header: expected resnet-wasm.${key} as this project writes it, got "${text}".`;
    assert.is(await failure(openWeights(bytes)), expected);
  }
});

test("the stride's place under the name that 0.1 wrote", async () => {
  const old = (value: string) => openWeights(safetensorsFile([], { 'resnet-wasm.stride': value }));
  assert.equal((await old('conv2')).config, { strideIn: 'conv2' });
  const both = safetensorsFile([], { 'resnet-wasm.stride': 'conv2', 'resnet-wasm.strideIn': 'conv1' });
  assert.equal((await openWeights(both)).config, { strideIn: 'conv1' });
});

test('a file that ends early, comes in another order, or is not read to its end', async () => {
  const [a, b] = [info('a', [2, 2]), info('b', [3])];
  const whole = [
    { info: a, bytes: pattern(16) },
    { info: b, bytes: pattern(12) },
  ];
  const short = fileOf([whole[0] ?? { info: a, bytes: pattern(0) }, { info: b, bytes: pattern(11) }]);
  assert.is(await failure(written(short)), 'b: 1 of its bytes are missing.');
  const turned = { ...fileOf(whole.toReversed()), tensors: [a, b] };
  assert.is(await failure(written(turned)), 'b: its bytes do not come in the order that the file states.');
  const left = fileOf(whole);
  let chunks = 0;
  for await (const _ of writeSafetensors(left)) if (++chunks === 2) break;
  assert.is(left.closed, 1);
});

test.run();
