/** A short form of `npm run test:soak`. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { soak } from '../support/soak.js';

test('good pictures are answered right among broken ones, aborted bodies and slow callers', async () => {
  const { outcomes, wrong, exitCode } = await soak(550);
  assert.equal(outcomes, { 'good 200': 350, 'broken 422': 50, 'text 415': 50, aborted: 50, 'slow 200': 50 });
  assert.equal([wrong, exitCode], [0, 0]);
});

test.run();
