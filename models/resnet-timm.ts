/**
 * Residual networks as timm has them: ResNet-D and -T (He et al. 2018, "Bag of Tricks for Image Classification", figure 2),
 * squeeze-and-excitation (Hu et al. 2018), ResNet-RS (Bello et al. 2021). A variant is one row.
 */

import { type Block, basic, bottleneck, convNorm, type MakeShortcut, type Stem } from './blocks.js';
import type { GraphBuilder } from './builder.js';
import type { NodeId } from './graph.js';
import type { Network } from './network.js';
import { cifar, imagenet, resnet, type Variant } from './resnet.js';

/** Three 3x3 convolutions in place of a 7x7, the first of stride 2; then a 3x3 max pool, or a convolution, of stride 2. */
const deepStem =
  (widths: readonly [number, number], pool: 'max' | 'conv' = 'max'): Stem =>
  (g, x, width, options) => {
    const convRelu = (at: readonly [string, string, string], from: NodeId, c: number, stride: number): NodeId =>
      g.relu(at[2], convNorm(g, [at[0], at[1]], from, c, { kernel: 3, stride, padding: 1 }, options));
    let y = convRelu(['conv1.0', 'conv1.1', 'conv1.2'], x, widths[0], 2);
    y = convRelu(['conv1.3', 'conv1.4', 'conv1.5'], y, widths[1], 1);
    y = convRelu(['conv1.6', 'bn1', 'relu'], y, width, 1);
    return pool === 'conv'
      ? convRelu(['maxpool.0', 'maxpool.1', 'maxpool.2'], y, width, 2)
      : g.maxPool('maxpool', y, { kernel: 3, stride: 2, padding: 1 });
  };

/** The channels that a map is squeezed to: a share of them, rounded to a multiple of 8. */
const squeezed = (c: number, ratio: number): number => Math.max(8, Math.floor((c * ratio + 4) / 8) * 8);

/** Every channel times a gate between 0 and 1, which the means of all channels make. Hu et al. 2018, figure 2. */
function excitation(g: GraphBuilder, name: string, x: NodeId, ratio: number): NodeId {
  const { c } = g.shape(x);
  const window = { kernel: 1, bias: true };
  const mean = g.globalAvgPool(`${name}.pool`, x);
  const inner = g.relu(`${name}.act`, g.conv(`${name}.fc1`, mean, squeezed(c, ratio), window));
  const gate = g.activation(`${name}.gate`, g.conv(`${name}.fc2`, inner, c, window), { kind: 'sigmoid' });
  return g.mul(`${name}.mul`, x, gate);
}

/** A block whose branch ends in squeeze-and-excitation. */
const excited = (block: Block, ratio = 1 / 16): Block => ({
  ...block,
  name: `squeeze-and-excitation ${block.name}`,
  branch(g, name, ...rest) {
    return excitation(g, `${name}.se`, block.branch(g, name, ...rest), ratio);
  },
});

/** The average of what a stride would leave out, then a projection. */
const averaged: MakeShortcut = (g, name, x, c, stride, options) => {
  const { h, w } = g.shape(x);
  // A last row or column that has no other is its own average.
  const padding = { top: 0, left: 0, bottom: h % 2, right: w % 2 };
  const pool = { kernel: 2, stride: 2, padding, countsPadding: false };
  const y = stride === 1 ? x : g.avgPool(`${name}.downsample.0`, x, pool);
  return convNorm(g, [`${name}.downsample.1`, `${name}.downsample.2`], y, c, { kernel: 1 }, options);
};

const timm = { ...imagenet, aliases: {} } as const;
const deep = { ...timm, family: 'ResNet-D', stem: deepStem([32, 32]), projection: averaged } as const;
const tiered = { ...deep, family: 'ResNet-T', stem: deepStem([24, 32]) } as const;
const se = { ...timm, family: 'SE-ResNet' } as const;
const rs = {
  ...deep,
  family: 'ResNet-RS',
  stem: deepStem([32, 32], 'conv'),
  block: excited(bottleneck(), 1 / 4),
} as const;

/** The stem for CIFAR before the blocks for ImageNet, as many recipes for CIFAR have it. */
const wideCifar = { ...cifar, family: 'ResNet of width 64 for CIFAR', width: 64, shortcut: 'B' } as const;

const variants: Readonly<Record<string, Variant>> = {
  resnet26: { ...timm, family: 'ResNet of 26 layers', block: bottleneck(), counts: [2, 2, 2, 2] },
  resnet10t: { ...tiered, block: basic, counts: [1, 1, 1, 1] },
  resnet14t: { ...tiered, block: bottleneck(), counts: [1, 1, 1, 1] },
  resnet26t: { ...tiered, block: bottleneck(), counts: [2, 2, 2, 2] },
  resnet18d: { ...deep, block: basic, counts: [2, 2, 2, 2] },
  resnet26d: { ...deep, block: bottleneck(), counts: [2, 2, 2, 2] },
  resnet34d: { ...deep, block: basic, counts: [3, 4, 6, 3] },
  resnet50d: { ...deep, block: bottleneck(), counts: [3, 4, 6, 3] },
  resnet101d: { ...deep, block: bottleneck(), counts: [3, 4, 23, 3] },
  resnet152d: { ...deep, block: bottleneck(), counts: [3, 8, 36, 3] },
  resnet200d: { ...deep, block: bottleneck(), counts: [3, 24, 36, 3] },
  seresnet18: { ...se, block: excited(basic), counts: [2, 2, 2, 2] },
  seresnet34: { ...se, block: excited(basic), counts: [3, 4, 6, 3] },
  seresnet50: { ...se, block: excited(bottleneck()), counts: [3, 4, 6, 3] },
  seresnet101: { ...se, block: excited(bottleneck()), counts: [3, 4, 23, 3] },
  seresnet152: { ...se, block: excited(bottleneck()), counts: [3, 8, 36, 3] },
  seresnext50_32x4d: { ...se, family: 'SE-ResNeXt', block: excited(bottleneck(32, 4)), counts: [3, 4, 6, 3] },
  seresnext101_32x4d: { ...se, family: 'SE-ResNeXt', block: excited(bottleneck(32, 4)), counts: [3, 4, 23, 3] },
  seresnext101_32x8d: { ...se, family: 'SE-ResNeXt', block: excited(bottleneck(32, 8)), counts: [3, 4, 23, 3] },
  resnetrs50: { ...rs, counts: [3, 4, 6, 3], size: 160 },
  resnetrs101: { ...rs, counts: [3, 4, 23, 3], size: 192 },
  resnetrs152: { ...rs, counts: [3, 8, 36, 3], size: 256 },
  resnetrs200: { ...rs, counts: [3, 24, 36, 3], size: 256 },
  resnetrs270: { ...rs, counts: [4, 29, 53, 4], size: 256 },
  resnetrs350: { ...rs, counts: [4, 36, 72, 4], size: 288 },
  resnetrs420: { ...rs, counts: [4, 44, 87, 4], size: 320 },
  resnet18_cifar: { ...wideCifar, counts: [2, 2, 2, 2] },
  resnet34_cifar: { ...wideCifar, counts: [3, 4, 6, 3] },
  resnet50_cifar: { ...wideCifar, block: bottleneck(), counts: [3, 4, 6, 3] },
};

/** Every network of this file by name. */
export const timmResnets: Readonly<Record<string, Network>> = Object.fromEntries(
  Object.entries(variants).map(([name, variant]) => [name, resnet(name, variant)]),
);
