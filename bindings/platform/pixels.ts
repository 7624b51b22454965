/** Tells decoded pictures from all that has to be decoded. */

import type { Pixels } from './types.js';

export const isPixels = (image: unknown): image is Pixels =>
  typeof image === 'object' && image !== null && 'data' in image && 'width' in image && 'height' in image;
