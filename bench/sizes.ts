/** What a page downloads: bytes of the wasm binaries and of the core's JavaScript. Exits 1 beyond the limits. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { BINARIES } from '../bindings/wasm.js';

/** Bytes of both binaries together, as they lie in build/. */
const BINARIES_LIMIT = 60_000;
/** Bytes of the core's JavaScript, minified and gzipped. */
const SCRIPT_LIMIT = 25_000;

const root = fileURLToPath(new URL('..', import.meta.url));

const gzipped = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length;

const row = (name: string, raw: number, gzip: number, note = ''): void =>
  console.log(`${name.padEnd(26)}${String(raw).padStart(9)}${String(gzip).padStart(9)}  ${note}`.trimEnd());

/** "limit 60000", and whether `bytes` exceed it. */
function judged(bytes: number, limit: number): string {
  if (bytes > limit) process.exitCode = 1;
  return `limit ${limit}${bytes > limit ? `, ${bytes - limit} too many` : ''}`;
}

console.log(`${'bytes'.padEnd(26)}${'raw'.padStart(9)}${'gzip'.padStart(9)}`);
const total = { raw: 0, gzip: 0 };
for (const binary of BINARIES) {
  const bytes = await readFile(new URL(`../build/${binary}.wasm`, import.meta.url));
  const gzip = gzipped(bytes);
  row(`${binary}.wasm`, bytes.length, gzip);
  total.raw += bytes.length;
  total.gzip += gzip;
}
row('both binaries', total.raw, total.gzip, `raw: ${judged(total.raw, BINARIES_LIMIT)}`);

/** A script for browsers with all that it imports, minified. */
async function bundle(entryPoint: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entryPoint],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    write: false,
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

const core = await bundle('bindings/index.ts');
row('the core, minified', core.length, gzipped(core), `gzip: ${judged(gzipped(core), SCRIPT_LIMIT)}`);
const thread = await bundle('bindings/thread.web.ts');
row('a thread, minified', thread.length, gzipped(thread));
