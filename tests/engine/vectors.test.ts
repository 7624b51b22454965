/** 256-bit vectors: that their tiles compute what the narrow ones do, and how it is decided whether they run. */

import '../support/flags.mjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Vectors } from '../../bindings/engine/core.js';
import { createCore } from '../../bindings/engine/create-core.js';
import { load } from '../../bindings/index.node.js';
import { openWeights } from '../../bindings/weights/open.js';
import { seededWeights } from '../../bindings/weights/random.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { buildNetwork, graphInput } from '../../models/index.js';
import { outputOf, withExecutor } from '../support/executors.js';
import { assertSameBits } from '../support/records.js';

const SENTENCE = /^[A-Z].*[^.]\.$/;

const vectors = suite('256-bit vectors');

/** A network's logits on a core of the wide binary whose kernels take vectors of so many bits. */
async function logits(name: string, bits: Vectors['bits']): Promise<Float32Array> {
  const graph = buildNetwork(name, { size: 64 });
  const file = await openWeights(seededWeights(graph));
  const core = await createCore({ binary: 'wide' });
  await core.measured;
  const { h, w, c } = graphInput(graph);
  const input = uniform('input', 2 * h * w * c, -1, 1);
  return withExecutor({ ...core, vectors: { bits, note: '' } }, graph, file, (executor) =>
    outputOf(executor, input, 2),
  );
}

for (const name of ['resnet18', 'resnet50', 'resnext50_32x4d']) {
  vectors(`${name} has the same logits with them, bit for bit`, async () => {
    assertSameBits(await logits(name, 256), await logits(name, 128), name);
  });
}

vectors('the wide binary says which vectors it takes, and why', async () => {
  const core = await createCore({ binary: 'wide' });
  await core.measured;
  const { bits, note } = core.vectors;
  assert.ok(bits === 128 || bits === 256, `${bits} bits`);
  assert.match(note, SENTENCE);
  assert.match(note, `Vectors of ${bits} bits`);
});

vectors('other binaries have 128 bits, and say so', async () => {
  for (const binary of ['relaxed', 'baseline'] as const) {
    const model = await load('resnet20_cifar', { weights: { seed: 1 }, binary, threads: 1 });
    const info = model.info();
    assert.is(info.vectors, 128);
    assert.match(info.vectorsNote, SENTENCE);
    assert.match(info.vectorsNote, 'Vectors of 128 bits');
    model.dispose();
  }
});

vectors('wide: false leaves the wide binary out', async () => {
  const model = await load('resnet20_cifar', { weights: { seed: 1 }, wide: false, threads: 1 });
  assert.is.not(model.info().binary, 'wide');
  model.dispose();
});

vectors.run();
