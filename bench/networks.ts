/** Milliseconds of whole networks on both binaries, run by run in turn: networks.ts [NETWORK…] [--rounds 15]. */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { summary } from '../bindings/compile/summary.js';
import { load } from '../bindings/index.node.js';
import { seededWeights } from '../bindings/weights/random.js';
import { uniform } from '../bindings/weights/uniform.js';
import { buildNetwork, graphInput } from '../models/index.js';
import { binaries } from './executor.js';
import { machineText, median } from './machine.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '15' } },
});
const names = positionals.length > 0 ? positionals : ['resnet18', 'resnet50'];
const rounds = Number(values.rounds);
const WARM_UPS = 5;

const threadCounts = [...new Set([1, Math.min(availableParallelism(), 8)])];
const kinds = threadCounts.flatMap((threads) => binaries.map((binary) => ({ binary, threads })));

console.log(`${machineText()}; ms for one image, medians of ${rounds} rounds, the fastest in brackets`);
const row = (name: string, cells: readonly string[]): void =>
  console.log(name.padEnd(18) + cells.map((cell) => cell.padStart(20)).join(''));
row(
  '',
  kinds.map(({ binary, threads }) => `${binary}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`),
);

for (const name of names) {
  const graph = buildNetwork(name);
  const { h, w, c } = graphInput(graph);
  const input = { data: uniform('input', h * w * c, -1, 1), shape: [1, h, w, c], layout: 'NHWC' } as const;
  const runs = [];
  for (const { binary, threads } of kinds) {
    runs.push({
      model: await load(name, { weights: seededWeights(graph), binary, threads }),
      ms: [] as number[],
    });
  }
  for (let round = -WARM_UPS; round < rounds; round++) {
    for (const { model, ms } of runs) {
      const start = performance.now();
      await model.run(input);
      if (round >= 0) ms.push(performance.now() - start);
    }
  }
  row(
    name,
    runs.map(({ ms }) => `${median(ms).toFixed(1)} (${Math.min(...ms).toFixed(1)})`),
  );
  const { macs } = summary(graph);
  row(
    '  GFLOP/s',
    runs.map(({ ms }) => ((2 * macs) / median(ms) / 1e6).toFixed(1)),
  );
  for (const { model } of runs) model.dispose();
}
