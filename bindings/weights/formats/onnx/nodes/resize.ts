/** Maps in another size. */

import type { Pair, ResizeCoordinates, ResizeMode, ResizeRounding } from '../../../../../models/index.js';
import type { Call } from '../call.js';
import { dimsOf } from '../value.js';
import type { Handler, Handlers } from './handler.js';
import { mapOf } from './maps.js';
import { mapLike } from './windows.js';

const MODES: Readonly<Record<string, ResizeMode>> = {
  nearest: 'nearest',
  linear: 'bilinear',
  bilinear: 'bilinear',
  cubic: 'cubic',
};

const COORDINATES: Readonly<Record<string, ResizeCoordinates>> = {
  half_pixel: 'halfPixel',
  asymmetric: 'asymmetric',
  align_corners: 'alignCorners',
  pytorch_half_pixel: 'pytorchHalfPixel',
  half_pixel_symmetric: 'halfPixelSymmetric',
};

const ROUNDINGS: Readonly<Record<string, ResizeRounding>> = {
  floor: 'floor',
  ceil: 'ceil',
  round_prefer_floor: 'preferFloor',
  round_prefer_ceil: 'preferCeil',
};

function chosen<Row>(call: Call, table: Readonly<Record<string, Row>>, name: string, usual: string): Row {
  const text = call.text(name, usual);
  const row = Object.hasOwn(table, text) ? table[text] : undefined;
  if (row === undefined) throw call.refusal(`its ${name} is ${text}`);
  return row;
}

/** How pixels of the result lie among those of the input, and how `nearest` takes one of these. */
function sampling(call: Call): { coordinates: ResizeCoordinates; rounding: ResizeRounding } {
  const own = call.text('coordinate_transformation_mode', 'half_pixel');
  // (y + ½) / s rounded down is (y + ½) / s − ½ rounded to the nearest.
  if (own === 'tf_half_pixel_for_nn' && call.text('nearest_mode', '') === 'floor')
    return { coordinates: 'halfPixel', rounding: 'preferCeil' };
  return {
    coordinates: chosen(call, COORDINATES, 'coordinate_transformation_mode', 'half_pixel'),
    rounding: chosen(call, ROUNDINGS, 'nearest_mode', 'round_prefer_floor'),
  };
}

const resize: Handler = (net, call) => {
  const given = call.value();
  // Up to opset 10 pixels begin at their corners, and `nearest` takes the lower.
  const isOld = call.op === 'Upsample' || call.opset < 11;
  const attributes = {
    mode: chosen(call, MODES, 'mode', 'nearest'),
    ...(isOld ? { coordinates: 'asymmetric' as const, rounding: 'floor' as const } : sampling(call)),
    ...(call.int('antialias', 0) === 1 ? { antialias: true } : {}),
    ...(call.int('exclude_outside', 0) === 1 ? { excludesOutside: true } : {}),
    cubic: call.float('cubic_coeff_a', -0.75),
  };
  const policy = call.text('keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') throw call.refusal(`its keep_aspect_ratio_policy is ${policy}`);
  const dims = dimsOf(given);
  const rank = dims.length;
  const axes = call.ints('axes')?.map((axis) => call.axis(axis, rank)) ?? dims.map((_, i) => i);
  const whole = (list: readonly number[] | undefined, usual: (dim: number) => number) =>
    list && list.length > 0 ? dims.map((_, dim) => list[axes.indexOf(dim)] ?? usual(dim)) : undefined;
  const ratios = isOld
    ? (call.node.attributes.get('scales')?.floats ?? call.inputIntegers(1, 'scales'))
    : call.inputIntegers(2, 'scales');
  const scales = whole(ratios, () => 1);
  const sizes = whole(isOld ? undefined : call.inputIntegers(3, 'sizes'), (dim) => dims[dim] ?? 1);
  const made = sizes ?? scales?.map((scale, i) => Math.floor((dims[i] ?? 1) * scale));
  if (!made) throw call.malformed('scales or sizes', undefined);
  if (made[0] !== dims[0] || made[1] !== dims[1]) throw call.refusal('it changes the batch or the channels');
  const isWhole = sizes || (scales ?? []).every((n, i) => made[i] === (dims[i] ?? 1) * n);
  if (attributes.coordinates === 'alignCorners' && !isWhole) throw call.refusal('it aligns corners of no whole pixels');
  const x = mapOf(net, call, given);
  const [h = 1, w = 1] = rank === 3 ? [1, made[2]] : made.slice(2);
  const scale = (rank === 3 ? [1, scales?.[2]] : scales?.slice(2)) as Pair | undefined;
  const told = sizes === undefined && scale ? { scale } : {};
  return mapLike(net, x, net.add(call, 'resize', [x.node], { h, w, ...attributes, ...told }));
};

export const resizing: Handlers = { Resize: resize, Upsample: resize };
