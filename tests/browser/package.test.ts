/** The package as a page has it: in Debian's Chromium, from a static server, under a strict content security policy. */

import '../support/flags.mjs';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { BrowserContext, Page } from 'playwright-core';
import sirv from 'sirv';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  buildNetwork,
  GraphBuilder,
  type LoadOptions,
  load,
  type Preprocessing,
  preprocessings,
  seededInput,
  seededWeights,
} from '../../bindings/index.node.js';
import { imagenetLabels } from '../../models/labels/imagenet.js';
import { complaints, ISOLATED, listen, openChromium } from '../../web/scripts/chromium.js';
import type { Pages } from '../support/browser-page.js';
import { near } from '../support/near.js';
import { tinyGraph } from '../support/tiny-graph.js';
import { concat } from '../support/weight-files.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CIFAR = { ...preprocessings.cifar, resize: 32, crop: 32 } as Preprocessing;
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:";
const PHOTOS = '/tests/data/photos/';

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['tests/support/browser-page.ts'],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  write: false,
});

async function safetensors(name: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of seededWeights(buildNetwork(name), 1)) parts.push(part);
  return concat(...parts);
}

/** 6.9 MB, so that a download has several parts. */
const DEEP = 'resnet110_cifar';
const weights = await safetensors(DEEP);

/** What the server of weights was asked for, and how it answers. */
const USUAL = {
  everyMs: 5,
  etag: '"1"',
  drop: Number.POSITIVE_INFINITY,
  pause: Number.POSITIVE_INFINITY,
  body: weights,
  isGone: false,
};
const hub = { ...USUAL, ranges: [] as string[] };

const files = sirv(root, { dev: true, dotfiles: true });

const server = (headers: Readonly<Record<string, string>>) =>
  listen((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (pathname !== '/open.html') response.setHeader('content-security-policy', POLICY);
    if (['/page.html', '/open.html'].includes(pathname)) {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>');
    } else if (pathname === '/page.js') {
      response.setHeader('content-type', 'text/javascript');
      response.end(outputFiles[0]?.contents);
    } else if (pathname === '/weights.safetensors') {
      const { range } = request.headers;
      const { body } = hub;
      hub.ranges.push(range ?? 'all');
      if (hub.isGone) return void response.writeHead(404).end();
      const begin = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
      response.setHeader('etag', hub.etag);
      if (begin > 0) response.setHeader('content-range', `bytes ${begin}-${body.length - 1}/${body.length}`);
      response.writeHead(begin > 0 ? 206 : 200, { 'content-length': body.length - begin });
      const end = Math.min(begin + hub.drop, body.length);
      // In time, and no more from `pause` on, so that a page that stops has not all of it yet.
      let at = begin;
      const timer = setInterval(() => {
        if (at >= hub.pause) return;
        const next = Math.min(at + 2 ** 19, end);
        response.write(body.subarray(at, next));
        at = next;
        if (at < end) return;
        clearInterval(timer);
        if (end < body.length) response.destroy();
        else response.end();
      }, hub.everyMs);
      response.once('close', () => clearInterval(timer));
    } else {
      files(request, response, () => {
        response.statusCode = 404;
        response.end();
      });
    }
  });

interface Context {
  page: Page;
  context: BrowserContext;
  found: string[];
}

const browser = await openChromium('--autoplay-policy=no-user-gesture-required');
const isolated = await server(ISOLATED);
const plain = await server({});

/** Runs one of the page's functions. */
async function run<Name extends keyof Pages>(
  page: Page,
  name: Name,
  ...args: Parameters<Pages[Name]>
): Promise<Awaited<ReturnType<Pages[Name]>>> {
  // The policy allows no function of playwright's that waits.
  await page.waitForSelector('html[data-ready]', { state: 'attached' });
  return page.evaluate(`pages.${name}(...${JSON.stringify(args)})`) as Promise<Awaited<ReturnType<Pages[Name]>>>;
}

const test = suite<Context>('browser');

test.before.each(async (state) => {
  if (!browser) return;
  state.context = await browser.newContext();
  state.page = await state.context.newPage();
  state.found = complaints(state.page);
  await state.page.goto(`${isolated.url}page.html`);
  hub.ranges.length = 0;
  Object.assign(hub, USUAL);
});

test.after.each(async ({ context }) => context?.close());

test.after(async () => {
  await browser?.close();
  isolated.close();
  plain.close();
});

