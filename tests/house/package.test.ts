/** The package as npm packs it: its files, its entries and types. Its pages are those of tests/examples. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packed, root } from '../support/packed.js';

const run = promisify(execFile);
const { files, size, unpackedSize, tarball } = packed;

const test = suite('package');

test('npm packs what users need, and no more', () => {
  const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
  console.log(`npm pack: ${kB(size)}, unpacked ${kB(unpackedSize)} in ${files.length} files`);
  const allowed =
    /^(dist\/[\w.-]+\.js|dist\/types\/(bindings|models)\/.+\.d\.ts|build\/\w+\.wasm|package\.json|README\.md|LICENSE)$/;
  assert.equal(
    files.map(({ path }) => path).filter((path) => !allowed.test(path)),
    [],
  );
  for (const path of ['dist/web.js', 'dist/worker.js', 'dist/node.js', 'dist/cli.js', 'build/relaxed.wasm']) {
    assert.ok(
      files.some((file) => file.path === path),
      `expected ${path}`,
    );
  }
});

test('publint finds nothing', async () => {
  await run(process.execPath, ['node_modules/publint/src/cli.js', tarball, '--strict'], { cwd: root });
});

test('the types are those that each entry resolves to', async () => {
  const attw = 'node_modules/@arethetypeswrong/cli/dist/index.js';
  await run(process.execPath, [attw, tarball, '--profile', 'esm-only'], { cwd: root });
});

test('the pages of the API are made without a warning', async () => {
  await run(process.execPath, ['node_modules/typedoc/bin/typedoc', '--emit', 'none'], { cwd: root });
});

test.run();
