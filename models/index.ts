/** Every network by name, and all that the rest of the house needs of models/. */

import { alexnets } from './alexnet.js';
import { densenets } from './densenet.js';
import type { Graph } from './graph.js';
import { lookup } from './lookup.js';
import type { Network, NetworkOptions } from './network.js';
import { resnets } from './resnet.js';
import { vggs } from './vgg.js';

/** One line a family; and those of more-networks.ts, once loaded. */
export const networks: Readonly<Record<string, Network>> = {
  ...resnets,
  ...densenets,
  ...vggs,
  ...alexnets,
};

/** Adds the other networks to the registry. */
export const addNetworks = (more: Readonly<Record<string, Network>>): unknown => Object.assign(networks, more);

/** Loads the other networks, unless `name` is one that is there. */
export async function loadNetworks(name = ''): Promise<void> {
  if (!Object.hasOwn(networks, name)) addNetworks((await import('./more-networks.js')).moreNetworks);
}

export const networkNames = (): string[] => Object.keys(networks);

/**
 * Builds the graph of a network. Throws if the name is unknown (the error says the closest), an option is unknown or out
 * of range, or the input is too small.
 */
export const buildNetwork = (name: string, options?: NetworkOptions): Graph =>
  lookup('network', networks, name).build(options);

export {
  type Activation,
  activationFields,
  activationWords,
  type Clip,
  type Gelu,
  type HardSigmoid,
  type HardSwish,
  kernelConstant,
  type LeakyRelu,
  type Prelu,
  type Relu,
  type Sigmoid,
  type Silu,
} from './activation.js';
export * from './builder.js';
export * from './graph.js';
export { closest, lookup } from './lookup.js';
export type { Network, NetworkOptions, Shortcut, StrideIn } from './network.js';
export { addOps, loadOps, operationOf, ops, rowOf } from './ops.js';
export * from './pretrained.js';
export { shapeText } from './shape.js';
