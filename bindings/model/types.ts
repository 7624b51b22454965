/** What a model offers, wherever it runs. */

import type { Graph, Preprocessing, Shape } from '../../models/index.js';
import type { AlgorithmName } from '../compile/conv-algorithm.js';
import type { Summary } from '../compile/summary.js';
import type { Binary } from '../engine/binary.js';
import type { Crop } from '../image/preprocess.js';
import type { Pixels } from '../platform/types.js';

export type { Summary } from '../compile/summary.js';

/** Raw values in and out of a network, row-major in the order that `layout` says. */
export interface Tensor {
  readonly data: Float32Array;
  /** [N, C, H, W] or [N, H, W, C]. */
  readonly shape: readonly number[];
  readonly layout: 'NCHW' | 'NHWC';
}

/** Logits of a classifier, [N, classes]; a feature map is [N, H, W, C]. */
export interface Output {
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** By name, if the network has several; the first of them is also the one above. */
  readonly outputs?: Readonly<Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>>;
  /** The steps of the run in order, if asked for. */
  readonly profile?: readonly StepProfile[];
}

/** What one step of a run took: a convolution with the batch norm, add and ReLU that are fused with it, or another layer. */
export interface StepProfile {
  readonly name: string;
  readonly kind: string;
  /** How a convolution was computed. */
  readonly algorithm: AlgorithmName | undefined;
  readonly ms: number;
  /** Multiply–adds of the layer's definition, for the whole batch. */
  readonly macs: number;
}

export interface Classification {
  readonly index: number;
  /** Undefined if the weights came without labels. */
  readonly label: string | undefined;
  readonly probability: number;
}

/** Where a network saw one class. */
export interface CamMap extends Classification {
  /**
   * Evidence for the class, [h, w] row by row: at each place the features there · the class's weights of the last layer,
   * without its bias. The mean of the map + the bias = the class's logit.
   */
  readonly data: Float32Array;
}

/** Class activation maps of a picture. */
export interface Cam {
  readonly maps: readonly CamMap[];
  /** [h, w] of every map. */
  readonly shape: readonly [number, number];
  readonly crop: Crop;
}

/** What one layer made of a picture. */
export interface FeatureMap {
  /** The node whose value it is: the one asked for, or the last of those that are computed with it in one step. */
  readonly layer: string;
  /** [h, w, c], channels together. */
  readonly data: Float32Array;
  readonly shape: readonly [number, number, number];
  readonly crop: Crop;
}

export interface ModelInfo {
  /** Of this package. */
  readonly version: string;
  /** What computes: there is one so far. */
  readonly backend: 'wasm';
  readonly network: string;
  readonly binary: Binary;
  /** Bits of the vectors that the kernels run on. */
  readonly vectors: 128 | 256;
  /** Why, in one sentence. */
  readonly vectorsNote: string;
  readonly threads: number;
  /** Why there are fewer threads than asked for; undefined if there are not. */
  readonly threadsNote: string | undefined;
  /** Bytes of packed weights. */
  readonly weightBytes: number;
  /** Bytes of activations for one image. */
  readonly activationBytes: number;
  /** Bytes of linear memory that the model holds now. */
  readonly memoryBytes: number;
}

/** What differs between engines in the names that TypeScript knows: a type of the DOM if there is one. */
type Dom<Name extends string> = typeof globalThis extends { [name in Name]: { prototype: infer Type } } ? Type : never;

/**
 * A picture: decoded `Pixels` (an ImageData is one), a Blob or File, a URL, or an encoded file's bytes; in Node also a
 * path; in a browser what can be drawn: an image, video frame, canvas or ImageBitmap, which stays the caller's.
 */
export type ImageSource =
  | Pixels
  | string
  | URL
  | Blob
  | ArrayBuffer
  | Uint8Array
  | Dom<'ImageBitmap'>
  | Dom<'HTMLImageElement'>
  | Dom<'HTMLVideoElement'>
  | Dom<'HTMLCanvasElement'>
  | Dom<'OffscreenCanvas'>;

/** What every call takes. */
export interface CallOptions {
  /** Drops the call if it still waits for its turn: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface ClassifyOptions extends CallOptions {
  /** How many classes; by default 5. */
  readonly topK?: number | undefined;
}

