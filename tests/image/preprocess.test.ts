/** Pictures to network input against Pillow's bytes and against torchvision's rule in float64, on every binary. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test as plainTest } from 'uvu';
import * as assert from 'uvu/assert';
import type { Core } from '../../bindings/engine/core.js';
import { createCore } from '../../bindings/engine/create-core.js';
import { cropOf, preprocess } from '../../bindings/image/preprocess.js';
import type { Pixels } from '../../bindings/platform/types.js';
import { ResnetError } from '../../models/errors.js';
import { cropSize, type Interpolation, type Pair, type Preprocessing, preprocessings } from '../../models/index.js';
import { eachBinary } from '../support/each-binary.js';
import { property } from '../support/property.js';
import { torchvisionReference } from '../support/torchvision.js';

interface ResizedRow {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly seed: number;
  readonly block: number;
  readonly resize: Preprocessing['resize'];
  readonly crop: Preprocessing['crop'];
  /** By default bilinear, white and RGB. */
  readonly interpolation?: Interpolation;
  readonly transparency?: Preprocessing['transparency'];
  readonly channelOrder?: Preprocessing['channelOrder'];
  /** Of crop x crop RGB bytes in resized.bin; other results are a digest. */
  readonly offset?: number;
  readonly sha256?: string;
}

const folder = new URL('../data/images/', import.meta.url);
const rows: readonly ResizedRow[] = JSON.parse(readFileSync(new URL('resized.json', folder), 'utf8'));
const bytes = readFileSync(new URL('resized.bin', folder));

/** Bytes as they are. */
const plain = <Resize extends number | Pair, Crop extends number | Pair>(resize: Resize, crop: Crop) => ({
  resize,
  crop,
  interpolation: 'bilinear' as const,
  transparency: 'white' as const,
  channelOrder: 'RGB' as const,
  scale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
});

/** The rule of `source` in data/make_images.py. */
function source(width: number, height: number, channels: 3 | 4, seed: number, block = 1): Pixels {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = Math.floor(y / block) * width + Math.floor(x / block);
      for (let c = 0; c < channels; c++, at++) {
        let hash = Math.imul(place * channels + c + seed, 0x9e3779b1);
        hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
        data[at] = (hash ^ (hash >>> 13)) >>> 8;
      }
    }
  }
  return { data, width, height, channels };
}

const constant = (width: number, height: number, pixel: readonly number[]): Pixels => ({
  data: Uint8Array.from({ length: width * height * pixel.length }, (_, i) => pixel[i % pixel.length] as number),
  width,
  height,
});

const GUARD = 64;

/** A copy of what `preprocess` writes; fails where it writes beyond, or keeps memory. */
function prepared(core: Core, pixels: Pixels, preprocessing: Preprocessing): Float32Array {
  const { arena } = core;
  const mark = arena.mark();
  const [h, w] = cropSize(preprocessing);
  const length = h * w * preprocessing.mean.length;
  const ptr = arena.alloc((length + 2 * GUARD) * 4);
  arena.f32(ptr, length + 2 * GUARD).fill(-1234.5);
  const top = arena.mark();
  preprocess(core, pixels, preprocessing, ptr + GUARD * 4);
  assert.is(arena.mark(), top, 'scratch is given back');
  const all = arena.f32(ptr, length + 2 * GUARD).slice();
  arena.release(mark);
  const guards = [...all.subarray(0, GUARD), ...all.subarray(GUARD + length)];
  assert.ok(
    guards.every((v) => v === -1234.5),
    'nothing is written beyond the input',
  );
  return all.subarray(GUARD, GUARD + length);
}

/** Fails if a value is more than one step of 255 away from its reference. */
function assertWithinOne(got: Float32Array, pixels: Pixels, preprocessing: Preprocessing): void {
  const { scale, mean, std, channelOrder } = preprocessing;
  const expected = torchvisionReference(pixels, preprocessing).flat();
  expected.forEach((pixel, p) => {
    const ordered = channelOrder === 'BGR' ? [...pixel].reverse() : pixel;
    ordered.forEach((byte, c) => {
      const [m, s] = [mean[c] as number, std[c] as number];
      const wanted = (byte * scale - m) / s;
      const value = got[p * 3 + c] as number;
      if (Math.abs(value - wanted) > scale / s + 2 ** -23 * Math.abs(wanted)) {
        assert.unreachable(`pixel ${p}, channel ${c}: expected ${wanted} ± ${scale / s}, got ${value}.`);
      }
    });
  });
}

