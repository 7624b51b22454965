/** A network of the user's own, built the same in Node and in a page. */

import type { Graph, GraphBuilder } from '../../models/index.js';

export function tinyGraph(Builder: typeof GraphBuilder): Graph {
  const g = new Builder('tiny');
  const image = g.input({ h: 32, w: 32, c: 3 });
  const features = g.relu('relu', g.conv('conv', image, 16, { kernel: 3, padding: 1 }));
  return g.finish(g.linear('fc', g.globalAvgPool('pool', features), 10));
}
