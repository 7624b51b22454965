/** Whole models of Keras 3 and weights without a topology, as h5py wrote them (tests/data/h5/make_keras.py). */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load } from '../../../bindings/index.node.js';
import { toFloat32 } from '../../../bindings/weights/dtype.js';
import { identifyNetwork } from '../../../bindings/weights/identify.js';
import { checkTensors, openWeights } from '../../../bindings/weights/open.js';
import { buildNetwork, parameters } from '../../../models/index.js';
import { tfjsFiles, type Variable } from '../../support/keras-models.js';
import { reference } from '../../support/keras-reference.js';
import { bytesOf } from '../../support/tfjs-models.js';
import { concat, failure, hostileChunks, readAll, utf8, withFiles } from '../../support/weight-files.js';

const place = (name: string): URL => new URL(`../../data/h5/${name}`, import.meta.url);
const data = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(place(name)));

const FILES = ['functional.keras', 'deflated.keras', 'functional.h5'] as const;

const INPUT = Float32Array.from({ length: 8 * 8 * 3 }, (_, i) => (i * 37) % 256);

/** The topology that the archive of stored entries has as it is. */
function topology() {
  const text = new TextDecoder('latin1').decode(data('functional.keras'));
  const begin = text.indexOf('{"module": "keras.src.models');
  const end = text.indexOf('PK', begin);
  return JSON.parse(text.slice(begin, text.lastIndexOf('}', end) + 1));
}

/** Keras's names and orders of the values that a file has by names. */
async function variables(): Promise<Variable[]> {
  const file = await openWeights(data('functional.h5'));
  const infos = new Map(file.tensors.map((tensor) => [tensor.name, tensor]));
  const roles: Record<string, string> = { bias: 'bias', running_mean: 'moving_mean', running_var: 'moving_variance' };
  return (await readAll(file)).map(({ name, shape, dtype, bytes }) => {
    const [layer = '', role = ''] = name.split('.');
    const isNorm = layer.startsWith('batch');
    const variable = roles[role] ?? (isNorm ? 'gamma' : 'kernel');
    const inner = /_1$|depthwise/.test(layer) ? ['features'] : [];
    const values = toFloat32(dtype as 'F32', bytes);
    assert.is(infos.get(name)?.order, shape.length > 1 ? 'IO' : 'OI');
    return { path: [...inner, layer, isNorm && role === 'bias' ? 'beta' : variable], shape, values };
  });
}

test('whole models of Keras 3 give what Keras does: .keras, stored and deflated, and .h5, from any source', async () => {
  const input = { shape: [8, 8, 3], data: Float64Array.from(INPUT) };
  const expected = reference(topology(), await variables(), input, 3).data;
  assert.is(expected.length, 3);
  assert.ok(Math.abs(expected.reduce((a, b) => a + b, 0) - 1) < 1e-9);
  for (const name of FILES) {
    const bytes = data(name);
    const sources = [
      fileURLToPath(place(name)),
      bytes,
      new Blob([bytes]),
      new Response(bytes),
      hostileChunks(bytes, [700, 3]),
    ];
    for (const source of sources) {
      using model = await load(source, { threads: 1 });
      assert.is(model.name, 'small');
      const { data: actual } = await model.run({ data: INPUT, shape: [1, 8, 8, 3], layout: 'NHWC' });
      for (const [i, value] of actual.entries()) assert.ok(Math.abs(value - (expected[i] as number)) < 1e-6, name);
      // Its own Rescaling prepares pictures.
      assert.equal(model.preprocessing?.std, [1, 1, 1]);
      const pixels = { data: Uint8Array.from(INPUT), width: 8, height: 8, channels: 3 as const };
      const [best] = await model.classify(pixels, { topK: 1 });
      const most = Math.max(...expected);
      assert.is(best?.index, expected.indexOf(most));
      assert.ok(Math.abs((best?.probability ?? 0) - most) < 1e-6);
    }
  }
});

test('archives that are damaged, or lack an entry', async () => {
  const bytes = data('functional.keras');
  const replaced = (from: string, to: string, all = true): Uint8Array => {
    const text = new TextDecoder('latin1').decode(bytes);
    return Uint8Array.from(all ? text.replaceAll(from, to) : text.replace(from, to), (c) => c.charCodeAt(0));
  };
  assert.is(
    await failure(openWeights(replaced('config.json', 'confix.json'))),
    'weights: expected config.json in a .keras archive, got no such entry.',
  );
  assert.is(
    await failure(openWeights(replaced('\x89HDF', '\x88HDF'))),
    'weights: model.weights.h5: expected an HDF5 file, got something else.',
  );
  assert.match(
    await failure(openWeights(replaced('"Functional"', '"Functiona"+'))),
    /^weights: config\.json: expected JSON/,
  );
  assert.match(await failure(openWeights(bytes.subarray(0, 5000))), /^weights: expected a ZIP archive to its end/);
  const deflated = data('deflated.keras');
  const middle = new TextDecoder('latin1').decode(deflated).indexOf('model.weights.h5') + 200;
  deflated.fill(0xff, middle, middle + 20);
  assert.match(
    await failure(openWeights(deflated)),
    /^weights: model\.weights\.h5: expected \d+ bytes when it is inflated, got/,
  );
});

