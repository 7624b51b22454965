/**
 * The weights with which pixels are resized along one side, as Pillow's Image.resize has them (Resample.c and, for
 * `nearest`, Geometry.c), to the last bit of its fixed point.
 */

import type { Interpolation } from '../../models/index.js';
import type { CropSide } from './crop.js';

/** Filters of one side: `rows` has one of `taps + 2` numbers per output pixel: the first source pixel, how many, their weights. */
export interface Filters {
  readonly taps: number;
  readonly rows: Int32Array;
  /** The source pixels of each output pixel: from, to. */
  readonly spans: readonly (readonly [number, number])[];
}

/** A weight of 1: assembly/resize.ts has as many fraction bits. */
const ONE = 1 << 22;

/** A filter by the distance in output pixels (in source pixels if the picture grows), and how far it reaches. */
interface Kernel {
  readonly support: number;
  weight(distance: number): number;
}

function sinc(x: number): number {
  if (x === 0) return 1;
  const angle = x * Math.PI;
  return Math.sin(angle) / angle;
}

// Written in Pillow's order of operations: another one rounds some weights otherwise.
const kernels: Readonly<Record<Exclude<Interpolation, 'nearest'>, Kernel>> = {
  bilinear: { support: 1, weight: (distance) => Math.max(1 - Math.abs(distance), 0) },
  /** Keys 1981 with a = −1/2. */
  bicubic: {
    support: 2,
    weight: (distance) => {
      const x = Math.abs(distance);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    },
  },
  /** Three lobes of a sinc under the middle one of a wider sinc. */
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** To fixed point, halves away from zero. */
const fixed = (weight: number): number => Math.trunc(weight * ONE + (weight < 0 ? -0.5 : 0.5));

function weightedFilters({ support, weight }: Kernel, length: number, { size, first, count }: CropSide): Filters {
  const scale = length / size;
  const widening = Math.max(scale, 1);
  const reach = support * widening;
  // As Pillow does: a quotient here would round some weights otherwise.
  const perPixel = 1 / widening;
  const taps = Math.ceil(reach) * 2 + 1;
  const rows = new Int32Array(count * (taps + 2));
  const weights = new Float64Array(taps);
  const spans = Array.from({ length: count }, (_, i) => {
    const center = (first + i + 0.5) * scale;
    const from = Math.max(Math.trunc(center - reach + 0.5), 0);
    const to = Math.min(Math.trunc(center + reach + 0.5), length);
    let sum = 0;
    for (let x = from; x < to; x++) {
      const each = weight((x - center + 0.5) * perPixel);
      weights[x - from] = each;
      sum += each;
    }
    const row = i * (taps + 2);
    rows[row] = from;
    rows[row + 1] = to - from;
    for (let x = 0; x < to - from; x++) rows[row + 2 + x] = fixed((weights[x] as number) / sum);
    return [from, to] as const;
  });
  return { taps, rows, spans };
}

/** No side of a picture in Pillow comes near this; to add up the places of a thinner strip would take seconds. */
const LONGEST = 2 ** 24;

/**
 * One source pixel each, the one under the centre. Pillow adds the scale up from pixel to pixel, and its rounding with
 * it, which now and then decides between two neighbours.
 */
function nearestFilters(length: number, { size, first, count }: CropSide): Filters {
  const scale = length / size;
  const rows = new Int32Array(count * 3);
  let place = scale * 0.5;
  if (size > LONGEST) place += first * scale;
  else for (let i = 0; i < first; i++) place += scale;
  const spans = Array.from({ length: count }, (_, i) => {
    const from = Math.min(Math.trunc(place), length - 1);
    rows.set([from, 1, ONE], i * 3);
    place += scale;
    return [from, from + 1] as const;
  });
  return { taps: 1, rows, spans };
}

/** The filters of what a crop shows of one side of `length` source pixels. */
export const filtersOf = (interpolation: Interpolation, length: number, side: CropSide): Filters =>
  interpolation === 'nearest' ? nearestFilters(length, side) : weightedFilters(kernels[interpolation], length, side);
