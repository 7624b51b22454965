import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type LoadOptions,
  load,
  type Progress,
  ResnetError,
  seededInput,
  seededWeights,
} from '../../bindings/index.node.js';
import { buildNetwork } from '../../models/index.js';
import { assertSameBits } from '../support/records.js';
import { concat, failure, rejection } from '../support/weight-files.js';

const PHOTO = 'tests/data/photos/chelsea.jpg';
const options: LoadOptions = { weights: { seed: 3 }, threads: 1 };
const inThread = (more: LoadOptions = {}) => load('resnet20_cifar', { ...options, worker: true, ...more });
const seeded = () => seededWeights(buildNetwork('resnet20_cifar'), 3);
const shape = [1, 3, 32, 32] as const;
const input = { data: seededInput(shape), shape, layout: 'NCHW' } as const;

test('a model in a thread gives the bits of one on the caller’s', async () => {
  using here = await load('resnet20_cifar', options);
  for (const threads of [1, 2]) {
    using there = await inThread({ threads });
    assertSameBits((await there.run(input)).data, (await here.run(input)).data, `${threads} threads`);
    assert.equal(await there.classify(PHOTO), await here.classify(PHOTO));
    assert.equal(await there.classify([PHOTO, PHOTO], { topK: 1 }), await here.classify([PHOTO, PHOTO], { topK: 1 }));
    assert.equal(await there.embed(PHOTO), await here.embed(PHOTO));
    assert.is(there.info().threads, threads);
    assert.equal(there.summary(), here.summary());
    assert.equal(there.labels, here.labels);
  }
});

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part.slice());
  return concat(...parts);
}

test('weights of every kind reach a thread', async () => {
  const bytes = await bytesOf(seeded());
  using here = await load('resnet20_cifar', options);
  const expected = (await here.run(input)).data;
  const sources = [bytes, new Blob([bytes]), new Response(bytes), seeded()];
  for (const weights of sources) {
    using there = await inThread({ weights });
    assertSameBits((await there.run(input)).data, expected, String(weights));
  }
});

test('the event loop has its turn during a run', async () => {
  using model = await inThread();
  const shape = [64, 3, 32, 32];
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  await model.run({ data: seededInput(shape), shape, layout: 'NCHW' });
  clearInterval(timer);
  assert.ok(turns > 0);
});

test('errors, progress and aborts cross the thread', async () => {
  const seen: Progress[] = [];
  using model = await inThread({ onProgress: (progress) => seen.push(progress) });
  assert.is(seen.at(-1)?.loaded, seen.at(-1)?.total);
  assert.match(await failure(model.classify('none.jpg')), /^none\.jpg: no such file\.$/);
  assert.match(await failure(inThread({ weights: 'none.safetensors' })), /^none\.safetensors: no such file\.$/);
  const damaged = (await rejection(inThread({ weights: new Uint8Array(9) }))) as ResnetError;
  assert.equal([damaged instanceof ResnetError, damaged.code], [true, 'weights']);
  const missing = (await rejection(model.classify('none.jpg'))) as ResnetError;
  assert.equal([missing.code, (missing.cause as NodeJS.ErrnoException).code], ['file', 'ENOENT']);
  const reason = new Error('enough');
  assert.is(await rejection(inThread({ signal: AbortSignal.abort(reason) })), reason);
  const controller = new AbortController();
  const running = model.run(input);
  const waiting = model.run(input, { signal: controller.signal });
  controller.abort(reason);
  assert.is(await rejection(waiting), reason);
  assert.is((await running).data.length, 10);
  model.dispose();
  assert.is(await failure(model.run(input)), 'resnet20_cifar: this model has been disposed.');
});

test('a model in a thread that was not disposed does not keep Node alive', async () => {
  const script = `
    import { load } from './dist/node.js';
    const model = await load('resnet20_cifar', { weights: { seed: 3 }, worker: true, threads: 2 });
    const { data } = await model.run({ data: new Float32Array(3072), shape: [1, 3, 32, 32], layout: 'NCHW' });
    console.log(String(data.length));`;
  const node = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  node.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const code = await Promise.race([
    new Promise((resolve) => node.once('exit', resolve)),
    delay(20_000, 'still alive', { ref: false }),
  ]);
  node.kill();
  assert.is(code, 0);
  assert.is(said, '10\n');
});

test('pixels are read within the call, alone and in a list', async () => {
  using model = await inThread();
  const own = { data: new Uint8Array(32 * 32 * 3).fill(90), width: 32, height: 32 };
  const expected = await model.classify({ ...own, data: own.data.slice() });
  const one = model.classify(own);
  own.data.fill(200);
  assert.equal(await one, expected);
  own.data.fill(90);
  const several = model.classify([own, own]);
  own.data.fill(200);
  assert.equal(await several, [expected, expected]);
});

test.run();
