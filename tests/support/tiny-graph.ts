/** A network of the user's own, built the same in Node and in a page. Its weights are those of tests/data/pth. */

import type { Graph, GraphBuilder } from '../../models/index.js';

export function tinyGraph(Builder: typeof GraphBuilder): Graph {
  const g = new Builder('tiny');
  const image = g.input({ h: 32, w: 32, c: 3 });
  const conv = g.conv('conv1', image, 4, { kernel: 3, padding: 1 });
  const features = g.relu('relu', g.batchNorm('bn1', conv));
  return g.finish(g.linear('linear', g.globalAvgPool('pool', features), 11));
}
