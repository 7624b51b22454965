/** torchvision's preprocessing in float64: resizing with Pillow's filters by their definitions, and cropping. */

import type { Pixels } from '../../bindings/platform/types.js';
import { cropSize, type Interpolation, type Preprocessing } from '../../models/index.js';

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Each filter by its definition; the second is Keys 1981's with a = −1/2. */
const filters: Readonly<Record<Exclude<Interpolation, 'nearest'>, (x: number) => number>> = {
  bilinear: (x) => Math.max(0, 1 - x),
  bicubic: (x) => {
    if (x < 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
    return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
  },
  lanczos: (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0),
};

/**
 * The weights of one output pixel over all input pixels, to 22 bits as Pillow has them: where the scale is a whole
 * number, many sums lie halfway between two bytes, and exact weights would round them the other way, in both passes.
 */
function weightsOf(interpolation: Interpolation, inSize: number, outSize: number, at: number): number[] {
  const scale = inSize / outSize;
  const support = Math.max(scale, 1);
  const center = (at + 0.5) * scale;
  if (interpolation === 'nearest') return Array.from({ length: inSize }, (_, i) => (i === Math.floor(center) ? 1 : 0));
  const weights = Array.from({ length: inSize }, (_, i) =>
    filters[interpolation](Math.abs(i + 0.5 - center) / support),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => Math.round((w / sum) * 2 ** 22) / 2 ** 22);
}

type Picture = number[][][];

const transpose = (picture: Picture): Picture =>
  (picture[0] ?? []).map((_, x) => picture.map((row) => row[x] as number[]));

const toByte = (value: number): number => Math.min(Math.max(Math.round(value), 0), 255);

function resizeWidth(picture: Picture, size: number, interpolation: Interpolation): Picture {
  const width = picture[0]?.length ?? 0;
  const weights = Array.from({ length: size }, (_, x) => weightsOf(interpolation, width, size, x));
  return picture.map((row) =>
    weights.map((filter) =>
      [0, 1, 2].map((c) => toByte(filter.reduce((sum, w, x) => sum + w * (row[x]?.[c] ?? 0), 0))),
    ),
  );
}

/** Python's round. */
const round = (value: number): number => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/** torchvision's Resize, CenterCrop, ToTensor and Normalize by the text of its documentation, as bytes before Normalize. */
export function torchvisionReference(
  { data, width, height, channels = 3 }: Pixels,
  { resize, crop, interpolation, transparency }: Preprocessing,
): Picture {
  let picture: Picture = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => {
      const at = (y * width + x) * channels;
      const alpha = channels === 4 && transparency === 'white' ? (data[at + 3] as number) / 255 : 1;
      return [0, 1, 2].map((c) => Math.round((data[at + c] as number) * alpha + 255 * (1 - alpha)));
    }),
  );
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  let [newHeight, newWidth] = [0, 0];
  if (typeof resize === 'number') {
    const other = Math.trunc((resize * long) / short);
    [newHeight, newWidth] = width <= height ? [other, resize] : [resize, other];
  } else [newHeight, newWidth] = resize;
  picture = resizeWidth(picture, newWidth, interpolation);
  picture = transpose(resizeWidth(transpose(picture), newHeight, interpolation));

  const [h, w] = [picture.length, picture[0]?.length ?? 0];
  const black = [0, 0, 0];
  const [cropH, cropW] = cropSize({ crop });
  const left = Math.floor(Math.max(0, cropW - w) / 2);
  const top = Math.floor(Math.max(0, cropH - h) / 2);
  const [paddedW, paddedH] = [Math.max(w, cropW), Math.max(h, cropH)];
  const [y0, x0] = [round((paddedH - cropH) / 2), round((paddedW - cropW) / 2)];
  return Array.from({ length: cropH }, (_, y) =>
    Array.from({ length: cropW }, (_, x) => picture[y0 + y - top]?.[x0 + x - left] ?? black),
  );
}
