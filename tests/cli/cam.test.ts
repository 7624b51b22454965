/** `classify --cam`: the picture that it writes, and what it refuses. */

import '../support/flags.mjs';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, decodeImage, heatmap, load } from '../../bindings/index.node.js';
import { seededWeights } from '../../bindings/weights/random.js';

/** npm run build makes it. */
const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cam-'));
const weights = join(folder, 'resnet20.safetensors');
const picture = join(folder, 'picture.png');
const out = join(folder, 'out.png');
const [width, height] = [100, 64];

/** Colours that change from place to place; the left half is half transparent. */
const colours = Uint8Array.from({ length: width * height * 4 }, (_, i) => {
  const [x, channel] = [(i >> 2) % width, i & 3];
  return channel === 3 ? (x < width / 2 ? 128 : 255) : ((i >> 2) * (channel + 1) * 3) & 255;
});

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

function classify(...args: string[]): Promise<Result> {
  const all = [CLI, 'classify', '--model', 'resnet20_cifar', '--weights', weights, '--threads', '1', ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, all, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

test.before(async () => {
  await writeFile(weights, seededWeights(buildNetwork('resnet20_cifar')));
  await sharp(colours, { raw: { width, height, channels: 4 } })
    .png()
    .toFile(picture);
});

test.after(() => rmSync(folder, { recursive: true }));

/** What is to be seen where the map of a class lies over the picture, and the picture lies on white. */
async function expected(index?: number): Promise<{ index: number; pixels: Float64Array }> {
  using model = await load('resnet20_cifar', { weights, threads: 1 });
  const { maps, shape, crop } = await model.cam(picture, index === undefined ? { topK: 1 } : { classes: [index] });
  // Resized to 50x32, of which 9 pixels are cut off on either side.
  assert.equal(crop, { x: 18, y: 0, width: 64, height: 64 });
  const [map] = maps;
  assert.ok(map);
  const heat = heatmap(map.data, shape, 64, 64);
  const pixels = new Float64Array(width * height * 3);
  for (let i = 0; i < pixels.length; i++) {
    const [pixel, channel] = [Math.floor(i / 3), i % 3];
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const alpha = (colours[pixel * 4 + 3] as number) / 255;
    const under = (colours[pixel * 4 + channel] as number) * alpha + 255 * (1 - alpha);
    const at = (y * 64 + x - 18) * 4;
    const share = x >= 18 && x < 82 ? (heat.data[at + 3] as number) / 255 : 0;
    pixels[i] = under * (1 - share) + (heat.data[at + channel] ?? 0) * share;
  }
  return { index: map.index, pixels };
}

async function assertDrawn(wanted: Float64Array, path = out): Promise<void> {
  const { data, ...size } = await decodeImage(path);
  assert.equal(size, { width, height, channels: 3 });
  const far = data.findIndex((v, i) => Math.abs(v - (wanted[i] as number)) > 1.01);
  assert.ok(far < 0, `expected ${wanted[far]} at ${far}, got ${data[far]}`);
}

test('the picture has the heat map of its best class over the crop, and is as it was around', async () => {
  const { index, pixels } = await expected();
  const { code, stdout, stderr } = await classify(picture, '--cam', out, '--top-k', '1');
  assert.equal([code, stderr], [0, '']);
  const lines = stdout.trimEnd().split('\n');
  assert.is(lines.length, 3);
  assert.match(lines[1] ?? '', new RegExp(`^ {2}class ${index} `));
  assert.is(lines[2], `  where it saw class ${index}: ${out}`);
  await assertDrawn(pixels);
});

test('or that of the class asked for; JSON stays JSON', async () => {
  const [best, third] = [await expected(), await expected(3)];
  assert.is.not(best.index, 3);
  assert.not.equal(best.pixels, third.pixels);
  const { code, stdout, stderr } = await classify(picture, '--cam', out, '--cam-class', '3', '--json');
  assert.equal([code, stderr], [0, '']);
  assert.is(JSON.parse(stdout)[0].topK[0].index, best.index);
  await assertDrawn(third.pixels);
});

test('the extension names the format, in any case', async () => {
  // Smooth, so that what JPEG and WebP lose is little.
  const smooth = join(folder, 'smooth.png');
  const grey = Uint8Array.from({ length: width * height * 3 }, (_, i) => Math.floor(i / 3) % width);
  await sharp(grey, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(smooth);
  assert.is((await classify(smooth, '--cam', out)).code, 0);
  const { data: drawn } = await decodeImage(out);
  const formats = [
    ['out.PNG', 'png', 0],
    ['out.jpg', 'jpeg', 3],
    ['out.JPEG', 'jpeg', 3],
    ['out.webp', 'webp', 3],
  ] as const;
  for (const [name, format, most] of formats) {
    const path = join(folder, name);
    assert.is((await classify(smooth, '--cam', path)).code, 0);
    assert.is((await sharp(path).metadata()).format, format);
    const { data } = await decodeImage(path);
    assert.is(data.length, drawn.length);
    const far = Array.from(data, (v, i) => Math.abs(v - (drawn[i] as number)));
    const mean = far.reduce((sum, v) => sum + v, 0) / far.length;
    assert.ok(mean <= most, `${name}: ${mean}`);
  }
});

test('labels name the class too, if it is one', async () => {
  const labels = join(folder, 'labels.txt');
  await writeFile(labels, ['owl', 'crane', 'Great Tit', 'hen', 'crane', 'e', 'f', 'g', 'h', 'i'].join('\n'));
  const third = await expected(2);
  const { code, stdout } = await classify(picture, '--cam', out, '--cam-class', 'great_tit', '--labels', labels);
  assert.is(code, 0);
  assert.match(stdout, /\n {2}where it saw Great Tit: .*out\.png\n$/);
  await assertDrawn(third.pixels);
  assert.equal(await classify(picture, '--cam', out, '--cam-class', 'crane', '--labels', labels), {
    code: 1,
    stdout: '',
    stderr: '--cam-class: expected one class, got crane, which is 1 and 4; give an index.\n',
  });
});

test('the help says what it does', async () => {
  const { stdout } = await classify('--help');
  assert.match(stdout, /--cam <file> +write the picture \(\.png, \.jpg, \.webp\) with a heat map/);
  assert.match(stdout, /--cam-class <class> +class to map/);
});

test('what cannot be is refused: usage errors with 2, failures with 1 in one line, without a file', async () => {
  const none = join(folder, 'none.png');
  const [usage, lonely, bitmap, several] = await Promise.all([
    classify(picture, picture, '--cam', none),
    classify(picture, '--cam-class', '3'),
    classify(picture, '--cam', 'none.bmp'),
    classify(join(folder, '*.png'), '--cam', none),
  ]);
  assert.is(bitmap.code, 2);
  assert.match(bitmap.stderr, /argument 'none\.bmp' is invalid\. Expected .* one of \.png, \.jpg, \.jpeg, \.webp\.\n$/);
  assert.is(several.code, 1);
  assert.match(several.stderr, /^--cam: expected one picture, got \d+\.\n$/);
  assert.equal(usage, { code: 2, stdout: '', stderr: "error: option '--cam <file>' takes one picture, not 2\n" });
  assert.equal(lonely, { code: 2, stdout: '', stderr: "error: option '--cam-class <class>' needs --cam\n" });
  const nowhere = join(folder, 'no', 'out.png');
  const [folderless, wrong, unreadable] = await Promise.all([
    classify(picture, '--cam', nowhere),
    classify(picture, '--cam', none, '--cam-class', 'unicorn'),
    classify(weights, '--cam', none),
  ]);
  assert.equal(folderless, {
    code: 1,
    stdout: '',
    stderr: `${nowhere}: there is no folder ${join(folder, 'no')} to write into.\n`,
  });
  assert.is(wrong.code, 1);
  assert.is(wrong.stderr, `--cam-class: expected the index or label of a class, got unicorn.\n`);
  assert.is(unreadable.code, 1);
  assert.is(unreadable.stderr.split('\n').length, 2, unreadable.stderr);
  assert.not(existsSync(none));
});

test.run();
