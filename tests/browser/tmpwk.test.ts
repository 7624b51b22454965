/** The package as a page has it: in each browser, from a static server, under a strict content security policy. */

import '../support/flags.mjs';
import { readFileSync, statSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Binary,
  GraphBuilder,
  type LoadOptions,
  load,
  type Preprocessing,
  preprocessings,
  seededInput,
} from '../../bindings/index.node.js';
import { anyChromium, ISOLATED } from '../../web/scripts/chromium.js';
import { openFirefox } from '../../web/scripts/firefox.js';
import type { Tab } from '../../web/scripts/tab.js';
import { openWebKit } from '../../web/scripts/webkit.js';
import { near } from '../support/near.js';
import {
  DEEP,
  difference,
  hub,
  logitsHere,
  PHOTOS,
  root,
  run,
  safetensors,
  serveProject,
  USUAL,
  WEIGHTS,
  weights,
} from '../support/package-server.js';
import { tinyGraph } from '../support/tiny-graph.js';

const CIFAR = { ...preprocessings.cifar, resize: 32, crop: 32 } as Preprocessing;

const isolated = await serveProject(ISOLATED);
const plain = await serveProject({});
let left = 0;

for (const open of [openWebKit]) {
  const browser = await open();
  if (!browser) continue;
  left += 1;
  const test = suite<{ tab: Tab }>(`package in ${browser.name} ${browser.version}`);
  let binary: Binary;
  // WebKitGTK says that a page is isolated, and clones no shared memory.
  const sharesMemory = browser.name !== 'WebKit';
  /** The logits of Node, by the binary that this browser runs. */
  const inNode = (name: string, options: Partial<LoadOptions> = {}) => logitsHere(name, { binary, ...options });

  test.before.each(async (state) => {
    state.tab = await browser.open();
    await state.tab.open(`${isolated.url}page.html`);
    binary = await run(state.tab, 'binary');
    hub.ranges.length = 0;
    Object.assign(hub, USUAL);
  });

  test.after.each(({ tab }) => tab?.close());

  test.after(async () => {
    await browser.close();
    left -= 1;
    if (left > 0) return;
    isolated.close();
    plain.close();
  });

  test('the logits are those of Node, bit for bit, with threads', async ({ tab }) => {
    const { data, info, isIsolated } = await run(tab, 'logits', 'resnet18', { threads: 2 });
    assert.equal(data, await inNode('resnet18'));
    assert.equal([isIsolated, info.threads], [true, sharesMemory ? 2 : 1]);
    assert.equal(tab.found, sharesMemory ? [] : [info.threadsNote]);
    if (!sharesMemory) assert.match(info.threadsNote ?? '', /^One thread, since no worker started \(.+\)\.$/);
  });

  test('without isolation one thread runs, and the reason is said', async ({ tab }) => {
    await tab.open(`${plain.url}page.html`);
    const { data, info, isIsolated } = await run(tab, 'logits', 'resnet18', { threads: 2 });
    assert.equal(data, await inNode('resnet18'));
    assert.equal([isIsolated, info.threads], [false, 1]);
    assert.match(info.threadsNote ?? '', /^One thread, since this page is not cross-origin isolated .*\.$/);
    assert.equal(tab.found, [info.threadsNote]);
  });

  for (const url of [isolated.url, plain.url]) {
    test(`without a worker the page runs it itself (${url === plain.url ? 'not ' : ''}isolated)`, async ({ tab }) => {
      await tab.open(`${url}page.html`);
      const { data } = await run(tab, 'logits', 'resnet20_cifar', { worker: false });
      assert.equal(data, await inNode('resnet20_cifar'));
    });
  }

  test('the wasm is taken from wherever it is given', async ({ tab }) => {
    const { binaries, messages } = await run(tab, 'wasm');
    assert.equal(new Set(Object.values(binaries)), new Set(['baseline']));
    assert.is(Object.keys(binaries).length, 6);
    const { other, silent, ...others } = messages;
    assert.match(
      other ?? '',
      /^ResnetError: (wasm: expected the relaxed binary, got the baseline one|binary: .* for relaxed, .*)\.$/,
    );
    // Why there is none is told in the browser's words.
    assert.match(
      silent ?? '',
      /^ResnetError: http:\/\/127\.0\.0\.1:9\/none\.wasm: no answer from the server \(.+\)\.$/,
    );
    assert.equal(others, {
      module: 'ResnetError: wasm: expected a binary of this package, got another module.',
      noModule: 'ResnetError: wasm: expected a binary of this package, got one that does not compile here.',
      missing: `ResnetError: ${isolated.url}build/none.wasm: expected status 200, got 404.`,
      spent: 'ResnetError: wasm: expected a response of status 2xx, not yet read, got one read before.',
      number: 'ResnetError: wasm: expected a URL, Response, bytes or WebAssembly.Module, got 7.',
    });
  });

  test('a photograph gives the tensor that it gives in Node', async ({ tab }) => {
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
      const { tensors, bitmap, offscreen } = await run(tab, 'tensors', PHOTOS + file, ways);
      for (const way of ways) near(difference(tensors[way] ?? [], [...data]), 0, most, `${file} as ${way}`);
      assert.ok(bitmap > 0 && offscreen > 0);
    }
  });

  test('profiles, alpha and orientation are as in Node', async ({ tab }) => {
    using model = await load('resnet20_cifar', { weights: { seed: 1 }, preprocessing: CIFAR });
    const one = 1.001 / 255 / Math.min(...CIFAR.std);
    // WebKit applies profiles and gamma, whatever it is told.
    const converts = browser.name === 'WebKit';
    for (const file of [
      ...(converts ? [] : ['profile.png', 'profile.jpg', 'gamma.png']),
      'alpha.png',
      'palette-alpha.png',
      'orientation-6.jpg',
    ]) {
      const path = `/tests/data/images/${file}`;
      const { data } = await model.featureMap(readFileSync(root + path), 'input');
      const { tensors } = await run(tab, 'tensors', path, ['blob', 'url', 'img']);
      for (const [way, tensor] of Object.entries(tensors))
        near(difference(tensor, [...data]), 0, one, `${file} ${way}`);
    }
  });

  test('the frame that a film shows', async ({ tab }) => {
    const { early, largest } = await run(tab, 'video');
    assert.match(early, /^ResnetError: image: expected an element that shows a picture, got <video> \(.*\)\.$/);
    // A film's colours are rounded on their way.
    near(largest, 0, 3 / 255 / Math.min(...CIFAR.std), 'grey');
  });

  test('what is no picture is refused in one sentence', async ({ tab }) => {
    const got: Record<string, string> = await run(tab, 'refusals');
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

  test('weights are kept, go on where they were stopped, and are forgotten', async ({ tab }) => {
    const url = `${isolated.url}weights.safetensors`;
    hub.pause = 0.8 * weights.length;
    // Slowly, since progress is told 20 times per second at most.
    hub.everyMs = 30;
    const stopped = await run(tab, 'fromUrl', DEEP, WEIGHTS, {}, 0.4);
    hub.everyMs = USUAL.everyMs;
    hub.pause = Number.POSITIVE_INFINITY;
    assert.is(stopped.outcome, 'Error: enough');
    assert.ok(stopped.loaded < weights.length);

    const resumed = await run(tab, 'fromUrl', DEEP, WEIGHTS);
    assert.is(resumed.outcome, 'no error');
    assert.equal(resumed.logits, await inNode(DEEP));
    // What comes while it stops may be kept too.
    const begin = Number(/^all,bytes=(\d+)-$/.exec(hub.ranges.join())?.[1]);
    assert.ok(begin > 0 && begin % 2 ** 21 === 0, `expected to go on behind a part of 2 MiB, got ${hub.ranges}`);
    assert.equal(resumed.kept, [{ name: url, bytes: weights.length, total: weights.length }]);

    // In a new page, from the cache alone.
    await tab.open(`${isolated.url}page.html`);
    const again = await run(tab, 'fromUrl', DEEP, WEIGHTS);
    assert.equal(again.logits, resumed.logits);
    // WebKit's sessions under automation forget with the page.
    assert.is(hub.ranges.length, browser.name === 'WebKit' ? 3 : 2);

    await run(tab, 'clear', WEIGHTS);
    assert.is(await run(tab, 'storedParts'), 0);
    const anew = await run(tab, 'fromUrl', DEEP, WEIGHTS, { cache: false });
    assert.equal([anew.outcome, anew.kept, hub.ranges.at(-1)], ['no error', [], 'all']);
    await run(tab, 'clear');
  });

  test('a connection that breaks is taken up, and a file that changed is fetched anew', async ({ tab }) => {
    hub.drop = 3_000_000;
    // WebKit gives nothing of what breaks off at once.
    hub.everyMs = 30;
    const broken = await run(tab, 'fromUrl', DEEP, WEIGHTS);
    assert.is(broken.outcome, 'no error');
    // How much of what was sent arrives before the end is the browser's.
    assert.match(hub.ranges.join(), /^all(,bytes=\d+-)+$/);

    await run(tab, 'clear');
    hub.drop = Number.POSITIVE_INFINITY;
    hub.pause = 0.8 * weights.length;
    hub.everyMs = 30;
    await run(tab, 'fromUrl', DEEP, WEIGHTS, {}, 0.4);
    hub.everyMs = USUAL.everyMs;
    hub.pause = Number.POSITIVE_INFINITY;
    hub.etag = '"2"';
    hub.ranges.length = 0;
    const changed = await run(tab, 'fromUrl', DEEP, WEIGHTS);
    assert.equal(changed.logits, await inNode(DEEP));
    assert.match(hub.ranges.join(), /^bytes=\d+-,all$/);
  });

  test('weights that do not load are compared with their server the next time', async ({ tab }) => {
    const wrong = await run(tab, 'fromUrl', 'resnet20_cifar', WEIGHTS);
    assert.match(wrong.outcome, /^ResnetError: /);
    await run(tab, 'fromUrl', DEEP, WEIGHTS);
    const before = hub.ranges.length;
    assert.match((await run(tab, 'fromUrl', 'resnet20_cifar', WEIGHTS)).outcome, /^ResnetError: /);
    await run(tab, 'fromUrl', DEEP, WEIGHTS);
    assert.ok(hub.ranges.length > before);

    // Where the server has them no more, what is kept is still good.
    assert.match((await run(tab, 'fromUrl', 'resnet20_cifar', WEIGHTS)).outcome, /^ResnetError: /);
    hub.isGone = true;
    assert.equal((await run(tab, 'fromUrl', DEEP, WEIGHTS)).logits, await inNode(DEEP));
  });

  test('values of an iframe are what they are in the page', async ({ tab }) => {
    const photo = `${PHOTOS}chelsea.jpg`;
    const { logits, classes } = await run(tab, 'ofAnotherRealm', DEEP, WEIGHTS, photo);
    const wanted = await inNode(DEEP);
    for (const got of logits.flat()) assert.equal(got, wanted);
    assert.equal([logits[1]?.length, classes[1]?.length], [4, 6]);
    assert.equal(classes[1], classes[0]);
    assert.equal(tab.found, []);
  });

  test('a file that says which network it is of, and a graph of the page, run in the worker', async ({ tab }) => {
    const { names, logits } = await run(tab, 'otherNetworks', WEIGHTS);
    assert.equal(names, [DEEP, 'tiny', 'tiny']);
    const wanted = [await inNode(DEEP)];
    for (const weights of [{ seed: 1 }, `${root}tests/data/pth/state_dict.pt`]) {
      using tiny = await load(tinyGraph(GraphBuilder), { weights, binary });
      const shape = [1, 3, 32, 32];
      wanted.push([...(await tiny.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data]);
    }
    assert.equal(logits, wanted);
  });

  test('of two loads of one URL at once, the second has what the first fetched', async ({ tab }) => {
    const { logits, kept } = await run(tab, 'atOnce', DEEP, WEIGHTS);
    const wanted = await inNode(DEEP);
    assert.equal(logits, [wanted, wanted]);
    assert.equal(hub.ranges, ['all']);
    assert.equal(kept, [{ name: `${isolated.url}weights.safetensors`, bytes: weights.length, total: weights.length }]);
  });

  test('a shorter file takes the place of a longer one, and leaves nothing of it', async ({ tab }) => {
    await run(tab, 'fromUrl', DEEP, WEIGHTS);
    assert.is(await run(tab, 'storedParts'), Math.ceil(weights.length / 2 ** 21));
    hub.body = await safetensors('resnet20_cifar');
    hub.etag = '"2"';
    // What is kept is not that network's, and is doubted.
    assert.match((await run(tab, 'fromUrl', 'resnet20_cifar', WEIGHTS)).outcome, /^ResnetError: /);
    assert.is((await run(tab, 'fromUrl', 'resnet20_cifar', WEIGHTS)).outcome, 'no error');
    assert.is(await run(tab, 'storedParts'), 1);
  });

  test('an HDF5 file is kept whole', async ({ tab }) => {
    const path = 'tests/data/h5/weights.h5';
    const { names, kept } = await run(tab, 'hdf5', `/${path}`);
    assert.ok(names.length > 0);
    const bytes = statSync(root + path).size;
    assert.equal(kept, [{ name: isolated.url + path, bytes, total: bytes }]);
    assert.equal(tab.found, []);
  });

  test('weights come as a Blob, bytes, stream, Response or iterable', async ({ tab }) => {
    const { logits, errors, cancelled } = await run(tab, 'otherForms', DEEP, WEIGHTS);
    const wanted = await inNode(DEEP);
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

  test('a thread that cannot run says so, and does not leave its model waiting', async ({ tab }) => {
    assert.match(await run(tab, 'brokenThread'), /\w/);
  });

  test('the peak can be measured', async ({ tab }) => {
    const peak = await run(tab, 'peak');
    assert.ok(peak > 1 && peak < 1000, `got ${peak} GFLOP/s`);
  });

  test.run();
}
