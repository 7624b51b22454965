/**
 * `npm run bench:serve`: how much of a network's speed is left behind HTTP. Compares images/s of `resnet-wasm serve` under
 * autocannon with direct runs of as many models in workers of their own, before and after; then asks at half that rate, and
 * compares the slowest answers with one run. Exits 1 below 0.95, or if the 99th percentile is over 3 runs.
 * serve.ts [--network resnet50] [--workers 2] [--seconds 8]. All of it on loopback.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { buildNetwork, load, type Model, seededInput, seededWeights } from '../bindings/index.node.js';
import { machineText, median } from './machine.js';

const LEAST_SHARE = 0.95;
const MOST_RUNS = 3;

const { values } = parseArgs({
  options: {
    network: { type: 'string', default: 'resnet50' },
    workers: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '8' },
  },
});
const { network } = values;
const [workers, seconds] = [Number(values.workers), Number(values.seconds)];

const folder = await mkdtemp(join(tmpdir(), 'bench-serve-'));
const weights = join(folder, 'weights.safetensors');
await writeFile(weights, seededWeights(buildNetwork(network), 1));
const photo = await readFile(new URL('../tests/data/photos/chelsea.jpg', import.meta.url));

/** Images per second of models that do nothing but run, and milliseconds of one run alone. */
async function direct(): Promise<{ rate: number; runMs: number }> {
  const models: Model[] = [];
  for (let i = 0; i < workers; i++) models.push(await load(network, { weights, threads: 1, worker: true }));
  const [first] = models as [Model];
  const { h, w, c } = first.input;
  const input = { data: seededInput([1, c, h, w]), shape: [1, c, h, w], layout: 'NCHW' } as const;
  for (const model of models) await model.run(input);
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const start = performance.now();
    await first.run(input);
    times.push(performance.now() - start);
  }
  let count = 0;
  const begin = performance.now();
  const end = begin + (seconds * 1000) / 2;
  const go = async (model: Model): Promise<void> => {
    for (; performance.now() < end; count++) await model.run(input);
  };
  await Promise.all(models.map(go));
  const rate = (count / (performance.now() - begin)) * 1000;
  for (const model of models) model.dispose();
  return { rate, runMs: median(times) };
}

/** Asks at random times, `rate` per second on average, whatever is not answered yet. Returns milliseconds, sorted. */
async function askAtRandom(url: string, rate: number, count: number): Promise<number[]> {
  let state = 1;
  const random = (): number => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
  const asked: Promise<number>[] = [];
  let next = performance.now();
  for (let i = 0; i < count; i++) {
    next -= (Math.log(random()) / rate) * 1000;
    await delay(Math.max(0, next - performance.now()));
    const start = performance.now();
    const ask = async (): Promise<number> => {
      const response = await fetch(url, { method: 'POST', body: photo, headers: { 'content-type': 'image/jpeg' } });
      if (response.status !== 200) throw new Error(`expected status 200, got ${response.status}`);
      await response.json();
      return performance.now() - start;
    };
    asked.push(ask());
  }
  return (await Promise.all(asked)).sort((a, b) => a - b);
}

console.log(`${network}, ${workers} workers of one thread; ${machineText()}`);
const before = await direct();
console.log(`direct runs    ${before.rate.toFixed(2)} images/s; one run takes ${before.runMs.toFixed(1)} ms`);

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const args = ['serve', '--model', network, '--weights', weights, '--workers', `${workers}`, '--port', '0'];
const server = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
let log = '';
server.stdout.setEncoding('utf8').on('data', (text: string) => {
  if (!log.includes('"ready"')) log += text;
});
while (!log.includes('"ready"')) await delay(20);
const url = `http://127.0.0.1:${/"port":(\d+)/.exec(log)?.[1]}/models/${network}`;

const full = await autocannon({
  url,
  method: 'POST',
  body: photo,
  headers: { 'content-type': 'image/jpeg' },
  connections: 4 * workers,
  duration: seconds,
});
const wrong = full.non2xx + full.errors;
const served = full['2xx'] / full.duration;
console.log(`served         ${served.toFixed(2)} images/s; ${wrong} of ${full.requests.total} not answered`);
const times = await askAtRandom(url, served / 2, Math.round((served / 2) * 2.5 * seconds));
server.kill('SIGTERM');
await once(server, 'exit');

const after = await direct();
await rm(folder, { recursive: true });

const rate = (before.rate + after.rate) / 2;
const runMs = (before.runMs + after.runMs) / 2;
const p99 = times[Math.ceil(0.99 * times.length) - 1] ?? Number.NaN;
console.log(
  `direct again   ${after.rate.toFixed(2)} images/s; served is ${(served / rate).toFixed(3)} of the mean of both`,
);
console.log(
  `at half load   p50 ${median(times).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms of ${times.length}: ${(p99 / runMs).toFixed(2)} runs of ${runMs.toFixed(1)} ms`,
);
if (served < LEAST_SHARE * rate || p99 > MOST_RUNS * runMs || wrong > 0) {
  console.error(`expected at least ${LEAST_SHARE} of direct runs, and a p99 of at most ${MOST_RUNS} runs.`);
  process.exitCode = 1;
}
