/** Which pixels of a picture a network sees, by torchvision's Resize and CenterCrop. */

import { cropSize, type Preprocessing } from '../../models/index.js';
import type { Pixels } from '../platform/types.js';

/** What one side of the crop shows: `count` pixels of the resized side from `first` on, after `before` of padding. */
export interface CropSide {
  /** Pixels of the whole side after resizing. */
  readonly size: number;
  readonly first: number;
  readonly count: number;
  readonly before: number;
}

/** The part of a picture that a map covers, in the picture's own upright pixels; it may reach beyond the picture. */
export interface Crop {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Python's round(): halves go to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

function cropSide(size: number, crop: number): CropSide {
  if (size < crop) return { size, first: 0, count: size, before: Math.floor((crop - size) / 2) };
  return { size, first: roundHalfEven((size - crop) / 2), count: crop, before: 0 };
}

/** [width, height] after resizing: the shorter side as given and the other in its ratio, rounded down; or as given. */
function resizedSize(width: number, height: number, resize: Preprocessing['resize']): [number, number] {
  if (typeof resize !== 'number') return [resize[1], resize[0]];
  const other = Math.floor((resize * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? [resize, other] : [other, resize];
}

/**
 * torchvision's Resize and CenterCrop: round((size − crop) / 2) pixels are cut off before the crop, halves to even; a
 * side that is too small is padded.
 */
export function cropOf(
  width: number,
  height: number,
  preprocessing: Pick<Preprocessing, 'resize' | 'crop'>,
): { x: CropSide; y: CropSide } {
  const [w, h] = resizedSize(width, height, preprocessing.resize);
  const [cropHeight, cropWidth] = cropSize(preprocessing);
  return { x: cropSide(w, cropWidth), y: cropSide(h, cropHeight) };
}

/** What a network's input shows of a picture. */
export function shownOf({ width, height }: Pixels, preprocessing: Preprocessing): Crop {
  const { x, y } = cropOf(width, height, preprocessing);
  const [cropHeight, cropWidth] = cropSize(preprocessing);
  const [across, down] = [width / x.size, height / y.size];
  return {
    x: (x.first - x.before) * across,
    y: (y.first - y.before) * down,
    width: cropWidth * across,
    height: cropHeight * down,
  };
}
