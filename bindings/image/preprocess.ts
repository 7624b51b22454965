/** Decoded pixels -> resize -> centre crop -> normalise -> NHWC float32, as torchvision does it with Pillow. */

import { ResnetError } from '../../models/errors.js';
import { cropSize, type Preprocessing } from '../../models/index.js';
import type { Core } from '../engine/core.js';
import type { Pixels } from '../platform/types.js';
import { isA, shownKind } from '../util/realm.js';
import { type CropSide, cropOf } from './crop.js';
import { type Filters, filtersOf } from './filters.js';

export { type Crop, cropOf, shownOf } from './crop.js';

function checkPixels({ data, width, height, channels }: Pixels): 3 | 4 {
  for (const [name, side] of Object.entries({ width, height })) {
    if (!Number.isInteger(side) || side < 1) {
      throw new ResnetError('argument', `image: expected its ${name} to be a whole number from 1, got ${side}.`);
    }
  }
  if (!isA(data, 'Uint8Array', 'Uint8ClampedArray')) {
    throw new ResnetError('argument', `image: expected 8-bit pixels, got ${shownKind(data)}.`);
  }
  const count = channels ?? data.length / (width * height);
  if (channels !== undefined && channels !== 3 && channels !== 4) {
    throw new ResnetError('argument', `image: expected 3 or 4 channels, got ${channels}.`);
  }
  if ((count !== 3 && count !== 4) || data.length !== width * height * count) {
    const wanted = channels
      ? `${width * height * channels} bytes`
      : `3 or 4 bytes for each of ${width}x${height} pixels`;
    throw new ResnetError('argument', `image: expected ${wanted}, got ${data.length}.`);
  }
  return count;
}

/** For each channel of the input, 256 float32: (byte · scale − mean) / std. */
function normalisationTable({ scale, mean, std }: Preprocessing): Float32Array {
  return Float32Array.from({ length: mean.length * 256 }, (_, i) => {
    const c = i >> 8;
    return ((i & 255) * scale - (mean[c] as number)) / (std[c] as number);
  });
}

/** What depends on a picture's size alone, and not on its pixels. */
interface Plan {
  readonly width: number;
  readonly height: number;
  readonly x: CropSide;
  readonly y: CropSide;
  readonly columns: Filters;
  readonly rows: Filters;
  readonly table: Float32Array;
}

/** The last picture's plan, which serves all frames of a video. */
const plans = new WeakMap<Preprocessing, Plan>();

function planOf(width: number, height: number, preprocessing: Preprocessing): Plan {
  const last = plans.get(preprocessing);
  if (last?.width === width && last.height === height) return last;
  const { x, y } = cropOf(width, height, preprocessing);
  const columns = filtersOf(preprocessing.interpolation, width, x);
  const rows = filtersOf(preprocessing.interpolation, height, y);
  const plan = { width, height, x, y, columns, rows, table: last?.table ?? normalisationTable(preprocessing) };
  plans.set(preprocessing, plan);
  return plan;
}

/** Writes a picture as the network's input: see `preprocess`. */
export const imageWriter =
  (pixels: Pixels, preprocessing: Preprocessing): ((core: Core, inputPtr: number) => void) =>
  (core, inputPtr) =>
    preprocess(core, pixels, preprocessing, inputPtr);

/**
 * Writes the network's input, [1, height, width, channels] of the crop in float32 NHWC, at `dstPtr`. Transparent pixels
 * are composed on white before they are resized, or alpha is dropped; grey is made before resizing too; what a picture
 * is too small for is black. Of the picture only one row at a time is copied into linear memory, and of it only the
 * columns that the crop shows. `preprocessing` is a whole and checked one, and stays as it is: what follows from it is
 * kept for the next picture. Throws if `pixels` are none.
 */
export function preprocess(core: Core, pixels: Pixels, preprocessing: Preprocessing, dstPtr: number): void {
  const channels = checkPixels(pixels);
  const { kernels, arena } = core;
  const { data, width, height } = pixels;
  const { channelOrder, transparency } = preprocessing;
  const isGrey = channelOrder === 'grey';
  const outChannels = isGrey ? 1 : 3;
  const [cropHeight, cropWidth] = cropSize(preprocessing);
  const { x, y, columns, rows, table } = planOf(width, height, preprocessing);
  const mark = arena.mark();
  try {
    const columnsPtr = arena.alloc(columns.rows.byteLength);
    const rowsPtr = arena.alloc(rows.rows.byteLength);
    const [left = 0] = columns.spans[0] ?? [];
    const [, right = 0] = columns.spans.at(-1) ?? [];
    const rowBytes = (right - left) * channels;
    // Whole vectors, and the byte that resizeRow writes after the last pixel.
    const stride = Math.ceil((x.count * outChannels + 1) / 16) * 16;
    // composeOnWhite and toGrey work on whole vectors too.
    const source = arena.alloc(rowBytes + 16);
    const ring = arena.alloc(rows.taps * stride);
    const resized = arena.alloc(stride);
    const tablePtr = arena.alloc(table.byteLength);
    arena.i32(columnsPtr, columns.rows.length).set(columns.rows);
    arena.i32(rowsPtr, rows.rows.length).set(rows.rows);
    arena.f32(tablePtr, table.length).set(table);
    if (x.count < cropWidth || y.count < cropHeight) {
      fillBlack(arena.f32(dstPtr, cropHeight * cropWidth * outChannels), table, outChannels);
    }

    const row = arena.u8(source, rowBytes);
    const isComposed = channels === 4 && transparency === 'white';
    let next = 0;
    rows.spans.forEach(([from, to], i) => {
      for (next = Math.max(next, from); next < to; next++) {
        const at = (next * width + left) * channels;
        row.set(data.subarray(at, at + rowBytes));
        if (isComposed) kernels.composeOnWhite(source, right - left);
        const place = ring + (next % rows.taps) * stride;
        if (isGrey) {
          kernels.toGrey(source, channels, right - left);
          kernels.resizeGreyRow(source, left, columnsPtr, columns.taps, x.count, place);
        } else {
          kernels.resizeRow(source, left, channels, columnsPtr, columns.taps, x.count, place);
        }
      }
      kernels.resizeColumn(ring, stride, rowsPtr + i * (rows.taps + 2) * 4, rows.taps, resized);
      const dst = dstPtr + ((y.before + i) * cropWidth + x.before) * outChannels * 4;
      if (isGrey) kernels.normaliseGrey(resized, x.count, tablePtr, dst);
      else kernels.normalise(resized, x.count, channelOrder === 'BGR', tablePtr, dst);
    });
  } finally {
    arena.release(mark);
  }
}

function fillBlack(input: Float32Array, table: Float32Array, channels: number): void {
  for (let i = 0; i < input.length; i++) input[i] = table[(i % channels) * 256] as number;
}
