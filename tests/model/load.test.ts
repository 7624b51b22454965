/** The public API: load, run, classify, dispose, and what each refuses. */

import '../support/flags.mjs';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BINARIES } from '../../bindings/engine/binary.js';
import {
  buildNetwork,
  type LoadOptions,
  load,
  type Model,
  preprocessings,
  type Tensor,
} from '../../bindings/index.node.js';
import { load as loadWithoutPull } from '../../bindings/model/load.js';
import type { Progress } from '../../bindings/model/progress.js';
import { seededWeights } from '../../bindings/weights/random.js';
import { seededInput, uniform } from '../../bindings/weights/uniform.js';
import type { Graph } from '../../models/index.js';
import { assertSameBits } from '../support/records.js';
import { concat, failure, rejection } from '../support/weight-files.js';

const NAME = 'resnet20_cifar';
const graph = buildNetwork(NAME);
const SHAPE = [1, 3, 32, 32];
const COUNT = 3 * 32 * 32;

async function bytesOf(network: Graph): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const part of seededWeights(network)) parts.push(part);
  return concat(...parts);
}

const weights = await bytesOf(graph);

const open = (options: Partial<LoadOptions> = {}): Promise<Model> => load(NAME, { weights, threads: 1, ...options });

const nchw = (data: Float32Array, batch = 1): Tensor => ({ data, shape: [batch, 3, 32, 32], layout: 'NCHW' });

function toNhwc(data: Float32Array, batch: number): Tensor {
  const pixels = 32 * 32;
  const result = new Float32Array(data.length);
  for (let b = 0; b < batch; b++)
    for (let c = 0; c < 3; c++)
      for (let p = 0; p < pixels; p++) {
        result[(b * pixels + p) * 3 + c] = data[(b * 3 + c) * pixels + p] as number;
      }
  return { data: result, shape: [batch, 32, 32, 3], layout: 'NHWC' };
}

const input = seededInput(SHAPE);
const three = uniform('three', 3 * COUNT, -2, 2);

for (const binary of BINARIES) {
  test(`${binary}: NCHW and NHWC give the same bits`, async () => {
    using model = await open({ binary });
    for (const [data, batch] of [
      [input, 1],
      [three, 3],
    ] as const) {
      const [a, b] = [await model.run(nchw(data, batch)), await model.run(toNhwc(data, batch))];
      assert.equal(a.shape, [batch, 10]);
      assertSameBits(b.data, a.data, 'NHWC');
    }
  });

  test(`${binary}: a batch gives what its images give one by one`, async () => {
    using model = await open({ binary });
    const { data } = await model.run(nchw(three, 3));
    for (let i = 0; i < 3; i++) {
      const one = await model.run(nchw(three.slice(i * COUNT, (i + 1) * COUNT)));
      // The classifier sums in another order for one image than for several, the rest is the same, bit for bit.
      for (let c = 0; c < 10; c++) {
        const [single, batched] = [one.data[c] as number, data[i * 10 + c] as number];
        assert.ok(Math.abs(single - batched) <= 1e-6, `image ${i}, class ${c}: ${single} and ${batched}`);
      }
    }
    assertSameBits((await model.run(nchw(three, 3))).data, data, 'the batch again');
  });

  test(`${binary}: any number of threads gives the same bits`, async () => {
    const results: Float32Array[] = [];
    for (const threads of [1, 2, 3]) {
      using model = await open({ binary, threads });
      assert.is(model.info().threads, threads);
      for (const [data, batch] of [
        [input, 1],
        [three, 3],
        [input, 1],
      ] as const) {
        results.push((await model.run(nchw(data, batch))).data);
      }
    }
    results.forEach((result, i) => {
      assertSameBits(result, results[i % 3] as Float32Array, `run ${i}`);
    });
  });

  test(`${binary}: runs on one model at the same time each give their own`, async () => {
    for (const threads of [1, 2]) {
      using model = await open({ binary, threads });
      const inputs = Array.from({ length: 5 }, (_, i) => uniform(`input ${i}`, (1 + (i % 2)) * COUNT, -2, 2));
      const run = (data: Float32Array) => model.run(nchw(data, data.length / COUNT));
      const together = await Promise.all(inputs.map(run));
      for (const [i, data] of inputs.entries()) {
        assertSameBits((await run(data)).data, together[i]?.data as Float32Array, `input ${i}`);
      }
    }
  });

  test(`${binary}: is the one asked for, and says so`, async () => {
    using model = await open({ binary });
    const { weightBytes, activationBytes, memoryBytes, version, backend, vectors, vectorsNote, ...info } = model.info();
    assert.ok(/^Vectors of \d+ bits, /.test(vectorsNote) && [128, 256].includes(vectors), vectorsNote);
    assert.equal([version, backend], [JSON.parse(readFileSync('package.json', 'utf8')).version, 'wasm']);
    assert.equal(info, { network: NAME, binary, threads: 1, threadsNote: undefined });
    assert.ok(weightBytes > 270_000 * 4 && activationBytes >= 2 * 32 * 32 * 16 * 4);
    assert.ok(memoryBytes >= weightBytes);
    await model.run(nchw(input));
    assert.ok(model.info().memoryBytes >= weightBytes + activationBytes);
  });
}

