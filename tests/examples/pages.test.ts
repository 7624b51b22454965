/** The examples of pages, built and opened in Chromium with the packed package, and the README's lines for a browser. */

import '../support/flags.mjs';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as vite from 'vite';
import { openProfile } from '../../web/scripts/chromium.js';
import { emptyApp, exampleApp, root } from '../support/packed.js';
import {
  assertAnswer,
  browser,
  classInNode,
  NETWORK,
  PHOTO,
  visit,
  visitFolder,
  WEIGHTS,
  weights,
} from '../support/visit-page.js';

/** What a page may fetch of the package, gzipped: all that runs a network, and no reader of a format that it has not. */
const FETCHED_LIMIT: number = JSON.parse(await readFile(join(root, 'bench/limits.json'), 'utf8')).page.gzip;

const test = suite('examples of pages');

test.after(async () => browser?.close());

if (browser) {
  test('plain-page, under a strict policy', async () => {
    const home = await exampleApp('plain-page');
    await copyFile(weights, join(home, WEIGHTS));
    const [, script = ''] =
      /<script type="module">(.*?)<\/script>/s.exec(await readFile(join(home, 'index.html'), 'utf8')) ?? [];
    const hash = createHash('sha256').update(script).digest('base64');
    const policy = `default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'sha256-${hash}'; img-src data:`;
    const got = await visitFolder(home, { 'content-security-policy': policy });
    await assertAnswer(got);
    const own = got.fetched.filter((path) => path.startsWith('/node_modules/'));
    assert.ok(own.some((path) => path.endsWith('worker.js')) && own.some((path) => path.endsWith('relaxed.wasm')));
    const files = await Promise.all(own.map((path) => readFile(join(home, path))));
    const total = files.reduce((sum, file) => sum + gzipSync(file).length, 0);
    assert.ok(total < FETCHED_LIMIT, `expected a page to fetch less than ${FETCHED_LIMIT} bytes, got ${total}`);
  });

  test('worker: in a Web Worker of the page', async () => {
    const home = await exampleApp('worker');
    await copyFile(weights, join(home, WEIGHTS));
    await assertAnswer(await visitFolder(home));
  });

  test('extension: in a service worker, on one thread', async () => {
    const home = await exampleApp('extension');
    await copyFile(weights, join(home, WEIGHTS));
    const profile = join(await emptyApp('extension-profile'), 'profile');
    const context = await openProfile(profile, `--disable-extensions-except=${home}`, `--load-extension=${home}`);
    try {
      const [worker = await context.waitForEvent('serviceworker')] = context.serviceWorkers();
      await assertAnswer(await visit(new URL('popup.html', worker.url()).href, context), true);
    } finally {
      await context.close();
    }
  });

  async function viteApp(): Promise<string> {
    const home = await exampleApp('vite-page');
    await mkdir(join(home, 'public'));
    await copyFile(weights, join(home, 'public', WEIGHTS));
    return home;
  }

  // Vite 5 to 7 make a classic script of a worker.
  for (const name of ['vite', 'vite5', 'vite6', 'vite7']) {
    const { build: viteBuild, version }: Pick<typeof vite, 'build' | 'version'> = await import(name);
    test(`vite-page, built by Vite ${version}`, async () => {
      const home = await viteApp();
      await viteBuild({ root: home, logLevel: 'error' });
      await assertAnswer(await visitFolder(join(home, 'dist')));
    });
  }

  test('vite-page, on the development server', async () => {
    const server = await vite.createServer({
      root: await viteApp(),
      logLevel: 'silent',
      server: { host: 'localhost', port: 0 },
    });
    await server.listen();
    try {
      // What Vite's own script reports is not the package's.
      await assertAnswer({ ...(await visit(server.resolvedUrls?.local[0] ?? '')), found: [] });
    } finally {
      await server.close();
    }
  });

  for (const splitting of [true, false]) {
    test(`vite-page by esbuild, which copies no files, ${splitting ? 'with chunks' : 'in one file'}`, async () => {
      const home = await viteApp();
      const outdir = join(home, 'public');
      const entryPoints = [join(home, 'main.js')];
      await build({ entryPoints, outdir, bundle: true, format: 'esm', splitting, minify: true });
      await copyFile(join(home, 'index.html'), join(outdir, 'index.html'));
      // The files that esbuild left behind are looked for and not found, which the browser reports.
      await assertAnswer({ ...(await visitFolder(outdir)), found: [] });
    });
  }

  test("README.md's lines of code for a browser", async () => {
    const readme = await readFile(join(root, 'README.md'), 'utf8');
    const block = /### In a browser\n\n```js\n(.*?)```/s.exec(readme)?.[1] ?? '';
    assert.ok(block.includes("'weights/resnet50.safetensors'") && block.includes('classify(file)'));
    const home = await emptyApp('readme-page');
    await mkdir(join(home, 'weights'));
    await copyFile(weights, join(home, 'weights', WEIGHTS));
    await copyFile(PHOTO, join(home, 'photo.png'));
    const labels = Array.from({ length: 1000 }, (_, i) => `label ${i}`);
    await writeFile(join(home, 'weights/labels.json'), JSON.stringify(labels));
    const script = `${block.replaceAll('resnet50', NETWORK)}
      const [best] = await model.classify(file, { topK: 1 });
      const kept = await weightCache.list();
      await weightCache.clear();
      document.getElementById('answer').textContent = [best.label, kept.length].join();`;
    await writeFile(
      join(home, 'main.js'),
      script.replace(/^(import .*)$/m, `$1\nconst file = await (await fetch('photo.png')).blob();`),
    );
    await writeFile(
      join(home, 'index.html'),
      '<!doctype html><link rel="icon" href="data:,"><p id="answer"></p><script type="module" src="main.js"></script>',
    );
    await build({
      entryPoints: [join(home, 'main.js')],
      outdir: home,
      allowOverwrite: true,
      bundle: true,
      format: 'esm',
    });
    assert.is((await visitFolder(home)).answer, `label ${(await classInNode()).index},1`);
  });
}

test.run();
