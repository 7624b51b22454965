/**
 * Guards against lost speed: guard.ts [--write]. Compares ratios, which hold from machine to machine of a kind and while
 * one drifts, with those of bench/baseline.json, and exits with 1 where one has fallen by more than a sixth. `--write`
 * makes the present ratios the baseline.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { summary } from '../bindings/compile/summary.js';
import type { Binary } from '../bindings/engine/binary.js';
import { load, type Model, measurePeak } from '../bindings/index.node.js';
import { seededWeights } from '../bindings/weights/random.js';
import { uniform } from '../bindings/weights/uniform.js';
import { buildNetwork, graphInput } from '../models/index.js';
import { binaries } from './executor.js';
import { machineText, median } from './machine.js';

const BASELINE = new URL('./baseline.json', import.meta.url);
const NETWORKS = ['resnet18', 'resnet50'];
const ROUNDS = 11;
const WARM_UPS = 5;
const MAY_FALL_TO = 5 / 6;

interface Baseline {
  readonly machine: string;
  readonly ratios: Readonly<Record<string, number>>;
}

interface Variant {
  readonly model: Model;
  readonly batch: number;
  /** Milliseconds an image. */
  readonly ms: number[];
}

/** The ratios of one network and binary, its variants run in turn. */
async function ratiosOf(name: string, binary: Binary, peak: number): Promise<Record<string, number>> {
  const graph = buildNetwork(name);
  const { h, w, c } = graphInput(graph);
  const open = async (batch: number, options: { winograd?: boolean; threads?: number } = {}): Promise<Variant> => ({
    model: await load(name, { weights: seededWeights(graph), binary, threads: 1, ...options }),
    batch,
    ms: [],
  });
  const plain = await open(1);
  const byDefinition = await open(1, { winograd: false });
  const four = await open(4);
  const two = await open(1, { threads: 2 });
  const variants = [plain, byDefinition, four, two];
  for (let round = -WARM_UPS; round < ROUNDS; round++) {
    for (const { model, batch, ms } of variants) {
      const shape = [batch, h, w, c];
      const data = uniform('input', batch * h * w * c, -1, 1);
      const start = performance.now();
      await model.run({ data, shape, layout: 'NHWC' });
      if (round >= 0) ms.push((performance.now() - start) / batch);
    }
  }
  for (const { model } of variants) model.dispose();
  const time = ({ ms }: Variant): number => median(ms);
  return {
    [`${name} ${binary}: GFLOP/s of the peak`]: (2 * summary(graph).macs) / time(plain) / 1e6 / peak,
    [`${name} ${binary}: Winograd to none`]: time(byDefinition) / time(plain),
    [`${name} ${binary}: an image of four to one alone`]: time(plain) / time(four),
    [`${name} ${binary}: two threads to one`]: time(plain) / time(two),
  };
}

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const ratios: Record<string, number> = {};
for (const binary of binaries) {
  const peak = await measurePeak(binary);
  for (const name of NETWORKS) Object.assign(ratios, await ratiosOf(name, binary, peak));
}

const rounded = Object.fromEntries(Object.entries(ratios).map(([name, ratio]) => [name, Number(ratio.toFixed(3))]));
if (values.write) {
  await writeFile(BASELINE, `${JSON.stringify({ machine: machineText(), ratios: rounded }, undefined, 2)}\n`);
}
const baseline = JSON.parse(await readFile(BASELINE, 'utf8')) as Baseline;
console.log(`${machineText()}; the baseline is of ${baseline.machine}`);
for (const [name, ratio] of Object.entries(rounded)) {
  const before = baseline.ratios[name];
  const isSlower = before !== undefined && ratio < before * MAY_FALL_TO;
  console.log(
    `${isSlower ? 'SLOWER' : 'ok    '} ${name.padEnd(48)} ${ratio.toFixed(2)} (${before?.toFixed(2) ?? 'new'})`,
  );
  if (isSlower) process.exitCode = 1;
}
