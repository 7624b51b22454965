/** Decoded pixels -> resize -> centre crop -> normalise -> NHWC float32, as torchvision does it with Pillow. */

import type { Preset } from '../models/index.js';
import type { Core } from './wasm.js';

/** Decoded 8-bit pixels, row by row from the top left. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** 3 for RGB, 4 for RGBA with straight alpha; by default told from the length of `data`. */
  readonly channels?: 3 | 4;
}

/** Source rows are resized in bands of about so many bytes: a picture of any size needs little linear memory. */
const BAND_BYTES = 2 ** 20;

/** Where one side of the crop lies: `count` pixels of the resized side from `first` on, `before` pixels of padding. */
interface Side {
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

/** CenterCrop of one side: round((size − crop) / 2) is cut off before it; a side that is too small is padded. */
function cropSide(size: number, crop: number): Side {
  if (size < crop) return { size, first: 0, count: size, before: Math.floor((crop - size) / 2) };
  return { size, first: roundHalfEven((size - crop) / 2), count: crop, before: 0 };
}

/** Both sides of the crop. Resize makes the shorter side `resize` long and rounds the other down. */
export function cropOf(width: number, height: number, { resize, crop }: Preset): { x: Side; y: Side } {
  const long = (a: number, b: number): number => Math.max(1, Math.floor((resize * a) / b));
  const [w, h] = width <= height ? [resize, long(height, width)] : [long(width, height), resize];
  return { x: cropSide(w, crop), y: cropSide(h, crop) };
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
  if ((count !== 3 && count !== 4) || data.length !== width * height * count) {
    const wanted = channels ? `${width * height * channels}` : `3 or 4 for each of ${width}x${height} pixels`;
    throw new TypeError(`image: expected ${wanted} bytes, got ${data.length}.`);
  }
  return count;
}

/** For each channel of the input, 256 float32: (byte · scale − mean) / std. */
function normalisationTable({ scale, mean, std }: Preset): Float32Array {
  return Float32Array.from({ length: 3 * 256 }, (_, i) => {
    const c = i >> 8;
    return ((i & 255) * scale - (mean[c] as number)) / (std[c] as number);
  });
}

/**
 * Writes the network's input, [1, crop, crop, 3] float32 NHWC, at `dstPtr`. Transparent pixels are composed on white
 * before they are resized; what a picture is too small for is black. Throws a TypeError where `pixels` is none.
 */
export function preprocess({ kernels, arena }: Core, pixels: Pixels, preset: Preset, dstPtr: number): void {
  const channels = checkPixels(pixels);
  const { data, width, height } = pixels;
  const { crop } = preset;
  const { x, y } = cropOf(width, height, preset);
  const mark = arena.mark();
  try {
    const taps = { x: kernels.resizeTaps(width, x.size), y: kernels.resizeTaps(height, y.size) };
    const filtersX = arena.alloc(x.count * (taps.x + 2) * 4);
    const filtersY = arena.alloc(y.count * (taps.y + 2) * 4);
    kernels.resizeFilters(width, x.size, x.first, x.count, filtersX);
    kernels.resizeFilters(height, y.size, y.first, y.count, filtersY);

    // The source rows that the crop's first and last row weigh.
    const filter = (row: number) => arena.i32(filtersY + row * (taps.y + 2) * 4, 2) as Iterable<number>;
    const [top = 0] = filter(0);
    const [last = 0, lastCount = 0] = filter(y.count - 1);
    const sourceRows = last + lastCount - top;
    const stride = Math.ceil((x.count * 3) / 16) * 16;
    const narrow = arena.alloc(sourceRows * stride);
    const rowBytes = width * channels;
    const bandRows = Math.min(sourceRows, Math.max(1, Math.floor(BAND_BYTES / rowBytes)));
    const band = arena.alloc(bandRows * rowBytes + 1);
    for (let row = 0; row < sourceRows; row += bandRows) {
      const rows = Math.min(bandRows, sourceRows - row);
      const from = (top + row) * rowBytes;
      arena.u8(band, rows * rowBytes).set(data.subarray(from, from + rows * rowBytes));
      if (channels === 4) kernels.composeOnWhite(band, rows * width);
      kernels.resizeRows(band, rows, width, channels, filtersX, taps.x, x.count, narrow + row * stride, stride);
    }
    const small = arena.alloc(y.count * stride);
    kernels.resizeColumns(narrow, top, stride, filtersY, taps.y, y.count, small);

    const table = normalisationTable(preset);
    const tablePtr = arena.alloc(table.byteLength);
    arena.f32(tablePtr, table.length).set(table);
    if (x.count < crop || y.count < crop) {
      const black = [0, 256, 512].map((byte) => table[byte] as number);
      const input = arena.f32(dstPtr, crop * crop * 3);
      for (let i = 0; i < input.length; i++) input[i] = black[i % 3] as number;
    }
    const to = dstPtr + (y.before * crop + x.before) * 3 * 4;
    const isReversed = preset.channelOrder === 'BGR';
    kernels.normalise(small, stride, y.count, x.count, isReversed, tablePtr, to, crop * 3);
  } finally {
    arena.release(mark);
  }
}
