/**
 * From nothing to the first logits, in fresh processes that take turns; medians, the least in brackets:
 *
 *   start.ts [--network resnet50] [--rounds 5] [--in chromium,node] [--threads 1] [--engines …] [--winograd true,false]
 *
 * In Chromium from the navigation on, the page and a safetensors file from a server of this machine, nothing cached; memory is
 * the renderer's peak. In Node from a file, memory as the growth of the peak; `read` is fs.readFile alone. Files are in the
 * system's cache. The peers load files of the same weights in their own format (npm ci in bench/peers brings them).
 * TensorFlow.js is not among them: it has no reader for a single file.
 */

import { spawnSync } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { supportsRelaxed } from '../bindings/engine/binary.js';
import { seededWeights } from '../bindings/weights/random.js';
import { buildNetwork } from '../models/index.js';
import { machineText, median } from './machine.js';
import { makeLayers } from './peers/layers.js';
import { onnxModel } from './peers/onnx.js';
import { tfliteModel } from './peers/tflite.js';
import { type Started, startsInChromium } from './start/chromium.js';
import { STARTERS, type Starter, type StartTask } from './start/task.js';

const root = fileURLToPath(new URL('..', import.meta.url));

const { values } = parseArgs({
  options: {
    network: { type: 'string', default: 'resnet50' },
    rounds: { type: 'string', default: '5' },
    in: { type: 'string', default: 'chromium,node' },
    threads: { type: 'string', default: '1' },
    engines: { type: 'string', default: STARTERS.join(',') },
    winograd: { type: 'string', default: 'true,false' },
  },
});
const { network } = values;
const rounds = Number(values.rounds);

/** What there is in a place: LiteRT.js wants a browser, native code does not run in one. */
const POSSIBLE: Readonly<Record<string, readonly Starter[]>> = {
  chromium: ['resnet-wasm', 'onnxruntime-web', 'LiteRT.js', 'read'],
  node: ['resnet-wasm', 'onnxruntime-web', 'onnxruntime-node', 'read'],
};

/** Writes the weights in every format, once. */
async function prepare(): Promise<string> {
  const folder = join(tmpdir(), 'resnet-wasm-bench-start');
  mkdirSync(folder, { recursive: true });
  const file = (ending: string): string => join(folder, `${network}.${ending}`);
  if (existsSync(file('tflite'))) return folder;
  const graph = buildNetwork(network);
  await pipeline(seededWeights(graph), createWriteStream(file('safetensors')));
  const layers = makeLayers(graph);
  writeFileSync(file('onnx'), onnxModel(layers).model);
  writeFileSync(file('tflite'), tfliteModel(layers));
  return folder;
}

const RELAXED = supportsRelaxed() ? [] : ['--experimental-wasm-relaxed-simd'];

function startInNode(task: StartTask, folder: string): Started {
  const script = fileURLToPath(new URL('start/node.ts', import.meta.url));
  const args = [...RELAXED, '--expose-gc', '--import', 'tsx', script, JSON.stringify(task), folder];
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Node: expected times of ${task.engine}, got exit code ${status}.`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/** Every engine in turn, `rounds` times; prints a row per engine. */
async function measure(place: string, start: (task: StartTask) => Started | Promise<Started>): Promise<void> {
  const tasks = values.threads.split(',').flatMap((threads) =>
    values.engines.split(',').flatMap((name): StartTask[] => {
      const engine = POSSIBLE[place]?.find((each) => each === name);
      if (!engine) return [];
      const ways = engine === 'resnet-wasm' ? values.winograd.split(',') : ['false'];
      return ways.map((way) => ({ network, engine, winograd: way === 'true', threads: Number(threads) }));
    }),
  );
  const all = new Map(tasks.map((task) => [task, [] as Started[]]));
  for (let round = 0; round < rounds; round++) for (const task of tasks) all.get(task)?.push(await start(task));

  const row = (name: string, cells: readonly string[]): void =>
    console.log(name.padEnd(34) + cells.map((cell) => cell.padStart(14)).join(''));
  row(`${place}, ms and MB`, ['module', 'load', 'first run', 'in all', 'peak', 'sum']);
  for (const [{ engine, winograd, threads }, starts] of all) {
    const cell = (of: (started: Started) => number): string => {
      const figures = starts.map(of);
      return `${median(figures).toFixed(0)} (${Math.min(...figures).toFixed(0)})`;
    };
    const how = engine === 'resnet-wasm' && !winograd ? ', no Winograd' : '';
    row(`${engine}${how}${threads > 1 ? `, ${threads} threads` : ''}`, [
      cell(({ module }) => module),
      cell(({ load }) => load),
      cell(({ run }) => run),
      cell(({ module, load, run }) => module + load + run),
      cell(({ peak }) => peak / 1e6),
      (starts[0]?.sum ?? Number.NaN).toPrecision(5),
    ]);
  }
}

const folder = await prepare();
console.log(`${machineText()}; ${network}, ${rounds} rounds`);
for (const place of values.in.split(',')) {
  if (place === 'chromium') {
    const { start, close } = await startsInChromium(root, folder);
    try {
      await measure(place, start);
    } finally {
      close();
    }
  } else await measure(place, (task) => startInNode(task, folder));
}
