/** DenseNet (Huang et al. 2017), as torchvision has it: every layer of a block reads all layers before it. */

import { GraphBuilder } from './builder.js';
import type { Graph, NodeId } from './graph.js';
import { type Aliases, inputOf, type Network, type NetworkOptions, resolveOptions } from './network.js';
import type { Pair } from './shape.js';

/** Table 1: layers of each block, channels that a layer adds, channels of the stem. */
const variants = {
  densenet121: { counts: [6, 12, 24, 16], growth: 32, stem: 64 },
  densenet161: { counts: [6, 12, 36, 24], growth: 48, stem: 96 },
  densenet169: { counts: [6, 12, 32, 32], growth: 32, stem: 64 },
  densenet201: { counts: [6, 12, 48, 32], growth: 32, stem: 64 },
} as const;

interface Variant {
  readonly counts: readonly number[];
  readonly growth: number;
  readonly stem: number;
}

// Channels of a layer's 1x1 convolution for each that the layer adds: section 3, bottleneck layers.
const BOTTLENECK = 4;

/** torchvision's own names before PyTorch 0.4, which its published files still have. */
const aliases: Aliases = { torch: [[/(\.denselayer\d+\.(?:norm|conv))\.([12])\./, '$1$2.']] };

function densenet(name: string, { counts, growth, stem }: Variant): Network {
  const defaults = { classes: 1000, size: 224 as number | Pair, inChannels: 3, batchNormEps: 1e-5 };

  function build(given: NetworkOptions = {}): Graph {
    const options = resolveOptions(name, defaults, given);
    const g = new GraphBuilder(name);
    // relu(norm(x)): what comes before a convolution here, not after it.
    const activate = (norm: string, relu: string, x: NodeId): NodeId =>
      g.relu(relu, g.batchNorm(norm, x, options.batchNormEps));
    let x = g.conv('features.conv0', g.input(inputOf(name, options)), stem, { kernel: 7, stride: 2, padding: 3 });
    x = g.maxPool('features.pool0', activate('features.norm0', 'features.relu0', x), {
      kernel: 3,
      stride: 2,
      padding: 1,
    });
    counts.forEach((count, i) => {
      const features = [x];
      for (let j = 1; j <= count; j++) {
        const layer = `features.denseblock${i + 1}.denselayer${j}`;
        let y = activate(`${layer}.norm1`, `${layer}.relu1`, x);
        y = g.conv(`${layer}.conv1`, y, BOTTLENECK * growth, { kernel: 1 });
        y = activate(`${layer}.norm2`, `${layer}.relu2`, y);
        features.push(g.conv(`${layer}.conv2`, y, growth, { kernel: 3, padding: 1 }));
        x = g.concat(`${layer}.concat`, features);
      }
      if (i === counts.length - 1) return;
      const transition = `features.transition${i + 1}`;
      const half = Math.floor(g.shape(x).c / 2);
      x = g.conv(`${transition}.conv`, activate(`${transition}.norm`, `${transition}.relu`, x), half, { kernel: 1 });
      x = g.avgPool(`${transition}.pool`, x, { kernel: 2 });
    });
    x = g.globalAvgPool('avgpool', activate('features.norm5', 'relu', x));
    return g.finish(g.linear('classifier', x, options.classes));
  }

  const depth = counts.reduce((sum, count) => sum + 2 * count + 1, 1);
  return { family: 'DenseNet', description: `${depth} layers, growth ${growth}`, defaults, aliases, build };
}

/** Every DenseNet by name. */
export const densenets: Readonly<Record<string, Network>> = Object.fromEntries(
  Object.entries(variants).map(([name, variant]) => [name, densenet(name, variant)]),
);
