/** A server of the command line under requests of every kind: good and broken pictures, bodies that break off, slow callers. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { load, seededWeights } from '../../bindings/index.node.js';
import { buildNetwork } from '../../models/index.js';

const NETWORK = 'resnet20_cifar';
const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** Requests under way at a time. */
const AT_ONCE = 24;

export interface Soaked {
  /** Requests by what came of them, such as `good 200` or `aborted`. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Good pictures whose answer was not the model's. */
  readonly wrong: number;
  /** Bytes of the server's memory after a quarter of the requests, and after all. */
  readonly early: number;
  readonly late: number;
  readonly exitCode: number | null;
}

interface Answer {
  readonly status: number;
  readonly json: unknown;
}

/** Posts a body in parts, with a pause before each but the first. Undefined if the connection broke, or is broken by `isCut`. */
function post(
  url: string,
  parts: readonly Uint8Array[],
  { pauseMs = 0, isCut = false } = {},
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const bytes = parts.reduce((sum, { length }) => sum + length, 0) + (isCut ? 1000 : 0);
    const headers = { 'content-type': 'image/png', 'content-length': bytes };
    const sent = request(url, { method: 'POST', headers }, async (response) => {
      const text = (await response.setEncoding('utf8').toArray()).join('');
      resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) });
    }).on('error', () => resolve(undefined));
    void (async () => {
      for (const [i, part] of parts.entries()) {
        if (i > 0) await delay(pauseMs);
        sent.write(part);
      }
      if (!isCut) return sent.end();
      await delay(5);
      sent.destroy();
    })();
  });
}

async function started(weights: string): Promise<{ server: ChildProcess; url: string }> {
  const args = `serve --model ${NETWORK} --workers 2 --port 0 --timeout 20 --weights ${weights}`.split(' ');
  const server = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  server.stdout.setEncoding('utf8').on('data', (text: string) => {
    log = log.includes('"ready"') ? log : log + text;
  });
  while (!log.includes('"ready"')) await delay(20);
  return { server, url: `http://127.0.0.1:${/"port":(\d+)/.exec(log)?.[1]}` };
}

async function memoryOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]);
}

/** Sends `count` requests, the same each time, and stops the server by SIGTERM. */
export async function soak(count: number): Promise<Soaked> {
  const folder = await mkdtemp(join(tmpdir(), 'soak-'));
  const weights = join(folder, 'weights.safetensors');
  await writeFile(weights, seededWeights(buildNetwork(NETWORK), 1));
  using model = await load(NETWORK, { weights, threads: 1 });
  const pictures = await Promise.all(
    Array.from({ length: 8 }, async (_, seed) => {
      const raw = { width: 60, height: 50, channels: 3 } as const;
      const data = Uint8Array.from({ length: 9000 }, (_, i) => (i * (seed + 3)) >> 3);
      const bytes = new Uint8Array(await sharp(data, { raw }).png().toBuffer());
      const classes = await model.classify(bytes);
      return {
        bytes,
        expected: classes.map(({ index, probability }) => ({ label: `LABEL_${index}`, score: probability })),
      };
    }),
  );
  const { server, url } = await started(weights);
  const path = `${url}/models/${NETWORK}`;
  const outcomes: Record<string, number> = {};
  let [wrong, early, next] = [0, 0, 0];

  const one = async (i: number): Promise<void> => {
    const { bytes, expected } = pictures[i % 8] as (typeof pictures)[number];
    const half = bytes.length >> 1;
    const kind = ['broken', 'text', 'aborted', 'slow'][i % 11] ?? 'good';
    const answer =
      kind === 'broken'
        ? await post(path, [bytes.subarray(0, half)])
        : kind === 'text'
          ? await post(path, [new TextEncoder().encode('no picture')])
          : kind === 'aborted'
            ? await post(path, [bytes.subarray(0, half)], { isCut: true })
            : kind === 'slow'
              ? await post(path, [bytes.subarray(0, 20), bytes.subarray(20, half), bytes.subarray(half)], {
                  pauseMs: 60,
                })
              : await post(path, [bytes]);
    const outcome = answer ? `${kind} ${answer.status}` : kind;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (answer?.status === 200 && JSON.stringify(answer.json) !== JSON.stringify(expected)) wrong++;
  };
  const lane = async (): Promise<void> => {
    while (next < count) {
      await one(next++);
      if (early === 0 && next > count / 4) early = await memoryOf(url);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const late = await memoryOf(url);
  server.kill('SIGTERM');
  const [exitCode] = await once(server, 'exit');
  await rm(folder, { recursive: true });
  return { outcomes, wrong, early, late, exitCode };
}
