/**
 * Keras's own networks that are in the registry too, and the names of their layers. Nothing here is fetched before a Keras
 * file comes.
 */

import { kerasResnetModule } from './keras-names.js';

/** What Keras's own networks call their classifiers. */
const HEAD = /^(fc\d+|predictions|probs)$/;

/**
 * Finds torchvision's module of a layer of VGG, `counts` convolutions to a stage: block2_conv1, fc1, fc2 and the
 * classifier. In torchvision a ReLU follows each convolution, and a max pool each stage, in one row.
 */
const vggModule =
  (counts: readonly number[]) =>
  (layer: string): string | undefined => {
    if (layer === 'fc1' || layer === 'fc2') return `classifier.${layer === 'fc1' ? 0 : 3}`;
    if (HEAD.test(layer)) return 'classifier.6';
    const [, block, place] = /^block([1-5])_conv([1-4])$/.exec(layer) ?? [];
    if (block === undefined || Number(place) > (counts[Number(block) - 1] ?? 0)) return undefined;
    const before = counts.slice(0, Number(block) - 1).reduce((sum, count) => sum + 2 * count + 1, 0);
    return `features.${before + 2 * (Number(place) - 1)}`;
  };

/** By what follows conv2_block1_: what torchvision calls it in a layer of a block. */
const DENSE_UNITS: Readonly<Record<string, string>> = {
  '0_bn': 'norm1',
  '1_conv': 'conv1',
  '1_bn': 'norm2',
  '2_conv': 'conv2',
};

/** Finds torchvision's module of a layer of DenseNet: conv1/conv or conv1_conv, conv2_block1_1_conv, pool2_bn, bn, fc1000. */
function kerasDensenetModule(layer: string): string | undefined {
  const [, stem] = /^conv1[/_](conv|bn)$/.exec(layer) ?? [];
  if (stem) return `features.${stem === 'conv' ? 'conv0' : 'norm0'}`;
  if (layer === 'bn') return 'features.norm5';
  if (HEAD.test(layer)) return 'classifier';
  const [, pool, kind] = /^pool([2-4])_(conv|bn)$/.exec(layer) ?? [];
  if (pool) return `features.transition${Number(pool) - 1}.${kind === 'bn' ? 'norm' : 'conv'}`;
  const [, stage, place, unit = ''] = /^conv([2-5])_block([1-9]\d?)_(\d_(?:conv|bn))$/.exec(layer) ?? [];
  if (stage === undefined || !Object.hasOwn(DENSE_UNITS, unit)) return undefined;
  return `features.denseblock${Number(stage) - 1}.denselayer${place}.${DENSE_UNITS[unit]}`;
}

/** Networks of this project whose layers Keras's own have, with other names. */
export interface KerasFamily {
  readonly networks: readonly string[];
  /** torchvision's module of a layer; undefined for a layer that none of them has. */
  readonly module: (layer: string) => string | undefined;
  /** The classifier's module. */
  readonly head: string;
  /** Whether the registry knows these names itself, so that tensors may keep them. */
  readonly isKnown?: boolean;
  /** How Keras prepares their pictures. */
  readonly preprocessing: 'caffe' | 'torch';
  /** What is added to variances, if nothing tells. */
  readonly batchNormEps?: number;
}

const EPSILON = 1.001e-5;

export const kerasFamilies: readonly KerasFamily[] = [
  {
    networks: ['resnet50', 'resnet101', 'resnet152'],
    module: kerasResnetModule,
    head: 'fc',
    isKnown: true,
    preprocessing: 'caffe',
  },
  { networks: ['vgg16'], module: vggModule([2, 2, 3, 3, 3]), head: 'classifier.6', preprocessing: 'caffe' },
  { networks: ['vgg19'], module: vggModule([2, 2, 4, 4, 4]), head: 'classifier.6', preprocessing: 'caffe' },
  {
    networks: ['densenet121', 'densenet169', 'densenet201'],
    module: kerasDensenetModule,
    head: 'classifier',
    preprocessing: 'torch',
    batchNormEps: EPSILON,
  },
];
