/**
 * `npm run bench:batch`: what a queue costs, and what a second worker brings. Needs redis-server or valkey-server on PATH.
 * First pictures that cost nothing go through a queue, from submit to collect: milliseconds per picture that are the queue's.
 * Then one worker of one thread, and two, classify: images/s by their own metrics. Exits 1 over 1 ms or below 1.9.
 * batch.ts [--network resnet50] [--seconds 15]. All of it on loopback.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNetwork, seededWeights } from '../bindings/index.node.js';
import { collect } from '../cli/batch/collect.js';
import { openQueue } from '../cli/batch/queue.js';
import { statusOf } from '../cli/batch/status.js';
import { submit } from '../cli/batch/submit.js';
import { work } from '../cli/batch/work.js';
import type { ModelPool } from '../server/pool.js';
import { machineText } from './machine.js';

const MOST_MS = 1;
const LEAST_GAIN = 1.9;
const PICTURES = 20_000;
const [REDIS_PORT, METRICS_PORT] = [16_379, 19_090];

const { values } = parseArgs({
  options: { network: { type: 'string', default: 'resnet50' }, seconds: { type: 'string', default: '15' } },
});
const { network } = values;
const seconds = Number(values.seconds);

const folder = await mkdtemp(join(tmpdir(), 'bench-batch-'));
const redisArgs = `--bind 127.0.0.1 --port ${REDIS_PORT} --appendonly yes --dir ${folder}`.split(' ');
const redis = spawn(process.env.REDIS_SERVER ?? 'redis-server', [...redisArgs, '--save', ''], { stdio: 'ignore' });
redis.once('error', ({ message }) => {
  console.error(`redis-server: ${message}`);
  process.exit(1);
});
await delay(1000);
const url = `redis://127.0.0.1:${REDIS_PORT}`;
const { signal } = new AbortController();

/** Runs pictures through a queue whose models answer at once. Returns milliseconds per picture of each part. */
async function queueCost(): Promise<Record<string, number>> {
  await using connection = await openQueue({ queue: url, name: 'cost' });
  const list = join(folder, 'list.txt');
  await writeFile(list, Array.from({ length: PICTURES }, (_, i) => `/photos/${i}.jpg\n`).join(''));
  const times: Record<string, number> = {};
  const timed = async (name: string, task: () => Promise<unknown>): Promise<void> => {
    const start = performance.now();
    await task();
    times[name] = (performance.now() - start) / PICTURES;
  };
  const task = { kind: 'classify', topK: 5 } as const;
  await timed('submit', () => submit(connection, [list], { task, maxJobs: 100_000, signal, onWaiting: () => {} }));
  const topK = Array.from({ length: 5 }, (_, index) => ({ index, label: 'Egyptian cat', probability: 0.2 }));
  const pool = { submit: async () => ({ value: topK }) } as unknown as ModelPool;
  const stop = new AbortController();
  const nothing = (): void => {};
  await timed('work', async () => {
    const told = { onAnswer: nothing, onFailure: nothing, onMessage: console.error };
    const options = { pool, model: 'none', concurrency: 2, maxPixels: undefined, takeoverSeconds: 30 };
    const working = work(connection, { ...options, ...told, signal: stop.signal });
    while ((await statusOf(connection)).done < PICTURES) await delay(20);
    stop.abort();
    await working;
  });
  const out = join(folder, 'cost.ndjson');
  await timed('collect', () => collect(connection, { out, follow: false, signal, onProgress: nothing }));
  return times;
}

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const weights = join(folder, 'weights.safetensors');

async function startedWorker(port: number): Promise<ChildProcess> {
  const args = `batch work --queue ${url} --name gain --model ${network} --weights ${weights} --workers 1`.split(' ');
  const all = [cli, ...args, '--metrics-port', `${port}`];
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'ignore', 'pipe'] });
  await once(child.stderr, 'data');
  child.stderr.resume();
  return child;
}

/** Pictures that workers have answered. */
async function answered(ports: readonly number[]): Promise<number> {
  const counts = ports.map(async (port) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(/^resnet_wasm_images_total\{.*\} (\d+)/m.exec(text)?.[1] ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Images per second of `count` workers. */
async function rateOf(count: number): Promise<number> {
  const ports = Array.from({ length: count }, (_, i) => METRICS_PORT + i);
  const workers = await Promise.all(ports.map(startedWorker));
  while ((await answered(ports)) < 10 * count) await delay(100);
  const [first, start] = [await answered(ports), performance.now()];
  await delay(seconds * 1000);
  const rate = ((await answered(ports)) - first) / ((performance.now() - start) / 1000);
  // What they have at hand is not waited for: the queue is thrown away.
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  return rate;
}

console.log(machineText());
const cost = await queueCost();
for (const [name, ms] of Object.entries(cost)) console.log(`${name.padEnd(10)}${ms.toFixed(4)} ms per picture`);
await writeFile(weights, seededWeights(buildNetwork(network), 1));
const photo = fileURLToPath(new URL('../tests/data/photos/chelsea.jpg', import.meta.url));
await mkdir(join(folder, 'photos'));
for (let i = 0; i < 3000; i++) await symlink(photo, join(folder, 'photos', `${i}.jpg`));
{
  await using connection = await openQueue({ queue: url, name: 'gain' });
  const options = { task: { kind: 'classify', topK: 5 }, maxJobs: 100_000, signal, onWaiting: () => {} } as const;
  await submit(connection, [join(folder, 'photos')], options);
}
const rates = [await rateOf(1), await rateOf(2), await rateOf(1)] as const;
redis.kill();
await once(redis, 'exit');
await rm(folder, { recursive: true });

const total = Object.values(cost).reduce((sum, ms) => sum + ms, 0);
const gain = rates[1] / ((rates[0] + rates[2]) / 2);
console.log(`the queue ${total.toFixed(4)} ms per picture, of ${PICTURES}`);
console.log(
  `${network}: one worker ${rates[0].toFixed(2)} and ${rates[2].toFixed(2)} images/s, two ${rates[1].toFixed(2)}: ${gain.toFixed(2)} times`,
);
if (total > MOST_MS || gain < LEAST_GAIN) {
  console.error(`expected at most ${MOST_MS} ms per picture, and ${LEAST_GAIN} times of two workers.`);
  process.exitCode = 1;
}
