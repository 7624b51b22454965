/** ONNX models: the exports in tests/data/onnx against what torch made of their inputs (make_onnx.py there). */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LoadOptions, load, type Output } from '../../../bindings/index.node.js';
import { openWeights } from '../../../bindings/weights/open.js';
import { near } from '../../support/near.js';
import { failure, hostileChunks } from '../../support/weight-files.js';

const path = (name: string): string => fileURLToPath(new URL(`../../data/onnx/${name}`, import.meta.url));
const bytes = (name: string): Uint8Array => new Uint8Array(readFileSync(path(name)));

/** The values of a file: the input, then the outputs. */
function values(name: string): Float32Array {
  return new Float32Array(bytes(`${name}.values`).buffer);
}

interface Case {
  readonly model: string;
  readonly values: string;
  readonly size: number;
  /** Of the outputs, in the order of torch: channels, rows, columns. */
  readonly outputs: readonly (readonly [c: number, h: number, w: number])[];
  /** The share of the largest value that one may differ by. */
  readonly tolerance: number;
}

const CASES: readonly Case[] = [
  { model: 'gated.onnx', values: 'gated', size: 16, outputs: [[5, 1, 1]], tolerance: 1e-5 },
  {
    model: 'shuffled.onnx',
    values: 'shuffled',
    size: 16,
    outputs: [
      [3, 1, 1],
      [2, 16, 16],
    ],
    tolerance: 1e-5,
  },
  {
    model: 'apart.onnx',
    values: 'shuffled',
    size: 16,
    outputs: [
      [3, 1, 1],
      [2, 16, 16],
    ],
    tolerance: 1e-5,
  },
  { model: 'quantised.onnx', values: 'quantised', size: 8, outputs: [[6, 1, 1]], tolerance: 1e-5 },
];

const QUIET = { threads: 1, onWarning: () => {} } as const satisfies LoadOptions;

async function run(source: Parameters<typeof load>[0], { size, values: name }: Case, options: LoadOptions = {}) {
  const model = await load(source, { ...QUIET, ...(name === 'gated' ? { size } : {}), ...options });
  try {
    const data = values(name).slice(0, 3 * size * size);
    return await model.run({ data, shape: [1, 3, size, size], layout: 'NCHW' });
  } finally {
    model.dispose();
  }
}

function check(made: Output, { outputs, size, tolerance, values: name }: Case): void {
  const all = values(name);
  let at = 3 * size * size;
  const tensors = made.outputs ? Object.values(made.outputs) : [made];
  assert.is(tensors.length, outputs.length);
  for (const [i, [c, h, w]] of outputs.entries()) {
    const expected = all.subarray(at, at + c * h * w);
    at += c * h * w;
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const { data } = tensors[i] as { data: Float32Array };
    assert.is(data.length, expected.length);
    for (const [j, value] of expected.entries()) {
      const got = data[(j % (h * w)) * c + Math.floor(j / (h * w))] as number;
      assert.ok(Math.abs(got - value) <= tolerance * largest, `output ${i}: expected ${value} at ${j}, got ${got}`);
    }
  }
}

for (const each of CASES) {
  test(`${each.model} makes what torch makes, from its path`, async () => {
    check(await run(path(each.model), each), each);
  });
}

/** The float32 values of a tensor of a model. */
async function tensorOf(model: string, name: string): Promise<Float32Array> {
  const file = await openWeights(path(model));
  const parts: number[] = [];
  for await (const { tensor, bytes: piece } of file.pieces()) {
    if (tensor.name === name) parts.push(...new Float32Array(piece.slice().buffer));
  }
  return Float32Array.from(parts);
}

const [gated, shuffled, apart] = CASES as [Case, Case, Case];

test('bytes, Blobs and streams cut anywhere are read alike', async () => {
  const whole = await run(bytes('gated.onnx'), gated);
  check(whole, gated);
  for (const source of [
    new Blob([bytes('gated.onnx') as Uint8Array<ArrayBuffer>]),
    hostileChunks(bytes('gated.onnx'), [1, 7, 1000]),
  ]) {
    assert.equal((await run(source, gated)).data, whole.data);
  }
});

test('several outputs have the names of the file', async () => {
  const { outputs } = await run(path('shuffled.onnx'), shuffled);
  assert.equal(Object.keys(outputs ?? {}), ['logits', 'map']);
  assert.equal(outputs?.map?.shape, [1, 16, 16, 2]);
});

