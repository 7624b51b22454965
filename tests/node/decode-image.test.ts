/** Decoding in Node against Pillow's pixels, from every kind of file and input, and what happens without a picture. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createCore } from '../../bindings/engine/create-core.js';
import { preprocess } from '../../bindings/image/preprocess.js';
import { load } from '../../bindings/index.node.js';
import { decodeImage, encodeImage } from '../../bindings/node/decode-image.js';
import type { DecodeOptions, Pixels } from '../../bindings/platform/types.js';
import { preprocessings } from '../../models/index.js';

interface DecodedRow {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  /** Steps of 255 that decoders may differ by. */
  readonly tolerance: number;
  readonly offset: number;
}

const images = fileURLToPath(new URL('../data/images/', import.meta.url));
const photos = fileURLToPath(new URL('../data/photos/', import.meta.url));
const rows: readonly DecodedRow[] = JSON.parse(readFileSync(join(images, 'decoded.json'), 'utf8'));
const bytes = readFileSync(join(images, 'decoded.bin'));
const read = (file: string) => new Uint8Array(readFileSync(join(images, file)));

/** RGB over white, so that what hides under full transparency does not count. */
function onWhite({ data, channels }: Pixels): number[] {
  const rgb: number[] = [];
  for (let at = 0; at < data.length; at += channels as number) {
    const alpha = channels === 4 ? (data[at + 3] as number) : 255;
    for (let c = 0; c < 3; c++) rgb.push(Math.round(((data[at + c] as number) * alpha + 255 * (255 - alpha)) / 255));
  }
  return rgb;
}

for (const { file, width, height, channels, tolerance, offset } of rows) {
  test(`Pillow's pixels: ${file}`, async () => {
    const pixels = await decodeImage(join(images, file));
    assert.equal([pixels.width, pixels.height, pixels.channels], [width, height, channels]);
    assert.is(pixels.data.length, width * height * channels);
    const data = bytes.subarray(offset, offset + width * height * channels);
    const expected = onWhite({ data, width, height, channels });
    const off = onWhite(pixels).findIndex((v, i) => Math.abs(v - (expected[i] as number)) > tolerance);
    assert.is(off, -1, `byte ${off}: expected ${expected[off]} ± ${tolerance}, got ${onWhite(pixels)[off]}`);
  });
}

test('the eight orientations are one picture', async () => {
  const upright = await decodeImage(join(images, 'orientation-1.jpg'));
  const corners = ({ data, width, height }: Pixels) =>
    [0, width - 1, (height - 1) * width, height * width - 1].map((p) => [...data.subarray(p * 3, p * 3 + 3)]);
  for (const file of ['orientation-6.jpg', 'orientation-8.jpg']) {
    const turned = await decodeImage(join(images, file));
    assert.equal([turned.width, turned.height], [upright.height, upright.width]);
  }
  const half = await decodeImage(join(images, 'orientation-3.jpg'));
  assert.equal(corners(half), corners(upright).reverse());
});

for (const name of ['chelsea', 'coffee']) {
  test(`a photograph at 56x56 as Pillow and torchvision have it: ${name}`, async () => {
    const core = await createCore();
    const pixels = await decodeImage(join(photos, `${name}.jpg`));
    const expected = await decodeImage(join(photos, `${name}-56.png`));
    const ptr = core.arena.alloc(56 * 56 * 3 * 4);
    preprocess(
      core,
      pixels,
      { ...preprocessings.caffe, mean: [0, 0, 0], channelOrder: 'RGB', resize: 64, crop: 56 },
      ptr,
    );
    const got = core.arena.f32(ptr, 56 * 56 * 3);
    const off = got.findIndex((v, i) => Math.abs(v - (expected.data[i] as number)) > 2);
    assert.is(off, -1, `byte ${off}: expected ${expected.data[off]} ± 2, got ${got[off]}`);
  });
}

