/** AlexNet (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks"), as torchvision has it. */

import { type ConvOptions, GraphBuilder } from './builder.js';
import type { Graph } from './graph.js';
import { classifier } from './mlp-classifier.js';
import { inputOf, type Network, type NetworkOptions, resolveOptions } from './network.js';
import type { Pair } from './shape.js';

/** Channels and window of each convolution, and whether a 3x3 max pool of stride 2 follows its ReLU. */
const layers: readonly (readonly [channels: number, window: ConvOptions, isPooled: boolean])[] = [
  [64, { kernel: 11, stride: 4, padding: 2 }, true],
  [192, { kernel: 5, padding: 2 }, true],
  [384, { kernel: 3, padding: 1 }, false],
  [256, { kernel: 3, padding: 1 }, false],
  [256, { kernel: 3, padding: 1 }, true],
];

const defaults = { classes: 1000, size: 224 as number | Pair, inChannels: 3 };

function build(given: NetworkOptions = {}): Graph {
  const options = resolveOptions('alexnet', defaults, given);
  const g = new GraphBuilder('alexnet');
  let x = g.input(inputOf('alexnet', options));
  let place = 0;
  for (const [channels, window, isPooled] of layers) {
    x = g.conv(`features.${place++}`, x, channels, { ...window, bias: true });
    x = g.relu(`features.${place++}`, x);
    if (isPooled) x = g.maxPool(`features.${place++}`, x, { kernel: 3, stride: 2 });
  }
  return g.finish(classifier(g, x, 6, [1, 4, 6], options.classes));
}

export const alexnets: Readonly<Record<string, Network>> = {
  alexnet: { family: 'AlexNet', description: '8 layers, convolutions from 11x11 to 3x3', defaults, build },
};
