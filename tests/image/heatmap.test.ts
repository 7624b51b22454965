/** Heat maps: colours, interpolation, what stays transparent. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { heat, heatmap } from '../../bindings/image/heatmap.js';
import { uniform } from '../../bindings/weights/uniform.js';

/** Keys 1981, equation 4 with a = −1/2. */
function kernel(distance: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}

/** One pixel of a map that is drawn on width × height pixels, by the definition: the edges go on beyond it. */
function interpolated(map: Float32Array, [h, w]: [number, number], x: number, y: number): number {
  let sum = 0;
  for (let row = -3; row < h + 3; row++)
    for (let column = -3; column < w + 3; column++) {
      const at = Math.min(Math.max(row, 0), h - 1) * w + Math.min(Math.max(column, 0), w - 1);
      sum += (map[at] as number) * kernel(y - row) * kernel(x - column);
    }
  return sum;
}

const pixelsOf = ({ data }: { data: ArrayLike<number> }): number[][] =>
  Array.from({ length: data.length / 4 }, (_, i) => [0, 1, 2, 3].map((k) => data[4 * i + k] as number));

test('larger values are brighter and cover more, but never all; values beyond 0 … 1 are those at the ends', () => {
  const colours = Array.from({ length: 101 }, (_, i) => heat(i / 100));
  const light = ([r, g, b]: readonly number[]) =>
    0.2126 * (r as number) + 0.7152 * (g as number) + 0.0722 * (b as number);
  colours.slice(1).forEach((colour, i) => {
    const before = colours[i] as readonly number[];
    assert.ok(light(colour) > light(before), `lightness at ${i + 1}`);
    assert.ok(colour[3] >= (before[3] as number), `alpha at ${i + 1}`);
  });
  assert.is(colours[0]?.[3], 0);
  assert.ok((colours.at(-1)?.[3] ?? 255) < 200);
  assert.equal(heat(-3), heat(0));
  assert.equal(heat(7), heat(1));
});

test('at a map’s own size, pixels are the colours of its values by the largest', () => {
  const map = Float32Array.of(4, 2, 1, -1, 0, 8);
  const drawn = heatmap(map, [2, 3], 3, 2);
  assert.equal([drawn.width, drawn.height, drawn.channels], [3, 2, 4]);
  const byLargest = Array.from(map, (v) => heat(Math.round((255 * Math.max(v, 0)) / 8) / 255));
  assert.equal(pixelsOf(drawn), byLargest);
});

test('between the values, cubic convolution', () => {
  for (const [h, w, width, height] of [
    [7, 7, 50, 41],
    [3, 5, 16, 9],
    [1, 4, 11, 6],
    [2, 1, 3, 8],
    [9, 8, 5, 4],
  ] as const) {
    const map = uniform(`${h} ${w}`, h * w, -0.5, 2);
    const largest = Math.max(...map);
    const pixels = pixelsOf(heatmap(map, [h, w], width, height));
    assert.is(pixels.length, width * height);
    pixels.forEach((pixel, i) => {
      const [x, y] = [(((i % width) + 0.5) * w) / width - 0.5, ((Math.floor(i / width) + 0.5) * h) / height - 0.5];
      const value = Math.min(Math.max((255 * interpolated(map, [h, w], x, y)) / largest, 0), 255);
      // Of 256 colours the nearest, or where two are as near, either.
      const near = [Math.floor(value - 0.001), Math.round(value), Math.ceil(value + 0.001)]
        .filter((step) => Math.abs(step - value) < 0.501)
        .map((step) => heat(step / 255).join());
      assert.ok(near.includes(pixel.join()), `${h}x${w}, pixel ${i}: expected ${near.join(' or ')}, got ${pixel}`);
    });
  }
});

test('a map without evidence is transparent everywhere, an even one is even', () => {
  for (const value of [-1, 0, Number.NEGATIVE_INFINITY]) {
    const pixels = pixelsOf(heatmap(new Float32Array(6).fill(value), [2, 3], 12, 8));
    assert.ok(
      pixels.every(([, , , alpha]) => alpha === 0),
      `${value}`,
    );
  }
  const even = pixelsOf(heatmap(new Float32Array(6).fill(3), [2, 3], 12, 8));
  assert.ok(even.every((pixel) => pixel.join() === heat(1).join()));
});

test('sizes that do not fit are refused in one sentence', () => {
  const map = new Float32Array(6);
  assert.throws(() => heatmap(map, [2, 2], 4, 4), /^heatmap: expected a map of 2x2 values, got 6\.$/);
  assert.throws(() => heatmap(new Float32Array(0), [0, 0], 4, 4), /^heatmap: expected a map of 0x0 values, got 0\.$/);
  for (const side of [0, -1, 1.5, Number.NaN]) {
    const message = `heatmap: expected its width to be a whole number from 1, got ${side}.`;
    assert.throws(
      () => heatmap(map, [2, 3], side, 4),
      (error: Error) => error.message === message,
    );
  }
});

test.run();
