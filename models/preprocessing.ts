/** How pictures become a network's input: the whole of it for one network, and what users say of it. */

import { type Graph, graphInput } from './graph.js';
import type { Pair, Shape } from './shape.js';

/** How a picture is resized, each as Pillow's `Image.resize` does it: all but `nearest` with antialiasing. */
export type Interpolation = 'nearest' | 'bilinear' | 'bicubic' | 'lanczos';

/** The order of the input's channels. `grey` is one channel, ITU-R 601-2's luma as Pillow's mode L has it. */
export type ChannelOrder = 'RGB' | 'BGR' | 'grey';

/** How a weight set wants its pictures: what its training did to them. */
export interface Preprocessing {
  /**
   * Pixels after resizing: of the shorter side, and the longer one keeps the ratio, as torchvision's Resize(n) does it;
   * or exactly [height, width], as its Resize((h, w)).
   */
  readonly resize: number | Pair;
  /**
   * Pixels cut from the centre, as torchvision's CenterCrop does it: the side of a square, or [height, width]. It is the
   * size of the network's input. What the picture is too small for is black.
   */
  readonly crop: number | Pair;
  readonly interpolation: Interpolation;
  /**
   * What becomes of transparency before anything else: the picture is composed on white, or its alpha is dropped, as
   * Pillow's convert('RGB') does it.
   */
  readonly transparency: 'white' | 'drop';
  /** Pictures become grey before they are resized, as with torchvision's Grayscale before Resize. */
  readonly channelOrder: ChannelOrder;
  /** Each value is (byte · scale − mean) / std, in float64 and rounded once; means and deviations in channel order. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The middle 7/8 of a picture, for networks of 224×224 pixels. */
const middle = { resize: 256, crop: 224, interpolation: 'bilinear', transparency: 'white' } as const;

/** Bytes in 0 … 1, less the mean and over the deviation of ImageNet's pixels. */
const imagenet = {
  channelOrder: 'RGB',
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const;

/** The normalisations that pretrained networks share. */
export const preprocessings = {
  /** torchvision's. */
  torch: { ...middle, ...imagenet },
  /** Caffe's and Keras's: bytes in BGR order, less ImageNet's mean. */
  caffe: { ...middle, channelOrder: 'BGR', scale: 1, mean: [103.939, 116.779, 123.68], std: [1, 1, 1] },
  /** torchvision's for whole 32x32 pictures. */
  cifar: { ...middle, ...imagenet, resize: 32, crop: 32 },
  /** TensorFlow's: bytes in −1 … 1, which Keras calls `tf` and timm Inception's mean and deviation. */
  tf: { ...middle, channelOrder: 'RGB', scale: 1, mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] },
  /** Bytes as they are, for networks that begin with a normalisation of their own. */
  raw: { ...middle, channelOrder: 'RGB', scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
} as const satisfies Record<string, Preprocessing>;

export type PreprocessingName = keyof typeof preprocessings;

/**
 * What to change of a preprocessing. All may be left out, and a whole `Preprocessing` is one too. Sizes that are left out
 * follow the network's input: those of up to 64 pixels show pictures whole, larger ones the middle 7/8. Of an input that
 * is not square the longer side decides, so that the picture's shorter side covers it.
 */
export interface PreprocessingOptions {
  /**
   * The source of what is not given here: a name, or a whole preprocessing, such as a weight set's. By default
   * `torch`, or `caffe` for the weight files of Keras. Its sizes count if its crop is the network's input.
   */
  readonly base?: PreprocessingName | Preprocessing | undefined;
  /**
   * The network's input in pixels, a side or [height, width]: it is `crop`, and `resize` is that of such an input: a side
   * of up to 64 as it is, a larger one over 0.875 and rounded.
   */
  readonly size?: number | Pair | undefined;
  /** Pixels of the shorter side after resizing, or exactly [height, width]. */
  readonly resize?: number | Pair | undefined;
  /** Pixels cut from the centre, a side or [height, width]: the size of the network's input. */
  readonly crop?: number | Pair | undefined;
  /** Instead of `resize`, above 0 and up to 1: what of the shorter side the crop shows. `resize` is ⌊crop / cropPct⌋, timm's rule. */
  readonly cropPct?: number | undefined;
  /** By default the base's, which is bilinear for every name. */
  readonly interpolation?: Interpolation | undefined;
  /** `white`, on which transparent pictures are composed, or `drop`, which takes no notice of alpha; by default the base's, white for every name. */
  readonly transparency?: Preprocessing['transparency'] | undefined;
  /** RGB or BGR for inputs of three channels, and by default the base's; grey for inputs of one. */
  readonly channelOrder?: ChannelOrder | undefined;
  /** Bytes are multiplied by it first: 1/255 makes 0 … 1 of them. */
  readonly scale?: number | undefined;
  /** What is taken off the scaled bytes: one number for all channels, or one per channel in channel order. */
  readonly mean?: number | readonly number[] | undefined;
  /** What the rest is divided by, above 0: one number for all channels, or one per channel in channel order. */
  readonly std?: number | readonly number[] | undefined;
}

/** What users give: a name, or what to change of one. */
export type PreprocessingLike = PreprocessingName | PreprocessingOptions;

/** A side of a square, or [height, width], as [height, width]. */
export const pairOf = (size: number | Pair): Pair => (typeof size === 'number' ? [size, size] : size);

/** [height, width] of what is cut from the centre. */
export const cropSize = ({ crop }: Pick<Preprocessing, 'crop'>): Pair => pairOf(crop);

/** Inputs of this many pixels a side or fewer take pictures whole: CIFAR's, and those of its kind. */
const WHOLE = 64;

/** What of a picture's shorter side an input shows otherwise: torchvision's 224 of 256. */
const SHOWN = 0.875;

/** Pixels of a picture's shorter side for an input of h × w, unless something else is said. */
export function usualResize({ h, w }: Pick<Shape, 'h' | 'w'>): number {
  const longer = Math.max(h, w);
  return longer <= WHOLE ? longer : Math.round(longer / SHOWN);
}

/**
 * The preprocessing of a weight file that says nothing: a named normalisation, by default torchvision's, at the graph's
 * own input size. Undefined if its input does not have three channels, for which there is no usual one.
 */
export function defaultPreprocessing(graph: Graph, base: PreprocessingName = 'torch'): Preprocessing | undefined {
  const { h, w, c } = graphInput(graph);
  if (c !== 3) return undefined;
  return { ...preprocessings[base], resize: usualResize({ h, w }), crop: h === w ? h : [h, w] };
}