test('data that lie apart are found beside a path, or given', async () => {
  const data = bytes('apart.onnx.data');
  check(await run(bytes('apart.onnx'), apart, { data }), apart);
  assert.match(
    await failure(run(bytes('apart.onnx'), apart)),
    /^weights: its weights lie in apart\.onnx\.data beside it; give its path or URL /,
  );
  const cut = await failure(run(bytes('apart.onnx'), apart, { data: data.slice(0, -1) }));
  assert.match(cut, /^weights: expected \d+ bytes, as the model says, got \d+\.$/);
});

test('rows and columns that the file leaves open are those of size', async () => {
  const warnings: string[] = [];
  const model = await load(path('gated.onnx'), { threads: 1, onWarning: (warning) => warnings.push(warning) });
  assert.equal(model.input, { h: 224, w: 224, c: 3 });
  assert.equal(warnings, ['image: the file leaves its size open, and 3x224x224 is taken; size chooses another.']);
  model.dispose();
  const small = await load(path('gated.onnx'), { ...QUIET, size: [20, 32] });
  assert.equal(small.input, { h: 20, w: 32, c: 3 });
  const batch = new Float32Array(2 * 3 * 20 * 32).map((_, i) => Math.sin(i));
  const both = await small.run({ data: batch, shape: [2, 3, 20, 32], layout: 'NCHW' });
  const half = await small.run({ data: batch.subarray(batch.length / 2), shape: [1, 3, 20, 32], layout: 'NCHW' });
  for (const [i, value] of half.data.entries()) near(both.data[i + 5] as number, value, 1e-6, `class ${i}`);
  small.dispose();
  assert.match(
    await failure(load(path('shuffled.onnx'), { ...QUIET, size: 32 })),
    /a graph takes no network options, got size/,
  );
});

test('what is one operation is one: gates, GELU, layer norm, padding', async () => {
  const nodesOf = async (name: string) => {
    const file = await openWeights(path(name));
    await file.close();
    return file.graph?.nodes ?? [];
  };
  const activations = async (name: string): Promise<string[]> =>
    (await nodesOf(name)).flatMap((node) => (node.kind === 'activation' ? [node.activation.kind] : []));
  assert.equal(await activations('gated.onnx'), ['hardSwish', 'silu', 'clip', 'relu', 'hardSigmoid']);
  for (const name of ['shuffled.onnx', 'apart.onnx']) {
    assert.equal(await activations(name), ['relu', 'gelu']);
    const kinds = (await nodesOf(name)).map(({ kind }) => kind);
    assert.is(kinds.filter((kind) => kind === 'layerNorm').length, 1);
    assert.not(kinds.includes('pad'));
  }
});

test('class activation maps, feature maps and embeddings take imported graphs', async () => {
  const model = await load(path('gated.onnx'), { ...QUIET, size: 16 });
  const pixels = { data: new Uint8Array(3 * 400).map((_, i) => (i * 37) % 256), width: 20, height: 20 };
  const { maps, shape } = await model.cam(pixels, { classes: [2] });
  assert.equal(shape, [8, 8]);
  const { data } = await model.run(await model.preprocess(pixels));
  const evidence = Array.from(maps[0]?.data ?? []).reduce((sum, value) => sum + value, 0) / 64;
  const embedding = await model.embed(pixels);
  assert.is(embedding.length, 8);
  const { layers } = model;
  assert.ok(layers.includes('stem.0'), layers.join());
  assert.equal((await model.featureMap(pixels, 'stem.0')).shape, [8, 8, 8]);
  // A map's mean and the bias are the logit.
  const bias = (await tensorOf('gated.onnx', 'fc.bias'))[2] as number;
  near(evidence + bias, data[2] as number, 1e-5, 'logit');
  model.dispose();
});

test('an operation that is none is refused by its node', async () => {
  const text = Buffer.from(bytes('gated.onnx')).toString('latin1');
  const other = Buffer.from(text.replaceAll('HardSigmoid', 'HardSigmois'), 'latin1');
  assert.match(
    await failure(load(new Uint8Array(other), QUIET)),
    /^\/HardSigmois: this HardSigmois cannot be run here: there is no such operation\.$/,
  );
});

test.run();
