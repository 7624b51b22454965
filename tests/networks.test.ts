/** Whole networks against logits that PyTorch computed in float64, through the public API, on both binaries. */

import './flags.mjs';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, load, networkNames } from '../bindings/node.js';
import { BINARIES } from '../bindings/wasm.js';
import { referenceInput, referenceSafetensors } from './reference-weights.js';

interface Logits {
  readonly input: readonly number[];
  readonly output: readonly number[];
}

const logitsOf = (name: string): Logits =>
  JSON.parse(readFileSync(new URL(`data/logits/${name}.json`, import.meta.url), 'utf8'));

/** The largest difference to the reference, as a share of its largest logit. */
async function error(
  name: string,
  options: { binary: (typeof BINARIES)[number]; winograd?: boolean },
): Promise<number> {
  const { input: shape, output: expected } = logitsOf(name);
  using model = await load(name, { weights: referenceSafetensors(buildNetwork(name)), threads: 1, ...options });
  const { data } = await model.run({ data: referenceInput(shape), shape, layout: 'NCHW' });
  assert.is(data.length, expected.length);
  let [difference, largest] = [0, 0];
  for (const [i, wanted] of expected.entries()) {
    const distance = Math.abs((data[i] as number) - wanted);
    // NaN is far from everything.
    difference = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(difference, distance);
    largest = Math.max(largest, Math.abs(wanted));
  }
  return difference / largest;
}

const MOST = 2e-5;

for (const name of networkNames()) {
  for (const binary of BINARIES) {
    test(`${name}, ${binary}: logits within ${MOST} of the largest`, async () => {
      const distance = await error(name, { binary });
      assert.ok(distance <= MOST, `${name}: expected at most ${MOST}, got ${distance}.`);
    });
  }
}

test('without Winograd, logits are as near', async () => {
  for (const name of ['resnet18', 'resnet50', 'resnet20_cifar']) {
    for (const binary of BINARIES) {
      const distance = await error(name, { binary, winograd: false });
      assert.ok(distance <= MOST, `${name}, ${binary}: expected at most ${MOST}, got ${distance}.`);
    }
  }
});

test.run();
