/** A head of one's own classes: examples, their embeddings, and the layer that is trained on them. */

import { ResnetError } from '../../models/errors.js';
import { graphOutput } from '../../models/index.js';
import { RowMatrix } from '../engine/row-matrix.js';
import { classesOf } from '../model/classes.js';
import { checkFunction, checkOptions, checkTopK } from '../model/options.js';
import type { CallOptions, Cam, Classification, ImageSource } from '../model/types.js';
import { platform } from '../platform/platform.js';
import { shown } from '../util/messages.js';
import { isA } from '../util/realm.js';
import type { WeightSource } from '../weights/open.js';
import { variant } from './augment.js';
import { confusionOf, foldsOf, labelsOf, type Row } from './evaluation.js';
import { type LabelledLayer, mergeHead, writeHead } from './head-file.js';
import { fit } from './logistic.js';
import type {
  AddOptions,
  Embedder,
  EvaluateOptions,
  Evaluation,
  Example,
  Head,
  Neighbour,
  TrainOptions,
  TrainReport,
} from './types.js';

const DEFAULT_EPOCHS = 100;
const DEFAULT_FOLDS = 5;

const isEmbedding = (example: Example): example is Float32Array => isA(example, 'Float32Array');

/** Throws unless `value` is a whole number from `least`. */
function checkWhole(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new ResnetError('argument', `${name}: expected a whole number from ${least}, got ${shown(value)}.`);
}

function checkTraining({ epochs = 1, l2 = 0 }: TrainOptions | EvaluateOptions): void {
  checkWhole('epochs', epochs, 1);
  if (!(Number.isFinite(l2) && l2 >= 0))
    throw new ResnetError('argument', `l2: expected a number from 0, got ${shown(l2)}.`);
}

