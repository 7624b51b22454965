/** What operations that slide a window over a map have in common. */

import { ResnetError } from '../errors.js';
import { type Padding, type Pair, type Shape, shapeText } from '../shape.js';
import type { Fields } from './op.js';

export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Padding;
}

/** Height and width of the output: floor((in + padding − dilation · (kernel − 1) − 1) / stride) + 1. */
export function windowed(
  from: Shape,
  { kernel, stride, padding }: Window,
  dilation: Pair,
  subject: string,
): { h: number; w: number } {
  const padded: Pair = [from.h + padding.top + padding.bottom, from.w + padding.left + padding.right];
  const along = (axis: 0 | 1): number =>
    Math.floor((padded[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]) + 1;
  const [h, w] = [along(0), along(1)];
  if (h < 1 || w < 1) {
    throw new ResnetError(
      'argument',
      `${subject}: expected an input that a ${kernel.join('x')} window fits into, got ${shapeText(from)} (${padded.join('x')} with padding).`,
    );
  }
  return { h, w };
}

export const windowFields = ({ kernel, stride, padding }: Window): Fields => ({
  kh: kernel[0],
  kw: kernel[1],
  strideH: stride[0],
  strideW: stride[1],
  padTop: padding.top,
  padLeft: padding.left,
});

/** `2`, or `2x1` if rows and columns differ. */
export const once = ([a, b]: Pair): string => (a === b ? `${a}` : `${a}x${b}`);
