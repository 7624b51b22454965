/** Shapes of tensors: sizes along each axis. */

import { ResnetError } from '../../models/errors.js';
import { shown } from './messages.js';

/** Counts the elements of a tensor: 1 for a scalar, whose shape is empty. */
export const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** Tells whether two shapes have the same sizes in the same order. */
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, axis) => n === b[axis]);

/** Returns a shape that comes from outside. Throws, `subject` first, if it is none. */
export function checkedShape(subject: string, shape: unknown): number[] {
  const isValid = Array.isArray(shape) && shape.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!isValid)
    throw new ResnetError('weights', `${subject}: expected a shape of whole numbers from 0, got ${shown(shape)}.`);
  return shape;
}
