/** The accuracy of a trained CIFAR-10 network on the 10,000 test images: cifar.ts WEIGHTS [NETWORK] [--quantize int8]. */

import { parseArgs } from 'node:util';
import { type LoadOptions, load } from '../bindings/index.node.js';
import { preprocessings } from '../models/index.js';
import { cifarImages } from './cifar-images.js';

const BATCH = 100;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quantize: { type: 'string' }, memory: { type: 'string' } },
});
const [weights, network = 'resnet20_cifar'] = positionals;
if (!weights) {
  console.error('cifar.ts: expected the path of a weight file, got none.');
  process.exit(2);
}
const { data, classes } = await cifarImages();

using model = await load(network, { weights, ...(flags as Pick<LoadOptions, 'quantize' | 'memory'>) });
const count = classes.length;
const { mean, std, scale } = preprocessings.cifar;
const perImage = 32 * 32 * 3;
const input = new Float32Array(BATCH * perImage);
let right = 0;
const start = performance.now();
for (let first = 0; first < count; first += BATCH) {
  for (let i = 0; i < input.length; i++) {
    const c = (i % 3) as 0 | 1 | 2;
    input[i] = ((data[first * perImage + i] as number) * scale - mean[c]) / std[c];
  }
  const logits = await model.run({ data: input, shape: [BATCH, 32, 32, 3], layout: 'NHWC' });
  const width = logits.shape[1] as number;
  for (let b = 0; b < BATCH; b++) {
    const row = logits.data.subarray(b * width, (b + 1) * width);
    if (row.indexOf(Math.max(...row)) === classes[first + b]) right += 1;
  }
}
const seconds = (performance.now() - start) / 1000;
const { binary, threads } = model.info();
console.log(
  `${network}, ${binary}, threads: ${threads}: ${right} of ${count} right, ` +
    `${((100 * right) / count).toFixed(2)} %, in ${seconds.toFixed(1)} s.`,
);
