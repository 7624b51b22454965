/** Every network by name, and all that the rest of the house needs of models/. */

import { alexnets } from './alexnet.js';
import { densenets } from './densenet.js';
import type { Graph } from './graph.js';
import { lookup } from './lookup.js';
import type { Network, NetworkOptions } from './network.js';
import { resnets } from './resnet.js';
import { vggs } from './vgg.js';

/** One line a family. */
export const networks: Readonly<Record<string, Network>> = {
  ...resnets,
  ...densenets,
  ...vggs,
  ...alexnets,
};

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
