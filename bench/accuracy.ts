/**
 * `npm run bench:accuracy -- FOLDER`: classifies a folder of photographs in float32 and in int8, side by side:
 * accuracy.ts FOLDER [--model resnet50] [--weights FILE] [--int8 FILE] [--scales dynamic] [--memory small] [--least-agreement 0.985].
 * Without --int8 the float weights are quantised as they load. FOLDER/expected.json, if it is there, is a list of
 * {file, label}: the true classes. Exits 1 if the first class is the same for fewer pictures than --least-agreement, or is
 * another where float32 prefers it by a probability of more than 0.2.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Classification, type LoadOptions, load, type Model, pretrained } from '../bindings/index.node.js';

/** What a difference between the first and the second class has to be to count as certain. */
const MARGIN = 0.2;
const PICTURE = /\.(jpe?g|png|webp)$/i;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'resnet50' },
    weights: { type: 'string' },
    int8: { type: 'string' },
    scales: { type: 'string' },
    memory: { type: 'string', default: 'small' },
    'least-agreement': { type: 'string', default: '0.985' },
  },
});
const [folder] = positionals;
if (!folder) {
  console.error('accuracy.ts: expected the path of a folder of photographs, got none.');
  process.exit(2);
}

/** The true class of each file, where it is known. */
const labels = new Map<string, number>(
  await readFile(join(folder, 'expected.json'), 'utf8').then(
    (text) => JSON.parse(text).map(({ file, label }: { file: string; label: number }) => [file, label]),
    () => [],
  ),
);
const files = (await readdir(folder, { recursive: true })).filter((file) => PICTURE.test(file)).sort();
if (files.length === 0) throw new Error(`${folder}: expected pictures, got none.`);

const floats = values.weights ?? (await pretrained.fetch(values.model));
const float = await load(values.model, { weights: floats });
const how: LoadOptions = {
  quantize: 'int8',
  memory: values.memory === 'fast' ? 'fast' : 'small',
  activationScales: values.scales === 'dynamic' ? 'dynamic' : 'static',
};
const { graph, preprocessing, labels: names } = float;
const int8 = await load(values.model, {
  preprocessing,
  ...(names && { labels: names }),
  weights: values.int8 ?? floats,
  ...how,
});

/** All classes, the most probable first. */
const all = (model: Model, image: string) => model.classify(image, { topK: Number.MAX_SAFE_INTEGER });

function told({ index, label, probability }: Classification): string {
  return `${label ?? `class ${index}`} ${probability.toFixed(3)}`;
}

/** Counts and sums over the pictures. */
const sums = { same: 0, sure: 0, sureSame: 0, common: 0, difference: 0, largest: 0, known: 0, right: 0, int8Right: 0 };
for (const file of files) {
  const image = join(folder, file);
  const [a, b] = await Promise.all([all(float, image), all(int8, image)]);
  const [first, second, best] = [a[0], a[1], b[0]] as [Classification, Classification, Classification];
  const isSame = first.index === best.index;
  const isSure = first.probability - second.probability > MARGIN;
  const ofB = new Map(b.map(({ index, probability }) => [index, probability]));
  const five = new Set(b.slice(0, 5).map(({ index }) => index));
  const difference = Math.abs(first.probability - (ofB.get(first.index) ?? 0));
  sums.same += Number(isSame);
  sums.sure += Number(isSure);
  sums.sureSame += Number(isSure && isSame);
  sums.common += a.slice(0, 5).filter(({ index }) => five.has(index)).length;
  sums.difference += difference;
  sums.largest = Math.max(sums.largest, difference);
  const label = labels.get(file);
  sums.known += Number(label !== undefined);
  sums.right += Number(label === first.index);
  sums.int8Right += Number(label === best.index);
  if (!isSame) console.log(`${file}: ${told(first)} (before ${told(second)}) becomes ${told(best)}`);
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(2)} %`;
const count = files.length;
const agreement = sums.same / count;
console.log(
  [
    `${count} pictures, ${values.model}, ${int8.info().binary}`,
    `first class the same: ${sums.same}, ${percent(sums.same, count)}`,
    `  where float32 is sure (a margin above ${MARGIN}): ${sums.sureSame} of ${sums.sure}`,
    `among the first five, common: ${percent(sums.common, 5 * count)}`,
    `difference of float32's first probability: mean ${(sums.difference / count).toFixed(4)}, largest ${sums.largest.toFixed(4)}`,
    ...(sums.known > 0 ? [`right of ${sums.known} labelled: float32 ${sums.right}, int8 ${sums.int8Right}`] : []),
  ].join('\n'),
);

// Noise over signal of each layer's output, whose error is that of all layers before it too.
const image = join(folder, files[0] as string);
const layers = graph.nodes.filter(({ kind }) => kind === 'conv' || kind === 'linear').map(({ name }) => name);
const [own, others] = [await float.analyse(image, { layers }), await int8.analyse(image, { layers })];
console.log(`error of each layer for ${files[0]}, its root mean square over that of the values:`);
for (const [i, { data }] of own.layers.entries()) {
  const other = others.layers[i]?.data ?? data;
  const noise = data.reduce((sum, value, j) => sum + (value - (other[j] as number)) ** 2, 0);
  const signal = data.reduce((sum, value) => sum + value ** 2, 0);
  console.log(`  ${layers[i]?.padEnd(28)}${Math.sqrt(noise / signal).toFixed(4)}`);
}

if (agreement < Number(values['least-agreement']) || sums.sureSame < sums.sure) process.exitCode = 1;
