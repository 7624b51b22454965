/**
 * Fuzzes the readers of weights: node --import tsx tests/fuzz.ts [--count 100000] [--seed 1] [--reader NAME]
 *
 * Each case is a valid file with one to four random changes. It has to be read, or refused with one sentence, within a
 * second, and without typed arrays that its size does not justify. Case I of seed S is the same on every machine.
 */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { READERS, runCases } from './support/fuzzing.js';

/** Cases that are under way for so long will not end. */
const HANG_MS = 20_000;
const REPORT_EVERY = 20;

async function work(reader: string, seed: number, count: number): Promise<void> {
  const start = performance.now();
  const report = (i: number) => {
    if (i % REPORT_EVERY === 0) process.send?.(i);
  };
  const { read, refused, slowest, largest, allocated, heap } = await runCases(reader, seed, 0, count, report);
  const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(
    `${reader}: ${count} cases in ${seconds} s: ${read} read, ${refused} refused; the slowest ${slowest.toFixed(0)} ms, ` +
      `the largest array ${kB(largest)}, most for a file ${kB(allocated)}, the largest heap ${kB(heap)}.`,
  );
  process.disconnect();
}

/** Runs a reader's cases in a process of its own, with little memory and an end; false where it fails. */
function run(reader: string, seed: number, count: number): Promise<boolean> {
  const child = fork(fileURLToPath(import.meta.url), ['--reader', reader, '--seed', `${seed}`, '--count', `${count}`], {
    execArgv: [...process.execArgv, '--max-old-space-size=256'],
  });
  return new Promise((resolve) => {
    let [last, since] = [0, Date.now()];
    child.on('message', (i: number) => {
      [last, since] = [i, Date.now()];
    });
    const watch = setInterval(() => {
      if (Date.now() - since < HANG_MS) return;
      console.error(`${reader}, from case ${last} of seed ${seed} on: expected an end, got none in ${HANG_MS} ms.`);
      child.kill('SIGKILL');
    }, 1000);
    child.on('exit', (code) => {
      clearInterval(watch);
      if (code !== 0)
        console.error(`${reader}: failed at case ${last} of seed ${seed}, or up to ${REPORT_EVERY} later.`);
      resolve(code === 0);
    });
  });
}

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    reader: { type: 'string' },
  },
});
const readers = values.reader === undefined ? Object.keys(READERS) : [values.reader];
const [count, seed] = [Number(values.count), Number(values.seed)];
if (
  !readers.every((reader) => reader in READERS) ||
  !Number.isInteger(seed) ||
  !(Number.isInteger(count) && count > 0)
) {
  console.error(`fuzz.ts: expected --count N, --seed N, --reader among ${Object.keys(READERS).join(', ')}.`);
  process.exit(2);
}
if (process.send) await work(values.reader ?? '', seed, count);
else for (const reader of readers) if (!(await run(reader, seed, count))) process.exitCode = 1;
