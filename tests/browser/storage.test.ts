/** Pages that may store nothing, or come over plain HTTP: everything works, without a cache, and says why there is one thread. */

import '../support/flags.mjs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Frame, Page } from 'playwright-core';
import sirv from 'sirv';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, load, seededInput, seededWeights } from '../../bindings/index.node.js';
import { complaints, listen, openChromium, openProfile } from '../../web/scripts/chromium.js';
import type { Pages } from '../support/browser-page.js';
import { concat } from '../support/weight-files.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const NETWORK = 'resnet20_cifar';
const URL_PATH = '/weights.safetensors';
// An address that is not secure, as a page over plain HTTP has; localhost is.
const INSECURE = '--host-resolver-rules=MAP insecure.test 127.0.0.1';

const parts: Uint8Array[] = [];
for await (const part of seededWeights(buildNetwork(NETWORK), 1)) parts.push(part);
const weights = concat(...parts);

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['tests/support/browser-page.ts'],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  write: false,
});
const files = sirv(root, { dev: true });
const head = '<!doctype html><link rel="icon" href="data:,">';
const pages: Readonly<Record<string, readonly [string, string | Uint8Array]>> = {
  '/page.html': ['text/html', `${head}<script type="module" src="/page.js"></script>`],
  '/frame.html': ['text/html', `${head}<iframe sandbox="allow-scripts" src="/page.html"></iframe>`],
  '/page.js': ['text/javascript', outputFiles[0]?.contents ?? ''],
  [URL_PATH]: ['application/octet-stream', weights],
};

const browser = await openChromium(INSECURE);
let requests = 0;
const server = await listen((request, response) => {
  const page = pages[request.url ?? ''];
  if (request.url === URL_PATH) requests += 1;
  // Of the frame's origin, which is none.
  response.setHeader('access-control-allow-origin', '*');
  if (!page) return files(request, response, () => void response.writeHead(404).end());
  response.setHeader('content-type', page[0]);
  response.end(page[1]);
});

async function logitsHere(): Promise<number[]> {
  using model = await load(NETWORK, { weights });
  const shape = [1, 3, 32, 32];
  return [...(await model.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data];
}

async function run<Name extends keyof Pages>(where: Page | Frame, name: Name, ...args: Parameters<Pages[Name]>) {
  await where.waitForSelector('html[data-ready]', { state: 'attached' });
  type Result = Awaited<ReturnType<Pages[Name]>>;
  return where.evaluate(`pages.${name}(...${JSON.stringify(args)})`) as Promise<Result>;
}

/** Asserts that weights are loaded from a URL, that none are kept, and that a file which does not fit is told as ever. */
async function assertWorks(where: Page | Frame): Promise<void> {
  const url = new URL(URL_PATH, server.url.replace('localhost', new URL(where.url()).hostname)).href;
  const wanted = await logitsHere();
  requests = 0;
  for (const options of [{}, {}, { worker: false }]) {
    const { outcome, logits, kept } = await run(where, 'fromUrl', NETWORK, url, options);
    assert.equal([outcome, kept], ['no error', []]);
    assert.equal(logits, wanted);
  }
  assert.is(requests, 3);
  assert.match((await run(where, 'fromUrl', 'resnet32_cifar', url)).outcome, /^ResnetError: .*missing/);
  await run(where, 'clear');
  await run(where, 'clear', url);
}

const test = suite('storage');

test.after(async () => {
  await browser?.close();
  server.close();
});

if (browser) {
  test('over plain HTTP', async () => {
    const page = await browser.newPage();
    const found = complaints(page);
    await page.goto(`${server.url.replace('localhost', 'insecure.test')}page.html`);
    await assertWorks(page);
    const { info } = await run(page, 'logits', NETWORK, { threads: 2 });
    const reason = 'One thread, since this page comes neither over HTTPS nor from localhost and cannot share memory.';
    assert.equal([info.threads, info.threadsNote], [1, reason]);
    assert.equal(found, [reason]);
    await page.close();
  });

  test('in a sandboxed frame', async () => {
    const page = await browser.newPage();
    const found = complaints(page);
    await page.goto(`${server.url}frame.html`);
    const [, frame] = page.frames();
    await assertWorks(frame as Frame);
    assert.equal(found, []);
    await page.close();
  });

  test('where cookies are blocked', async () => {
    const profile = await mkdtemp(join(tmpdir(), 'resnet-wasm-profile-'));
    await mkdir(join(profile, 'Default'));
    const preferences = { profile: { default_content_setting_values: { cookies: 2 } } };
    await writeFile(join(profile, 'Default/Preferences'), JSON.stringify(preferences));
    const context = await openProfile(profile);
    try {
      const page = await context.newPage();
      const found = complaints(page);
      await page.goto(`${server.url}page.html`);
      assert.match(await page.evaluate(() => caches.keys().then(() => 'kept', String)), /Error/);
      await assertWorks(page);
      assert.equal(found, []);
    } finally {
      await context.close();
      await rm(profile, { recursive: true });
    }
  });
}

test.run();
