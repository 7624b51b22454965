/** The end that AlexNet and VGG share. */

import type { GraphBuilder } from './builder.js';
import type { NodeId } from './graph.js';

/**
 * Average pool to side × side, which the map is already at the published input size, and three linear layers, 4096 wide,
 * with ReLU between. `places`: theirs in the module `classifier`, whose dropouts do nothing.
 */
export function classifier(
  g: GraphBuilder,
  x: NodeId,
  side: number,
  [first, second, last]: readonly [number, number, number],
  classes: number,
): NodeId {
  const { h, w } = g.shape(x);
  let y = h === side && w === side ? x : g.adaptiveAvgPool('avgpool', x, side, side);
  y = g.relu(`classifier.${first + 1}`, g.linear(`classifier.${first}`, y, 4096));
  y = g.relu(`classifier.${second + 1}`, g.linear(`classifier.${second}`, y, 4096));
  return g.linear(`classifier.${last}`, y, classes);
}
