/** Variants of a picture to learn from: mirrored, cropped. */

import type { Pixels } from '../platform/types.js';
import { uniform } from '../weights/uniform.js';

/** A crop has at least this part of each side. */
const LEAST_SIDE = 0.8;

/**
 * Makes variant `index` of a picture, from 0 on: every second one is mirrored, and all but the first are crops, whose sides and
 * places are a pure function of the index.
 */
export function variant(
  { data, width, height, channels = (data.length / (width * height)) as 3 | 4 }: Pixels,
  index: number,
): Pixels {
  const [side, x, y] = index === 0 ? [1, 0, 0] : uniform(`variant ${index}`, 3, 0, 1);
  const part = index === 0 ? 1 : LEAST_SIDE + (1 - LEAST_SIDE) * (side as number);
  const [w, h] = [Math.max(1, Math.round(width * part)), Math.max(1, Math.round(height * part))];
  const [left, top] = [Math.round((x as number) * (width - w)), Math.round((y as number) * (height - h))];
  const isMirrored = index % 2 === 0;
  const to = new Uint8Array(w * h * channels);
  for (let row = 0, at = 0; row < h; row++) {
    const line = (top + row) * width + left;
    for (let column = 0; column < w; column++) {
      const from = (line + (isMirrored ? w - 1 - column : column)) * channels;
      for (let c = 0; c < channels; c++) to[at++] = data[from + c] as number;
    }
  }
  return { data: to, width: w, height: h, channels };
}