async function logitsHere(name: string, options: Partial<LoadOptions> = {}): Promise<number[]> {
  using model = await load(name, { weights: { seed: 1 }, ...options });
  const { h, w, c } = model.summary().input;
  const shape = [1, c, h, w];
  return [...(await model.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data];
}

const difference = (a: readonly number[], b: readonly number[]): number =>
  a.length === b.length ? Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number)))) : Number.NaN;

if (browser) {
  test('the logits are those of Node, bit for bit, with threads', async ({ page, found }) => {
    const { data, info, isIsolated } = await run(page, 'logits', 'resnet18', { threads: 2 });
    assert.equal(data, await logitsHere('resnet18'));
    assert.equal([isIsolated, info.threads, info.threadsNote], [true, 2, undefined]);
    assert.equal(found, []);
  });

  test('without isolation one thread runs, and the reason is said', async ({ page, found }) => {
    await page.goto(`${plain.url}page.html`);
    const { data, info, isIsolated } = await run(page, 'logits', 'resnet18', { threads: 2 });
    assert.equal(data, await logitsHere('resnet18'));
    assert.equal([isIsolated, info.threads], [false, 1]);
    assert.match(info.threadsNote ?? '', /^One thread, since this page is not cross-origin isolated .*\.$/);
    assert.equal(found, [info.threadsNote]);
  });

  for (const url of [isolated.url, plain.url]) {
    test(`without a worker the page runs it itself (${url === plain.url ? 'not ' : ''}isolated)`, async ({ page }) => {
      await page.goto(`${url}page.html`);
      const { data } = await run(page, 'logits', 'resnet20_cifar', { worker: false });
      assert.equal(data, await logitsHere('resnet20_cifar'));
    });
  }

  test('the wide binary is fetched if it is asked for alone, and its logits are the same', async ({ page }) => {
    const binaries: string[] = [];
    page.on('request', (request) => {
      const [, name] = /(\w+)\.wasm$/.exec(request.url()) ?? [];
      if (name) binaries.push(name);
    });
    const plainly = await run(page, 'logits', 'resnet18', { threads: 2 });
    const wide = await run(page, 'logits', 'resnet18', { threads: 2, wide: true });
    const inPage = await run(page, 'logits', 'resnet18', { worker: false, wide: true });
    assert.equal(binaries, ['relaxed', 'wide', 'wide']);
    assert.equal(wide.data, plainly.data);
    assert.equal(inPage.data, plainly.data);
    assert.equal([plainly.info.binary, wide.info.binary, inPage.info.binary], binaries);
    for (const { info } of [plainly, wide, inPage]) {
      assert.match(info.vectorsNote, new RegExp(`^Vectors of ${info.vectors} bits, .*[^.]\\.$`));
    }
  });

  test('no task of the page takes 50 ms while a ResNet-50 loads and runs', async ({ page }) => {
    // A busy machine may stop any task: what the page does itself it does each time.
    const tasks: number[] = [];
    while (tasks.length < 3 && !tasks.some((ms) => ms < 50)) tasks.push(await run(page, 'longestTask', 'resnet50', 5));
    const longest = Math.min(...tasks);
    assert.ok(longest < 50, `expected tasks below 50 ms, got ${longest} ms`);
  });

  test('the wasm is taken from wherever it is given', async ({ page }) => {
    const { binaries, messages } = await run(page, 'wasm');
    assert.equal(new Set(Object.values(binaries)), new Set(['baseline']));
    assert.is(Object.keys(binaries).length, 6);
    assert.equal(messages, {
      other: 'ResnetError: wasm: expected the relaxed binary, got the baseline one.',
      module: 'ResnetError: wasm: expected a binary of this package, got another module.',
      noModule: 'ResnetError: wasm: expected a binary of this package, got one that does not compile here.',
      missing: `ResnetError: ${isolated.url}build/none.wasm: expected status 200, got 404.`,
      silent: 'ResnetError: http://127.0.0.1:9/none.wasm: no answer from the server (Failed to fetch).',
      spent: 'ResnetError: wasm: expected a response of status 2xx, not yet read, got one read before.',
      number: 'ResnetError: wasm: expected a URL, Response, bytes or WebAssembly.Module, got 7.',
    });
  });

  test('a photograph gives the tensor that it gives in Node', async ({ page }) => {
    using model = await load('resnet20_cifar', { weights: { seed: 1 }, preprocessing: CIFAR });
    const ways = ['blob', 'file', 'url', 'bytes', 'bitmap', 'imageData', 'img', 'canvas', 'offscreen'];
    // One of 255, in the smallest unit that a channel is normalised to.
    const one = 1.001 / 255 / Math.min(...CIFAR.std);
    for (const [file, most] of [
      ['chelsea-56.png', 1e-6],
      ['chelsea.jpg', one],
      ['coffee.jpg', one],
    ] as const) {
      const { data } = await model.featureMap(readFileSync(`${root}${PHOTOS}${file}`), 'input');
      const { tensors, bitmap, offscreen } = await run(page, 'tensors', PHOTOS + file, ways);
      for (const way of ways) near(difference(tensors[way] ?? [], [...data]), 0, most, `${file} as ${way}`);
      assert.ok(bitmap > 0 && offscreen > 0);
    }
  });

  test('profiles, alpha and orientation are as in Node', async ({ page }) => {
    using model = await load('resnet20_cifar', { weights: { seed: 1 }, preprocessing: CIFAR });
    const one = 1.001 / 255 / Math.min(...CIFAR.std);
    for (const file of [
      'profile.png',
      'profile.jpg',
      'gamma.png',
      'alpha.png',
      'palette-alpha.png',
      'orientation-6.jpg',
    ]) {
      const path = `/tests/data/images/${file}`;
      const { data } = await model.featureMap(readFileSync(root + path), 'input');
      const { tensors } = await run(page, 'tensors', path, ['blob', 'url', 'img']);
      for (const [way, tensor] of Object.entries(tensors))
        near(difference(tensor, [...data]), 0, one, `${file} ${way}`);
    }
  });

  test('the frame that a film shows', async ({ page }) => {
    const { early, largest } = await run(page, 'video');
    assert.match(early, /^ResnetError: image: expected an element that shows a picture, got <video> \(.*\)\.$/);
    // A film's colours are rounded on their way.
    near(largest, 0, 3 / 255 / Math.min(...CIFAR.std), 'grey');
  });

  test('what is no picture is refused in one sentence', async ({ page }) => {
    const got: Record<string, string> = await run(page, 'refusals');
    assert.is(got.empty, 'ResnetError: image: expected a picture, got an empty file.');
    assert.is(got.text, 'ResnetError: image: expected a picture, got a file that this browser cannot decode.');
    assert.is(got.missing, `ResnetError: ${isolated.url}none.png: expected a picture, got status 404.`);
    assert.match(
      got.element ?? '',
      /^ResnetError: image: expected an element that shows a picture, got <div> \(.*\)\.$/,
    );
    assert.match(
      got.unloaded ?? '',
      /^ResnetError: image: expected an element that shows a picture, got <img> \(.*\)\.$/,
    );
    assert.match(got.nothing ?? '', /^ResnetError: image: expected a Blob, .*, got undefined\.$/);
    assert.match(got.pixels ?? '', /^ResnetError: image: expected 3 or 4 bytes for each of 2x2 pixels, got 5\.$/);
    assert.match(got.malformed ?? '', /^ResnetError: http:\/\/\[: no answer from the server \(.*\)\.$/);
    assert.match(got.closed ?? '', /^ResnetError: classify: this cannot be sent to a worker \(.*\)\.$/);
    assert.match(
      got.canvas ?? '',
      /^ResnetError: image: expected a canvas that shows a picture, got an OffscreenCanvas \(.*\)\.$/,
    );
    const disposed = 'ResnetError: resnet20_cifar: this model has been disposed.';
    assert.equal([got.waiting, got.gone], [disposed, disposed]);
  });

  const URL_PATH = '/weights.safetensors';

  test('weights are kept, go on where they were stopped, and are forgotten', async ({ page }) => {
    const url = `${isolated.url}weights.safetensors`;
    hub.pause = 0.8 * weights.length;
    // Slowly, since progress is told 20 times per second at most.
    hub.everyMs = 30;
    const stopped = await run(page, 'fromUrl', DEEP, URL_PATH, {}, 0.4);
    hub.everyMs = USUAL.everyMs;
    hub.pause = Number.POSITIVE_INFINITY;
    assert.is(stopped.outcome, 'Error: enough');
    assert.ok(stopped.loaded < weights.length);

    const resumed = await run(page, 'fromUrl', DEEP, URL_PATH);
    assert.is(resumed.outcome, 'no error');
    assert.equal(resumed.logits, await logitsHere(DEEP));
    // What comes while it stops may be kept too.
    const begin = Number(/^all,bytes=(\d+)-$/.exec(hub.ranges.join())?.[1]);
    assert.ok(begin > 0 && begin % 2 ** 21 === 0, `expected to go on behind a part of 2 MiB, got ${hub.ranges}`);
    assert.equal(resumed.kept, [{ name: url, bytes: weights.length, total: weights.length }]);

    // In a new page, from the cache alone.
    await page.reload();
    const again = await run(page, 'fromUrl', DEEP, URL_PATH);
    assert.equal(again.logits, resumed.logits);
    assert.is(hub.ranges.length, 2);

    await run(page, 'clear', URL_PATH);
    assert.is(await run(page, 'storedParts'), 0);
    const anew = await run(page, 'fromUrl', DEEP, URL_PATH, { cache: false });
    assert.equal([anew.outcome, anew.kept, hub.ranges.at(-1)], ['no error', [], 'all']);
    await run(page, 'clear');
  });

  test('a connection that breaks is taken up, and a file that changed is fetched anew', async ({ page }) => {
    hub.drop = 3_000_000;
    const broken = await run(page, 'fromUrl', DEEP, URL_PATH);
    assert.is(broken.outcome, 'no error');
    // How much of what was sent arrives before the end is Chromium's.
    assert.match(hub.ranges.join(), /^all(,bytes=\d+-)+$/);

    await run(page, 'clear');
    hub.drop = Number.POSITIVE_INFINITY;
    hub.pause = 0.8 * weights.length;
    hub.everyMs = 30;
    await run(page, 'fromUrl', DEEP, URL_PATH, {}, 0.4);
    hub.everyMs = USUAL.everyMs;
    hub.pause = Number.POSITIVE_INFINITY;
    hub.etag = '"2"';
    hub.ranges.length = 0;
    const changed = await run(page, 'fromUrl', DEEP, URL_PATH);
    assert.equal(changed.logits, await logitsHere(DEEP));
    assert.match(hub.ranges.join(), /^bytes=\d+-,all$/);
  });

  test('weights that do not load are compared with their server the next time', async ({ page }) => {
    const wrong = await run(page, 'fromUrl', 'resnet20_cifar', URL_PATH);
    assert.match(wrong.outcome, /^ResnetError: /);
    await run(page, 'fromUrl', DEEP, URL_PATH);
    const before = hub.ranges.length;
    assert.match((await run(page, 'fromUrl', 'resnet20_cifar', URL_PATH)).outcome, /^ResnetError: /);
    await run(page, 'fromUrl', DEEP, URL_PATH);
    assert.ok(hub.ranges.length > before);

    // Where the server has them no more, what is kept is still good.
    assert.match((await run(page, 'fromUrl', 'resnet20_cifar', URL_PATH)).outcome, /^ResnetError: /);
    hub.isGone = true;
    assert.equal((await run(page, 'fromUrl', DEEP, URL_PATH)).logits, await logitsHere(DEEP));
  });

  test('values of an iframe are what they are in the page', async ({ page, found }) => {
    const photo = `${PHOTOS}chelsea.jpg`;
    const { logits, classes } = await run(page, 'ofAnotherRealm', DEEP, URL_PATH, photo);
    const wanted = await logitsHere(DEEP);
    for (const got of logits.flat()) assert.equal(got, wanted);
    assert.equal([logits[1]?.length, classes[1]?.length], [4, 6]);
    assert.equal(classes[1], classes[0]);
    assert.equal(found, []);
  });

  test('a file that says which network it is of, and a graph of the page, run in the worker', async ({ page }) => {
    const { names, logits } = await run(page, 'otherNetworks', URL_PATH);
    assert.equal(names, [DEEP, 'tiny', 'tiny']);
    const wanted = [await logitsHere(DEEP)];
    for (const weights of [{ seed: 1 }, `${root}tests/data/pth/state_dict.pt`]) {
      using tiny = await load(tinyGraph(GraphBuilder), { weights });
      const shape = [1, 3, 32, 32];
      wanted.push([...(await tiny.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data]);
    }
    assert.equal(logits, wanted);
  });

  test('a network by its name has the published weights of the hub, its preprocessing and labels', async ({ page }) => {
    const body = Buffer.from(await safetensors('densenet121'));
    const asked: string[] = [];
    // The policy of the other pages forbids other origins, and what a worker fetches cannot be played.
    await page.goto(`${plain.url}open.html`);
    await page.route('https://huggingface.co/**', (route) => {
      asked.push(route.request().url());
      return route.fulfill({ body, headers: { 'access-control-allow-origin': '*', etag: '"1"' } });
    });
    const { network, best, resize, names, kept } = await run(page, 'published', 'densenet121.tv_in1k');
    const url = 'https://huggingface.co/timm/densenet121.tv_in1k/resolve/main/model.safetensors';
    assert.equal(
      [network, resize, asked, kept],
      ['densenet121', 256, [url], [{ name: 'densenet121.tv_in1k', bytes: body.length, total: body.length }]],
    );
    using here = await load('densenet121', { weights: body, labels: imagenetLabels });
    const [wanted] = await here.classify(`${root}tests/data/photos/chelsea.jpg`, { topK: 1 });
    assert.is(best?.label, wanted?.label);
    assert.ok(names.includes('densenet121') && names.includes('resnet50.tv2_in1k'));
    // From what the browser keeps.
    await run(page, 'published', 'densenet121');
    assert.is(asked.length, 1);
    await run(page, 'clear');
  });

  test('of two loads of one URL at once, the second has what the first fetched', async ({ page }) => {
    const { logits, kept } = await run(page, 'atOnce', DEEP, URL_PATH);
    const wanted = await logitsHere(DEEP);
    assert.equal(logits, [wanted, wanted]);
    assert.equal(hub.ranges, ['all']);
    assert.equal(kept, [{ name: `${isolated.url}weights.safetensors`, bytes: weights.length, total: weights.length }]);
  });

  test('a shorter file takes the place of a longer one, and leaves nothing of it', async ({ page }) => {
    await run(page, 'fromUrl', DEEP, URL_PATH);
    assert.is(await run(page, 'storedParts'), Math.ceil(weights.length / 2 ** 21));
    hub.body = await safetensors('resnet20_cifar');
    hub.etag = '"2"';
    // What is kept is not that network's, and is doubted.
    assert.match((await run(page, 'fromUrl', 'resnet20_cifar', URL_PATH)).outcome, /^ResnetError: /);
    assert.is((await run(page, 'fromUrl', 'resnet20_cifar', URL_PATH)).outcome, 'no error');
    assert.is(await run(page, 'storedParts'), 1);
  });

  test('an HDF5 file is kept whole', async ({ page, found }) => {
    const path = 'tests/data/h5/weights.h5';
    const { names, kept } = await run(page, 'hdf5', `/${path}`);
    assert.ok(names.length > 0);
    const bytes = statSync(root + path).size;
    assert.equal(kept, [{ name: isolated.url + path, bytes, total: bytes }]);
    assert.equal(found, []);
  });

  test('weights come as a Blob, bytes, stream, Response or iterable', async ({ page }) => {
    const { logits, errors, cancelled } = await run(page, 'otherForms', DEEP, URL_PATH);
    const wanted = await logitsHere(DEEP);
    for (const [form, got] of Object.entries(logits)) assert.equal(got, wanted, form);
    assert.is(Object.keys(logits).length, 6);
    assert.equal(cancelled, ['of no network', 'that cannot be sent']);
    assert.match(
      errors.none,
      /^ResnetError: resnet110_cifar: expected weights .*, got none; there are pretrained ones of /,
    );
    assert.is(errors.locked, 'ResnetError: weights: this stream has a reader already.');
    assert.match(errors.truncated, /^ResnetError: weights: expected \d+ bytes, got 900000\.$/);
    assert.match(errors.page, /page\.html: expected .*, got an HTML or XML page \(/);
    assert.is(errors.progress, 'RangeError: of its own');
  });

  test('dispose gives the memory back: 30 models later the browser has no more than after 5', async ({ page }) => {
    const session = await browser.newBrowserCDPSession();
    const resident = async (): Promise<number> => {
      const { processInfo } = await session.send('SystemInfo.getProcessInfo');
      return processInfo
        .filter(({ type }) => type === 'renderer')
        .reduce(
          (sum, { id }) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]),
          0,
        );
    };
    await run(page, 'cycles', 'resnet18', 5);
    await page.waitForTimeout(500);
    const before = await resident();
    await run(page, 'cycles', 'resnet18', 25);
    await page.waitForTimeout(500);
    const after = await resident();
    // 25 models that stayed behind would have 1.6 GB.
    assert.ok(after - before < 100_000, `expected ${before} KiB, got ${after} KiB`);
  });

  test('a thread that cannot run says so, and does not leave its model waiting', async ({ page }) => {
    assert.match(await run(page, 'brokenThread'), /WebAssembly/);
  });

  test('the peak can be measured', async ({ page }) => {
    const peak = await run(page, 'peak');
    assert.ok(peak > 1 && peak < 1000, `got ${peak} GFLOP/s`);
  });
}

test.run();
