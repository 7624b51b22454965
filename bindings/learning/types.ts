/** What a head of one's own classes offers. */

import type { CallOptions, Cam, Classification, ImageSource, Model } from '../model/types.js';
import type { WeightSource } from '../weights/open.js';

/** What a head needs of a model. */
export type Embedder = Pick<Model, 'embed' | 'featureMap' | 'graph' | 'name'>;

/** A picture, or what `model.embed` made of one. */
export type Example = ImageSource | Float32Array;

export interface AddOptions extends CallOptions {
  /**
   * Variants of the picture that are learned beside it: mirrored ones and crops of 80 to 100 % of its sides, always the same
   * ones. By default none. Not for embeddings.
   */
  readonly variants?: number | undefined;
}

export interface TrainOptions extends CallOptions {
  /** Iterations at most; by default 100. */
  readonly epochs?: number | undefined;
  /** The penalty on the weights, l2 / 2 · Σ weight²; by default 1 over the number of examples, scikit-learn's. */
  readonly l2?: number | undefined;
  /** Whether all classes count the same, however many examples they have; by default true. */
  readonly balanced?: boolean | undefined;
  /** Called after each epoch. */
  readonly onProgress?: ((progress: TrainProgress) => void) | undefined;
}

export interface TrainProgress {
  readonly epoch: number;
  readonly epochs: number;
  /** Mean cross-entropy and penalty. */
  readonly loss: number;
}

export interface TrainReport {
  readonly loss: number;
  /** The part of the examples whose class is found. */
  readonly accuracy: number;
}

export interface EvaluateOptions extends Omit<TrainOptions, 'onProgress'> {
  /** Parts of the examples, each of which is classified by a head that was trained on the others; by default 5. */
  readonly folds?: number | undefined;
  /** Other examples, which the head as it was trained classifies, in place of folds. */
  readonly heldOut?: readonly (readonly [example: Example, label: string])[] | undefined;
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
}

export interface Evaluation {
  /** Examples that were classified. */
  readonly count: number;
  readonly accuracy: number;
  readonly labels: readonly string[];
  /** `confusion[i][j]`: how many of class i were taken for class j. */
  readonly confusion: readonly (readonly number[])[];
}

export interface Neighbour {
  /** The example's number, which `add` gave. */
  readonly example: number;
  readonly label: string;
  /** The cosine of the two embeddings. */
  readonly similarity: number;
}

/**
 * A classifier of one's own classes on the embeddings of a network: a last linear layer that is trained on a few pictures per
 * class. The embeddings of all examples stay in memory: 2,048 values are 8 kB.
 */
export interface Head {
  /** Classes that have examples, or those of the file. In the order in which they came. */
  readonly labels: readonly string[];
  /** Examples, variants not counted. */
  readonly size: number;
  /** Whether there are weights to classify with. */
  readonly isTrained: boolean;

  /** Learns that a picture is of a class. Resolves to the example's number. Rejects if the picture cannot be read. */
  add(example: Example, label: string, options?: AddOptions): Promise<number>;
  /** Forgets an example, and its variants. Training again makes the head forget it too. */
  remove(example: number): Promise<void>;
  /**
   * Trains anew on all examples: multinomial logistic regression by L-BFGS. The same examples in the same order give the
   * same head. Rejects if there are fewer than two classes; if aborted, the head stays as it was.
   */
  train(options?: TrainOptions): Promise<TrainReport>;
  /** Finds the `topK` (by default 5) most probable classes, best first. Rejects if the head is not trained. */
  classify(example: Example, options?: CallOptions & { readonly topK?: number | undefined }): Promise<Classification[]>;
  /** As `Model.cam`, for the `topK` (by default 1) most probable classes. Rejects if the network pools no map before its last layer. */
  cam(image: ImageSource, options?: CallOptions & { readonly topK?: number | undefined }): Promise<Cam>;
  /** Tells how well pictures that were not learned are classified: by cross-validation, or on `heldOut`. */
  evaluate(options?: EvaluateOptions): Promise<Evaluation>;
  /** Finds the `count` most similar examples, best first; exact. */
  neighbours(example: Example, count?: number, options?: CallOptions): Promise<Neighbour[]>;
  /** Writes the weights and labels as a safetensors file, without the examples: a few kB per class. */
  save(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Writes a whole network: the weights of `source`, of the model's own network, with this head in place of the last layer.
   * `load` and `classify --weights` run it. Chunks of a safetensors file.
   */
  mergeInto(source: WeightSource): AsyncIterable<Uint8Array>;
}