test('a run does not change its input, nor an earlier result', async () => {
  using model = await open();
  const given = input.slice();
  const first = await model.run(nchw(given));
  const kept = first.data.slice();
  await model.run(nchw(three, 3));
  assertSameBits(given, input, 'input');
  assertSameBits(first.data, kept, 'result');
});

test('a run takes the values at the call, whatever becomes of them', async () => {
  using model = await open();
  const data = new Float32Array(COUNT);
  const expected: Float32Array[] = [];
  const shared: Promise<{ data: Float32Array }>[] = [];
  for (const value of [0.1, 0.5, 0.9]) expected.push((await model.run(nchw(new Float32Array(COUNT).fill(value)))).data);
  for (const value of [0.1, 0.5, 0.9]) shared.push(model.run(toNhwc(data.fill(value), 1)));
  const gone = model.run(nchw(data));
  structuredClone(data, { transfer: [data.buffer] });
  const results = await Promise.all([...shared, gone]);
  results.forEach((result, i) => {
    assertSameBits(result.data, expected[Math.min(i, 2)] as Float32Array, `run ${i}`);
  });

  const pixels = { data: new Uint8Array(32 * 32 * 3).fill(200), width: 32, height: 32 };
  const before = await model.classify(pixels, { topK: 10 });
  const copy = { ...pixels, data: pixels.data.slice() };
  const idle = model.classify([copy, copy], { topK: 10 });
  copy.data.fill(0);
  assert.equal(await idle, [before, before]);
  const changed = model.classify(pixels, { topK: 10 });
  // The second one waits for the first, the others for the script that they need.
  const waiting = model.classify(pixels, { topK: 10 });
  const list = model.classify([pixels], { topK: 10 });
  const analysed = model.analyse(pixels, { topK: 10 }).then(({ classes }) => classes);
  const mapped = model
    .cam(pixels, { topK: 10 })
    .then(({ maps }) => maps.map(({ data, ...classification }) => classification));
  pixels.data.fill(0);
  for (const result of [changed, waiting, list.then(([first]) => first), analysed, mapped]) {
    assert.equal(await result, before);
  }
  assert.not.equal(await model.classify(pixels, { topK: 10 }), before);
});

test('the event loop has its turn between runs', async () => {
  using model = await open();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  for (let i = 0; i < 20; i++) await model.run(nchw(input));
  clearInterval(timer);
  assert.ok(ticks > 0, 'a timer fires while runs are awaited in a row');
});

test('models live side by side', async () => {
  using a = await open();
  using b = await load('resnet32_cifar', { weights: seededWeights(buildNetwork('resnet32_cifar')), threads: 1 });
  const before = await a.run(nchw(input));
  await b.run(nchw(three, 3));
  assertSameBits((await a.run(nchw(input))).data, before.data, 'the first model');
});

test('without Winograd, results differ by rounding alone, and weights are smaller', async () => {
  using fast = await open();
  using plain = await open({ winograd: false });
  const [a, b] = [await fast.run(nchw(input)), await plain.run(nchw(input))];
  a.data.forEach((v, i) => {
    assert.ok(Math.abs(v - (b.data[i] as number)) < 1e-5);
  });
  assert.ok(plain.info().weightBytes < fast.info().weightBytes / 2);
});

test('a profile has a time for each step, and the output of a plain run', async () => {
  using model = await open();
  const plain = await model.run(nchw(input));
  assert.is(plain.profile, undefined);
  const { data, profile = [] } = await model.run(nchw(input), { profile: true });
  assertSameBits(data, plain.data, 'profiled');
  assert.ok(profile.every(({ ms }) => ms >= 0));
  assert.is(profile[0]?.name, 'conv1');
  assert.is(profile.at(-1)?.kind, 'linear');
  assert.is(
    profile.reduce((sum, { macs }) => sum + macs, 0),
    model.summary().macs,
  );
});

