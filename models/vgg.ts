/** VGG (Simonyan and Zisserman 2015), as torchvision has it: what He et al. 2015 compare with. A depth is one row. */

import { GraphBuilder } from './builder.js';
import type { Graph } from './graph.js';
import { classifier } from './mlp-classifier.js';
import { type Aliases, inputOf, type Network, type NetworkOptions, resolveOptions } from './network.js';
import type { Pair } from './shape.js';

/** 3x3 convolutions before each of the five max pools: configurations A, B, D and E of table 1. */
const counts = {
  vgg11: [1, 1, 2, 2, 2],
  vgg13: [2, 2, 2, 2, 2],
  vgg16: [2, 2, 3, 3, 3],
  vgg19: [2, 2, 4, 4, 4],
} as const;

const widths = [64, 128, 256, 512, 512] as const;

/** timm's names. It has the fully connected layers as convolutions over the whole map. */
const aliases: Aliases = {
  torch: [
    [/^pre_logits\.fc1\./, 'classifier.0.'],
    [/^pre_logits\.fc2\./, 'classifier.3.'],
    [/^head\.fc\./, 'classifier.6.'],
  ],
  flattened: /^classifier\.[03]\.weight$/,
};

function vgg(name: string, convolutions: readonly number[], hasNorm: boolean): Network {
  const shared = { classes: 1000, size: 224 as number | Pair, inChannels: 3 };
  const defaults: typeof shared & { batchNormEps?: number } = hasNorm ? { ...shared, batchNormEps: 1e-5 } : shared;

  function build(given: NetworkOptions = {}): Graph {
    const options = resolveOptions(name, defaults, given);
    const g = new GraphBuilder(name);
    let x = g.input(inputOf(name, options));
    let place = 0;
    const next = (): string => `features.${place++}`;
    convolutions.forEach((count, stage) => {
      for (let i = 0; i < count; i++) {
        x = g.conv(next(), x, widths[stage] as number, { kernel: 3, padding: 1, bias: true });
        if (hasNorm) x = g.batchNorm(next(), x, options.batchNormEps);
        x = g.relu(next(), x);
      }
      x = g.maxPool(next(), x, { kernel: 2 });
    });
    return g.finish(classifier(g, x, 7, [0, 3, 6], options.classes));
  }

  const depth = convolutions.reduce((sum, count) => sum + count, 3);
  const description = `${depth} layers, 3x3 convolutions${hasNorm ? ' with batch norm' : ''}`;
  return { family: 'VGG', description, defaults, aliases, build };
}

/** Every VGG by name. */
export const vggs: Readonly<Record<string, Network>> = Object.fromEntries(
  Object.entries(counts).flatMap(([name, convolutions]) => [
    [name, vgg(name, convolutions, false)],
    [`${name}_bn`, vgg(`${name}_bn`, convolutions, true)],
  ]),
);