eachBinary('image', (test) => {
  test('there are rows of Pillow, and preprocessings', () => {
    assert.ok(rows.length > 100, `${rows.length}`);
    assert.ok(Object.keys(preprocessings).length >= 4);
  });

  for (const row of rows) {
    const { width, height, channels, seed, block, resize, crop } = row;
    const { interpolation = 'bilinear', transparency = 'white', channelOrder = 'RGB' } = row;
    const how = `${interpolation}, ${channelOrder}, ${transparency}`;
    const name = `${width}x${height}x${channels} to ${resize}, ${cropSize({ crop }).join('x')} of it, ${how}`;
    test(`Pillow's bytes: ${name}`, ({ core }) => {
      const values = channelOrder === 'grey' ? { mean: [0], std: [1] } : {};
      const preprocessing = { ...plain(resize, crop), interpolation, transparency, channelOrder, ...values };
      const got = Uint8Array.from(prepared(core, source(width, height, channels, seed, block), preprocessing));
      if (row.sha256) {
        assert.is(createHash('sha256').update(got).digest('hex'), row.sha256);
      } else {
        const expected = bytes.subarray(row.offset, (row.offset as number) + got.length);
        const off = got.findIndex((byte, i) => byte !== expected[i]);
        assert.is(off, -1, `byte ${off}: expected ${expected[off]}, got ${got[off]}`);
      }
    });
  }

  test("torchvision's rule, for any size, crop, filter and channel order", async ({ core }) => {
    const side = fc.integer({ min: 1, max: 60 });
    const sizes = (max: number) => {
      const one = fc.integer({ min: 1, max });
      return fc.oneof(one, fc.tuple(one, one));
    };
    await property(
      fc.tuple(
        fc.record({ width: side, height: side, channels: fc.constantFrom(3 as const, 4 as const), seed: fc.nat(1e6) }),
        fc.record({
          resize: sizes(40),
          crop: sizes(44),
          // What is nearest is a matter of Pillow's rounding, which its own bytes test.
          interpolation: fc.constantFrom('bilinear' as const, 'bicubic' as const, 'lanczos' as const),
          transparency: fc.constantFrom('white' as const, 'drop' as const),
          channelOrder: fc.constantFrom('RGB' as const, 'BGR' as const),
          normalisation: fc.constantFrom(preprocessings.torch, preprocessings.caffe),
        }),
      ),
      ([{ width, height, channels, seed }, { normalisation, ...own }]) => {
        // A thin picture's longer side would make the reference slow.
        fc.pre(Math.max(width, height) <= 12 * Math.min(width, height));
        const pixels = source(width, height, channels, seed);
        const preprocessing = { ...normalisation, ...own };
        assertWithinOne(prepared(core, pixels, preprocessing), pixels, preprocessing);
      },
    );
  });

  for (const [name, preprocessing] of Object.entries(preprocessings)) {
    test(`the preprocessing ${name} as its formula says, rounded once`, ({ core }) => {
      const colour = [10, 100, 250];
      const got = prepared(core, constant(90, 70, colour), preprocessing);
      const ordered = preprocessing.channelOrder === 'BGR' ? [...colour].reverse() : colour;
      const { scale, mean, std } = preprocessing;
      const wanted = ordered.map((byte, c) => Math.fround((byte * scale - (mean[c] as number)) / (std[c] as number)));
      assert.ok(got.every((value, i) => value === wanted[i % 3]));
    });
  }

  test('BGR is RGB the other way round', ({ core }) => {
    const pixels = source(61, 47, 3, 7);
    const rgb = prepared(core, pixels, plain(32, 28));
    const bgr = prepared(core, pixels, { ...plain(32, 28), channelOrder: 'BGR' });
    assert.ok(bgr.every((value, i) => value === rgb[i + 2 - 2 * (i % 3)]));
    assert.not.equal(bgr, rgb);
  });

  test('every colour with every alpha is composed on white, rounded', ({ core: { arena, kernels } }) => {
    const count = 256 * 256;
    const mark = arena.mark();
    const ptr = arena.alloc(count * 4);
    const rgba = arena.u8(ptr, count * 4);
    for (let i = 0; i < count; i++) rgba.set([i >> 8, 255 - (i >> 8), (i * 7) & 255, i & 255], i * 4);
    const before = rgba.slice();
    kernels.composeOnWhite(ptr, count);
    const after = arena.u8(ptr, count * 4);
    for (let i = 0; i < count * 4; i++) {
      if (i % 4 === 3) continue;
      const alpha = before[i | 3] as number;
      const exact = ((before[i] as number) * alpha + 255 * (255 - alpha)) / 255;
      if (after[i] !== Math.round(exact)) assert.unreachable(`${before[i]} at ${alpha}: ${exact}, got ${after[i]}`);
    }
    arena.release(mark);
  });

  test('opaque RGBA gives what RGB gives, and what cannot be seen is white', ({ core }) => {
    const rgba = source(75, 58, 4, 3);
    rgba.data.forEach((_, i) => {
      if (i % 4 === 3) rgba.data[i] = 255;
    });
    const rgb: Pixels = { data: rgba.data.filter((_, i) => i % 4 !== 3), width: 75, height: 58 };
    assert.equal(prepared(core, rgba, preprocessings.caffe), prepared(core, rgb, preprocessings.caffe));
    const clear = prepared(core, constant(31, 40, [9, 8, 7, 0]), plain(32, 28));
    assert.ok(clear.every((value) => value === 255));
  });

  test('pixels may be any view of bytes, with channels given or not', ({ core }) => {
    const pixels = source(40, 30, 3, 1);
    const wanted = prepared(core, pixels, plain(32, 28));
    const { data, width, height } = pixels;
    const shifted = new Uint8Array(data.length + 10).subarray(5, 5 + data.length);
    shifted.set(data);
    for (const view of [new Uint8ClampedArray(data), Buffer.from(data), shifted]) {
      assert.equal(prepared(core, { data: view, width, height }, plain(32, 28)), wanted);
    }
  });

  test('every colour is as grey as Pillow has it, of three bytes and of four', ({ core: { arena, kernels } }) => {
    for (const channels of [3, 4]) {
      // Numbers of pixels that are no multiple of four too, and so many that all levels of each colour are there.
      for (const count of [1, 2, 3, 5, 256 * 256]) {
        const mark = arena.mark();
        const ptr = arena.alloc(count * channels + 16);
        const colours = arena.u8(ptr, count * channels);
        for (let i = 0; i < count; i++) {
          colours.set([i & 255, i >> 8, Math.imul(i, 0x9e3779b1) >>> 24, 77].slice(0, channels), i * channels);
        }
        const before = colours.slice();
        kernels.toGrey(ptr, channels, count);
        const grey = arena.u8(ptr, count);
        for (let i = 0; i < count; i++) {
          const [r = 0, g = 0, b = 0] = before.subarray(i * channels);
          const wanted = Math.floor((r * 19595 + g * 38470 + b * 7471 + 0x8000) / 65536);
          if (grey[i] !== wanted) assert.unreachable(`${r} ${g} ${b}: expected ${wanted}, got ${grey[i]}`);
        }
        arena.release(mark);
      }
    }
  });

  test('a grey picture is one channel of the same in colour, and its padding is black', ({ core }) => {
    for (const interpolation of ['nearest', 'bilinear', 'bicubic', 'lanczos'] as const) {
      for (const [resize, crop] of [
        [32, 28],
        [
          [9, 50],
          [13, 41],
        ],
      ] as const) {
        const colour = source(61, 47, 3, 7);
        const data = colour.data.map((_, i) => colour.data[i - (i % 3)] as number);
        const rgb = {
          ...plain(resize, crop),
          interpolation,
          scale: 1 / 255,
          mean: [0.3, 0.3, 0.3],
          std: [0.4, 0.4, 0.4],
        };
        const inColour = prepared(core, { ...colour, data }, rgb);
        const grey = prepared(core, { ...colour, data }, { ...rgb, channelOrder: 'grey', mean: [0.3], std: [0.4] });
        assert.equal(
          grey,
          inColour.filter((_, i) => i % 3 === 0),
        );
      }
    }
  });

  test('beyond sharp edges, where weights are negative, values end at 0 and 255', ({ core }) => {
    const data = new Uint8Array(40 * 40 * 3).map((_, i) => (i % 120 < 60 ? 0 : 255));
    for (const interpolation of ['bicubic', 'lanczos'] as const) {
      const got = prepared(core, { data, width: 40, height: 40 }, { ...plain(80, 80), interpolation });
      const row = [...got.subarray(0, 240)].filter((_, i) => i % 3 === 0);
      // A sum below 0 or above 255 that wraps around would be at the other end.
      assert.ok(row.slice(0, 39).every((value) => value < 20));
      assert.ok(row.slice(41).every((value) => value > 235));
      assert.is(row[37], 0);
      assert.is(row[42], 255);
    }
  });

  test('one preprocessing serves pictures of several sizes in turn', ({ core }) => {
    const preprocessing = { ...plain(32, 28), interpolation: 'bicubic' as const };
    const pictures = [source(50, 61, 3, 1), source(61, 50, 3, 2), source(50, 61, 3, 3), source(50, 61, 3, 3)];
    const kept = pictures.map((pixels) => prepared(core, pixels, preprocessing));
    const anew = pictures.map((pixels) => prepared(core, pixels, { ...preprocessing }));
    assert.equal(kept, anew);
    assert.not.equal(kept[0], kept[2]);
  });

  test('a 24-megapixel photograph needs less than 1 MiB of linear memory', async ({ binary }) => {
    const core = await createCore({ binary });
    const before = core.arena.memory.buffer.byteLength;
    const pixels = { data: new Uint8Array(6000 * 4000 * 4).fill(200), width: 6000, height: 4000 };
    const got = prepared(core, pixels, plain(256, 224));
    const white = Math.round((200 * 200 + 255 * 55) / 255);
    assert.ok(got.every((value) => value === white));
    assert.ok(core.arena.memory.buffer.byteLength - before < 2 ** 20 + got.byteLength);
  });

  test('a strip may be so thin that its resized length exceeds 32 bits', ({ core }) => {
    const data = new Uint8Array(10_000_001 * 3).fill(99);
    for (const interpolation of ['nearest', 'bilinear', 'bicubic', 'lanczos'] as const)
      for (const [width, height] of [
        [10_000_001, 1],
        [1, 10_000_001],
      ] as const) {
        const got = prepared(core, { data, width, height }, { ...plain(256, 224), interpolation });
        assert.ok(got.every((value) => value === 99));
      }
  });

  test('memory that threads share takes pictures too', async ({ core, binary }) => {
    const pixels = source(50, 61, 4, 2);
    const shared = await createCore({ binary, shared: true });
    assert.equal(prepared(shared, pixels, preprocessings.torch), prepared(core, pixels, preprocessings.torch));
  });

  const good = { data: new Uint8Array(12), width: 2, height: 2 };
  for (const [pixels, message] of [
    [{ ...good, width: 0 }, 'image: expected its width to be a whole number from 1, got 0.'],
    [{ ...good, height: 1.5 }, 'image: expected its height to be a whole number from 1, got 1.5.'],
    [{ ...good, width: '2' }, 'image: expected its width to be a whole number from 1, got 2.'],
    [{ ...good, height: Number.NaN }, 'image: expected its height to be a whole number from 1, got NaN.'],
    [{ ...good, data: [1, 2, 3] }, 'image: expected 8-bit pixels, got [1, 2, 3].'],
    [{ ...good, data: new Float32Array(12) }, 'image: expected 8-bit pixels, got a Float32Array.'],
    [{ ...good, data: new Uint8Array(13) }, 'image: expected 3 or 4 bytes for each of 2x2 pixels, got 13.'],
    [{ ...good, channels: 4 }, 'image: expected 16 bytes, got 12.'],
    [{ ...good, data: new Uint8Array(4), channels: 1 }, 'image: expected 3 or 4 channels, got 1.'],
    [{ width: 2, height: 2 }, 'image: expected 8-bit pixels, got undefined.'],
  ] as const) {
    test(`refused: ${message}`, ({ core }) => {
      const mark = core.arena.mark();
      assert.throws(
        () => preprocess(core, pixels as Pixels, preprocessings.torch, mark),
        (error: Error) => error instanceof ResnetError && error.code === 'argument' && error.message === message,
      );
      assert.is(core.arena.mark(), mark);
    });
  }
});

plainTest('a crop is cut as Python rounds: halves to even, and padding has its odd pixel after', () => {
  const firsts = [0, 1, 2, 3, 4, 5, 6, 7].map((more) => cropOf(32 + more, 32 + more, plain(32 + more, 32)).x.first);
  assert.equal(firsts, [0, 0, 1, 2, 2, 2, 3, 4]);
  const befores = [0, 1, 2, 3].map((less) => cropOf(9, 9, plain(32 - less, 32)).y);
  assert.equal(
    befores,
    [0, 1, 2, 3].map((less) => ({ size: 32 - less, first: 0, count: 32 - less, before: less >> 1 })),
  );
});

plainTest('the longer side keeps the ratio, rounded down', () => {
  for (const [width, height, w, h] of [
    [500, 375, 341, 256],
    [375, 500, 256, 341],
    [600, 400, 384, 256],
    [256, 256, 256, 256],
    [1, 97, 256, 24832],
    [451, 300, 384, 256],
  ] as const) {
    const { x, y } = cropOf(width, height, preprocessings.torch);
    assert.equal([x.size, y.size], [w, h]);
    assert.equal([x.count, y.count], [224, 224]);
  }
});

plainTest.run();
