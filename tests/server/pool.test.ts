/** What waits for a model: batches, shares of several models, inputs that fail beside others, dropped ones. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Classification,
  load,
  type Model,
  type Pixels,
  ResnetError,
  seededInput,
} from '../../bindings/index.node.js';
import { ModelPool } from '../../server/pool.js';
import { near } from '../support/near.js';
import { rejection } from '../support/weight-files.js';

const test = suite('pool');

const settled = () => new Promise(setImmediate);

/** A picture whose width tells it from others. */
const picture = (width: number): Pixels => ({ data: new Uint8Array(width * 3), width, height: 1, channels: 3 });

/** A model that answers a picture by its width when it is told to. */
class FakeModel {
  readonly calls: number[][] = [];
  #release: (() => void)[] = [];

  info = () => ({ memoryBytes: 1 });
  dispose = (): void => {};

  async classify(images: readonly Pixels[], { topK }: { topK: number }): Promise<Classification[][]> {
    this.calls.push(images.map(({ width }) => width));
    await new Promise<void>((resolve) => this.#release.push(resolve));
    if (images.some(({ width }) => width === 13)) throw new ResnetError('values', 'thirteen.');
    return images.map(({ width }) =>
      Array.from({ length: topK }, (_, index) => ({ index: width + index, label: undefined, probability: 1 })),
    );
  }

  /** Lets the oldest call return, if there is one. */
  tryRelease(): void {
    this.#release.shift()?.();
  }

  /** Lets the next call return, once there is one. */
  async release(): Promise<void> {
    for (let i = 0; this.#release.length === 0 && i < 1000; i++) await settled();
    assert.ok(this.#release.length > 0, 'expected a call');
    this.tryRelease();
    await settled();
  }
}

async function opened(workers: number, maxBatch = 8) {
  const models: FakeModel[] = [];
  const open = async (): Promise<Model> => {
    models.push(new FakeModel());
    return models.at(-1) as unknown as Model;
  };
  const pool = await ModelPool.open({ open, workers, maxBatch, windowMs: 0 });
  const ask = async (width: number, topK = 1, signal?: AbortSignal): Promise<readonly number[]> => {
    const { value } = await pool.submit({ kind: 'classify', topK }, async () => picture(width), signal);
    return value.map(({ index }) => index);
  };
  return { pool, models, ask };
}

test('what waits while a model runs is its next batch, and each gets its own answer', async () => {
  const { models, ask, pool } = await opened(1, 3);
  const [model] = models as [FakeModel];
  const answers = [ask(1)];
  await settled();
  answers.push(ask(2), ask(3, 2), ask(4), ask(5));
  await settled();
  for (let i = 0; i < 3; i++) await model.release();
  assert.equal(await Promise.all(answers), [[1], [2], [3, 4], [4], [5]]);
  assert.equal(model.calls, [[1], [2, 3, 4], [5]]);
  await pool.drained();
});

test('models share what waits', async () => {
  const { models, ask, pool } = await opened(2);
  const answers = [1, 2, 3, 4, 5, 6].map((width) => ask(width));
  await settled();
  const [a, b] = models as [FakeModel, FakeModel];
  await settled();
  assert.ok(a.calls.length === 1 && b.calls.length === 1);
  for (; pool.queued + pool.running > 0; await settled()) for (const model of models) model.tryRelease();
  await Promise.all(answers);
  assert.equal([...a.calls, ...b.calls].flat().sort(), [1, 2, 3, 4, 5, 6]);
});

test('an input that fails does not fail those beside it', async () => {
  const { models, ask } = await opened(1);
  const [model] = models as [FakeModel];
  const first = ask(1);
  await settled();
  const answers = [ask(12), ask(13), ask(14)];
  const failure = rejection(answers[1] as Promise<unknown>);
  await settled();
  for (let i = 0; i < 5; i++) await model.release();
  assert.equal([await first, await answers[0], await answers[2]], [[1], [12], [14]]);
  assert.is(((await failure) as Error).message, 'thirteen.');
  assert.equal(model.calls, [[1], [12, 13, 14], [12], [13], [14]]);
});

test('an input that cannot be decoded fails alone, and one whose caller is gone is never run', async () => {
  const { models, ask, pool } = await opened(1);
  const [model] = models as [FakeModel];
  const first = ask(1);
  const broken = rejection(pool.submit({ kind: 'classify', topK: 1 }, () => Promise.reject(new Error('broken'))));
  assert.is(((await broken) as Error).message, 'broken');
  const controller = new AbortController();
  const reason = new Error('gone');
  const dropped = rejection(ask(2, 1, controller.signal));
  await settled();
  controller.abort(reason);
  assert.is(await dropped, reason);
  const last = ask(3);
  await settled();
  await model.release();
  await model.release();
  assert.equal([await first, await last], [[1], [3]]);
  assert.equal(model.calls, [[1], [3]]);
  pool.close();
  assert.match(((await rejection(ask(4))) as Error).message, /closed/);
});

test('pictures are decoded a few ahead, not all at once', async () => {
  const { models, pool } = await opened(1, 2);
  const [model] = models as [FakeModel];
  let decoded = 0;
  const open = async () => {
    decoded++;
    return picture(1);
  };
  const answers = Array.from({ length: 9 }, () => pool.submit({ kind: 'classify', topK: 1 }, open));
  await settled();
  assert.ok(decoded <= 4, `${decoded}`);
  for (; pool.queued + pool.running > 0; await settled()) model.tryRelease();
  assert.is((await Promise.all(answers)).length, 9);
});

test('tensors of several requests are one batch, and give what they give alone', async () => {
  using alone = await load('resnet20_cifar', { weights: { seed: 3 }, threads: 1 });
  const open = () => load('resnet20_cifar', { weights: { seed: 3 }, threads: 1 });
  const pool = await ModelPool.open({ open, workers: 1, maxBatch: 4, windowMs: 0 });
  const shape = [1, 3, 32, 32];
  const tensors = [1, 2, 3, 4, 5].map((seed) => {
    const data = seededInput(shape).map((value) => value * seed);
    return { data, shape, layout: 'NCHW' as const };
  });
  const answers = await Promise.all(tensors.map((input) => pool.submit({ kind: 'run' }, async () => ({ input }))));
  assert.is(Math.max(...answers.map(({ timing }) => timing.batch)), 4);
  for (const [i, { value }] of answers.entries()) {
    const { data } = await alone.run(tensors[i] as (typeof tensors)[number]);
    assert.equal(value.shape, [1, 10]);
    data.forEach((expected, j) => {
      near(value.data[j] as number, expected, 1e-5 * Math.max(1, ...data.map(Math.abs)), `tensor ${i}`);
    });
  }
  pool.close();
});

test.run();
