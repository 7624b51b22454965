/** What `load` takes first: which network, and how it is told. */

import { type Graph, networks } from '../../models/index.js';
import type { WeightSource } from '../weights/stream/types.js';

/** A network's name, its graph, or the weights of a network that their file tells. */
export type NetworkLike = string | Graph | WeightSource;

export const isGraph = (network: unknown): network is Graph =>
  typeof network === 'object' && network !== null && 'nodes' in network;

/** timm's names of sets that are trained on ImageNet: `resnet50.tv2_in1k`. */
const SET_NAME = /^\w+\.\w+_in\d+k$/;

/** Whether a text is a path or URL rather than the name of a network or of a set. */
const isLocation = (text: string): boolean =>
  !Object.hasOwn(networks, text) && !SET_NAME.test(text) && /[\\/.:]/.test(text);

/** Whether `network` names no network, but weights. */
export const isWeightSource = (network: NetworkLike): network is WeightSource =>
  typeof network === 'string' ? isLocation(network) : !isGraph(network);
