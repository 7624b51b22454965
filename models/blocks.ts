/** The parts of residual networks: stems, residual branches, shortcuts. Node names are torchvision's module paths. */

import type { ConvOptions, GraphBuilder } from './builder.js';
import type { NodeId } from './graph.js';
import type { Shortcut, StrideIn } from './network.js';

/** What holds in all blocks of a network. */
export interface BlockOptions {
  readonly shortcut: Shortcut;
  readonly strideIn: StrideIn;
  readonly convBias: boolean;
  readonly batchNormEps: number;
  /** In place of a 1x1 convolution of the block's stride and a batch norm. */
  readonly projection?: MakeShortcut | undefined;
}

/** Opens a network: image -> feature map of `width` channels. */
export type Stem = (g: GraphBuilder, x: NodeId, width: number, options: BlockOptions) => NodeId;

/** The residual branch of a block, from its input to its last batch norm. */
export interface Block {
  readonly name: string;
  /** Convolutions in a branch: what depth counts. */
  readonly convolutions: number;
  /** The convolutions that may have a block's stride, the usual one first. */
  readonly strides: readonly [StrideIn, ...StrideIn[]];
  branch(g: GraphBuilder, name: string, x: NodeId, width: number, stride: number, options: BlockOptions): NodeId;
}

/** A convolution and its batch norm. */
export function convNorm(
  g: GraphBuilder,
  [conv, norm]: readonly [string, string],
  x: NodeId,
  c: number,
  window: ConvOptions,
  { convBias, batchNormEps }: BlockOptions,
): NodeId {
  return g.batchNorm(norm, g.conv(conv, x, c, { ...window, bias: convBias }), batchNormEps);
}

/** 7x7 convolution and 3x3 max pool, both of stride 2: 224x224 -> 56x56. */
export const stem: Stem = (g, x, width, options) => {
  const y = convNorm(g, ['conv1', 'bn1'], x, width, { kernel: 7, stride: 2, padding: 3 }, options);
  return g.maxPool('maxpool', g.relu('relu', y), { kernel: 3, stride: 2, padding: 1 });
};

/** 3x3 convolution that keeps the size, for the 32x32 pictures of CIFAR. */
export const cifarStem: Stem = (g, x, width, options) =>
  g.relu('relu', convNorm(g, ['conv1', 'bn1'], x, width, { kernel: 3, padding: 1 }, options));

/** The stem with TensorFlow's 'same' padding. */
export const sameStem: Stem = (g, x, width, options) => {
  const y = convNorm(g, ['conv1', 'bn1'], x, width, { kernel: 7, stride: 2, padding: 'same' }, options);
  return g.maxPool('maxpool', g.relu('relu', y), { kernel: 3, stride: 2, padding: 'same' });
};

/** Closes a network: feature map -> `classes` values. */
export type ClassifierHead = (g: GraphBuilder, x: NodeId, classes: number) => NodeId;

/** Global average pool and classifier. */
export const averageHead: ClassifierHead = (g, x, classes) => g.linear('fc', g.globalAvgPool('avgpool', x), classes);

/** 7x7 max pool, classifier and softmax. */
export const maxHead: ClassifierHead = (g, x, classes) =>
  g.softmax('softmax', g.linear('fc', g.maxPool('pool', x, { kernel: 7 }), classes));

/** Two 3x3 convolutions. He et al. 2015, figure 5 left. */
export const basic: Block = {
  name: 'basic',
  convolutions: 2,
  strides: ['conv1'],
  branch(g, name, x, width, stride, options) {
    const first = convNorm(g, [`${name}.conv1`, `${name}.bn1`], x, width, { kernel: 3, stride, padding: 1 }, options);
    const y = g.relu(`${name}.relu1`, first);
    return convNorm(g, [`${name}.conv2`, `${name}.bn2`], y, width, { kernel: 3, padding: 1 }, options);
  },
};

// Output channels of a bottleneck for each of its width: table 1 of He et al. 2015.
const EXPANSION = 4;

/**
 * 1x1, 3x3 and 1x1 convolutions. He et al. 2015, figure 5 right; with `groups`, ResNeXt (Xie et al. 2017); with
 * `widthPerGroup` above 64, Wide ResNet (Zagoruyko and Komodakis 2016).
 */
export const bottleneck = (groups = 1, widthPerGroup = 64): Block => ({
  name: `${groups > 1 ? `${groups}x${widthPerGroup}d ` : widthPerGroup > 64 ? `${widthPerGroup / 64}x wide ` : ''}bottleneck`,
  convolutions: 3,
  strides: ['conv2', 'conv1'],
  branch(g, name, x, width, stride, options) {
    const inner = Math.floor((width * widthPerGroup) / 64) * groups;
    const at = (place: StrideIn) => (options.strideIn === place ? stride : 1);
    let y = convNorm(g, [`${name}.conv1`, `${name}.bn1`], x, inner, { kernel: 1, stride: at('conv1') }, options);
    y = g.relu(`${name}.relu1`, y);
    const spatial = { kernel: 3, stride: at('conv2'), padding: 1, groups };
    y = convNorm(g, [`${name}.conv2`, `${name}.bn2`], y, inner, spatial, options);
    y = g.relu(`${name}.relu2`, y);
    return convNorm(g, [`${name}.conv3`, `${name}.bn3`], y, EXPANSION * width, { kernel: 1 }, options);
  },
});

export type MakeShortcut = (
  g: GraphBuilder,
  name: string,
  x: NodeId,
  c: number,
  stride: number,
  options: BlockOptions,
) => NodeId;

const projection: MakeShortcut = (g, name, x, c, stride, options) =>
  options.projection?.(g, name, x, c, stride, options) ??
  convNorm(g, [`${name}.downsample.0`, `${name}.downsample.1`], x, c, { kernel: 1, stride }, options);

const unlessSame =
  (make: MakeShortcut): MakeShortcut =>
  (g, name, x, c, stride, options) =>
    stride === 1 && g.shape(x).c === c ? x : make(g, name, x, c, stride, options);

/** A block's input, made to fit its branch's output. */
export const shortcuts: Readonly<Record<Exclude<Shortcut, 'none'>, MakeShortcut>> = {
  A: unlessSame((g, name, x, c, stride) => g.zeroPadShortcut(`${name}.shortcut`, x, c, stride)),
  B: unlessSame(projection),
  C: projection,
};

/** y = relu(branch(x) + shortcut(x)), or relu(branch(x)) in a plain net. */
export function residual(
  g: GraphBuilder,
  block: Block,
  name: string,
  x: NodeId,
  width: number,
  stride: number,
  options: BlockOptions,
): NodeId {
  const y = block.branch(g, name, x, width, stride, options);
  if (options.shortcut === 'none') return g.relu(`${name}.relu`, y);
  const short = shortcuts[options.shortcut](g, name, x, g.shape(y).c, stride, options);
  return g.relu(`${name}.relu`, g.add(`${name}.add`, y, short));
}
