/** Shapes of tensors: sizes along each axis. */

/** Counts the elements of a tensor: 1 for a scalar, whose shape is empty. */
export const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** Tells whether two shapes have the same sizes in the same order. */
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, axis) => n === b[axis]);