export class EmbeddingHead implements Head {
  readonly #model: Embedder;
  #matrix: RowMatrix | undefined;
  readonly #rows: Row[] = [];
  #layer: LabelledLayer | undefined;
  #examples = 0;
  /** What changes or reads the examples waits for what does so already. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(model: Embedder, layer?: LabelledLayer) {
    this.#model = model;
    this.#layer = layer;
  }

  get labels(): readonly string[] {
    return this.#rows.length > 0 ? labelsOf(this.#rows) : (this.#layer?.labels ?? []);
  }

  get size(): number {
    return new Set(this.#rows.map(({ example }) => example)).size;
  }

  get isTrained(): boolean {
    return this.#layer !== undefined;
  }

  async add(example: Example, label: string, options: AddOptions = {}): Promise<number> {
    checkOptions('add', options, ['variants', 'signal']);
    const { variants = 0, signal } = options;
    checkWhole('variants', variants, 0);
    if (typeof label !== 'string' || label.trim() === '') {
      throw new ResnetError('argument', `label: expected the name of a class, got ${shown(label)}.`);
    }
    if (isEmbedding(example) && variants > 0) {
      throw new ResnetError('argument', 'variants: expected a picture to make variants of, got an embedding.');
    }
    const embeddings = [await this.#embedding(example, signal)];
    if (variants > 0 && !isEmbedding(example)) {
      const pixels = await platform.decodeImage(example);
      for (let i = 0; i < variants; i++) embeddings.push(await this.#model.embed(variant(pixels, i), { signal }));
    }
    return this.#next(async () => {
      const columns = this.#layer
        ? this.#layer.weight.length / this.#layer.labels.length
        : (embeddings[0]?.length ?? 0);
      for (const { length } of embeddings) {
        if (length !== (this.#matrix?.columns ?? columns)) {
          throw new ResnetError(
            'argument',
            `add: expected embeddings of ${this.#matrix?.columns ?? columns} values, got ${length}.`,
          );
        }
      }
      this.#matrix ??= await RowMatrix.create(columns);
      const number = this.#examples++;
      for (const embedding of embeddings) {
        this.#matrix.push(embedding);
        this.#rows.push({ example: number, label });
      }
      return number;
    });
  }

  remove(example: number): Promise<void> {
    return this.#next(async () => {
      if (!this.#rows.some((row) => row.example === example)) {
        throw new ResnetError('argument', `remove: expected the number of an example, got ${shown(example)}.`);
      }
      // From the end, so that the row that takes a place is one that stays.
      for (let i = this.#rows.length - 1; i >= 0; i--) {
        if (this.#rows[i]?.example !== example) continue;
        this.#matrix?.remove(i);
        const last = this.#rows.pop() as Row;
        if (i < this.#rows.length) this.#rows[i] = last;
      }
    });
  }

  async train(options: TrainOptions = {}): Promise<TrainReport> {
    checkOptions('train', options, ['epochs', 'l2', 'balanced', 'onProgress', 'signal']);
    checkTraining(options);
    checkFunction('onProgress', options.onProgress);
    return this.#next(async () => {
      const { layer, loss } = await this.#fitted('train', () => true, options);
      this.#layer = layer;
      const found = this.#found(layer);
      const right = found.filter((label, i) => label === this.#rows[i]?.label).length;
      return { loss, accuracy: right / found.length };
    });
  }

  async classify(
    example: Example,
    options: CallOptions & { readonly topK?: number | undefined } = {},
  ): Promise<Classification[]> {
    checkOptions('classify', options, ['topK', 'signal']);
    const { topK = 5, signal } = options;
    checkTopK(topK);
    const layer = this.#trained('classify');
    const scores = scoresOf(layer, await this.#embedding(example, signal));
    return classesOf(scores, 'softmax', layer.labels, topK);
  }

  async cam(image: ImageSource, options: CallOptions & { readonly topK?: number | undefined } = {}): Promise<Cam> {
    checkOptions('cam', options, ['topK', 'signal']);
    const { topK = 1, signal } = options;
    checkTopK(topK);
    const layer = this.#trained('cam');
    const { data, shape, crop } = await this.#model.featureMap(image, pooledLayer(this.#model), { signal });
    const [h, w, c] = shape;
    const embedding = new Float32Array(c);
    for (let i = 0; i < data.length; i++)
      embedding[i % c] = (embedding[i % c] as number) + (data[i] as number) / (h * w);
    const maps = classesOf(scoresOf(layer, embedding), 'softmax', layer.labels, topK);
    const evidence = (index: number): Float32Array =>
      Float32Array.from({ length: h * w }, (_, i) => {
        let sum = 0;
        for (let k = 0; k < c; k++) sum += (data[i * c + k] as number) * (layer.weight[index * c + k] as number);
        return sum;
      });
    return { maps: maps.map((found) => ({ ...found, data: evidence(found.index) })), shape: [h, w], crop };
  }

  async evaluate(options: EvaluateOptions = {}): Promise<Evaluation> {
    checkOptions('evaluate', options, ['folds', 'heldOut', 'epochs', 'l2', 'balanced', 'onProgress', 'signal']);
    checkTraining(options);
    checkFunction('onProgress', options.onProgress);
    const { folds = DEFAULT_FOLDS, heldOut, onProgress = () => {}, signal } = options;
    checkWhole('folds', folds, 2);
    if (heldOut) {
      const layer = this.#trained('evaluate');
      const pairs: [string, string][] = [];
      for (const [example, label] of heldOut) {
        pairs.push([label, bestOf(layer, await this.#embedding(example, signal))]);
        onProgress(pairs.length, heldOut.length);
      }
      return confusionOf(layer.labels, pairs);
    }
    return this.#next(async () => {
      const parts = foldsOf(this.#rows, folds);
      const pairs: [string, string][] = [];
      for (let fold = 0; fold < folds; fold++) {
        const { layer } = await this.#fitted('evaluate', ({ example }) => parts.get(example) !== fold, {
          ...options,
          onProgress: undefined,
        });
        const seen = new Set<number>();
        this.#rows.forEach(({ example, label }, i) => {
          // Of an example, its first row is the picture itself.
          if (parts.get(example) !== fold || seen.has(example)) return;
          seen.add(example);
          pairs.push([label, bestOf(layer, this.#matrix?.row(i) as Float32Array)]);
        });
        onProgress(fold + 1, folds);
      }
      return confusionOf(labelsOf(this.#rows), pairs);
    });
  }

  async neighbours(example: Example, count = 5, options: CallOptions = {}): Promise<Neighbour[]> {
    checkOptions('neighbours', options, ['signal']);
    checkWhole('count', count, 1);
    const embedding = await this.#embedding(example, options.signal);
    return this.#next(async () => {
      const best = new Map<number, Neighbour>();
      this.#rows.forEach(({ example: number, label }, i) => {
        const similarity = cosine(embedding, this.#matrix?.row(i) as Float32Array);
        if (similarity > (best.get(number)?.similarity ?? Number.NEGATIVE_INFINITY)) {
          best.set(number, { example: number, label, similarity });
        }
      });
      return [...best.values()].sort((a, b) => b.similarity - a.similarity || a.example - b.example).slice(0, count);
    });
  }

  async save(): Promise<Uint8Array<ArrayBuffer>> {
    return writeHead(this.#trained('save'), this.#model);
  }

  mergeInto(source: WeightSource): AsyncIterable<Uint8Array> {
    return mergeHead(this.#trained('mergeInto'), this.#model, source);
  }

  #trained(subject: string): LabelledLayer {
    if (this.#layer) return this.#layer;
    throw new ResnetError(
      'argument',
      `${subject}: expected a head that is trained, got one that is not; call train first.`,
    );
  }

  /** The embedding of a picture, or a checked one. */
  async #embedding(example: Example, signal: AbortSignal | undefined): Promise<Float32Array> {
    const embedding = isEmbedding(example) ? example : await this.#model.embed(example, { signal });
    const columns = this.#matrix?.columns ?? (this.#layer && this.#layer.weight.length / this.#layer.labels.length);
    if (columns !== undefined && embedding.length !== columns) {
      throw new ResnetError(
        'argument',
        `${this.#model.name}: expected embeddings of ${columns} values, got ${embedding.length}.`,
      );
    }
    const wrong = embedding.find((value) => !Number.isFinite(value));
    if (wrong === undefined) return embedding;
    throw new ResnetError('values', `${this.#model.name}: expected embeddings of finite values, got ${wrong}.`);
  }

  /** Fits a layer to the rows that `counts` leaves. */
  async #fitted(
    subject: string,
    counts: (row: Row) => boolean,
    { epochs = DEFAULT_EPOCHS, l2, balanced = true, signal, onProgress }: TrainOptions,
  ): Promise<{ layer: LabelledLayer; loss: number }> {
    const labels = labelsOf(this.#rows.filter(counts));
    if (!this.#matrix || labels.length < 2) {
      const got = labels.length === 0 ? 'none' : `one (${shown(labels[0])})`;
      throw new ResnetError('argument', `${subject}: expected examples of two classes or more, got ${got}.`);
    }
    const classes = this.#rows.map(({ label }) => Math.max(0, labels.indexOf(label)));
    const weights = Float64Array.from(this.#rows, (row) => (counts(row) ? 1 : 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (balanced) {
      const sizes = labels.map((label) => this.#rows.filter((row) => counts(row) && row.label === label).length);
      for (let i = 0; i < weights.length; i++) {
        weights[i] = ((weights[i] as number) * total) / (labels.length * (sizes[classes[i] as number] as number));
      }
    }
    const examples = { rows: this.#matrix, classes, weights };
    const { loss, ...layer } = await fit(examples, labels.length, {
      epochs,
      l2: l2 ?? 1 / total,
      signal,
      onEpoch: (epoch, value) => onProgress?.({ epoch, epochs, loss: value }),
    });
    return { layer: { ...layer, labels }, loss };
  }

  /** What each row is taken for. */
  #found(layer: LabelledLayer): string[] {
    const scores = this.#matrix?.scores(layer) ?? new Float32Array(0);
    const count = layer.labels.length;
    return this.#rows.map((_, i) => layer.labels[greatest(scores.subarray(i * count, (i + 1) * count))] as string);
  }

  #next<Result>(task: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(task);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

/** The layer whose map the last layer reads the mean of. */
function pooledLayer({ graph, name }: Embedder): string {
  const end = graphOutput(graph);
  const linear = end.kind === 'softmax' ? graph.nodes[end.inputs[0] ?? -1] : end;
  const pool = linear?.kind === 'linear' ? graph.nodes[linear.inputs[0] ?? -1] : end;
  const map = graph.nodes[pool?.inputs[0] ?? -1];
  if (pool?.kind === 'reduce' && pool.reduction === 'mean' && map) return map.name;
  throw new ResnetError(
    'unsupported',
    `${name}: expected a global average pool before the last layer for maps, got none.`,
  );
}

const greatest = (values: Float32Array): number =>
  values.reduce((best, value, i) => (value > (values[best] as number) ? i : best), 0);

const scoresOf = ({ weight, bias }: LabelledLayer, embedding: Float32Array): Float32Array =>
  bias.map((shift, c) => {
    let sum = shift;
    const from = c * embedding.length;
    for (let k = 0; k < embedding.length; k++) sum += (weight[from + k] as number) * (embedding[k] as number);
    return sum;
  });

const bestOf = (layer: LabelledLayer, embedding: Float32Array): string =>
  layer.labels[greatest(scoresOf(layer, embedding))] as string;

function cosine(a: Float32Array, b: Float32Array): number {
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let k = 0; k < a.length; k++) {
    const [x, y] = [a[k] as number, b[k] as number];
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return product / Math.max(Math.sqrt(squaresA * squaresB), Number.MIN_VALUE);
}
