/**
 * Classifies a folder of photographs with the published ResNet-50 weights and compares with what another implementation
 * computed: photos.ts FOLDER [--binary baseline|relaxed]. FOLDER/expected.json is a list of {file, label, top5,
 * probability}: the true class, the five most probable classes, and the probability of the first. Exits 1 where the
 * first class or its probability is off.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Binary, load } from '../bindings/index.node.js';

/** What decoders of JPEG may differ by. */
const TOLERANCE = 0.005;

interface Expected {
  readonly file: string;
  readonly label: number;
  readonly top5: readonly number[];
  readonly probability: number;
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { binary: { type: 'string' } } });
const [folder] = positionals;
if (!folder) {
  console.error('photos.ts: expected the path of a folder of photographs, got none.');
  process.exit(2);
}
const list: Expected[] = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'));
using model = await load('resnet50', { binary: values.binary as Binary | undefined });

let [off, right, inFive, largest] = [0, 0, 0, 0];
for (const { file, label, top5, probability } of list) {
  const found = await model.classify(join(folder, file), { topK: 5 });
  const best = found[0];
  if (!best) throw new Error(`${file}: expected classes, got none.`);
  const difference = best.probability - probability;
  const isOff = best.index !== top5[0] || Math.abs(difference) > TOLERANCE;
  if (isOff) off += 1;
  if (best.index === label) right += 1;
  if (found.some(({ index }) => index === label)) inFive += 1;
  largest = Math.max(largest, Math.abs(difference));
  const verdict = isOff ? `OFF: expected ${top5[0]} at ${probability}` : '';
  console.log(
    `${file.padEnd(40)}${String(best.index).padStart(4)} ${best.probability.toFixed(4)} ` +
      `${difference >= 0 ? '+' : '−'}${Math.abs(difference).toFixed(5)}  ${best.label} ${verdict}`.trimEnd(),
  );
}
console.log(
  `${model.info().binary}: ${off} of ${list.length} off (largest difference of the first's probability ` +
    `${largest.toFixed(5)}, allowed ${TOLERANCE}); true class first for ${right}, among five for ${inFive}.`,
);
if (off > 0) process.exitCode = 1;
