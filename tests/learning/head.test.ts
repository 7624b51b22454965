/** Heads of one's own classes: examples, training, evaluation, files. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, createHead, type Head, load, type Model, seededWeights } from '../../bindings/index.node.js';
import { uniform } from '../../bindings/weights/uniform.js';

const NETWORK = 'resnet20_cifar';

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of chunks) parts.push(chunk as Uint8Array<ArrayBuffer>);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const weights = await bytesOf(seededWeights(buildNetwork(NETWORK), 1));
const model = await load(NETWORK, { weights, threads: 1 });

/** A plain picture of one colour, with noise. */
function picture(index: number, [r, g, b]: readonly number[]) {
  const noise = uniform(`picture ${index}`, 32 * 32 * 3, -20, 20);
  const data = Uint8ClampedArray.from(noise, (value, i) => value + ([r, g, b][i % 3] as number));
  return { data, width: 32, height: 32 } as const;
}

const COLOURS = { red: [200, 40, 40], green: [40, 200, 40], blue: [40, 40, 200] } as const;

async function trained(of: Model = model, count = 6): Promise<Head> {
  const head = await createHead(of);
  for (const [label, colour] of Object.entries(COLOURS)) {
    for (let i = 0; i < count; i++) await head.add(picture(i, colour), label);
  }
  await head.train();
  return head;
}

async function refusal(task: Promise<unknown>): Promise<{ message: string; code: string }> {
  try {
    await task;
  } catch (error) {
    return error as { message: string; code: string };
  }
  return assert.unreachable('expected it to be refused') as never;
}

test('pictures that were not learned are classified', async () => {
  const head = await trained();
  assert.equal(head.labels, ['red', 'green', 'blue']);
  assert.is(head.size, 18);
  for (const [label, colour] of Object.entries(COLOURS)) {
    const [best, ...others] = await head.classify(picture(100, colour));
    assert.is(best?.label, label);
    assert.is(others.length, 2);
  }
  const { accuracy } = await head.train();
  assert.is(accuracy, 1);
});

test('cross-validation tells what is taken for what', async () => {
  const head = await trained();
  // Half of the blue pictures are called grey: nobody can tell them apart.
  for (let i = 50; i < 56; i++) await head.add(picture(i, COLOURS.blue), 'grey');
  const { count, accuracy, labels, confusion } = await head.evaluate({ folds: 3 });
  assert.is(count, 24);
  assert.equal(labels, ['red', 'green', 'blue', 'grey']);
  assert.is(
    confusion.flat().reduce((sum, each) => sum + each),
    24,
  );
  assert.is(confusion[0]?.[0], 6);
  assert.ok(accuracy > 0.5 && accuracy < 1, `got ${accuracy}`);
  const again = await head.evaluate({ folds: 3 });
  assert.equal(again.confusion, confusion);
});

test('pictures that were held out are classified by the head as it is', async () => {
  const head = await trained();
  const heldOut = [
    [picture(90, COLOURS.red), 'red'],
    [picture(91, COLOURS.green), 'red'],
  ] as const;
  const { accuracy, confusion } = await head.evaluate({ heldOut });
  assert.is(accuracy, 0.5);
  assert.equal(confusion[0], [1, 1, 0]);
});

test('neighbours are the examples of the greatest cosine', async () => {
  const head = await trained();
  const found = await head.neighbours(picture(3, COLOURS.green), 4);
  assert.is(found.length, 4);
  assert.is(found[0]?.example, 9);
  assert.ok(Math.abs((found[0]?.similarity ?? 0) - 1) < 1e-6);
  assert.ok(found.every(({ similarity }, i) => i === 0 || similarity <= (found[i - 1]?.similarity ?? 0)));
});

test('variants are learned with their picture, and forgotten with it', async () => {
  const head = await createHead(model);
  const first = await head.add(picture(1, COLOURS.red), 'red', { variants: 3 });
  await head.add(picture(2, COLOURS.blue), 'blue', { variants: 3 });
  const third = await head.add(picture(3, COLOURS.blue), 'blue');
  assert.is(head.size, 3);
  await head.remove(first);
  assert.is(head.size, 2);
  assert.equal(head.labels, ['blue']);
  const near = await head.neighbours(picture(3, COLOURS.blue));
  assert.is(near.length, 2);
  assert.is(near[0]?.example, third);
  assert.match((await refusal(head.remove(first))).message, /^remove: expected the number of an example, got 0\.$/);
});

test('a saved head classifies as it did', async () => {
  const head = await trained();
  const bytes = await head.save();
  assert.ok(bytes.length < 2000, `got ${bytes.length} bytes`);
  const again = await createHead(model, bytes);
  assert.equal(again.labels, head.labels);
  const image = picture(70, COLOURS.green);
  assert.equal(await again.classify(image), await head.classify(image));
  assert.equal(await again.save(), bytes);
});

