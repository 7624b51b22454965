import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { damaged, READERS, random, runCase, runCases } from '../support/fuzzing.js';

/** Whole, but what no reader takes: compression, tensors without names. */
const REFUSED = /^(deflated\.pt|keras3\.h5)$/;

for (const reader of Object.keys(READERS)) {
  test(`${reader}: every file that others are made of is read as it is`, async () => {
    const models = READERS[reader] ?? [];
    assert.ok(models.length > 0);
    for (const [i, model] of models.entries()) {
      const { result } = await runCase(reader, 1, 0, model);
      const isRefused = REFUSED.test(Object.keys(model)[0] ?? '');
      assert.is(result === 'read', !isRefused, `${i}: ${result}`);
    }
  });

  test(`${reader}: damaged files are read or refused with one sentence, soon, in little memory`, async () => {
    const { read, refused } = await runCases(reader, 7, 0, 400);
    assert.is(read + refused, 400);
    assert.ok(refused > 100, `${refused} refused`);
  });
}

test('a case is the same every time', () => {
  const bytes = Uint8Array.from({ length: 500 }, (_, i) => i & 255);
  const changed = (seed: number) => damaged(bytes, random(seed));
  assert.equal(changed(3), changed(3));
  assert.not.equal(changed(3), changed(4));
});

test.run();
