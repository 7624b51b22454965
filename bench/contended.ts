/**
 * Milliseconds of networks on one thread and on two, run by run in turn: on an idle machine, and while another process keeps
 * one of two cores busy. contended.ts [NETWORK…] [--rounds 40]. Needs taskset, as Linux has it.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { load } from '../bindings/index.node.js';
import { seededWeights } from '../bindings/weights/random.js';
import { uniform } from '../bindings/weights/uniform.js';
import { buildNetwork, graphInput } from '../models/index.js';
import { machineText, median } from './machine.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '40' } },
});
const names = positionals.length > 0 ? positionals : ['resnet18', 'resnet50'];
const rounds = Number(values.rounds);
const WARM_UPS = 8;

console.log(`${machineText()}; ms for one image, medians of ${rounds} rounds, the fastest and the slowest in brackets`);
const row = (...cells: string[]): void =>
  console.log(
    (cells[0] as string).padEnd(26) +
      cells
        .slice(1)
        .map((cell) => cell.padStart(22))
        .join(''),
  );
row('', 'one thread', 'two threads', 'ratio of medians');

for (const name of names) {
  const graph = buildNetwork(name);
  const { h, w, c } = graphInput(graph);
  const input = { data: uniform('input', h * w * c, -1, 1), shape: [1, h, w, c], layout: 'NHWC' } as const;
  const weights = () => seededWeights(graph);
  const models = [
    await load(name, { weights: weights(), threads: 1 }),
    await load(name, { weights: weights(), threads: 2 }),
  ];
  const measure = async (what: string): Promise<void> => {
    const ms: number[][] = models.map(() => []);
    for (let round = -WARM_UPS; round < rounds; round++) {
      for (const [i, model] of models.entries()) {
        const start = performance.now();
        await model.run(input);
        if (round >= 0) ms[i]?.push(performance.now() - start);
      }
    }
    const cells = ms.map(
      (all) => `${median(all).toFixed(1)} (${Math.min(...all).toFixed(1)} … ${Math.max(...all).toFixed(1)})`,
    );
    const [one = [], two = []] = ms;
    row(`${name}, ${what}`, ...cells, (median(two) / median(one)).toFixed(2));
  };
  await measure('idle');
  const corunner = spawn('taskset', ['-c', '1', process.execPath, '-e', 'process.stdout.write("."); for (;;);']);
  // Without taskset this rejects.
  await once(corunner, 'spawn');
  await once(corunner.stdout, 'data');
  await measure('one core busy');
  corunner.kill();
  for (const model of models) model.dispose();
}