test('layers that Keras named itself, without a topology: the only network whose layers have their shapes in order', async () => {
  const file = await openWeights(data('counted20.weights.h5'));
  const match = identifyNetwork(file.tensors);
  assert.equal(match, { network: 'resnet20_cifar', options: { convBias: true, shortcut: 'B', classes: 7 } });
  assert.equal(file.config, { batchNormEps: 1e-3, convBias: true });
  assert.match(file.warnings?.join('') ?? '', /^weights: the file says nothing of strides and padding, /);
  checkTensors(file, parameters(buildNetwork('resnet20_cifar', match?.options)));
  await file.close();
});

/** One convolution and a classifier on a flattened map, whose values are quantised. */
const layers = [
  { class_name: 'InputLayer', config: { name: 'input', batch_input_shape: [null, 4, 4, 2] } },
  {
    class_name: 'Conv2D',
    config: { name: 'conv', filters: 3, kernel_size: [3, 3], use_bias: true, activation: 'relu' },
  },
  { class_name: 'Flatten', config: { name: 'flatten' } },
  { class_name: 'Dense', config: { name: 'dense', units: 2, use_bias: false } },
];
const json = { class_name: 'Sequential', config: { name: 'quantised', layers } };

/** [how weights are kept, their bytes from values, the values that these mean] */
const kinds = {
  float16: {
    quantization: { dtype: 'float16', original_dtype: 'float32' },
    // Multiples of a quarter are exact.
    encode: (values: Float32Array) => {
      const bits = (v: number): number => {
        if (v === 0) return 0;
        const exponent = Math.floor(Math.log2(Math.abs(v)));
        return (v < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | Math.round((Math.abs(v) / 2 ** exponent - 1) * 1024);
      };
      return new Uint8Array(Uint16Array.from(values, bits).buffer);
    },
    scale: 0.25,
    min: -3,
    most: 24,
  },
  uint8: {
    quantization: { dtype: 'uint8', scale: 0.25, min: -3, original_dtype: 'float32' },
    encode: (values: Float32Array) => Uint8Array.from(values, (v) => (v + 3) * 4),
    scale: 0.25,
    min: -3,
    most: 255,
  },
  uint16: {
    quantization: { dtype: 'uint16', scale: 0.001, min: -1, original_dtype: 'float32' },
    encode: (values: Float32Array) =>
      new Uint8Array(Uint16Array.from(values, (v) => Math.round((v + 1) / 0.001)).buffer),
    scale: 0.001,
    min: -1,
    most: 3000,
  },
} as const;

for (const [kind, { quantization, encode, scale, min, most }] of Object.entries(kinds)) {
  test(`TensorFlow.js weights that are quantised to ${kind} beside some that are not`, async () => {
    let state = 0;
    const value = () => {
      state = (state * 31 + 17) % most;
      return state * scale + min;
    };
    const made = (path: string[], shape: number[], isPlain = false): Variable => {
      const count = shape.reduce((product, n) => product * n, 1);
      return { path, shape, values: Float32Array.from({ length: count }, isPlain ? () => 0.1 : value) };
    };
    const all = [
      made(['conv', 'kernel'], [3, 3, 2, 3]),
      made(['conv', 'bias'], [3], true),
      made(['dense', 'kernel'], [12, 2]),
    ];
    const files = tfjsFiles({ json, variables: all }, 2);
    const model = JSON.parse(new TextDecoder().decode(files['model.json']));
    for (const i of [0, 2]) model.weightsManifest[0].weights[i].quantization = quantization;
    const shard = concat(...all.map(({ values }, i) => (i === 1 ? bytesOf(values) : encode(values))));
    const x = Float32Array.from({ length: 32 }, (_, i) => Math.cos(i));
    const expected = reference(json, all, { shape: [4, 4, 2], data: Float64Array.from(x) }, 2).data;
    await withFiles({ 'model.json': utf8(JSON.stringify(model)), 'w.bin': shard }, async () => {
      using own = await load('model.json', { threads: 1 });
      const { data: actual } = await own.run({ data: x, shape: [1, 4, 4, 2], layout: 'NHWC' });
      assert.is(actual.length, 2);
      for (const [i, got] of actual.entries()) {
        const wanted = expected[i] as number;
        assert.ok(Math.abs(got - wanted) <= 1e-5 * Math.max(1, Math.abs(wanted)), `${got} for ${wanted}`);
      }
    });
  });
}

test.run();
