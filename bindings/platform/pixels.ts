/** Decoded pictures: told from all that has to be decoded, and copied. */

import type { Pixels } from './types.js';

export const isPixels = (image: unknown): image is Pixels =>
  typeof image === 'object' && image !== null && 'data' in image && 'width' in image && 'height' in image;

/** An ImageData's fields are not its own, which a spread would miss. */
export const copyOf = ({ data, width, height, channels }: Pixels): Pixels => ({
  data: data.slice(),
  width,
  height,
  channels,
});
