/** The filters of one side: what holds for every one of them. Their exact weights are tested by Pillow's bytes. */

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Filters, filtersOf } from '../../bindings/image/filters.js';
import type { Interpolation } from '../../models/index.js';
import { property } from '../support/property.js';

const interpolations: readonly Interpolation[] = ['nearest', 'bilinear', 'bicubic', 'lanczos'];

const whole = (size: number) => ({ size, first: 0, count: size, before: 0 });

/** First source pixel, how many, and the weights. */
const rowOf = ({ taps, rows }: Filters, i: number): number[] => {
  const row = [...rows.subarray(i * (taps + 2), (i + 1) * (taps + 2))];
  return row.slice(0, 2 + (row[1] as number));
};

for (const interpolation of interpolations) {
  test(`${interpolation}: weights sum up to one, and windows move on within the picture`, async () => {
    const side = fc.integer({ min: 1, max: 700 });
    await property(
      fc.tuple(side, side),
      ([length, size]) => {
        const filters = filtersOf(interpolation, length, whole(size));
        let before = 0;
        for (let i = 0; i < size; i++) {
          const [from = -1, count = 0, ...weights] = rowOf(filters, i);
          assert.equal(filters.spans[i], [from, from + count]);
          assert.ok(from >= before && from + count <= length && count >= 1 && count <= filters.taps);
          before = from;
          const sum = weights.reduce((a, b) => a + b, 0);
          assert.ok(Math.abs(sum - 2 ** 22) <= count / 2, `${length} to ${size}, ${i}: ${sum}`);
        }
      },
      { runs: 60 },
    );
  });

  test(`${interpolation}: a size that stays as it is copies its pixels`, () => {
    const filters = filtersOf(interpolation, 9, whole(9));
    for (let i = 0; i < 9; i++) {
      const [from = 0, , ...weights] = rowOf(filters, i);
      const ones = weights.flatMap((weight, x) => (weight === 0 ? [] : [[from + x, weight]]));
      assert.equal(ones, [[i, 2 ** 22]]);
    }
  });

  test(`${interpolation}: the filters of a crop are those of the whole side`, () => {
    const all = filtersOf(interpolation, 77, whole(41));
    const some = filtersOf(interpolation, 77, { size: 41, first: 13, count: 20, before: 0 });
    for (let i = 0; i < 20; i++) assert.equal(rowOf(some, i), rowOf(all, 13 + i));
  });
}

test('how far each filter reaches: 1, 2 or 3 pixels, times what the picture shrinks by', () => {
  const taps = (length: number) => interpolations.map((each) => filtersOf(each, length, whole(40)).taps);
  assert.equal(taps(20), [1, 3, 5, 7]);
  assert.equal(taps(100), [1, 7, 11, 17]);
});

test('the nearest pixel lies under the centre, by a scale that is added up', () => {
  const nearest = (length: number, size: number) =>
    filtersOf('nearest', length, whole(size)).spans.map(([from]) => from);
  assert.equal(nearest(5, 10), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  assert.equal(nearest(10, 5), [1, 3, 5, 7, 9]);
  // The centre of pixel 16 is 2 · 16.5 / 33, which is 1; sixteen sums of 2/33 stay below it.
  assert.equal(nearest(2, 33), [...Array(17).fill(0), ...Array(16).fill(1)]);
});

test.run();
