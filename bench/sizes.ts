/**
 * `npm run sizes`: bytes of the wasm binaries, of the JavaScript around them, of what a page fetches, and of the package.
 * Compares them with limits.json; exits 1 and names what is over its limit.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): Buffer => readFileSync(`${root}${path}`);

interface Size {
  readonly raw: number;
  readonly gzip: number;
}

const sizeOf = (bytes: Uint8Array): Size => ({ raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length });

/** Adds sizes of files that are fetched one by one. */
const sum = (sizes: readonly Size[]): Size => ({
  raw: sizes.reduce((total, { raw }) => total + raw, 0),
  gzip: sizes.reduce((total, { gzip }) => total + gzip, 0),
});

/** Measures files of dist/ with all that they import statically, each once. */
function fetched(...entries: readonly string[]): Size {
  const sizes: Size[] = [];
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const bytes = read(`dist/${name}`);
    sizes.push(sizeOf(bytes));
    // Static imports have no parenthesis, as dynamic ones do.
    for (const [, other] of bytes.toString().matchAll(/\b(?:from|import)\s*"\.\/([^"]+)"/g)) visit(other as string);
  };
  entries.forEach(visit);
  return sum(sizes);
}

/** Measures what an entry of the sources needs at once, minified into one script. */
async function bundled(entryPoint: string): Promise<Size> {
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
  });
  const atOnce = new Set<string>();
  const visit = (path: string): void => {
    if (atOnce.has(path)) return;
    atOnce.add(path);
    for (const { path: other, kind } of metafile.outputs[path]?.imports ?? []) {
      if (kind === 'import-statement') visit(other);
    }
  };
  const [entry] = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entryPoint) ?? [''];
  visit(entry);
  const files = outputFiles.filter(({ path }) => atOnce.has(relative(root, path)));
  return sizeOf(Buffer.concat(files.map(({ contents }) => contents)));
}

/** Measures the package: unpacked, and as the tarball that npm installs. */
function packed(): Size {
  const args = ['pack', '--dry-run', '--ignore-scripts', '--json'];
  const answer: object = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }));
  // Older npm answers with an array, newer npm with an object by name.
  const [{ size, unpackedSize }] = Object.values(answer) as [{ size: number; unpackedSize: number }];
  return { raw: unpackedSize, gzip: size };
}

const binaries = readdirSync(`${root}build`).filter((name) => name.endsWith('.wasm'));

const sizes: Readonly<Record<string, Size>> = {
  ...Object.fromEntries(binaries.map((name) => [name, sizeOf(read(`build/${name}`))])),
  // What every engine runs is one of these; the third is for those that are told to join vectors.
  'both binaries': sum(['baseline', 'relaxed'].map((name) => sizeOf(read(`build/${name}.wasm`)))),
  core: await bundled('bindings/model/load.ts'),
  worker: await bundled('bindings/worker/entry.ts'),
  page: sum([fetched('web.js', 'worker.js'), sizeOf(read('build/relaxed.wasm'))]),
  'npm pack': packed(),
};

const limits: Readonly<Record<string, Partial<Size>>> = JSON.parse(read('bench/limits.json').toString());

console.log(`${'bytes'.padEnd(16)}${'raw'.padStart(10)}${'gzip'.padStart(10)}`);
for (const [name, size] of Object.entries(sizes)) {
  const limit = Object.entries(limits[name] ?? {}).map(([kind, most]) => `limit ${most} ${kind}`);
  const row = `${name.padEnd(16)}${`${size.raw}`.padStart(10)}${`${size.gzip}`.padStart(10)}  ${limit.join(', ')}`;
  console.log(row.trimEnd());
}

for (const [name, limit] of Object.entries(limits)) {
  const size = sizes[name];
  if (!size) throw new Error(`bench/limits.json: expected one of ${Object.keys(sizes).join(', ')}, got ${name}.`);
  for (const kind of ['raw', 'gzip'] as const) {
    const most = limit[kind];
    if (most === undefined || size[kind] <= most) continue;
    console.error(`${name}: expected at most ${most} bytes (${kind}), got ${size[kind]}.`);
    process.exitCode = 1;
  }
}
