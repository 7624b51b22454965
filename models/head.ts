/** The fully connected end that AlexNet and VGG share. */

import { type GraphBuilder, type NodeId, shapeText } from './graph.js';

/**
 * torchvision's adaptive average pool to side × side: nothing to do at the published input size. Throws a RangeError
 * where the map is not a multiple of it.
 */
export function poolTo(g: GraphBuilder, name: string, x: NodeId, side: number): NodeId {
  const { h, w } = g.shape(x);
  if (h % side !== 0 || w % side !== 0) {
    const got = shapeText(g.shape(x));
    throw new RangeError(
      `${name}: expected a map that ${side}x${side} windows divide before the classifier, got ${got}.`,
    );
  }
  return h === side && w === side ? x : g.avgPool('avgpool', x, { kernel: [h / side, w / side] });
}

/** Three linear layers, 4096 wide, ReLU between; `places`: theirs in the module `classifier`, whose dropouts do nothing. */
export function classifier(
  g: GraphBuilder,
  x: NodeId,
  places: readonly [number, number, number],
  classes: number,
): NodeId {
  const [first, second, last] = places;
  let y = g.relu(`classifier.${first + 1}`, g.linear(`classifier.${first}`, x, 4096));
  y = g.relu(`classifier.${second + 1}`, g.linear(`classifier.${second}`, y, 4096));
  return g.linear(`classifier.${last}`, y, classes);
}