test('a path, URL, Blob and bytes of one file are one picture', async () => {
  const path = join(images, 'subsampled.jpg');
  const encoded = read('subsampled.jpg');
  const wanted = await decodeImage(path);
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/there.jpg' ? 200 : 404;
    response.end(response.statusCode === 200 ? encoded : 'no');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const within = new Uint8Array(encoded.length + 7).subarray(7);
  within.set(encoded);
  try {
    for (const image of [
      pathToFileURL(path),
      pathToFileURL(path).href,
      encoded,
      within,
      Buffer.from(encoded),
      encoded.buffer,
      new Blob([encoded]),
      `${base}/there.jpg`,
      new URL(`${base}/there.jpg`),
      `data:image/jpeg;base64,${Buffer.from(encoded).toString('base64')}`,
    ]) {
      const pixels = await decodeImage(image);
      assert.equal([pixels.width, pixels.height], [wanted.width, wanted.height]);
      assert.equal(Buffer.from(pixels.data), Buffer.from(wanted.data));
    }
    const missing = `${base}/missing.jpg`;
    await rejects(missing, `${missing}: expected status 2xx, got 404 Not Found.`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('decoded pixels are handed on as they are', async () => {
  const pixels = { data: new Uint8ClampedArray(12), width: 2, height: 2 };
  assert.is(await decodeImage(pixels), pixels);
});

async function rejects(image: unknown, message: string | RegExp): Promise<void> {
  const error = await decodeImage(image).then(
    () => undefined,
    (reason: Error) => reason,
  );
  assert.instance(error, Error);
  const got = (error as Error).message;
  if (typeof message === 'string') assert.is(got, message);
  else assert.match(got, message);
}

for (const file of [
  'subsampled.jpg',
  'progressive.jpg',
  'cmyk.jpg',
  'rgb.png',
  'rgb16.png',
  'lossy.webp',
  'palette.gif',
]) {
  test(`a truncated file is refused in one sentence with its name: ${file}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'decode-'));
    try {
      const path = join(folder, file);
      const whole = read(file);
      for (const share of [0.2, 0.5, 0.9]) {
        writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)));
        await rejects(path, /: expected a picture, got one that cannot be decoded \([^\n:]+\)\.$/);
        const error: Error = await decodeImage(path).catch((reason) => reason);
        assert.ok(error.message.startsWith(`${path}: `));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test('the reason is the last that the decoder gives, and never that none is known', async () => {
  const jpeg = read('subsampled.jpg');
  // A warning comes first: bytes that belong nowhere, before a cut.
  const cut = Buffer.concat([jpeg.subarray(0, 2), Buffer.from([1, 2, 3]), jpeg.subarray(2, jpeg.length >> 1)]);
  const wide = read('alpha.png');
  wide[17] = 1;
  const heif = Buffer.concat([
    Buffer.from('000000186674797068656963000000006d69663168656963', 'hex'),
    Buffer.alloc(500),
  ]);
  const got = 'image: expected a picture, got one';
  await rejects(cut, `${got} that cannot be decoded (premature end of JPEG image).`);
  await rejects(read('rgb.png').subarray(0, 8), `${got} whose header is damaged.`);
  await rejects(wide, `${got} whose data is damaged.`);
  await rejects(heif, `${got} that cannot be decoded (No meta box found).`);
});

test('the limit of pixels is an option, of the picture as the file says', async () => {
  const photo = join(photos, 'coffee.jpg');
  assert.is((await decodeImage(photo, { maxPixels: 600 * 400 })).width, 600);
  assert.is((await decodeImage(photo, { maxPixels: Number.POSITIVE_INFINITY })).width, 600);
  await rejectsWith(
    { maxPixels: 600 * 400 - 1 },
    photo,
    'at most 239999 pixels, got 600x400; maxPixels can allow more.',
  );
  // A megabyte that decodes to 800 MB and more is refused unless it is asked for.
  const width = 16_384;
  const bomb = await sharp({
    create: { width, height: width, channels: 3, background: '#888' },
    limitInputPixels: false,
  })
    .png({ compressionLevel: 1 })
    .toBuffer();
  await rejectsWith({}, bomb, `at most 268402689 pixels, got ${width}x${width}; maxPixels can allow more.`);
  for (const maxPixels of [0, -1, 1.5, Number.NaN, '9' as never]) {
    const error: Error = await decodeImage(photo, { maxPixels }).catch((reason) => reason);
    assert.match(error.message, /^maxPixels: expected a whole number from 1, or Infinity, got .+\.$/);
  }
});

test('a model has that limit for all that it decodes', async () => {
  using model = await load('resnet20_cifar', { weights: { seed: 1 }, threads: 1, maxPixels: 600 * 400 - 1 });
  const [coffee, chelsea] = [join(photos, 'coffee.jpg'), join(photos, 'chelsea.jpg')];
  assert.is((await model.classify(chelsea)).length, 5);
  const calls = [
    () => model.classify(coffee),
    () => model.embed([chelsea, coffee]),
    () => model.cam(coffee),
    () => model.preprocess(coffee),
  ];
  for (const call of calls) {
    const error: Error = await call().then(
      () => new Error('none'),
      (reason) => reason,
    );
    assert.is(
      error.message,
      `${coffee}: expected a picture of at most 239999 pixels, got 600x400; maxPixels can allow more.`,
    );
  }
  const wrong: Error = await load('resnet20_cifar', { weights: { seed: 1 }, maxPixels: 0 }).catch((reason) => reason);
  assert.is(wrong.message, 'maxPixels: expected a whole number from 1, or Infinity, got 0.');
});

async function rejectsWith(options: DecodeOptions, image: unknown, end: string): Promise<void> {
  const error: Error = await decodeImage(image, options).then(
    () => new Error('none'),
    (reason) => reason,
  );
  const name = typeof image === 'string' ? image : 'image';
  assert.is(error.message, `${name}: expected a picture of ${end}`);
}

test('pixels come back from files of each format', async () => {
  const [width, height] = [32, 16];
  for (const channels of [3, 4] as const) {
    // Smooth, so that what JPEG and WebP lose is little.
    const data = Uint8Array.from({ length: width * height * channels }, (_, i) =>
      i % channels === 3 ? 255 : 4 * (Math.floor(i / channels) % width),
    );
    for (const format of ['png', 'jpeg', 'webp'] as const) {
      const file = await encodeImage({ data, width, height }, format);
      assert.is((await sharp(file).metadata()).format, format);
      const pixels = await decodeImage(file);
      assert.equal([pixels.width, pixels.height], [width, height]);
      const wanted = onWhite({ data, width, height, channels });
      const far = Math.max(...onWhite(pixels).map((v, i) => Math.abs(v - (wanted[i] as number))));
      assert.ok(far <= (format === 'png' ? 0 : 6), `${format}: ${far}`);
    }
  }
});

test('a stray byte before the end, which cameras write, is no error', async () => {
  const whole = read('subsampled.jpg');
  const stray = Buffer.concat([whole.subarray(0, -2), Buffer.from([1, 2, 3]), whole.subarray(-2)]);
  const [pixels, wanted] = [await decodeImage(stray), await decodeImage(whole)];
  assert.equal(Buffer.from(pixels.data), Buffer.from(wanted.data));
});

const here = fileURLToPath(import.meta.url);
const OTHER = 'a file that is not JPEG, PNG, WebP or GIF';
for (const [image, message] of [
  ['/none/such.jpg', '/none/such.jpg: no such file.'],
  [images, `${images}: expected a picture, got a folder.`],
  ['file:///none/such.jpg', 'file:///none/such.jpg: no such file.'],
  [here, `${here}: expected a picture, got ${OTHER}.`],
  [new Uint8Array(0), 'image: expected a picture, got an empty file.'],
  [new Uint8Array(50), `image: expected a picture, got ${OTHER}.`],
  [new File(['text'], 'note.png'), `note.png: expected a picture, got ${OTHER}.`],
  ['http://', 'http://: expected a URL, got one that is malformed.'],
  ['http://127.0.0.1:1/', /^http:\/\/127\.0\.0\.1:1\/: expected an answer, got .+\.$/],
  [undefined, 'image: expected a path, URL, encoded bytes or {data, width, height}, got undefined.'],
  [[1, 2], 'image: expected a path, URL, encoded bytes or {data, width, height}, got [1, 2].'],
] as const) {
  test(`refused: ${message}`, () => rejects(image, message));
}

test('without sharp a sentence says what to install', () => {
  const hooks = `export const resolve = (name, context, next) => {
    if (name !== 'sharp') return next(name, context);
    throw Object.assign(new Error("Cannot find package 'sharp'"), { code: 'ERR_MODULE_NOT_FOUND' });
  };`;
  const url = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
  const register = `import { register } from 'node:module'; register(${JSON.stringify(url(hooks))});`;
  const script = `
    import { decodeImage } from ${JSON.stringify(new URL('../../bindings/node/decode-image.ts', import.meta.url).href)};
    await decodeImage(new Uint8Array(9)).catch(({ message }) => console.log(message));`;
  const { stdout } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--import', url(register), '--input-type=module', '--eval', script],
    { encoding: 'utf8', cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  );
  assert.is(stdout, 'Decoding images in Node needs the package sharp: npm install sharp.\n');
});

test.run();
