/** Programs for Node that a bundler made one file of, away from the package's own files. */

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as vite from 'vite';
import { load, seededInput } from '../../bindings/index.node.js';
import { emptyApp } from '../support/packed.js';

const run = promisify(execFile);
const SHAPE = [1, 3, 32, 32];

const PROGRAM = `
import { load, openWeights, seededInput } from 'resnet-wasm';
const main = async () => {
  const model = await load('resnet20_cifar', { weights: { seed: 1 }, threads: 2, binary: 'baseline' });
  const shape = ${JSON.stringify(SHAPE)};
  const { data } = await model.run({ data: seededInput(shape), shape, layout: 'NCHW' });
  const { threads, threadsNote } = model.info();
  const refused = await openWeights(new Blob(['<html></html>'])).catch((error) => error.message);
  console.log(JSON.stringify({ logits: [...data], threads, threadsNote, refused }));
};
main();
`;

async function logitsHere(): Promise<number[]> {
  using model = await load('resnet20_cifar', { weights: { seed: 1 }, binary: 'baseline' });
  const { data } = await model.run({ data: seededInput(SHAPE), shape: SHAPE, layout: 'NCHW' });
  return [...data];
}

/** Runs a program in a folder that has nothing else, and asserts that it works as the package does. */
async function assertRuns(bundle: (home: string, outdir: string) => Promise<string>): Promise<void> {
  const home = await emptyApp('bundled');
  await writeFile(join(home, 'main.js'), PROGRAM);
  const outdir = await mkdtemp(join(tmpdir(), 'resnet-wasm-bundled-'));
  try {
    const file = await bundle(home, outdir);
    // The files of the package are gone, as on another machine.
    await rm(home, { recursive: true });
    const { stdout } = await run(process.execPath, [file], { cwd: outdir });
    const { logits, threads, threadsNote, refused } = JSON.parse(stdout);
    assert.equal(logits, await logitsHere());
    assert.equal([threads, threadsNote], [2, undefined]);
    assert.match(refused, /^weights: expected safetensors, .* got an HTML or XML page \(.*\)\.$/);
  } finally {
    await rm(outdir, { recursive: true });
  }
}

const test = suite('bundled for Node');

for (const [format, name] of [
  ['esm', 'main.mjs'],
  ['cjs', 'main.cjs'],
] as const) {
  test(`by esbuild, in one file: ${format}`, () =>
    assertRuns(async (home, outdir) => {
      const outfile = join(outdir, name);
      const { warnings } = await build({
        entryPoints: [join(home, 'main.js')],
        outfile,
        bundle: true,
        platform: 'node',
        format,
        external: ['sharp', 'h5wasm'],
        logLevel: 'silent',
      });
      // In CommonJS there is no import.meta, which esbuild says once per use.
      assert.equal(
        warnings.map(({ id }) => id).filter((id) => !(format === 'cjs' && id === 'empty-import-meta')),
        [],
      );
      assert.equal(await readdir(outdir), [name]);
      return outfile;
    }));
}

test('by Vite, for a server', () =>
  assertRuns(async (home, outDir) => {
    await vite.build({
      root: home,
      logLevel: 'error',
      ssr: { noExternal: true, external: ['sharp', 'h5wasm'] },
      build: { ssr: 'main.js', outDir, emptyOutDir: true, rollupOptions: { output: { entryFileNames: '[name].mjs' } } },
    });
    return join(outDir, 'main.mjs');
  }));

test.run();
