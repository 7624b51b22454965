/**
 * `npm run web:build`: makes dist-web/, a folder that any host can serve, at any path. What it loads lies one folder deep
 * (app/, dist/, build/), as in the package, so that `new URL('../build/…', import.meta.url)` holds.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build, type Plugin } from 'esbuild';
import { openWeights, pretrained, withNetworkNames, writeSafetensors } from '../../bindings/index.node.js';
import type { PublishedSet } from '../weights.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The folder that is made. */
export const OUT = join(ROOT, 'dist-web');

const PUBLISHED = 'resnet50';
/** What visitors can choose of it: the first one, unless they do. */
const FORMS = [
  { title: 'ResNet-50 (ImageNet), int8', file: 'resnet50-int8.safetensors', dtype: 'I8' },
  { title: 'ResNet-50 (ImageNet), float16', file: 'resnet50.safetensors', dtype: 'F16' },
] as const;
const STATIC = ['index.html', 'icon.svg', 'manifest.webmanifest'];
const PHOTOS = ['chelsea.jpg', 'coffee.jpg'];
const WASM = ['baseline.wasm', 'relaxed.wasm', 'int8-baseline.wasm', 'int8-relaxed.wasm'];

export interface BuildOptions {
  /** True (the default) fetches the published weights, and puts them into the folder in int8 and in float16. */
  readonly weights?: boolean;
  /** By default dist-web. What is in it is removed first. */
  readonly folder?: string;
  /** True (the default) prints the files and their sizes. */
  readonly isTold?: boolean;
}

/** Builds the page and prints its sizes. */
export async function buildPage({ weights = true, folder = OUT, isTold = true }: BuildOptions = {}): Promise<void> {
  if (!WASM.every((file) => existsSync(join(ROOT, 'build', file)))) buildPackage();
  await rm(folder, { recursive: true, force: true });
  await bundle(folder);
  await copyFiles(folder);
  await putWeights(join(folder, 'weights'), weights);
  await putServiceWorker(folder);
  if (isTold) await printSizes(folder);
}

function buildPackage(): void {
  const { status } = spawnSync(process.execPath, ['build.mjs'], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) throw new Error(`build.mjs: expected the package to build, got exit code ${status}.`);
}

const esbuildOptions = {
  bundle: true,
  minify: true,
  target: 'es2022',
  logLevel: 'warning',
  absWorkingDir: ROOT,
} as const;

/** Leaves out the worker made of text, the package's last resort if the worker's file is not found: this page's policy forbids it. */
const withoutInlineWorker: Plugin = {
  name: 'without-inline-worker',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/inline-assets\.js$/ }, ({ path }) => ({ path, namespace: 'none' }));
    onLoad({ filter: /.*/, namespace: 'none' }, () => ({
      contents: `throw new Error('dist/worker.js does not load, and this page allows no worker made of text');`,
    }));
  },
};

async function bundle(outdir: string): Promise<void> {
  await build({
    ...esbuildOptions,
    entryPoints: {
      'app/main': 'web/main.ts',
      'app/recognise': 'web/recognise.ts',
      'dist/worker': 'bindings/worker/entry.ts',
    },
    plugins: [withoutInlineWorker],
    outdir,
    chunkNames: 'app/[name]-[hash]',
    splitting: true,
    format: 'esm',
  });
}

async function copyFiles(folder: string): Promise<void> {
  const copy = async (from: string, to: string) => cp(join(ROOT, from), join(folder, to), { recursive: true });
  await Promise.all([
    ...STATIC.map((file) => copy(`web/${file}`, file)),
    ...PHOTOS.map((file) => copy(`tests/data/photos/${file}`, `photos/${file}`)),
    ...WASM.map((file) => copy(`build/${file}`, `build/${file}`)),
    copy('node_modules/h5wasm/dist/esm', 'h5wasm'),
  ]);
}

/** Writes the published weights, a quarter and a half of their bytes, and their list. */
async function putWeights(folder: string, isWanted: boolean): Promise<void> {
  await mkdir(folder, { recursive: true });
  const sets: PublishedSet[] = [];
  if (isWanted) {
    const found = await pretrained.fetch(PUBLISHED);
    const { network, options, preprocessing } = found.set;
    for (const { title, file, dtype } of FORMS) {
      const path = join(folder, file);
      const bytes = writeSafetensors(withNetworkNames(await openWeights(found.path)), { dtype });
      await pipeline(Readable.from(bytes), createWriteStream(path));
      sets.push({ title, network, options, preprocessing, file, bytes: (await stat(path)).size });
    }
  }
  await writeFile(join(folder, 'sets.json'), JSON.stringify(sets));
}

/** Lists the files of a folder by their paths in it, with forward slashes. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

/** Tells files that are large and that not every visitor needs: weights, and the reader of HDF5. */
const isOnDemand = (path: string): boolean => /\.safetensors$|^h5wasm\//.test(path);

async function putServiceWorker(folder: string): Promise<void> {
  const shell = (await filesOf(folder)).filter((path) => !isOnDemand(path));
  const hash = createHash('sha256');
  for (const path of shell) hash.update(path).update(await readFile(join(folder, path)));
  await build({
    ...esbuildOptions,
    entryPoints: ['web/sw.ts'],
    outfile: join(folder, 'sw.js'),
    format: 'iife',
    define: { SHELL: JSON.stringify(shell), VERSION: JSON.stringify(hash.digest('hex').slice(0, 16)) },
  });
}

async function printSizes(folder: string): Promise<void> {
  const kb = (bytes: number) => `${(bytes / 1000).toFixed(1).padStart(9)} kB`;
  let shell = 0;
  for (const path of await filesOf(folder)) {
    const bytes = await readFile(join(folder, path));
    const zipped = isOnDemand(path) ? undefined : gzipSync(bytes).length;
    shell += zipped ?? 0;
    console.log(`${kb(bytes.length)}${zipped === undefined ? ''.padStart(21) : `${kb(zipped)} gzipped`}  ${path}`);
  }
  console.log(
    `${relative(process.cwd(), folder) || folder}: ${(shell / 1000).toFixed(0)} kB gzipped for the first visit.`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { 'no-weights': { type: 'boolean' } } });
  buildPage({ weights: !values['no-weights'] }).catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
