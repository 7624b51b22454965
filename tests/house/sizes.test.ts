/** The sizes of what users download, against the limits in bench/limits.json. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('nothing is over its limit', () => {
  const args = ['--import', 'tsx', 'bench/sizes.ts'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  assert.is(status, 0, stderr);
  for (const name of ['both binaries', 'core', 'page', 'npm pack']) {
    assert.match(stdout, new RegExp(`^${name} +\\d+ +\\d+ +limit \\d+`, 'm'));
  }
});

test.run();
