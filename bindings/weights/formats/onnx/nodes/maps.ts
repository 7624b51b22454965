/** Values that are maps: [N, C, H, W], or sequences [N, C, W], with channels last in memory. */

import type { Shape } from '../../../../../models/index.js';
import type { Call } from '../call.js';
import type { Network } from '../network.js';
import { dimsOf, laidOut, type Value } from '../value.js';

/** The value with its channels, the second dimension, last in memory, in a node of its rows, columns and channels. */
export function mapOf(net: Network, call: Call, value: Value): Value {
  const { length: rank } = value.dims;
  if (rank !== 3 && rank !== 4)
    throw call.refusal(`it reads a tensor of ${rank} dimensions, and maps have four, or three of one row`);
  const [n = 1] = dimsOf(value);
  if (n !== 1 && !value.isBatched) throw call.refusal(`it reads ${n} images at once`);
  return rank === 3 ? net.arranged(call, value, [], [2], [1]) : net.arranged(call, value, [2], [3], [1]);
}

/** A map whose node has this shape: its dimensions are the node's, those of a sequence one fewer. */
export function named(value: Value, { h, w, c }: Shape): Value {
  const { dims, isBatched } = value;
  const [n = 1] = dimsOf(value);
  const rank = dims.length;
  const sizes = rank === 3 ? [n, c, w] : [n, c, h, w];
  const order = rank === 3 ? [0, 2, 1] : [0, 2, 3, 1];
  return { ...value, ...laidOut(sizes, order), isBatched };
}
