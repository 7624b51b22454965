/**
 * Peak growth of resident memory while ResNet-50's published weights load, over the idle process: memory.ts. Each load
 * is a process of its own. Exits 1 beyond the limit. Linux only, since only there the peak of a moment can be told.
 */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createCore } from '../bindings/engine/create-core.js';
import { load, pretrained } from '../bindings/index.node.js';
import { machineText } from './machine.js';
import { resetPeak, statusBytes } from './resident.js';

const NETWORK = 'resnet50';
const MB = 1e6;
/** Of the packed weights, and bytes beside. */
const [FACTOR, SLACK] = [1.15, 16 * MB];

interface Figures {
  readonly idle: number;
  readonly peak: number;
  readonly after: number;
  readonly weights: number;
}

async function measure(threads: number, winograd: boolean): Promise<Figures> {
  await pretrained.fetch(NETWORK);
  // Compiles the binary that load uses.
  await createCore({ shared: threads > 1 });
  const idle = resetPeak();
  using model = await load(NETWORK, { threads, winograd });
  const { weightBytes } = model.info();
  return { idle, peak: statusBytes('VmHWM'), after: statusBytes('VmRSS'), weights: weightBytes };
}

function inProcess(threads: number, winograd: boolean): Figures {
  const args = ['--expose-gc', fileURLToPath(import.meta.url), String(threads), String(winograd)];
  const { status: code, stdout } = spawnSync(process.execPath, [...process.execArgv, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (code !== 0) throw new Error(`memory: expected figures, got exit code ${code}.`);
  return JSON.parse(stdout);
}

const [threads, winograd] = process.argv.slice(2);
if (threads !== undefined) {
  console.log(JSON.stringify(await measure(Number(threads), winograd === 'true')));
} else {
  console.log(`${machineText()}; ${NETWORK}, MB`);
  const row = (name: string, cells: readonly string[]): void =>
    console.log(name.padEnd(24) + cells.map((cell) => cell.padStart(14)).join(''));
  row('', ['weights', 'idle', 'peak', 'after', 'peak growth', 'limit']);
  for (const [count, isWinograd] of [
    [1, false],
    [1, true],
    [2, true],
  ] as const) {
    const { idle, peak, after, weights } = inProcess(count, isWinograd);
    const limit = FACTOR * weights + SLACK;
    if (peak - idle > limit) process.exitCode = 1;
    row(
      `${count} ${count === 1 ? 'thread' : 'threads'}${isWinograd ? '' : ', no Winograd'}`,
      [weights, idle, peak, after, peak - idle, limit].map((bytes) => (bytes / MB).toFixed(1)),
    );
  }
}
