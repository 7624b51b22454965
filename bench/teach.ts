/**
 * `npm run bench:teach`: how well a ResNet-50 learns the classes of CIFAR-10 from 20 pictures each, beside scikit-learn's
 * logistic regression on the same embeddings; and what 10,000 examples take.
 */

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RowMatrix } from '../bindings/engine/row-matrix.js';
import { createHead, load, type Model } from '../bindings/index.node.js';
import { fit } from '../bindings/learning/logistic.js';
import { uniform } from '../bindings/weights/uniform.js';
import { writeNpy } from '../cli/npy.js';
import { cifarImages } from './cifar-images.js';

const LEARNED = 20;
const TESTED = 60;
const CLASSES = 10;
const IMAGE = 32 * 32 * 3;

/** Debian's, which has its packages. */
const PYTHON = '/usr/bin/python3';

const SKLEARN = `
import sys, numpy
from sklearn.linear_model import LogisticRegression
x, y, u, v = (numpy.load(path) for path in sys.argv[1:])
print(LogisticRegression(max_iter=1000).fit(x, y).score(u, v))
`;

interface Set {
  readonly rows: Float32Array[];
  readonly classes: number[];
}

/** Embeddings of the first pictures of each class, to learn from, and of those that follow. */
async function embedded(model: Model): Promise<readonly [learned: Set, tested: Set]> {
  const { data, classes } = await cifarImages();
  const sets: readonly [Set, Set] = [
    { rows: [], classes: [] },
    { rows: [], classes: [] },
  ];
  const seen = new Array<number>(CLASSES).fill(0);
  for (const [i, truth] of classes.entries()) {
    const before = seen[truth] as number;
    seen[truth] = before + 1;
    if (before >= LEARNED + TESTED) continue;
    const set = sets[before < LEARNED ? 0 : 1];
    const pixels = { data: data.subarray(i * IMAGE, (i + 1) * IMAGE), width: 32, height: 32 };
    set.rows.push(await model.embed(pixels));
    set.classes.push(truth);
  }
  return sets;
}

/** The accuracy of scikit-learn's default, from Debian's package; undefined, aloud, if it cannot be had. */
async function sklearn(learned: Set, tested: Set): Promise<number | undefined> {
  const has = () => spawnSync(PYTHON, ['-c', 'import sklearn']).status === 0;
  if (!has()) spawnSync('apt-get', ['install', '-y', '-qq', 'python3-sklearn'], { stdio: 'ignore' });
  if (!has()) {
    console.log('scikit-learn: SKIPPED, since apt-get did not install python3-sklearn.');
    return undefined;
  }
  const folder = await mkdtemp(join(tmpdir(), 'resnet-wasm-teach-'));
  try {
    const paths: string[] = [];
    for (const { rows, classes } of [learned, tested]) {
      const columns = (rows[0] as Float32Array).length;
      const data = new Float32Array(rows.length * columns);
      rows.forEach((row, i) => {
        data.set(row, i * columns);
      });
      for (const array of [
        { data, shape: [rows.length, columns] },
        { data: Float32Array.from(classes), shape: [rows.length] },
      ]) {
        paths.push(join(folder, `${paths.length}.npy`));
        await writeNpy(paths.at(-1) as string, array);
      }
    }
    const { stdout, stderr } = spawnSync(PYTHON, ['-c', SKLEARN, ...paths], { encoding: 'utf8' });
    if (stdout === '') throw new Error(`scikit-learn: ${stderr}`);
    return Number(stdout);
  } finally {
    await rm(folder, { recursive: true });
  }
}

using model = await load('resnet50');
const [learned, tested] = await embedded(model);
const head = await createHead(model);
for (const [i, row] of learned.rows.entries()) await head.add(row, `${learned.classes[i]}`);
const heldOut = tested.rows.map((row, i) => [row, `${tested.classes[i]}`] as const);
const start = performance.now();
await head.train();
const ms = performance.now() - start;
const { accuracy, count } = await head.evaluate({ heldOut });
const theirs = await sklearn(learned, tested);
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
console.log(
  `${LEARNED} pictures per class of CIFAR-10, ResNet-50, ${count} others: ${percent(accuracy)} right (trained in ${ms.toFixed(0)} ms)`,
);
if (theirs !== undefined) {
  console.log(`scikit-learn's LogisticRegression on the same embeddings: ${percent(theirs)}`);
  if (accuracy < theirs - 0.01) process.exitCode = 1;
}

const [examples, columns] = [10_000, 2048];
const rows = await RowMatrix.create(columns);
const classes = Array.from({ length: examples }, (_, i) => i % CLASSES);
for (const [i, truth] of classes.entries()) {
  const centre = uniform(`class ${truth}`, columns, 0, 0.3);
  rows.push(uniform(`example ${i}`, columns, -1, 1).map((value, k) => Math.max(0, value + (centre[k] as number))));
}
const began = performance.now();
let epochs = 0;
const weights = new Float64Array(examples).fill(1);
const onEpoch = (): void => {
  epochs += 1;
};
await fit({ rows, classes, weights }, CLASSES, { epochs: 100, l2: 1 / examples, onEpoch });
const seconds = (performance.now() - began) / 1000;
console.log(
  `${examples} examples of ${columns} values: ${seconds.toFixed(1)} s, ${epochs} epochs, ${(rows.bytes / 1e6).toFixed(0)} MB`,
);
