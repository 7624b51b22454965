/** What makes a constant of constants. */

import type { Call } from '../call.js';
import type { Tensor } from '../types.js';

/**
 * Makes a constant of constants; an input that is left out is undefined. `room` counts the values of dimensions that an
 * attribute or a value chose, and throws if they are too many.
 */
export type Folder = (
  call: Call,
  tensors: readonly (Tensor | undefined)[],
  room: (dims: readonly number[]) => number,
) => Tensor;
