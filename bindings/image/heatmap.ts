/** Class activation maps as pictures: the page and the command line draw the same. */

import { ResnetError } from '../../models/errors.js';

/** An RGBA picture with straight alpha, which an ImageData can be made of. */
export interface Heatmap {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  readonly channels: 4;
}

/** Inferno (van der Walt & Smith 2015) in steps of 1/8: as bright as the value is large, to colour-blind eyes too. */
const INFERNO = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
] as const;

/** The most that is laid over a picture, so that it stays to be seen. */
const OPACITY = 0.7;

/** Red, green, blue and alpha, 0 … 255, of a value in 0 … 1: from nothing over purple and red to yellow. */
export function heat(value: number): readonly [number, number, number, number] {
  const at = Math.min(Math.max(value, 0), 1) * (INFERNO.length - 1);
  const step = Math.min(Math.floor(at), INFERNO.length - 2);
  const channel = (i: 0 | 1 | 2): number => {
    const [from, to] = [INFERNO[step]?.[i] ?? 0, INFERNO[step + 1]?.[i] ?? 0];
    return Math.round(from + (to - from) * (at - step));
  };
  const share = at / (INFERNO.length - 1);
  return [channel(0), channel(1), channel(2), Math.round(255 * OPACITY * share * (2 - share))];
}

/** The four values that make one pixel, and their weights. */
interface Taps {
  readonly at: readonly number[];
  readonly weights: readonly number[];
}

/** Cubic convolution (Keys 1981, a = −1/2) from `from` to `to` pixels, centres on centres; the edges go on beyond. */
function cubicTaps(from: number, to: number): Taps[] {
  return Array.from({ length: to }, (_, i) => {
    const place = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(place);
    const t = place - first;
    const at = [-1, 0, 1, 2].map((k) => Math.min(Math.max(first + k, 0), from - 1));
    const weights = [
      ((2 - t) * t - 1) * t * 0.5,
      ((3 * t - 5) * t * t + 2) * 0.5,
      ((4 - 3 * t) * t + 1) * t * 0.5,
      (t - 1) * t * t * 0.5,
    ];
    return { at, weights };
  });
}

/**
 * A map [h, w] of evidence as a picture of width × height pixels, to be laid over the crop that it belongs to. Its largest
 * value has the strongest colour; what is 0 or less speaks against the class, and is transparent. Throws if
 * the sizes do not fit.
 */
export function heatmap(map: Float32Array, [h, w]: readonly [number, number], width: number, height: number): Heatmap {
  for (const [name, side] of Object.entries({ width, height })) {
    if (!Number.isInteger(side) || side < 1) {
      throw new ResnetError('argument', `heatmap: expected its ${name} to be a whole number from 1, got ${side}.`);
    }
  }
  if (map.length !== h * w || map.length === 0) {
    throw new ResnetError('argument', `heatmap: expected a map of ${h}x${w} values, got ${map.length}.`);
  }
  const largest = map.reduce((a, b) => Math.max(a, b), 0);
  const scale = largest > 0 ? 255 / largest : 0;
  const colours = Uint8ClampedArray.from(Array.from({ length: 256 }, (_, i) => heat(i / 255)).flat());

  const rows = new Float32Array(h * width);
  const across = cubicTaps(w, width);
  for (let y = 0; y < h; y++) {
    across.forEach(({ at, weights }, x) => {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += (weights[k] as number) * (map[y * w + (at[k] as number)] as number);
      rows[y * width + x] = sum * scale;
    });
  }
  const data = new Uint8ClampedArray(width * height * 4);
  cubicTaps(h, height).forEach(({ at, weights }, y) => {
    const [a, b, c, d] = at.map((row) => row * width) as [number, number, number, number];
    const [ka, kb, kc, kd] = weights as [number, number, number, number];
    for (let x = 0; x < width; x++) {
      const value =
        ka * (rows[a + x] as number) +
        kb * (rows[b + x] as number) +
        kc * (rows[c + x] as number) +
        kd * (rows[d + x] as number);
      const colour = 4 * Math.round(Math.min(Math.max(value, 0), 255));
      const to = 4 * (y * width + x);
      for (let i = 0; i < 4; i++) data[to + i] = colours[colour + i] as number;
    }
  });
  return { data, width, height, channels: 4 };
}
