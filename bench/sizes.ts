/** What a page downloads: bytes of the wasm binaries and of the JavaScript around them. Exits 1 beyond the limits. */

import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { BINARIES } from '../bindings/engine/core.js';

/** Bytes of both binaries together, as they lie in build/. */
const BINARIES_LIMIT = 60_000;
/** Bytes of the core, `load` and what it needs at once, minified and gzipped. */
const SCRIPT_LIMIT = 25_000;

const root = fileURLToPath(new URL('..', import.meta.url));

const gzipped = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length;

const row = (name: string, raw: number, gzip: number, note = ''): void =>
  console.log(`${name.padEnd(29)}${String(raw).padStart(9)}${String(gzip).padStart(9)}  ${note}`.trimEnd());

/** "limit 60000", and whether `bytes` exceed it. */
function judged(bytes: number, limit: number): string {
  if (bytes > limit) process.exitCode = 1;
  return `limit ${limit}${bytes > limit ? `, ${bytes - limit} too many` : ''}`;
}

console.log(`${'bytes'.padEnd(29)}${'raw'.padStart(9)}${'gzip'.padStart(9)}`);
const total = { raw: 0, gzip: 0 };
for (const binary of BINARIES) {
  const bytes = await readFile(new URL(`../build/${binary}.wasm`, import.meta.url));
  const gzip = gzipped(bytes);
  row(`${binary}.wasm`, bytes.length, gzip);
  total.raw += bytes.length;
  total.gzip += gzip;
}
row('both binaries', total.raw, total.gzip, `raw: ${judged(total.raw, BINARIES_LIMIT)}`);

/** A script for browsers with all that it needs at once, minified; and what it fetches later, if ever. */
async function bundle(
  entryPoint: string,
  external: string[] = [],
): Promise<Record<'now' | 'later', { raw: number; gzip: number }>> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entryPoint],
    outdir: 'dist',
    bundle: true,
    splitting: true,
    metafile: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    write: false,
    external,
  });
  const [entry] = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entryPoint) ?? [''];
  const atOnce = new Set<string>();
  const visit = (path: string): void => {
    if (atOnce.has(path)) return;
    atOnce.add(path);
    for (const { path: other, kind } of metafile.outputs[path]?.imports ?? []) {
      if (kind === 'import-statement') visit(other);
    }
  };
  visit(entry);
  const size = (files: readonly { contents: Uint8Array }[]): { raw: number; gzip: number } => {
    const bytes = Buffer.concat(files.map(({ contents }) => contents));
    return { raw: bytes.length, gzip: gzipped(bytes) };
  };
  const isAtOnce = ({ path }: { path: string }): boolean => atOnce.has(relative(root, path));
  return { now: size(outputFiles.filter(isAtOnce)), later: size(outputFiles.filter((file) => !isAtOnce(file))) };
}

const core = await bundle('bindings/model/load.ts');
row('the core, minified', core.now.raw, core.now.gzip, `gzip: ${judged(core.now.gzip, SCRIPT_LIMIT)}`);
row('fetched when needed', core.later.raw, core.later.gzip);
const worker = await bundle('bindings/worker/entry.ts');
row('the core in a worker', worker.now.raw, worker.now.gzip);
const page = await bundle('bindings/index.web.ts', ['./inline-assets.js']);
row('what a page has of it', page.now.raw, page.now.gzip);
row('fetched when needed', page.later.raw, page.later.gzip);