test('summary and options of the network', async () => {
  using model = await open();
  assert.is(model.name, NAME);
  assert.is(model.summary().parameters, 269722);
  const options = { classes: 7, size: [40, 24], inChannels: 1 } as const;
  const other = buildNetwork(NAME, options);
  using changed = await load(NAME, { weights: seededWeights(other), threads: 1, ...options });
  const shape = [2, 1, 40, 24];
  const result = await changed.run({ data: uniform('x', 2 * 40 * 24, -1, 1), shape, layout: 'NCHW' });
  assert.equal(result.shape, [2, 7]);
});

test('classify: the most probable classes, best first, with labels if there are', async () => {
  const labels = Array.from({ length: 10 }, (_, i) => `class ${i}`);
  using model = await open({ labels });
  const data = Uint8Array.from({ length: COUNT }, (_, i) => (i * 7919) % 256);
  const image = { data, width: 32, height: 32 };
  const all = await model.classify(image, { topK: 10 });
  assert.equal(
    all.map(({ label }) => label),
    all.map(({ index }) => `class ${index}`),
  );
  assert.ok(Math.abs(all.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-9);
  assert.ok(all.every(({ probability }, i) => probability <= (all[i - 1]?.probability ?? 1)));
  assert.equal(await model.classify(image, { topK: 3 }), all.slice(0, 3));
  assert.is((await model.classify(image)).length, 5);
  assert.is((await model.classify(image, { topK: 99 })).length, 10);

  // The same by hand: normalised as torchvision does, then run, then softmax.
  const { scale, mean, std } = preprocessings.cifar;
  const values = Float32Array.from(
    data,
    (byte, i) => (byte * scale - (mean[i % 3] as number)) / (std[i % 3] as number),
  );
  const { data: logits } = await model.run({ data: values, shape: [1, 32, 32, 3], layout: 'NHWC' });
  const powers = Array.from(logits, Math.exp);
  const sum = powers.reduce((a, b) => a + b, 0);
  for (const { index, probability } of all) {
    assert.ok(Math.abs(probability - (powers[index] as number) / sum) < 1e-6, `class ${index}`);
  }

  using unlabelled = await open();
  assert.is((await unlabelled.classify(image))[0]?.label, undefined);
});

test('classify refuses what is no picture, a wrong top, and networks without a preprocessing', async () => {
  using model = await open();
  const image = { data: new Uint8Array(COUNT), width: 32, height: 32 };
  for (const top of [0, 1.5, -1, Number.NaN]) {
    assert.is(await failure(model.classify(image, { topK: top })), `topK: expected a whole number from 1, got ${top}.`);
  }
  await failure(model.classify({ ...image, width: 31 }));
  await failure(model.classify('no/such/picture.jpg'));
  using grey = await load(NAME, { weights: { seed: 1 }, inChannels: 1, threads: 1 });
  assert.is(
    await failure(grey.classify(image)),
    'resnet20_cifar: expected a preprocessing for pictures of 32x32x1, got none.',
  );
});

test('a preprocessing of one’s own: names, options, grey inputs, and inputs that are not square', async () => {
  const image = { data: Uint8Array.from(uniform('own', COUNT, 0, 256)), width: 32, height: 32 };
  using usual = await open();
  const logits = await usual.classify(image);
  for (const preprocessing of ['torch', 'cifar', {}, { base: 'torch', size: 32 }, preprocessings.cifar] as const) {
    using same = await open({ preprocessing });
    assert.equal(await same.classify(image), logits);
  }
  using other = await open({ preprocessing: { resize: [40, 50], interpolation: 'bicubic' } });
  assert.not.equal(await other.classify(image), logits);

  using wide = await load(NAME, { weights, size: [32, 48], threads: 1 });
  assert.equal((await wide.cam(image)).crop.height, (32 * 32) / 48);
  assert.is((await wide.classify(image)).length, 5);

  const one = { weights: { seed: 1 }, inChannels: 1, threads: 1 } as const;
  using grey = await load(NAME, { ...one, preprocessing: { mean: 0.5, std: 0.25 } });
  const ranked = await grey.classify(image, { topK: 10 });
  const luma = Float32Array.from({ length: 32 * 32 }, (_, i) => {
    const [r = 0, g = 0, b = 0] = image.data.subarray(i * 3);
    return (Math.floor((r * 19595 + g * 38470 + b * 7471 + 0x8000) / 65536) / 255 - 0.5) / 0.25;
  });
  const byHand = await grey.run({ data: luma, shape: [1, 32, 32, 1], layout: 'NHWC' });
  assert.equal(
    ranked.map(({ index }) => index),
    Array.from(byHand.data, (_, i) => i).sort((a, b) => (byHand.data[b] as number) - (byHand.data[a] as number)),
  );
});

test('a preprocessing that does not fit is refused before any weights are read', async () => {
  let reads = 0;
  const unread = {
    [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
      reads += 1;
      return { next: async () => ({ done: true, value: undefined }) };
    },
  };
  for (const [preprocessing, message] of [
    [preprocessings.torch, "preprocessing: expected crop to be the network's input, 32x32, got 224x224."],
    [{ std: [0, 1, 1] }, 'preprocessing: expected std to be above 0, got 0.'],
  ] as const) {
    for (const network of [NAME, buildNetwork(NAME)]) {
      const refused = load(network, { weights: unread, preprocessing, threads: 1 });
      assert.is(await failure(refused), message);
    }
  }
  assert.is(reads, 0);
  // The graph of a file that tells its own network is not known before.
  const refused = load(weights, { preprocessing: { colour: 1 } as object, threads: 1 });
  assert.match(await failure(refused), /^preprocessing: expected one of base, .*, got colour; the closest is /);
});

test('run refuses wrong shapes, layouts and data, each in one sentence', async () => {
  using model = await open();
  const refused = async (tensor: object, message: string): Promise<void> => {
    assert.is(await failure(model.run({ ...nchw(input), ...tensor } as Tensor)), message);
  };
  for (const shape of [[1, 32, 32, 3], [3, 32, 32], [0, 3, 32, 32], [1.5, 3, 32, 32], [-1, 3, 32, 32], []]) {
    await refused({ shape }, `input: expected shape [N, 3, 32, 32] (NCHW), got [${shape.join(', ')}].`);
  }
  await refused({ layout: 'NHWC' }, 'input: expected shape [N, 32, 32, 3] (NHWC), got [1, 3, 32, 32].');
  await refused({ layout: 'CHWN' }, 'layout: expected NCHW or NHWC, got CHWN.');
  await refused({ layout: undefined }, 'layout: expected NCHW or NHWC, got undefined.');
  await refused({ data: input.subarray(1) }, `input: expected a Float32Array of ${COUNT} values, got ${COUNT - 1}.`);
  await refused(
    { data: Float64Array.from(input) },
    `input: expected a Float32Array of ${COUNT} values, got a Float64Array.`,
  );
  await refused({ data: [1, 2, 3] }, `input: expected a Float32Array of ${COUNT} values, got [1, 2, 3].`);
  await refused({ shape: undefined }, 'input: expected shape [N, 3, 32, 32] (NCHW), got undefined.');
  for (const none of [null, undefined]) {
    const got = await failure(model.run(none as unknown as Tensor));
    assert.is(got, `input: expected {data, shape, layout}, got ${none}.`);
  }
  // After all of these it still runs.
  assert.is((await model.run(nchw(input))).data.length, 10);
});

test('a batch beyond 4 GiB is refused, and the model runs on', async () => {
  using model = await open();
  const before = await model.run(nchw(input));
  // 128 KiB of activations an image; the input's pages are never touched.
  const batch = 2 ** 15;
  const data = new Float32Array(batch * COUNT);
  assert.match(
    await failure(model.run(nchw(data, batch))),
    /^memory: expected to grow to \d+ MiB, got no more than \d+ MiB\.$/,
  );
  assertSameBits((await model.run(nchw(input))).data, before.data, 'afterwards');
});

test('a model that has been disposed of is of no use, and disposing again does nothing', async () => {
  const model = await open();
  const begun = model.run(nchw(input));
  const waiting = model.run(nchw(input));
  model.dispose();
  model.dispose();
  const message = `${NAME}: this model has been disposed.`;
  assert.is((await begun).data.length, 10);
  assert.is(await failure(waiting), message);
  assert.is(await failure(model.run(nchw(input))), message);
  assert.is(await failure(model.classify({ data: new Uint8Array(COUNT), width: 32, height: 32 })), message);
  assert.throws(() => model.summary(), message);
  assert.throws(() => model.info(), message);
});

test('progress grows to the total', async () => {
  const seen: Progress[] = [];
  using _ = await open({ onProgress: (progress) => seen.push(progress) });
  assert.ok(seen.every(({ loaded }, i) => loaded > (seen[i - 1]?.loaded ?? 0)));
  assert.ok(seen.every(({ phase, total }) => phase === 'pack' && total === seen[0]?.total));
  assert.is(seen.at(-1)?.loaded, seen.at(-1)?.total);
  assert.is(seen[0]?.tensor, 'conv1.weight');
  assert.is(seen.at(-1)?.tensor, 'fc.bias');
});

test('an abort before or while loading rejects with its reason, and closes the source', async () => {
  const reason = new Error('enough');
  assert.is(await rejection(open({ signal: AbortSignal.abort(reason) })), reason);
  for (const threads of [1, 2]) {
    const controller = new AbortController();
    let closed = false;
    async function* source() {
      try {
        yield* seededWeights(graph);
      } finally {
        closed = true;
      }
    }
    const onProgress = () => controller.abort(reason);
    const loading = open({ weights: source(), signal: controller.signal, onProgress, threads });
    assert.is(await rejection(loading), reason);
    assert.ok(closed);
  }
});

test('tuning tells of its progress, from none to all', async () => {
  const seen: Progress[] = [];
  const onProgress = (progress: Progress) => progress.phase === 'tune' && seen.push(progress);
  const { XDG_CACHE_HOME } = process.env;
  // What an earlier run has kept would not be timed again.
  process.env.XDG_CACHE_HOME = await mkdtemp(join(tmpdir(), 'tune-'));
  try {
    using _ = await load('resnet20_cifar', { weights: { seed: 1 }, tune: true, threads: 1, onProgress });
  } finally {
    await rm(process.env.XDG_CACHE_HOME, { recursive: true });
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
  }
  assert.is(seen[0]?.loaded, 0);
  assert.is(seen.at(-1)?.loaded, seen.at(-1)?.total);
});

test('a callback that is no function is refused', async () => {
  assert.is(await failure(open({ onProgress: 5 } as object)), 'onProgress: expected a function, got 5.');
  assert.is(await failure(open({ onWarning: 'no' } as object)), 'onWarning: expected a function, got "no".');
});

test('an error of onProgress is what load rejects with', async () => {
  const error = new Error('screen: expected room, got none.');
  const onProgress = () => {
    throw error;
  };
  assert.is(await rejection(open({ onProgress })), error);
});

test('an unknown option of a published network is refused before anything is fetched', async () => {
  const got = await failure(load('resnet18', { weigths: 'resnet18.safetensors' } as object));
  assert.match(got, /^resnet18: expected options among .*, got weigths; the closest is weights\.$/);
});

test('load refuses what does not fit, each in one sentence', async () => {
  const refused = async (name: string, options: object, message: string | RegExp): Promise<void> => {
    const got = await failure(loadWithoutPull(name, { weights, threads: 1, ...options }));
    if (typeof message === 'string') assert.is(got, message);
    else assert.match(got, message);
  };
  await refused('resnet20', {}, /^network: expected one of .*, got resnet20; the closest is resnet\d+/);
  await refused('toString', {}, /^network: expected one of .*, got toString;/);
  await refused(NAME, { weights: undefined }, /^resnet20_cifar: expected weights .*, got none\.$/);
  await refused(NAME, { labels: ['a', 'b'] }, 'labels: expected 10, one per class, got 2.');
  await refused(NAME, { binary: 'fast' }, 'binary: expected baseline or relaxed or wide, got fast.');
  for (const threads of [0, 65, 1.5, 'many', Number.NaN]) {
    await refused(NAME, { threads }, `threads: expected auto or a whole number from 1 to 64, got ${threads}.`);
  }
  await refused(NAME, { classes: 0 }, /^fc: expected outputs to be a whole number from 1, got 0\.$/);
  await refused(
    NAME,
    { colour: 'red' },
    /^resnet20_cifar: expected options among .*, got colour; the closest is \w+\.$/,
  );
  await refused(NAME, { classes: 11 }, 'fc.weight: expected [11, 64], got [10, 64] (2 tensors have another shape).');
  await refused('resnet32_cifar', {}, /^layer1\.3\.conv1\.weight: expected .*, got no such tensor/);
  await refused(
    NAME,
    { weights: weights.subarray(0, weights.length - 1) },
    /: expected \d+ bytes as its header says, got \d+\.$/,
  );
});

test.run();
