/** resnet-wasm/static in a service worker: without `import()`, on one thread. An extension's is among the examples. */

import '../support/flags.mjs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import sirv from 'sirv';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphBuilder, load, seededInput } from '../../bindings/index.node.js';
import { listen, openChromium } from '../../web/scripts/chromium.js';
import { tinyGraph } from '../support/tiny-graph.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PHOTO = 'tests/data/photos/chelsea-56.png';
const CHECKPOINT = 'tests/data/pth/state_dict.pt';
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** What a service worker does when it is asked: a checkpoint of PyTorch's, and a picture. */
const WORKER = `
import { GraphBuilder, imagenetLabels, load, seededInput, weightCache } from ${JSON.stringify(`${root}dist/static.js`)};
import { tinyGraph } from ${JSON.stringify(`${root}tests/support/tiny-graph.ts`)};
const answer = async () => {
  const shape = [1, 3, 32, 32];
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  using model = await load(tinyGraph(GraphBuilder), { weights: '/${CHECKPOINT}' });
  const { data } = await model.run({ data: seededInput(shape), shape, layout: 'NCHW' });
  const picture = await (await fetch('/${PHOTO}')).blob();
  using resnet = await load('resnet20_cifar', { weights: { seed: 1 } });
  const [best] = await resnet.classify(picture, { topK: 1 });
  clearInterval(timer);
  const { threads, threadsNote } = model.info();
  const kept = await weightCache.list();
  return { logits: [...data], best, threads, threadsNote, turns, kept: kept.length, labels: (await imagenetLabels()).length };
};
addEventListener('message', ({ ports: [port] }) =>
  answer().then((value) => port.postMessage(value), (error) => port.postMessage({ error: String(error) })));
`;

async function script(format: 'esm' | 'iife'): Promise<string> {
  const stdin = { contents: WORKER, resolveDir: root };
  const result = await build({ stdin, bundle: true, format, target: 'es2022', logLevel: 'error', write: false });
  return result.outputFiles[0]?.text ?? '';
}

const shape = [1, 3, 32, 32];

/** What a service worker must answer. */
async function answerHere() {
  using model = await load(tinyGraph(GraphBuilder), { weights: root + CHECKPOINT });
  const { data } = await model.run({ data: seededInput(shape), shape, layout: 'NCHW' });
  using resnet = await load('resnet20_cifar', { weights: { seed: 1 } });
  const [best] = await resnet.classify(root + PHOTO, { topK: 1 });
  return { logits: [...data], best };
}

type Answer = Awaited<ReturnType<typeof answerHere>> & {
  readonly threads: number;
  readonly threadsNote: string;
  readonly turns: number;
  readonly kept: number;
  readonly labels: number;
};

async function assertAnswer(got: Answer): Promise<void> {
  const { logits, best } = await answerHere();
  assert.equal(got.logits, logits, JSON.stringify(got));
  assert.is(got.best?.index, best?.index);
  assert.equal(
    [got.threads, got.threadsNote, got.labels],
    [1, 'One thread, since resnet-wasm/static starts no workers.', 1000],
  );
  assert.ok(got.turns > 0, 'expected that other events have their turn');
}

const test = suite('service worker');
const browser = await openChromium();

test.after(async () => browser?.close());

test('nothing in it is loaded later, but what an option names', async () => {
  const text = await readFile(`${root}dist/static.js`, 'utf8');
  // The module of h5wasm, by its URL.
  assert.is(text.match(/\bimport\(/g)?.length, 1);
  assert.not.match(text, /import\.meta|new Worker/);
});

if (browser) {
  for (const [type, format] of [
    ['module', 'esm'],
    ['classic', 'iife'],
  ] as const) {
    test(`a page's service worker of type ${type}`, async () => {
      const files = sirv(root, { dev: true });
      const sw = await script(format);
      const { url, close } = await listen((request, response) => {
        response.setHeader('content-security-policy', POLICY);
        const isScript = request.url === '/sw.js';
        if (!isScript && request.url !== '/') return files(request, response, () => void response.writeHead(404).end());
        response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
        response.end(isScript ? sw : '<!doctype html><link rel="icon" href="data:,">');
      });
      const page = await browser.newPage();
      try {
        await page.goto(url);
        const got = await page.evaluate(async (type) => {
          await navigator.serviceWorker.register('/sw.js', { type });
          const { active } = await navigator.serviceWorker.ready;
          const { port1, port2 } = new MessageChannel();
          active?.postMessage('go', [port2]);
          return new Promise((resolve) => {
            port1.onmessage = ({ data }) => resolve(data);
          });
        }, type);
        await assertAnswer(got as Answer);
        assert.is((got as Answer).kept, 1);
      } finally {
        await page.close();
        close();
      }
    });
  }
}

test.run();
