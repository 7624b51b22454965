/** V8's pass for 256-bit vectors in processes of their own, since its flag holds for a whole process. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const FLAG = '--experimental-wasm-revectorize';
const entry = new URL('../../dist/node.js', import.meta.url).href;
const hasPass = process.arch === 'x64' && Number.parseInt(process.versions.v8, 10) >= 13;

/** What `body` returns in a new process that was started with `flags`; it has the package's exports as `api`. */
function inProcess(body: string, flags: readonly string[] = []): unknown {
  const script = `const api = await import(${JSON.stringify(entry)}); console.log(JSON.stringify(await (async () => { ${body} })()));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
  });
  assert.is(status, 0, stderr);
  assert.is(stderr, '');
  return JSON.parse(stdout);
}

const LOAD = `const model = await api.load('resnet20_cifar', { weights: { seed: 1 }, threads: 2, ...options });
  const { binary, vectorsNote } = model.info(); model.dispose(); return { binary, vectorsNote };`;

interface Loaded {
  readonly binary: string;
  readonly vectorsNote: string;
}

test('nothing is switched on unasked', () => {
  const { binary, vectorsNote } = inProcess(`const options = {}; ${LOAD}`) as Loaded;
  assert.is.not(binary, 'wide');
  assert.is(vectorsNote, 'Vectors of 128 bits, since 256 were not asked for: see enableWideVectors.');
});

test('enableWideVectors says what became of it, each time the same', () => {
  const [first, second] = inProcess('return [api.enableWideVectors(), api.enableWideVectors()];') as [
    { enabled: boolean; reason: string },
    unknown,
  ];
  assert.is(first.enabled, hasPass);
  assert.match(first.reason, hasPass ? 'V8 was told to join vectors.' : 'Vectors of 128 bits, since V8');
  assert.equal(second, first);
});

test('wide: true loads the wide binary if V8 has the pass, and says why if not', () => {
  const { binary, vectorsNote } = inProcess(`const options = { wide: true }; ${LOAD}`) as Loaded;
  if (hasPass) assert.is(binary, 'wide');
  else {
    assert.is.not(binary, 'wide');
    assert.match(vectorsNote, 'Vectors of 128 bits, since V8');
  }
});

test('a process that has the flag uses it, the last one that names it', () => {
  if (!hasPass) return;
  const off = FLAG.replace('--', '--no-');
  const loaded = (...flags: string[]) => (inProcess(`const options = {}; ${LOAD}`, flags) as Loaded).binary;
  assert.is(loaded(FLAG), 'wide');
  assert.is(loaded(FLAG.replaceAll('-', '_').replace('__', '--')), 'wide');
  assert.is.not(loaded(FLAG, off), 'wide');
});

test.run();
