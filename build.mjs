/** Builds the wasm binaries into build/, the JavaScript bundles and their types into dist/. */
import { spawnSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { main as asc } from 'assemblyscript/asc';
import { build } from 'esbuild';

for (const target of ['baseline', 'relaxed']) {
  const { error, stderr } = await asc(['--config', 'asconfig.json', '--target', target]);
  if (error) {
    process.stderr.write(stderr.toString());
    throw error;
  }
}

// dist/ is as deep as bindings/, so that `new URL('../build/…', import.meta.url)` holds in both; so `../dist/worker.js`.
const options = { bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning' };
const minified = {
  ...options,
  platform: 'browser',
  minifyWhitespace: true,
  minifyIdentifiers: true,
  minifySyntax: true,
};

// For pages that cannot find the files: all in one script, in text.
const { outputFiles } = await build({ ...minified, entryPoints: ['bindings/worker/entry.ts'], write: false });
const base64 = async (name) => JSON.stringify(await readFile(`build/${name}.wasm`, 'base64'));
const define = {
  WORKER_SCRIPT: JSON.stringify(outputFiles[0].text),
  BASELINE_WASM: await base64('baseline'),
  RELAXED_WASM: await base64('relaxed'),
};

await rm('dist', { recursive: true, force: true });
await Promise.all([
  build({
    ...minified,
    // What bundlers are told stands in comments.
    minifyWhitespace: false,
    entryPoints: { web: 'bindings/index.web.ts', worker: 'bindings/worker/entry.ts' },
    outdir: 'dist',
    splitting: true,
    chunkNames: 'web-[hash]',
    define,
  }),
  build({
    ...options,
    entryPoints: { node: 'bindings/index.node.ts', cli: 'cli/main.ts', 'thread.node': 'bindings/node/thread-entry.ts' },
    outdir: 'dist',
    splitting: true,
    chunkNames: 'node-[hash]',
    platform: 'node',
    external: ['sharp', 'h5wasm', 'commander', 'cli-progress', 'tar', 'uplot'],
  }),
]);

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const types = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.types.json'], { stdio: 'inherit' });
process.exitCode = types.status ?? 1;