test('a network with a head in place of its last layer runs by itself, with maps of evidence', async () => {
  const head = await trained();
  const merged = await bytesOf(head.mergeInto(weights));
  using own = await load(merged, { threads: 1 });
  assert.equal(own.labels, head.labels);
  const image = picture(71, COLOURS.blue);
  const [expected] = await head.classify(image);
  const [best] = await own.classify(image);
  assert.is(best?.label, 'blue');
  assert.ok(Math.abs((best?.probability ?? 0) - (expected?.probability ?? 1)) < 1e-5);
  const { maps } = await own.cam(image, { topK: 1 });
  assert.is(maps[0]?.label, 'blue');
  const { maps: heads } = await head.cam(image);
  assert.is(heads[0]?.label, 'blue');
  assert.is(heads[0]?.data.length, maps[0]?.data.length);
  heads[0]?.data.forEach((value, i) => {
    assert.ok(Math.abs(value - (maps[0]?.data[i] as number)) < 1e-4);
  });
});

test('embeddings may be given for pictures', async () => {
  const head = await createHead(model);
  for (const [label, colour] of Object.entries(COLOURS)) {
    for (let i = 0; i < 3; i++) await head.add(await model.embed(picture(i, colour)), label);
  }
  await head.train();
  assert.is((await head.classify(await model.embed(picture(8, COLOURS.red))))[0]?.label, 'red');
});

test('examples that come during a training wait for it', async () => {
  const head = await trained();
  const training = head.train();
  const added = head.add(picture(200, COLOURS.red), 'red');
  await training;
  await added;
  assert.is(head.size, 19);
});

test('an aborted training leaves the head as it was', async () => {
  const head = await trained();
  const before = await head.save();
  await head.add(picture(20, COLOURS.red), 'pink');
  const controller = new AbortController();
  const aborted = refusal(
    head.train({ signal: controller.signal, onProgress: () => controller.abort(new Error('stop')) }),
  );
  assert.is((await aborted).message, 'stop');
  assert.equal(await head.save(), before);
});

const empty = () => createHead(model);
const nan = new Float32Array(64).fill(Number.NaN);

for (const [what, task, code, message] of [
  [
    'no class',
    async () => (await empty()).train(),
    'argument',
    /^train: expected examples of two classes or more, got none\.$/,
  ],
  [
    'one class',
    async () => {
      const head = await empty();
      await head.add(picture(1, COLOURS.red), 'red');
      return head.train();
    },
    'argument',
    /^train: expected examples of two classes or more, got one \("red"\)\.$/,
  ],
  [
    'no training',
    async () => (await empty()).classify(picture(1, COLOURS.red)),
    'argument',
    /^classify: expected a head that is trained/,
  ],
  ['nothing to save', async () => (await empty()).save(), 'argument', /^save: expected a head that is trained/],
  [
    'an empty label',
    async () => (await empty()).add(picture(1, COLOURS.red), ' '),
    'argument',
    /^label: expected the name of a class, got " "\.$/,
  ],
  [
    'values that are not finite',
    async () => (await empty()).add(nan, 'red'),
    'values',
    /expected embeddings of finite values, got NaN/,
  ],
  [
    'an embedding of another network',
    async () => {
      const head = await trained();
      return head.add(new Float32Array(512), 'red');
    },
    'argument',
    /expected embeddings of 64 values, got 512/,
  ],
  [
    'variants of an embedding',
    async () => (await empty()).add(new Float32Array(64), 'red', { variants: 1 }),
    'argument',
    /^variants: /,
  ],
  [
    'an unknown option',
    async () => (await empty()).train({ epoch: 3 } as object),
    'argument',
    /got epoch; the closest is epochs/,
  ],
  [
    'one fold',
    async () => (await trained()).evaluate({ folds: 1 }),
    'argument',
    /^folds: expected a whole number from 2, got 1\.$/,
  ],
  [
    'a negative penalty',
    async () => (await trained()).train({ l2: -1 }),
    'argument',
    /^l2: expected a number from 0, got -1\.$/,
  ],
  [
    'weights in place of a head',
    () => createHead(model, weights),
    'weights',
    /^head: expected a last layer with labels, .* got a file of another kind\.$/,
  ],
  ['a picture that is none', async () => (await empty()).add(new Uint8Array([1, 2, 3]), 'red'), 'picture', /./],
] as const) {
  test(`${what} is refused in one sentence`, async () => {
    const error = await refusal(task());
    assert.match(error.message, message);
    assert.is(error.code, code);
  });
}

test.after(() => model.dispose());

test.run();
