/** Every network but the largest against PyTorch's logits, on both binaries, with Winograd and without. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BINARIES } from '../../bindings/engine/core.js';
import { networkNames } from '../../bindings/index.node.js';
import { error, isLarge, MOST } from '../support/logits.js';

// With Winograd too: it comes nearer than it must.
const { definition: most } = MOST;

for (const name of networkNames().filter((name) => !isLarge(name))) {
  for (const binary of BINARIES) {
    test(`${name}, ${binary}: logits within ${most} of the largest`, async () => {
      const distance = await error(name, { binary });
      assert.ok(distance <= most, `${name}: expected at most ${most}, got ${distance}.`);
    });
  }
}

test('without Winograd, logits are as near', async () => {
  for (const name of ['resnet18', 'resnet50', 'resnext50_32x4d', 'densenet121', 'resnet20_cifar', 'plain56_cifar']) {
    for (const binary of BINARIES) {
      const distance = await error(name, { binary, winograd: false });
      assert.ok(distance <= most, `${name}, ${binary}: expected at most ${most}, got ${distance}.`);
    }
  }
});

test.run();
