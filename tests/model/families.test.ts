/** What the families beside ResNet ask of the planner and of the kernels. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makePlan } from '../../bindings/compile/plan.js';
import { BINARIES } from '../../bindings/engine/binary.js';
import { buildNetwork, loadNetworks, networkNames } from '../../models/index.js';
import { error, TOLERANCE } from '../support/logits.js';

await loadNetworks();
const names = networkNames();

test('there are networks', () => assert.ok(names.length > 30, `${names.length}`));

const stepsOf = (name: string) => makePlan(buildNetwork(name)).steps;

test('no network copies a value to where another step wants it', () => {
  for (const name of names) {
    const steps = stepsOf(name);
    assert.ok(steps.length >= 8, name);
    const copies = steps.filter(({ kind, residual }) => kind === 'copy' && !residual);
    assert.equal(
      copies.map(({ node }) => node.name),
      [],
      name,
    );
  }
});

test('DenseNet: batch norm and ReLU go to the convolution before or after them, but for the last of all', () => {
  const densenets = names.filter((name) => name.startsWith('densenet'));
  assert.is(densenets.length, 4, densenets.join(', '));
  for (const name of densenets) {
    const steps = stepsOf(name);
    const alone = steps.filter(({ kind }) => kind === 'batchNorm');
    assert.equal(
      alone.map(({ node, activation }) => [node.name, activation?.kind]),
      [['features.norm5', 'relu']],
    );
    for (const { node, kind, folded, preActivation, activation } of steps) {
      if (kind !== 'conv') continue;
      const [layer] = node.name.split(/\.?conv\d?$/) as [string];
      const isDense = layer.includes('denselayer');
      const [first, second] = isDense ? ['norm1', 'norm2'] : ['norm', undefined];
      if (node.name === 'features.conv0') {
        assert.equal([folded?.name, preActivation, activation?.kind], ['features.norm0', undefined, 'relu']);
      } else if (node.name.endsWith('conv2')) {
        assert.equal([folded, preActivation, activation], [undefined, undefined, undefined]);
      } else {
        assert.is(preActivation?.name, `${layer}.${first}`);
        assert.equal([folded?.name, activation?.kind], [second && `${layer}.${second}`, isDense ? 'relu' : undefined]);
      }
    }
  }
});

test("DenseNet: a block's features lie in one buffer, one after the other", () => {
  const features = stepsOf('densenet121').filter(({ node }) => /denseblock2\..*\.conv2$/.test(node.name));
  assert.is(features.length, 12);
  features.forEach(({ output }, i) => {
    assert.equal([output.buffer, output.ld, output.offset], [features[0]?.output.buffer, 512, 128 + 32 * i]);
  });
});

for (const name of ['alexnet', 'densenet121']) {
  for (const binary of BINARIES) {
    test(`${name}, ${binary}: two images of another size, within ${TOLERANCE} of the largest logit`, async () => {
      const distance = await error(name, { binary }, 'sizes');
      assert.ok(distance <= TOLERANCE, `expected at most ${TOLERANCE}, got ${distance}.`);
    });
  }
}

test.run();
