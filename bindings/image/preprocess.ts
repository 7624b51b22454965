/** Decoded pixels -> resize -> centre crop -> normalise -> NHWC float32, as torchvision does it with Pillow. */

import type { Preprocessing } from '../../models/index.js';
import type { Core } from '../engine/core.js';
import type { Pixels } from '../platform/types.js';

/** What one side of the crop shows: `count` pixels of the resized side from `first` on, after `before` of padding. */
export interface CropSide {
  /** Pixels of the whole side after resizing. */
  readonly size: number;
  readonly first: number;
  readonly count: number;
  readonly before: number;
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

/**
 * torchvision's Resize and CenterCrop: the shorter side becomes `resize` pixels, the other keeps the ratio, rounded down;
 * round((size − crop) / 2) pixels are cut off before the crop, halves to even; a side that is too small is padded.
 */
export function cropOf(width: number, height: number, { resize, crop }: Preprocessing): { x: CropSide; y: CropSide } {
  const other = Math.floor((resize * Math.max(width, height)) / Math.min(width, height));
  const [w, h] = width <= height ? [resize, other] : [other, resize];
  return { x: cropSide(w, crop), y: cropSide(h, crop) };
}

/** What a network's input shows of a picture. */
export function shownOf({ width, height }: Pixels, preprocessing: Preprocessing): Crop {
  const { x, y } = cropOf(width, height, preprocessing);
  const [across, down] = [width / x.size, height / y.size];
  return {
    x: (x.first - x.before) * across,
    y: (y.first - y.before) * down,
    width: preprocessing.crop * across,
    height: preprocessing.crop * down,
  };
}

function checkPixels({ data, width, height, channels }: Pixels): 3 | 4 {
  for (const [name, side] of Object.entries({ width, height })) {
    if (!Number.isInteger(side) || side < 1) {
      throw new TypeError(`image: expected its ${name} to be a whole number from 1, got ${side}.`);
    }
  }
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new TypeError(`image: expected 8-bit pixels, got ${Object.prototype.toString.call(data)}.`);
  }
  const count = channels ?? data.length / (width * height);
  if (channels !== undefined && channels !== 3 && channels !== 4) {
    throw new TypeError(`image: expected 3 or 4 channels, got ${channels}.`);
  }
  if ((count !== 3 && count !== 4) || data.length !== width * height * count) {
    const wanted = channels
      ? `${width * height * channels} bytes`
      : `3 or 4 bytes for each of ${width}x${height} pixels`;
    throw new TypeError(`image: expected ${wanted}, got ${data.length}.`);
  }
  return count;
}

function checkPreprocessing({ resize, crop, channelOrder }: Preprocessing): void {
  for (const [name, side] of Object.entries({ resize, crop })) {
    if (!Number.isInteger(side) || side < 1) {
      throw new TypeError(`preprocessing: expected its ${name} to be a whole number from 1, got ${side}.`);
    }
  }
  if (channelOrder !== 'RGB' && channelOrder !== 'BGR') {
    throw new TypeError(`preprocessing: expected its channelOrder to be RGB or BGR, got ${channelOrder}.`);
  }
}

/** For each channel of the input, 256 float32: (byte · scale − mean) / std. */
function normalisationTable({ scale, mean, std }: Preprocessing): Float32Array {
  return Float32Array.from({ length: 3 * 256 }, (_, i) => {
    const c = i >> 8;
    return ((i & 255) * scale - (mean[c] as number)) / (std[c] as number);
  });
}

/** Filters of one side in linear memory, each a row of `stride` i32: the first source pixel, how many, their weights. */
interface Filters {
  readonly ptr: number;
  readonly taps: number;
  readonly stride: number;
  /** The source pixels of each row: from, to. */
  readonly spans: readonly (readonly [number, number])[];
}

function makeFilters({ kernels, arena }: Core, length: number, { size, first, count }: CropSide): Filters {
  const taps = kernels.resizeTaps(length, size);
  const stride = taps + 2;
  const ptr = arena.alloc(count * stride * 4);
  kernels.resizeFilters(length, size, first, count, ptr);
  const rows = arena.i32(ptr, count * stride);
  const spans = Array.from({ length: count }, (_, i) => {
    const from = rows[i * stride] as number;
    return [from, from + (rows[i * stride + 1] as number)] as const;
  });
  return { ptr, taps, stride, spans };
}

/** Writes a picture as the network's input: see `preprocess`. */
export const imageWriter =
  (pixels: Pixels, preprocessing: Preprocessing): ((core: Core, inputPtr: number) => void) =>
  (core, inputPtr) =>
    preprocess(core, pixels, preprocessing, inputPtr);

/**
 * Writes the network's input, [1, crop, crop, 3] float32 NHWC, at `dstPtr`. Transparent pixels are composed on white
 * before they are resized; what a picture is too small for is black. Of the picture only one row at a time is copied
 * into linear memory, and of it only the columns that the crop shows. Throws a TypeError where `pixels` or `preprocessing` is
 * none.
 */
export function preprocess(core: Core, pixels: Pixels, preprocessing: Preprocessing, dstPtr: number): void {
  const channels = checkPixels(pixels);
  checkPreprocessing(preprocessing);
  const { kernels, arena } = core;
  const { data, width, height } = pixels;
  const { crop } = preprocessing;
  const { x, y } = cropOf(width, height, preprocessing);
  const mark = arena.mark();
  try {
    const columns = makeFilters(core, width, x);
    const rows = makeFilters(core, height, y);
    const [left = 0] = columns.spans[0] ?? [];
    const [, right = 0] = columns.spans.at(-1) ?? [];
    const rowBytes = (right - left) * channels;
    // Whole vectors, and the byte that resizeRow writes after the last pixel.
    const stride = Math.ceil((x.count * 3 + 1) / 16) * 16;
    // composeOnWhite works on whole vectors too.
    const source = arena.alloc(rowBytes + 16);
    const ring = arena.alloc(rows.taps * stride);
    const resized = arena.alloc(stride);
    const table = normalisationTable(preprocessing);
    const tablePtr = arena.alloc(table.byteLength);
    arena.f32(tablePtr, table.length).set(table);
    if (x.count < crop || y.count < crop) fillBlack(arena.f32(dstPtr, crop * crop * 3), table);

    const row = arena.u8(source, rowBytes);
    let next = 0;
    rows.spans.forEach(([from, to], i) => {
      for (next = Math.max(next, from); next < to; next++) {
        const at = (next * width + left) * channels;
        row.set(data.subarray(at, at + rowBytes));
        if (channels === 4) kernels.composeOnWhite(source, right - left);
        const place = ring + (next % rows.taps) * stride;
        kernels.resizeRow(source, left, channels, columns.ptr, columns.taps, x.count, place);
      }
      kernels.resizeColumn(ring, stride, rows.ptr + i * rows.stride * 4, rows.taps, resized);
      const dst = dstPtr + ((y.before + i) * crop + x.before) * 3 * 4;
      kernels.normalise(resized, x.count, preprocessing.channelOrder === 'BGR', tablePtr, dst);
    });
  } finally {
    arena.release(mark);
  }
}

function fillBlack(input: Float32Array, table: Float32Array): void {
  for (let i = 0; i < input.length; i++) input[i] = table[(i % 3) * 256] as number;
}

/** The part of a picture that a map covers, in the picture's own upright pixels; it may reach beyond the picture. */
export interface Crop {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
