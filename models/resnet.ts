/**
 * Residual networks and the plain nets beside them (He et al. 2015, "Deep Residual Learning for Image Recognition"),
 * ResNeXt (Xie et al. 2017), Wide ResNet (Zagoruyko and Komodakis 2016). A variant is one row.
 */

import {
  averageHead,
  type Block,
  basic,
  bottleneck,
  type ClassifierHead,
  cifarStem,
  type MakeShortcut,
  maxHead,
  residual,
  type Stem,
  sameStem,
  stem,
} from './blocks.js';
import { GraphBuilder } from './builder.js';
import { oneOf } from './check.js';
import type { Graph } from './graph.js';
import {
  type Aliases,
  inputOf,
  type Network,
  type NetworkOptions,
  resolveOptions,
  type Shortcut,
  type StrideIn,
} from './network.js';
import type { Pair } from './shape.js';

export interface Variant {
  readonly family: string;
  readonly stem: Stem;
  readonly block: Block;
  /** Blocks of each stage. */
  readonly counts: readonly number[];
  /** Width of the first stage's blocks. Each later stage has twice the width and half the height and width. */
  readonly width: number;
  readonly classes: number;
  readonly size: number;
  readonly shortcut: Shortcut;
  readonly projection?: MakeShortcut;
  /** If it is not in the block's usual place. */
  readonly strideIn?: StrideIn;
  /** By default global average pool and classifier. */
  readonly head?: ClassifierHead;
  readonly convBias?: boolean;
  readonly batchNormEps?: number;
  readonly aliases: Aliases;
  /** What else its description should say. */
  readonly note?: string;
}

/** Section 4.1, table 1. */
export const imagenet = {
  family: 'ResNet',
  stem,
  width: 64,
  classes: 1000,
  size: 224,
  shortcut: 'B',
  aliases: { keras: 'resnet' } as Aliases,
} as const;

/** The names of the usual implementations for CIFAR. */
const cifarAliases: Aliases = {
  torch: [
    [/^linear\./, 'fc.'],
    [/^(layer\d\.\d+\.)shortcut\./, '$1downsample.'],
  ],
};

/** Section 4.2: 6n + 2 layers. */
export const cifar = {
  family: 'ResNet for CIFAR',
  stem: cifarStem,
  block: basic,
  width: 16,
  classes: 10,
  size: 32,
  shortcut: 'A',
  aliases: cifarAliases,
} as const;

/** Section 3.3: the same layers without shortcuts. */
const plain = { ...imagenet, family: 'Plain net', shortcut: 'none' } as const;
const plainCifar = { ...cifar, family: 'Plain net for CIFAR', shortcut: 'none' } as const;

export const variants = {
  resnet18: { ...imagenet, block: basic, counts: [2, 2, 2, 2] },
  resnet34: { ...imagenet, block: basic, counts: [3, 4, 6, 3] },
  resnet50: { ...imagenet, block: bottleneck(), counts: [3, 4, 6, 3] },
  resnet101: { ...imagenet, block: bottleneck(), counts: [3, 4, 23, 3] },
  resnet152: { ...imagenet, block: bottleneck(), counts: [3, 8, 36, 3] },
  resnet50_v1: { ...imagenet, block: bottleneck(), counts: [3, 4, 6, 3], strideIn: 'conv1' },
  resnet101_v1: { ...imagenet, block: bottleneck(), counts: [3, 4, 23, 3], strideIn: 'conv1' },
  resnet152_v1: { ...imagenet, block: bottleneck(), counts: [3, 8, 36, 3], strideIn: 'conv1' },
  // As Keras users know it from a layer-by-layer listing.
  resnet50_keras_listing: {
    ...imagenet,
    stem: sameStem,
    block: bottleneck(),
    counts: [3, 4, 6, 3],
    strideIn: 'conv1',
    head: maxHead,
    convBias: true,
    batchNormEps: 1e-3,
    note: "biases, 'same' padding, max pool, softmax",
  },
  plain18: { ...plain, block: basic, counts: [2, 2, 2, 2] },
  plain34: { ...plain, block: basic, counts: [3, 4, 6, 3] },
  resnext50_32x4d: { ...imagenet, family: 'ResNeXt', block: bottleneck(32, 4), counts: [3, 4, 6, 3] },
  resnext101_32x8d: { ...imagenet, family: 'ResNeXt', block: bottleneck(32, 8), counts: [3, 4, 23, 3] },
  wide_resnet50_2: { ...imagenet, family: 'Wide ResNet', block: bottleneck(1, 128), counts: [3, 4, 6, 3] },
  wide_resnet101_2: { ...imagenet, family: 'Wide ResNet', block: bottleneck(1, 128), counts: [3, 4, 23, 3] },
  resnet20_cifar: { ...cifar, counts: [3, 3, 3] },
  resnet32_cifar: { ...cifar, counts: [5, 5, 5] },
  resnet44_cifar: { ...cifar, counts: [7, 7, 7] },
  resnet56_cifar: { ...cifar, counts: [9, 9, 9] },
  resnet110_cifar: { ...cifar, counts: [18, 18, 18] },
  plain20_cifar: { ...plainCifar, counts: [3, 3, 3] },
  plain32_cifar: { ...plainCifar, counts: [5, 5, 5] },
  plain44_cifar: { ...plainCifar, counts: [7, 7, 7] },
  plain56_cifar: { ...plainCifar, counts: [9, 9, 9] },
} as const satisfies Record<string, Variant>;

/** The registry's row of a variant: its options checked, then stem, stages, global average pool, classifier. */
export function resnet(name: string, variant: Variant): Network {
  const { block, counts, head = averageHead } = variant;
  const defaults = {
    classes: variant.classes,
    size: variant.size as number | Pair,
    inChannels: 3,
    shortcut: variant.shortcut,
    strideIn: variant.strideIn ?? block.strides[0],
    convBias: variant.convBias ?? false,
    batchNormEps: variant.batchNormEps ?? 1e-5,
  };

  function build(given: NetworkOptions = {}): Graph {
    const options = { ...resolveOptions(name, defaults, given), projection: variant.projection };
    oneOf(name, 'shortcut', options.shortcut, ['A', 'B', 'C', 'none']);
    oneOf(name, 'strideIn', options.strideIn, block.strides);
    oneOf(name, 'convBias', options.convBias, [true, false]);
    const g = new GraphBuilder(name);
    let x = variant.stem(g, g.input(inputOf(name, options)), variant.width, options);
    counts.forEach((count, stage) => {
      for (let i = 0; i < count; i++) {
        const stride = i === 0 && stage > 0 ? 2 : 1;
        x = residual(g, block, `layer${stage + 1}.${i}`, x, variant.width * 2 ** stage, stride, options);
      }
    });
    return g.finish(head(g, x, options.classes));
  }

  const depth = counts.reduce((sum, count) => sum + count * block.convolutions, 2);
  const blocks = `${block.name} blocks${variant.shortcut === 'none' ? ' without shortcuts' : ''}`;
  const place = block.strides.length > 1 ? [`stride on ${defaults.strideIn}`] : [];
  const description = [`${depth} layers`, blocks, ...place, ...(variant.note ? [variant.note] : [])].join(', ');
  return { family: variant.family, description, defaults, aliases: variant.aliases, build };
}

/** Every network of this file by name. */
export const resnets: Readonly<Record<string, Network>> = Object.fromEntries(
  Object.entries(variants).map(([name, variant]) => [name, resnet(name, variant)]),
);
