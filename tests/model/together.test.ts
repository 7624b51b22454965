/** Pictures that wait for a model's threads share a run, and none of them notices. */

import '../support/flags.mjs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, type Classification, load, type Pixels, seededWeights } from '../../bindings/index.node.js';
import { classesOf } from '../../bindings/model/classes.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { property } from '../support/property.js';

const NAME = 'resnet20_cifar';
const open = (threads: number) => load(NAME, { weights: seededWeights(buildNetwork(NAME)), threads });

/** Pictures of sizes of their own. */
const pictures: readonly Pixels[] = Array.from({ length: 11 }, (_, i) => {
  const [width, height] = [32 + i, 40 - i];
  return { data: Uint8Array.from(uniform(`picture ${i}`, width * height * 3, 0, 256)), width, height };
});

test('a list, and calls that do not wait for each other, give what each picture gives by itself', async () => {
  using alone = await open(1);
  const classes: Classification[][] = [];
  const embeddings: Float32Array[] = [];
  for (const picture of pictures) {
    classes.push(await alone.classify(picture, { topK: 10 }));
    embeddings.push(await alone.embed(picture));
  }
  for (const threads of [1, 2, 3]) {
    using model = await open(threads);
    assert.equal(await model.classify(pictures, { topK: 10 }), classes, `${threads} threads`);
    assert.equal(await model.embed(pictures), embeddings, `${threads} threads`);
    // Some of the same kind, with others between them.
    const mixed = pictures.flatMap((picture) => [model.classify(picture, { topK: 10 }), model.embed(picture)]);
    assert.equal(
      await Promise.all(mixed),
      pictures.flatMap((_, i) => [classes[i], embeddings[i]]),
      `${threads} threads`,
    );
  }
});

test('to abort one of several calls leaves the others', async () => {
  using model = await open(2);
  const [first = pictures[0] as Pixels, ...others] = pictures;
  const expected = await model.classify(first);
  const aborted = new AbortController();
  const calls = [first, ...others].map((picture, i) =>
    model.classify(picture, i === 3 ? { signal: aborted.signal } : {}),
  );
  aborted.abort(new Error('enough'));
  const results = await Promise.allSettled(calls);
  assert.equal(results[0], { status: 'fulfilled', value: expected });
  const failed = results.flatMap((result, i) => (result.status === 'rejected' ? [[i, result.reason.message]] : []));
  assert.equal(failed, [[3, 'enough']]);
});

test('a model that is disposed refuses all that wait together', async () => {
  const model = await open(2);
  const calls = pictures.map((picture) => model.classify(picture));
  model.dispose();
  for (const result of await Promise.allSettled(calls)) {
    assert.match(result.status === 'rejected' && result.reason.message, /: this model has been disposed\.$/);
  }
});

test('the best of any number of classes are the first of all in their order', async () => {
  // Few values, so that many are equal.
  const values = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 150 });
  await property(fc.tuple(values, fc.integer({ min: 1, max: 160 })), ([given, count]) => {
    const sorted = [...given.keys()].sort((a, b) => (given[b] as number) - (given[a] as number) || a - b);
    const best = classesOf(Float32Array.from(given), 'none', undefined, count);
    assert.equal(
      best.map(({ index }) => index),
      sorted.slice(0, count),
    );
  });
});

test.run();
