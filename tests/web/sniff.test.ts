import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HEAD_BYTES, isPicture } from '../../web/sniff.js';

const data = fileURLToPath(new URL('../data/', import.meta.url));
const filesOf = (folder: string) =>
  readdirSync(data + folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => `${data}${folder}/${name}`);
const head = (path: string) => readFileSync(path).subarray(0, HEAD_BYTES);

test('photographs are pictures, and weights are none', () => {
  const pictures = [...filesOf('photos'), ...filesOf('images')].filter((path) => /\.(jpe?g|png|webp|gif)$/.test(path));
  const weights = [...filesOf('h5'), ...filesOf('pth')].filter((path) => /\.(h5|pth?|json|bin)$/.test(path));
  assert.ok(pictures.length > 5 && weights.length > 5, `${pictures.length} and ${weights.length}`);
  assert.equal(
    pictures.filter((path) => !isPicture(head(path))),
    [],
  );
  assert.equal(
    weights.filter((path) => isPicture(head(path))),
    [],
  );
});

test('a bitmap is told from a safetensors file whose header is as long as its letters say', () => {
  const bmp = Uint8Array.of(0x42, 0x4d, 0x36, 0x30, 0, 0, 0, 0, 0, 0, 0x36, 0, 0, 0, 0x28, 0);
  assert.ok(isPicture(bmp));
  const safetensors = Uint8Array.of(0x42, 0x4d, 0, 0, 0, 0, 0, 0, 0x7b, 0x22, 0x61, 0x22, 0x3a, 0x7b, 0x22, 0x64);
  assert.not(isPicture(safetensors));
  assert.not(isPicture(new Uint8Array(0)));
});

test.run();
