/** What every family of networks offers: a row of the registry, and the options that its rows share. */

import { ResnetError } from './errors.js';
import type { Graph } from './graph.js';
import type { Pair, Shape } from './shape.js';

export type Shortcut = 'A' | 'B' | 'C' | 'none';

export type StrideIn = 'conv1' | 'conv2';

/** What may differ from a network as published. A network refuses the options that it has no use for. */
export interface NetworkOptions {
  /** Outputs of the classifier. */
  readonly classes?: number;
  /** Height and width of the input in pixels: one number, or [height, width]. */
  readonly size?: number | Pair;
  /** Channels of the input. */
  readonly inChannels?: number;
  /**
   * The shortcut of a residual block, as He et al. 2015, section 4.1 names them. A: zero channels if they grow, no
   * parameters; B: a projection if shapes differ; C: a projection in every block. `none`: a plain net (section 3.3).
   */
  readonly shortcut?: Shortcut;
  /**
   * The convolution of a block that halves the map. A bottleneck has it on the 3x3 (`conv2`: v1.5, torchvision) or on
   * the first 1x1 (`conv1`: as published, and in Keras); a basic block on its first 3x3 (`conv1`).
   */
  readonly strideIn?: StrideIn;
  /** Convolutions have biases although batch norm follows, as in Keras. */
  readonly convBias?: boolean;
  /** Added to the variance of every batch norm. */
  readonly batchNormEps?: number;
}

/** What files of other worlds call a network's tensors, and torchvision's names for them. */
export interface Aliases {
  /** Patterns of names in PyTorch's world, each with what takes the place of its match. One row per difference. */
  readonly torch?: readonly (readonly [pattern: RegExp, name: string])[];
  /** By torchvision's names: linear weights that others keep as convolutions over the whole map, in the same order. */
  readonly flattened?: RegExp;
  /** The family in keras-names.ts whose names Keras gives the layers; undefined if Keras does not have the network. */
  readonly keras?: 'resnet';
}

export interface Network {
  /** Who belongs together in a list: `ResNet`. */
  readonly family: string;
  /** One line: what sets it apart from its family. */
  readonly description: string;
  /** Every option that the network knows, with the value that it has unless told otherwise. */
  readonly defaults: NetworkOptions;
  /** Absent if every file that is known uses torchvision's names. */
  readonly aliases?: Aliases;
  /** Builds the graph. Throws if an option is unknown or out of range. */
  build(options?: NetworkOptions): Graph;
}

/**
 * The options given, and the defaults for the rest; an option that is undefined counts as not given. Throws
 * on an option that `defaults` does not name.
 */
export function resolveOptions<Defaults extends NetworkOptions>(
  name: string,
  defaults: Defaults,
  options: NetworkOptions,
): Defaults {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [key] of given) {
    if (!Object.hasOwn(defaults, key)) {
      throw new ResnetError(
        'argument',
        `${name}: expected options among ${Object.keys(defaults).join(', ')}, got ${key}.`,
      );
    }
  }
  return { ...defaults, ...Object.fromEntries(given) };
}

/** The input that the options ask for; the graph checks its numbers. */
export function inputOf(subject: string, { size, inChannels }: { size: number | Pair; inChannels: number }): Shape {
  if (typeof size === 'number') return { h: size, w: size, c: inChannels };
  if (!Array.isArray(size) || size.length !== 2) {
    throw new ResnetError(
      'argument',
      `${subject}: expected size to be a number or [height, width], got ${JSON.stringify(size)}.`,
    );
  }
  return { h: size[0], w: size[1], c: inChannels };
}
