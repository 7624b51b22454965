/**
 * Milliseconds of a network in each browser, as a ratio to Chromium's, in turn within one run: browsers.ts [NETWORK…]
 * [--rounds 5]. Browsers that are not there are left out, which is said.
 */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sirv from 'sirv';
import { anyChromium, ISOLATED, listen } from '../web/scripts/chromium.js';
import { openFirefox } from '../web/scripts/firefox.js';
import type { Tab, TestBrowser } from '../web/scripts/tab.js';
import { openWebKit } from '../web/scripts/webkit.js';
import { cpuText, median } from './machine.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' } },
});
const networks = positionals.length > 0 ? positionals : ['resnet18', 'resnet50'];
const THREADS = [1, 2];
const RUNS = 5;

const files = sirv(fileURLToPath(new URL('..', import.meta.url)), { dev: true });
const server = await listen((request, response) => {
  for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
  if (request.url !== '/') return files(request, response, () => void response.writeHead(404).end());
  response.setHeader('content-type', 'text/html');
  response.end('<!doctype html><link rel="icon" href="data:,">');
});

/** Loads a model in the page, runs it until its code is compiled for speed, and says what it is. */
const start = (network: string, threads: number): string => `(async () => {
  globalThis.model?.dispose();
  const { load, seededInput } = await import('/dist/web.js');
  globalThis.model = await load('${network}', { weights: { seed: 1 }, threads: ${threads} });
  const shape = [1, 3, 224, 224];
  globalThis.input = { data: seededInput(shape), shape, layout: 'NCHW' };
  for (let i = 0; i < 8; i++) await model.run(input);
  const { binary, threads } = model.info();
  return { binary, threads };
})()`;

/** The least of some runs, in milliseconds. */
const time = `(async () => {
  const all = [];
  for (let i = 0; i < ${RUNS}; i++) {
    const begin = performance.now();
    await model.run(input);
    all.push(performance.now() - begin);
  }
  return Math.min(...all);
})()`;

const browsers: { readonly browser: TestBrowser; readonly tab: Tab }[] = [];
for (const open of [anyChromium, openFirefox, openWebKit]) {
  const browser = await open();
  if (!browser) continue;
  const tab = await browser.open();
  await tab.open(server.url);
  browsers.push({ browser, tab });
}

if (browsers[0]?.browser.name !== 'Chromium') throw new Error('bench/browsers.ts: expected Chromium, got none.');
console.log(cpuText());
console.log(
  `| network | threads | ${browsers.map(({ browser }) => `${browser.name} ${browser.version}`).join(' | ')} |`,
);
console.log(`| --- | ---: | ${browsers.map(() => '---: |').join(' ')}`);
for (const network of networks) {
  for (const threads of THREADS) {
    const infos: { binary: string; threads: number }[] = [];
    for (const { tab } of browsers) infos.push(await tab.evaluate(start(network, threads)));
    const times = browsers.map((): number[] => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [i, { tab }] of browsers.entries()) times[i]?.push(await tab.evaluate<number>(time));
    }
    const chromium = median(times[0] as number[]);
    const cells = times.map((all, i) => {
      const { binary, threads: got } = infos[i] as { binary: string; threads: number };
      return got === threads ? `${median(all).toFixed(1)} (${(median(all) / chromium).toFixed(2)}×, ${binary})` : '';
    });
    console.log(`| ${network} | ${threads} | ${cells.join(' | ')} |`);
  }
}
for (const { browser, tab } of browsers) {
  await tab.close();
  await browser.close();
}
server.close();
