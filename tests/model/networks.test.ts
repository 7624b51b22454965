/** Every network but the largest against PyTorch's logits, on both binaries, with Winograd and without. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BINARIES } from '../../bindings/engine/binary.js';
import { networkNames } from '../../bindings/index.node.js';
import { error, isLarge, TOLERANCE } from '../support/logits.js';

const names = networkNames().filter((name) => !isLarge(name));

test('most networks are checked here', () => assert.ok(names.length > 20, `${names.length}`));

for (const name of names) {
  for (const binary of BINARIES) {
    test(`${name}, ${binary}: logits within ${TOLERANCE} of the largest`, async () => {
      const distance = await error(name, { binary });
      assert.ok(distance <= TOLERANCE, `${name}: expected at most ${TOLERANCE}, got ${distance}.`);
    });
  }
}

test('without Winograd, logits are as near', async () => {
  for (const name of ['resnet18', 'resnet50', 'resnext50_32x4d', 'densenet121', 'resnet20_cifar', 'plain56_cifar']) {
    for (const binary of BINARIES) {
      const distance = await error(name, { binary, winograd: false });
      assert.ok(distance <= TOLERANCE, `${name}, ${binary}: expected at most ${TOLERANCE}, got ${distance}.`);
    }
  }
});

test.run();
