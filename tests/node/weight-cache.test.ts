/** A user without a home directory, as of a container that runs under any number. */

import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load, pretrained } from '../../bindings/index.node.js';

test('without a home directory weights of their own load, and the cache says what it needs', async () => {
  const { homedir } = os;
  const { XDG_CACHE_HOME } = process.env;
  delete process.env.XDG_CACHE_HOME;
  os.homedir = () => {
    throw new Error('uv_os_homedir returned ENOENT');
  };
  syncBuiltinESMExports();
  try {
    using model = await load('resnet20_cifar', { weights: { seed: 1 }, tune: true, threads: 1 });
    assert.is(model.name, 'resnet20_cifar');
    assert.throws(() => pretrained.cacheDir(), /^Keeping weights needs a folder, .*: set XDG_CACHE_HOME\.$/);
    const error = await pretrained.fetch('resnet18').catch((reason: Error) => reason);
    assert.match((error as Error).message, /set XDG_CACHE_HOME\.$/);
    assert.is(await pretrained.find('resnet18', { cacheDir: '/none' }), undefined);
  } finally {
    os.homedir = homedir;
    syncBuiltinESMExports();
    if (XDG_CACHE_HOME !== undefined) process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
  }
});

test.run();