export interface CamOptions extends ClassifyOptions {
  /** Classes by index instead of the `topK` most probable ones. */
  readonly classes?: readonly number[] | undefined;
}

export interface EmbedOptions extends CallOptions {
  /** Divides by the Euclidean norm, so that a product of two embeddings is their cosine; by default false. */
  readonly normalise?: boolean | undefined;
}

export interface AnalyseOptions extends ClassifyOptions {
  /** Class activation maps of the `topK` most probable classes, or of `classes`. */
  readonly cam?: boolean | Pick<CamOptions, 'classes'> | undefined;
  /** Feature maps of these layers. */
  readonly layers?: readonly string[] | undefined;
  readonly embedding?: boolean | undefined;
}

/** Several results of one picture: one decode, one run. */
export interface Analysis {
  readonly classes: readonly Classification[];
  /** If asked for. */
  readonly cam: Cam | undefined;
  /** In the order of `AnalyseOptions.layers`. */
  readonly layers: readonly FeatureMap[];
  readonly embedding: Float32Array | undefined;
}

/**
 * A network with its weights in memory: what `load` gives. Lives until `dispose`, which gives all its memory back; with
 * `using`, until the end of the block. Runs on one model wait for each other. Every call takes the values that its inputs
 * have at the call, and refuses options that it does not know.
 */
export interface Model extends Disposable {
  /** The network's. */
  readonly name: string;
  /** One per class; undefined if the weights came without. */
  readonly labels: readonly string[] | undefined;
  /** The shape of its first input, without the batch. */
  readonly input: Shape;
  /** Names of the layers that `featureMap` takes, in the graph's order. */
  readonly layers: readonly string[];
  /** How pictures are prepared; undefined if no picture fits the input. */
  readonly preprocessing: Preprocessing | undefined;
  readonly graph: Graph;

  /**
   * Finds the `topK` most probable classes of a picture, best first; of several pictures, in their order, the next one
   * being decoded while one runs. Rejects with one sentence if a picture cannot be read, or the network is no classifier.
   */
  classify(image: ImageSource, options?: ClassifyOptions): Promise<Classification[]>;
  classify(images: readonly ImageSource[], options?: ClassifyOptions): Promise<Classification[][]>;

  /**
   * Gives the values before the classifier, [C], pooled over the map if the network ends so: what pictures are compared
   * by, or another classifier is trained on. Rejects with one sentence if the network does not end in a linear layer.
   */
  embed(image: ImageSource, options?: EmbedOptions): Promise<Float32Array>;
  embed(images: readonly ImageSource[], options?: EmbedOptions): Promise<Float32Array[]>;

  /**
   * Draws class activation maps of a picture, for its `topK` most probable classes, best first, or for `classes` in their
   * order: where the network saw what speaks for each (Zhou et al. 2016, "Learning Deep Features for Discriminative
   * Localization", section 2). Rejects with one sentence if the network does not end in a global average pool and one
   * linear layer.
   */
  cam(image: ImageSource, options?: CamOptions): Promise<Cam>;

  /**
   * Gives what a layer makes of a picture: `layer` is one of `layers`. If batch norm, add or an activation are computed
   * with it, the result is what they come to, and its `layer` says so; a pre-activation is computed with the convolution
   * that follows it. Only the layers up to it run.
   */
  featureMap(image: ImageSource, layer: string, options?: CallOptions): Promise<FeatureMap>;

  /** Gives several results of one decode and one run. */
  analyse(image: ImageSource, options?: AnalyseOptions): Promise<Analysis>;

  /** Gives the tensor that a picture becomes, [1, H, W, C]: what `run` takes. */
  preprocess(image: ImageSource, options?: CallOptions): Promise<Tensor>;

  /**
   * Runs a batch of inputs that are already normalised, as their weights want them: logits; with `profile`, the time of
   * each step. A network of several inputs takes them by name. Rejects if a shape is not the network's.
   */
  run(
    input: Tensor | Readonly<Record<string, Tensor>>,
    options?: CallOptions & { readonly profile?: boolean | undefined },
  ): Promise<Output>;

  /** Lists layers with their output shapes, parameters and multiply–adds, and the totals. */
  summary(): Summary;

  info(): ModelInfo;

  /** Gives the memory back. The model is of no use afterwards; disposing again does nothing. */
  dispose(): void;
}
