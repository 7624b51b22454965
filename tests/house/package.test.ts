/** The package as npm packs it: its files, its entries and types, and pages that bundlers make with it. */

import '../support/flags.mjs';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import sirv from 'sirv';
import { extract } from 'tar';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as vite from 'vite';
import { complaints, ISOLATED, listen, openChromium } from '../../web/scripts/chromium.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

const folder = await mkdtemp(join(tmpdir(), 'resnet-wasm-package-'));
// Scripts would build it again under the other tests.
const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
  cwd: root,
});
const packed: unknown = JSON.parse(stdout);
// Newer npm has an object by name.
const [{ filename, files, size, unpackedSize }] = Object.values(packed as object) as [
  { filename: string; files: { path: string; size: number }[]; size: number; unpackedSize: number },
];
const tarball = join(folder, filename);

/** A folder with the package in its node_modules and the page's script in main.js. */
async function app(name: string): Promise<string> {
  const home = join(folder, name);
  await mkdir(join(home, 'node_modules/resnet-wasm'), { recursive: true });
  await extract({ file: tarball, cwd: join(home, 'node_modules/resnet-wasm'), strip: 1 });
  await writeFile(join(home, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  await writeFile(join(home, 'main.js'), SCRIPT);
  await writeFile(join(home, 'index.html'), PAGE);
  return home;
}

const PAGE = `<!doctype html><link rel="icon" href="data:,"><p id="answer"></p><script type="module" src="/main.js"></script>`;

const SCRIPT = `
import { load } from 'resnet-wasm';
const answer = document.getElementById('answer');
try {
  const model = await load('resnet20_cifar', { weights: { seed: 1 }, threads: 2 });
  const [best] = await model.classify({ data: new Uint8Array(32 * 32 * 3).fill(128), width: 32, height: 32 });
  const { threads, binary } = model.info();
  model.dispose();
  answer.textContent = [best.index, threads, binary].join();
} catch (error) {
  answer.textContent = String(error);
}
`;

const browser = await openChromium();

/** What a page may fetch of the package, gzipped: all that runs a network, and no reader of a format that it does not use. */
const FETCHED_LIMIT: number = JSON.parse(await readFile(join(root, 'bench/limits.json'), 'utf8')).page.gzip;

interface Visit {
  /** What the page wrote. */
  readonly answer: string | null;
  readonly found: readonly string[];
  /** The paths of all that it fetched. */
  readonly fetched: readonly string[];
}

async function visit(url: string): Promise<Visit> {
  const page = await browser?.newPage();
  if (!page) throw new Error('browser: expected one, got none.');
  const found = complaints(page);
  const fetched = new Set<string>();
  page.context().on('response', (response) => fetched.add(new URL(response.url()).pathname));
  await page.goto(url);
  await page.waitForSelector('#answer:not(:empty)', { timeout: 60_000 });
  const answer = await page.textContent('#answer');
  await page.close();
  return { answer, found, fetched: [...fetched] };
}

async function visitFolder(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Visit> {
  const serveFiles = sirv(path, { dev: true });
  const { url, close } = await listen((request, response) => {
    for (const [name, value] of Object.entries({ ...ISOLATED, ...headers })) response.setHeader(name, value);
    serveFiles(request, response, () => void response.writeHead(404).end());
  });
  try {
    return await visit(url);
  } finally {
    close();
  }
}

const ANSWER = /^\d,2,relaxed$/;

const test = suite('package');

test.after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

test('npm packs what users need, and no more', () => {
  const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
  console.log(`npm pack: ${kB(size)}, unpacked ${kB(unpackedSize)} in ${files.length} files`);
  const allowed =
    /^(dist\/[\w.-]+\.js|dist\/THIRD-PARTY-LICENSES\.txt|dist\/types\/(bindings|models)\/.+\.d\.ts|build\/\w+\.wasm|package\.json|README\.md|LICENSE)$/;
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

test('the package has no dependencies, and names the files that have side effects', async () => {
  const { dependencies, optionalDependencies, sideEffects } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  );
  assert.equal([dependencies, optionalDependencies], [undefined, undefined]);
  // Chunks are named after their content, so that these are the entries, and all of them.
  const entries = files
    .map(({ path }) => `./${path}`)
    .filter((path) => /^\.\/dist\/(?!(web|node)-)[\w.]+\.js$/.test(path));
  assert.equal([...sideEffects].sort(), entries.sort());
});

test('the licences of all bundled packages are in the package', async () => {
  const text = await readFile(join(root, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
  for (const name of [
    '@assemblyscript/loader',
    'cli-progress',
    'commander',
    'minipass',
    'string-width',
    'tar',
    'uplot',
  ]) {
    assert.match(text, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(.+\\)$`, 'm'));
  }
});

test('an installed package works without its optional peers, and says what they are for', async () => {
  const home = join(folder, 'installed');
  await mkdir(home);
  await writeFile(join(home, 'package.json'), '{"private": true, "type": "module"}');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: home });
  assert.equal(
    (await readdir(join(home, 'node_modules'))).filter((name) => !name.startsWith('.')),
    ['resnet-wasm'],
  );
  await cp(join(root, 'tests/data/h5/plain.h5'), join(home, 'weights.h5'));
  await writeFile(
    join(home, 'main.js'),
    `import { writeFile } from 'node:fs/promises';
    import { buildNetwork, load, openWeights, pretrained, seededWeights } from 'resnet-wasm';
    await writeFile('weights.safetensors', seededWeights(buildNetwork('resnet20_cifar')));
    await writeFile('picture.png', 'a picture');
    const model = await load('resnet20_cifar', { weights: 'weights.safetensors' });
    const [best] = await model.classify({ data: new Uint8Array(32 * 32 * 3).fill(128), width: 32, height: 32 });
    const said = (promise) => promise.catch((error) => error.message);
    const sentences = [await said(model.classify('picture.png')), await said(openWeights('weights.h5'))];
    console.log(JSON.stringify({ index: best.index, sentences, names: pretrained.names().length }));`,
  );
  const { index, sentences, names } = JSON.parse((await run(process.execPath, ['main.js'], { cwd: home })).stdout);
  assert.ok(Number.isInteger(index) && names > 30);
  const sharp = 'Decoding images in Node needs the package sharp: npm install sharp.';
  assert.equal(sentences, [sharp, 'Reading HDF5 files (.h5) in Node needs the package h5wasm: npm install h5wasm.']);

  const bin = join(home, 'node_modules/.bin/resnet-wasm');
  const args = ['classify', '--weights', 'weights.safetensors', 'picture.png'];
  const failed = await run(bin, args, { cwd: home }).catch((error) => error);
  assert.equal([failed.code, failed.stderr.split('\n').slice(1)], [1, [`picture.png: ${sharp}`, '']]);
  assert.match((await run(bin, ['summary', 'resnet18'], { cwd: home })).stdout, /11,689,512/);
  const html = ['bench', '--model', 'resnet20_cifar', '--rounds', '1', '--html', 'page.html'];
  await run(bin, html, { cwd: home });
  assert.match(await readFile(join(home, 'page.html'), 'utf8'), /<script>.*uPlot/);
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

if (browser) {
  test('a page without a bundler, under a strict policy', async () => {
    const home = await app('plain');
    await writeFile(join(home, 'main.js'), SCRIPT.replace("'resnet-wasm'", "'/node_modules/resnet-wasm/dist/web.js'"));
    const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:";
    const { answer, found, fetched } = await visitFolder(home, { 'content-security-policy': policy });
    assert.match(answer ?? '', ANSWER);
    assert.equal(found, []);
    const own = fetched.filter((path) => path.startsWith('/node_modules/'));
    assert.ok(own.some((path) => path.endsWith('worker.js')) && own.some((path) => path.endsWith('relaxed.wasm')));
    const bytes = (await Promise.all(own.map((path) => readFile(join(home, path))))).map(
      (file) => gzipSync(file).length,
    );
    const total = bytes.reduce((sum, each) => sum + each, 0);
    assert.ok(total < FETCHED_LIMIT, `expected a page to fetch less than ${FETCHED_LIMIT} bytes, got ${total}`);
  });

  test('Vite: built', async () => {
    const home = await app('vite');
    await vite.build({ root: home, logLevel: 'error' });
    const { answer, found } = await visitFolder(join(home, 'dist'));
    assert.match(answer ?? '', ANSWER);
    assert.equal(found, []);
  });

  test('Vite: its development server', async () => {
    const home = await app('vite-dev');
    const server = await vite.createServer({
      root: home,
      logLevel: 'silent',
      server: { headers: ISOLATED, host: 'localhost' },
    });
    await server.listen();
    try {
      const { answer } = await visit(server.resolvedUrls?.local[0] ?? '');
      assert.match(answer ?? '', ANSWER);
    } finally {
      await server.close();
    }
  });

  for (const splitting of [true, false]) {
    test(`esbuild, which copies no files, ${splitting ? 'with chunks' : 'in one file'}`, async () => {
      const home = await app(`esbuild-${splitting}`);
      const out = join(home, 'out');
      await build({
        entryPoints: [join(home, 'main.js')],
        outdir: out,
        bundle: true,
        format: 'esm',
        splitting,
        minify: true,
      });
      await cp(join(home, 'index.html'), join(out, 'index.html'));
      assert.match((await visitFolder(out)).answer ?? '', ANSWER);
    });
  }
}

test.run();
