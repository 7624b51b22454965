/** Builds the wasm binaries into build/, the JavaScript bundles and their types into dist/. */
import { spawnSync } from 'node:child_process';
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

// dist/ is as deep as bindings/, so that `new URL('../build/…', import.meta.url)` holds in both; so `../dist/thread.…`.
await build({
  entryPoints: {
    index: 'bindings/index.ts',
    node: 'bindings/node.ts',
    cli: 'cli/main.ts',
    'thread.node': 'bindings/thread.node.ts',
    'thread.web': 'bindings/thread.web.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  platform: 'node',
  external: ['sharp', 'commander', 'cli-progress', 'tar', 'uplot'],
  sourcemap: false,
  logLevel: 'warning',
});

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const types = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.types.json'], { stdio: 'inherit' });
process.exitCode = types.status ?? 1;
