/** Channels of a feature map as small pictures. */

import type { FeatureMap } from '../bindings/index.web.js';

/** One channel, [h, w], and what its values are like. */
export interface Channel {
  readonly index: number;
  readonly least: number;
  readonly greatest: number;
  readonly mean: number;
}

/** All channels, the one of the greatest mean magnitude first. */
export function channelsOf({ data, shape: [height, width, count] }: FeatureMap): Channel[] {
  const pixels = height * width;
  const least = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const greatest = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  const sum = new Float64Array(count);
  const magnitude = new Float64Array(count);
  for (let i = 0, c = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (value < (least[c] as number)) least[c] = value;
    if (value > (greatest[c] as number)) greatest[c] = value;
    sum[c] = (sum[c] as number) + value;
    magnitude[c] = (magnitude[c] as number) + Math.abs(value);
    if (++c === count) c = 0;
  }
  return Array.from({ length: count }, (_, index) => index)
    .sort((a, b) => (magnitude[b] as number) - (magnitude[a] as number) || a - b)
    .map((index) => ({
      index,
      least: least[index] as number,
      greatest: greatest[index] as number,
      mean: (sum[index] as number) / pixels,
    }));
}

type Rgb = readonly [number, number, number];

// From the least value to the greatest: lightness grows all the way, so that it reads without colour too.
const RAMP: readonly Rgb[] = [
  [12, 20, 24],
  [10, 78, 84],
  [38, 150, 128],
  [150, 210, 140],
  [250, 245, 205],
];

/** The colour of a value, 0 … 1. */
export function colourOf(value: number): Rgb {
  const at = Math.min(1, Math.max(0, value)) * (RAMP.length - 1);
  const i = Math.min(RAMP.length - 2, Math.floor(at));
  const [low, high] = [RAMP[i] as Rgb, RAMP[i + 1] as Rgb];
  const mix = (k: 0 | 1 | 2): number => low[k] + (high[k] - low[k]) * (at - i);
  return [mix(0), mix(1), mix(2)];
}

const LEVELS = 256;
// Made once: a map of VGG has 50,000 pixels in each of its 64 channels.
const TABLE = Uint8ClampedArray.from(
  Array.from({ length: LEVELS }, (_, i) => [...colourOf(i / (LEVELS - 1)), LEVELS - 1]).flat(),
);

/** RGBA of one channel, from its least value (dark) to its greatest (light); a channel of one value is dark. */
export function pixelsOf({ data, shape: [height, width, count] }: FeatureMap, channel: Channel): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(height * width * 4);
  const scale = (LEVELS - 1) / (channel.greatest - channel.least || 1);
  for (let i = 0, from = channel.index; i < pixels.length; i += 4, from += count) {
    const at = 4 * Math.round(((data[from] as number) - channel.least) * scale);
    for (let k = 0; k < 4; k++) pixels[i + k] = TABLE[at + k] as number;
  }
  return pixels;
}
