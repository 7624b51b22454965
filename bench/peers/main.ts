/**
 * Compares with other engines in Node and in Chromium, interleaved run by run in one process, and writes RESULTS.md:
 *
 *   main.ts [NETWORK…] [--processes 3] [--rounds 7] [--warm-ups 12] [--threads 1,2] [--in chromium,node,wide] [--engines …]
 *           [--node PATH]
 *
 * `wide` is Node with V8's pass for 256-bit vectors, against ONNX Runtime as native code; `--node`: a Node from 24 on for
 * it, by default this one.
 *
 * Installs the peers' packages into bench/peers/node_modules when they are missing.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { supportsRelaxed } from '../../bindings/engine/binary.js';
import { lookup, networks as registry } from '../../models/index.js';
import { cpuText, machineText, median } from '../machine.js';
import { type Chromium, openBrowser } from './chromium.js';
import { ENGINES, type EngineName } from './engines.js';
import type { Task, Timing } from './measure.js';
import { largestDifference, resultsText, type Section, sectionText } from './report.js';

const here = new URL('./', import.meta.url);
const root = fileURLToPath(new URL('../../', here));
const packages = new URL('node_modules/', here);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    processes: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '7' },
    'warm-ups': { type: 'string', default: '12' },
    threads: { type: 'string', default: '1,2' },
    in: { type: 'string', default: 'chromium,node,wide' },
    node: { type: 'string', default: process.execPath },
    engines: { type: 'string', default: ENGINES.join(',') },
  },
});
const wanted = ['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152', 'vgg19'];
const names = positionals.length > 0 ? positionals : wanted.filter((name) => Object.hasOwn(registry, name));
const engines = chosen('engines', values.engines, ENGINES);
const places = chosen('in', values.in, ['chromium', 'node', 'wide']);
const threadCounts = values.threads.split(',').map((count) => whole('threads', count, 1));
// Several, since now and then one of an engine's functions stays slow for all of a process.
const processes = whole('processes', values.processes, 1);
const rounds = whole('rounds', values.rounds, 1);
const warmUps = whole('warm-ups', values['warm-ups'], 0);
for (const name of names) lookup('network', registry, name);

function chosen<Name extends string>(option: string, list: string, known: readonly Name[]): Name[] {
  return list.split(',').map((name) => {
    const found = known.find((each) => each === name);
    if (!found) throw new RangeError(`--${option}: expected a list of ${known.join(', ')}, got ${name}.`);
    return found;
  });
}

function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`--${option}: expected a whole number from ${least}, got ${text}.`);
  }
  return value;
}

const install = (): void => {
  const [lock, installed] = ['package-lock.json', 'node_modules/.package-lock.json'].map((file) => new URL(file, here));
  if (existsSync(installed as URL) && statSync(installed as URL).mtimeMs >= statSync(lock as URL).mtimeMs) return;
  const args = ['ci', '--prefix', fileURLToPath(here), '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) throw new Error(`bench/peers: expected npm ci to install the peers, got exit code ${status}.`);
};

const versionOf = (name: string): string =>
  `${name} ${JSON.parse(readFileSync(new URL(`${name}/package.json`, packages), 'utf8')).version}`;

const REVECTORIZE = ['--experimental-wasm-revectorize'];

const RELAXED = supportsRelaxed() ? [] : ['--experimental-wasm-relaxed-simd'];

function runInNode(task: Task, node: string, flags: readonly string[]): Timing[] {
  const script = fileURLToPath(new URL('node.ts', here));
  const args = [...flags, '--import', 'tsx', script, JSON.stringify(task)];
  const { status, stdout } = spawnSync(node, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Node: expected timings of ${task.network}, got exit code ${status}.`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/** Measures all networks, each in `processes` processes, printing the table as it grows. */
async function section(
  place: string,
  threads: number,
  possible: readonly EngineName[],
  run: (task: Task) => Timing[] | Promise<Timing[]>,
): Promise<Section> {
  const networks = new Map<string, readonly Timing[]>();
  const title = `${place}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  const made: Section = { title, engines: possible, networks };
  for (const network of names) {
    const runs: Timing[][] = [];
    for (let i = 0; i < processes; i++) runs.push(await run({ network, threads, engines: possible, rounds, warmUps }));
    const timings = possible.map((engine): Timing => {
      const own = runs.flat().filter((timing) => timing.engine === engine);
      return {
        engine,
        ms: own.map(({ ms }) => median(ms)),
        difference: Math.max(...own.map(({ difference }) => difference)),
      };
    });
    networks.set(network, timings);
    console.log(sectionText({ ...made, networks: new Map([[network, timings]]) }));
  }
  return made;
}

install();
const sections: Section[] = [];
if (places.includes('chromium')) {
  const chromium: Chromium = await openBrowser(root);
  try {
    const title = `Chromium ${chromium.version.split('.')[0]}`;
    const possible = engines.filter((name) => name !== 'wide' && name !== 'onnxruntime-node');
    for (const threads of threadCounts) sections.push(await section(title, threads, possible, chromium.run));
  } finally {
    chromium.close();
  }
}
if (places.includes('node')) {
  for (const threads of threadCounts) {
    // LiteRT.js wants a browser, and so do the threads of TensorFlow.js.
    const possible = engines.filter(
      (name) => name !== 'wide' && name !== 'LiteRT.js' && (threads === 1 || name !== 'tfjs-wasm'),
    );
    const run = (task: Task) => runInNode(task, process.execPath, RELAXED);
    sections.push(await section(`Node ${process.versions.node.split('.')[0]}`, threads, possible, run));
  }
}
if (places.includes('wide')) {
  const { stdout } = spawnSync(values.node, ['--version'], { encoding: 'utf8' });
  const [, major = ''] = /^v(\d+)/.exec(stdout) ?? [];
  if (Number(major) >= 24) {
    const possible = engines.filter((name) => name === 'wide' || name === 'onnxruntime-node');
    const run = (task: Task) => runInNode(task, values.node, REVECTORIZE);
    for (const threads of threadCounts) {
      sections.push(await section(`Node ${major}, 256 bits`, threads, possible, run));
    }
  } else console.log(`256 bits: SKIPPED, since ${values.node} is no Node from 24 on; name one with --node.`);
}

const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
const peers = ['@tensorflow/tfjs-backend-wasm', 'onnxruntime-web', 'onnxruntime-node', '@litertjs/core']
  .map(versionOf)
  .join(', ');
const results = fileURLToPath(new URL('RESULTS.md', here));
writeFileSync(
  results,
  resultsText(
    [
      `Milliseconds for one image: ${processes > 1 ? `medians of ${processes} processes, in each the median` : 'medians'} of ${rounds} rounds in which the`,
      `engines take turns;`,
      `float32, batch 1, all with the same weights (their logits differ by at most`,
      `${largestDifference(sections).toExponential(0)} of the largest).`,
      `${new Date().toISOString().slice(0, 10)}, ${places.includes('node') ? machineText() : cpuText()}:`,
      `resnet-wasm ${version}, ${peers}.`,
    ],
    sections,
  ),
);
console.log(results);
