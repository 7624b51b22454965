/** Weight sets on the Hugging Face hub: timm's copies of torchvision's, as safetensors with torchvision's names. */

import type { NetworkOptions } from './network.js';
import { type Preprocessing, preprocessings } from './pretrained.js';

export interface HubSet {
  readonly description: string;
  readonly network: string;
  readonly options: NetworkOptions;
  readonly preprocessing: Preprocessing;
  /** OWNER/NAME on the hub, and the file in it. */
  readonly repository: string;
  readonly file: string;
  /** Hexadecimal, of the file; undefined where it is not known. */
  readonly sha256?: string;
  /** SPDX. */
  readonly license: string;
}

/** torchvision's two recipes: what their pictures were resized to before 224 × 224 pixels were cut out. */
const recipes = {
  tv: { what: "torchvision's first weights", resize: 256 },
  tv2: { what: "torchvision's second weights", resize: 232 },
} as const;

const tv: readonly string[] = [
  ...['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152'],
  ...['resnext50_32x4d', 'resnext101_32x8d', 'wide_resnet50_2', 'wide_resnet101_2'],
  ...['densenet121', 'densenet161', 'densenet169', 'densenet201'],
  ...['vgg11', 'vgg11_bn', 'vgg13', 'vgg13_bn', 'vgg16', 'vgg16_bn', 'vgg19', 'vgg19_bn'],
];

const tv2: readonly string[] = [
  ...['resnet50', 'resnet101', 'resnet152'],
  ...['resnext50_32x4d', 'resnext101_32x8d', 'wide_resnet50_2', 'wide_resnet101_2'],
];

function sets(networks: readonly string[], recipe: keyof typeof recipes): [string, HubSet][] {
  const { what, resize } = recipes[recipe];
  return networks.map((network) => [
    `${network}.${recipe}_in1k`,
    {
      description: `ImageNet, 1000 classes, ${what}`,
      network,
      options: {},
      preprocessing: { ...preprocessings.torch, resize },
      repository: `timm/${network}.${recipe}_in1k`,
      file: 'model.safetensors',
      license: 'BSD-3-Clause',
    },
  ]);
}

/** By timm's names. */
export const hubSets: Readonly<Record<string, HubSet>> = Object.fromEntries([...sets(tv, 'tv'), ...sets(tv2, 'tv2')]);

/** Finds a set by timm's name, or a network's `tv_in1k` set; undefined if there is none. */
export function hubSet(name: string): HubSet | undefined {
  const key = [name, `${name}.tv_in1k`].find((each) => Object.hasOwn(hubSets, each));
  return key === undefined ? undefined : hubSets[key];
}

/** Tells where a set's file lies. `endpoint`: another hub. */
export const hubUrl = ({ repository, file }: HubSet, endpoint = 'https://huggingface.co'): string =>
  `${endpoint}/${repository}/resolve/main/${file}`;
