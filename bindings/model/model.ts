/** A model that runs where it was loaded. */

import { closest, type Graph, graphOutput, macs, type Preprocessing, type Shape } from '../../models/index.js';
import type { Plan, PlanValue } from '../compile/plan.js';
import { type Summary, summary } from '../compile/summary.js';
import type { Executor, InputWriter, RunResult, Wanted } from '../engine/executor.js';
import { type Crop, imageWriter, shownOf } from '../image/preprocess.js';
import { platform } from '../platform/platform.js';
import type { Pixels } from '../platform/types.js';
import { shown } from '../util/messages.js';
import { nextTask } from '../util/next-task.js';
import { rankedClasses } from './classes.js';
import { checkOptions, checkTopK } from './options.js';
import { nhwcInputs } from './tensors.js';
import type {
  AnalyseOptions,
  Analysis,
  CallOptions,
  Cam,
  CamOptions,
  Classification,
  ClassifyOptions,
  EmbedOptions,
  FeatureMap,
  ImageSource,
  Model,
  ModelInfo,
  Output,
  StepProfile,
  Tensor,
} from './types.js';

export class ExecutorModel implements Model {
  #executor: Executor | undefined;
  readonly #preprocessing: Preprocessing | undefined;
  readonly #labels: readonly string[] | undefined;
  /** Settles when the last run that was asked for is done. */
  #last: Promise<unknown> = Promise.resolve();

  /** @internal Use `load`. */
  constructor(executor: Executor, preprocessing: Preprocessing | undefined, labels: readonly string[] | undefined) {
    this.#executor = executor;
    this.#preprocessing = preprocessing;
    this.#labels = labels;
    this.name = executor.plan.graph.name;
  }

  readonly name: string;

  get labels(): readonly string[] | undefined {
    return this.#labels;
  }

  get preprocessing(): Preprocessing | undefined {
    return this.#preprocessing;
  }

  get graph(): Graph {
    return this.#live().plan.graph;
  }

  get input(): Shape {
    return this.#live().plan.inputs[0].view.shape;
  }

  get layers(): readonly string[] {
    return this.graph.nodes.map(({ name }) => name);
  }

  classify(image: ImageSource, options?: ClassifyOptions): Promise<Classification[]>;
  classify(images: readonly ImageSource[], options?: ClassifyOptions): Promise<Classification[][]>;
  async classify(
    images: ImageSource | readonly ImageSource[],
    options: ClassifyOptions = {},
  ): Promise<Classification[] | Classification[][]> {
    checkOptions('classify', options, ['topK', 'signal']);
    const { topK = 5, signal } = options;
    checkTopK(topK);
    this.#checkClassifier();
    return this.#each(images, signal, async (shown) => {
      const [output] = (await this.#show(shown, {}, signal)).outputs;
      return this.#ranked(output as Float32Array).slice(0, topK);
    });
  }

  embed(image: ImageSource, options?: EmbedOptions): Promise<Float32Array>;
  embed(images: readonly ImageSource[], options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(
    images: ImageSource | readonly ImageSource[],
    options: EmbedOptions = {},
  ): Promise<Float32Array | Float32Array[]> {
    checkOptions('embed', options, ['normalise', 'signal']);
    const { normalise = false, signal } = options;
    const features = this.#features();
    return this.#each(images, signal, async (shown) => {
      const [values] = (await this.#show(shown, { values: [features], isPartial: true }, signal)).values;
      return normalise ? unit(values as Float32Array) : (values as Float32Array);
    });
  }

  async cam(image: ImageSource, options: CamOptions = {}): Promise<Cam> {
    checkOptions('cam', options, ['topK', 'classes', 'signal']);
    const { topK, classes, signal } = options;
    return (await this.#analyse(image, { topK, cam: { classes }, signal })).cam as Cam;
  }

  async featureMap(image: ImageSource, layer: string, options: CallOptions = {}): Promise<FeatureMap> {
    checkOptions('featureMap', options, ['signal']);
    const value = this.#valueOf(layer);
    return this.#each(image, options.signal, async (shown) => {
      const [data] = (await this.#show(shown, { values: [value], isPartial: true }, options.signal)).values;
      return featureMapOf(value, data as Float32Array, shown.crop);
    });
  }

  async analyse(image: ImageSource, options: AnalyseOptions = {}): Promise<Analysis> {
    checkOptions('analyse', options, ['topK', 'cam', 'layers', 'embedding', 'signal']);
    return this.#analyse(image, options);
  }

  async #analyse(image: ImageSource, options: AnalyseOptions): Promise<Analysis> {
    const { topK = 5, cam = false, layers = [], embedding = false, signal } = options;
    checkTopK(topK);
    this.#checkClassifier();
    const { plan } = this.#live();
    const wanted = layers.map((layer) => this.#valueOf(layer));
    const classes = typeof cam === 'object' ? cam.classes : undefined;
    checkClasses(classes, plan.outputs[0].view.shape.c);
    const extra = cam ? (await import('./cam.js')).camStep(plan) : undefined;
    return this.#each(image, signal, async (shown) => {
      const values = embedding ? [...wanted, this.#features()] : wanted;
      const result = await this.#show(shown, { values, extra }, signal);
      const ranked = this.#ranked(result.outputs[0] as Float32Array);
      const best = ranked.slice(0, topK);
      const chosen = classes?.map((index) => ranked.find((found) => found.index === index) as Classification) ?? best;
      return {
        classes: best,
        cam: extra && camOf(chosen, extra.step.output.shape, result.extra as Float32Array, shown.crop),
        layers: wanted.map((value, i) => featureMapOf(value, result.values[i] as Float32Array, shown.crop)),
        embedding: embedding ? result.values.at(-1) : undefined,
      };
    });
  }

  async preprocess(image: ImageSource, options: CallOptions = {}): Promise<Tensor> {
    checkOptions('preprocess', options, ['signal']);
    const { h, w, c } = this.input;
    const { values } = this.#live().plan;
    const input = values.find(({ node }) => node.id === this.graph.inputs[0].node) as PlanValue;
    return this.#each(image, options.signal, async (shown) => {
      const [data] = (await this.#show(shown, { values: [input], isPartial: true }, options.signal)).values;
      return { data: data as Float32Array, shape: [1, h, w, c], layout: 'NHWC' };
    });
  }

  async run(
    input: Tensor | Readonly<Record<string, Tensor>>,
    options: CallOptions & { readonly profile?: boolean | undefined } = {},
  ): Promise<Output> {
    checkOptions('run', options, ['profile', 'signal']);
    const { profile = false, signal } = options;
    const executor = this.#live();
    const { plan } = executor;
    const { values, batch } = nhwcInputs(input, plan.inputs);
    const { outputs, stepMs } = await this.#next(async () => {
      executor.setInput(batch, ...values);
      return profile ? executor.profile() : { ...(await executor.run()), stepMs: undefined };
    }, signal);
    const tensors = plan.outputs.map(({ name, view: { shape } }, i) => {
      const { h, w, c } = shape;
      const data = outputs[i] as Float32Array;
      return [name, { data, shape: h === 1 && w === 1 ? [batch, c] : [batch, h, w, c] }] as const;
    });
    const [[, first]] = tensors as [(typeof tensors)[number]];
    return {
      ...first,
      ...(tensors.length > 1 ? { outputs: Object.fromEntries(tensors) } : {}),
      ...(stepMs ? { profile: stepProfiles(plan, batch, stepMs) } : {}),
    };
  }

  summary(): Summary {
    return summary(this.#live().plan.graph);
  }

  info(): ModelInfo {
    const executor = this.#live();
    return {
      network: this.name,
      binary: executor.binary,
      threads: executor.threads,
      threadsNote: executor.threadsNote,
      weightBytes: executor.weightBytes,
      activationBytes: executor.activationBytes(1),
      memoryBytes: executor.memoryBytes,
    };
  }

  dispose(): void {
    this.#executor?.dispose();
    this.#executor = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkClassifier(): void {
    const { h, w, c } = this.#live().plan.outputs[0].view.shape;
    if (h !== 1 || w !== 1) throw new TypeError(`${this.name}: expected a classifier, got a ${h}x${w}x${c} output.`);
  }

  /** Decodes a picture or several, each next one while `use` has one; `use` in turn. */
  async #each<Result>(
    images: ImageSource,
    signal: AbortSignal | undefined,
    use: (shown: ShownImage) => Promise<Result>,
  ): Promise<Result>;
  async #each<Result>(
    images: ImageSource | readonly ImageSource[],
    signal: AbortSignal | undefined,
    use: (shown: ShownImage) => Promise<Result>,
  ): Promise<Result | Result[]>;
  async #each<Result>(
    images: ImageSource | readonly ImageSource[],
    signal: AbortSignal | undefined,
    use: (shown: ShownImage) => Promise<Result>,
  ): Promise<Result | Result[]> {
    signal?.throwIfAborted();
    this.#live();
    const preprocessing = this.#fittingPreprocessing();
    const list = isList(images) ? images : [images];
    // Decoded pixels are the caller's, who may change them at once.
    const sources = list.map((image) => (isPixels(image) ? { ...image, data: image.data.slice() } : image));
    const decode = (source: ImageSource): Promise<Pixels> => {
      const pixels = platform.decodeImage(source);
      // Awaited later, perhaps never.
      pixels.catch(() => {});
      return pixels;
    };
    const results: Result[] = [];
    let next = sources.length > 0 ? decode(sources[0] as ImageSource) : undefined;
    for (let i = 1; next; i++) {
      const pixels = await next;
      signal?.throwIfAborted();
      next = i < sources.length ? decode(sources[i] as ImageSource) : undefined;
      results.push(await use({ write: imageWriter(pixels, preprocessing), crop: shownOf(pixels, preprocessing) }));
    }
    return isList(images) ? results : (results[0] as Result);
  }

  /** Runs a picture when the runs before it are done. */
  async #show({ write }: ShownImage, wanted: Wanted, signal: AbortSignal | undefined): Promise<RunResult> {
    const executor = this.#live();
    return this.#next(async () => {
      executor.setInput(1, write);
      const result = await executor.run(wanted);
      if ([...result.outputs, ...result.values].every(isAllFinite)) return result;
      executor.setInput(1, write);
      const step = await executor.firstNonFinite();
      const where = step ? `layer ${step.node.name}` : 'the input';
      throw new RangeError(
        `${this.name}: values are not finite from ${where} on; its weights are damaged, or not its own.`,
      );
    }, signal);
  }

  /** The value of a layer. */
  #valueOf(layer: string): PlanValue {
    const { graph, values } = this.#live().plan;
    const value = values[graph.nodes.findIndex(({ name }) => name === layer)];
    if (!value) {
      const near = closest(this.layers, String(layer));
      throw new RangeError(`layer: expected the name of a node of ${this.name}, got ${layer}; the closest is ${near}.`);
    }
    return value;
  }

  /** What the classifier reads. */
  #features(): PlanValue {
    const { graph, values } = this.#live().plan;
    const end = graphOutput(graph);
    const linear = end.kind === 'softmax' ? graph.nodes[end.inputs[0] ?? -1] : end;
    const features = linear?.kind === 'linear' ? values[linear.inputs[0] ?? -1] : undefined;
    if (!features)
      throw new TypeError(`${this.name}: expected to end in a linear layer for embeddings, got ${end.kind}.`);
    return features;
  }

  #fittingPreprocessing(): Preprocessing {
    const preprocessing = this.#preprocessing;
    const { h, w, c } = this.#live().plan.inputs[0].view.shape;
    if (preprocessing && preprocessing.crop === h && preprocessing.crop === w && c === 3) return preprocessing;
    const got = preprocessing ? `one for ${preprocessing.crop}x${preprocessing.crop}x3` : 'none';
    throw new TypeError(`${this.name}: expected a preprocessing for pictures of ${h}x${w}x${c}, got ${got}.`);
  }

  #ranked(output: Float32Array): Classification[] {
    const { kind } = graphOutput(this.#live().plan.graph);
    return rankedClasses(output, kind === 'softmax' ? 'none' : 'softmax', this.#labels);
  }

  /**
   * Runs `task` when those before it are done, if the model is still in use then and the call not aborted. The event loop
   * has its turn after each: otherwise a server that awaits runs in a row would do nothing else.
   */
  #next<Result>(task: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      const turn = this.#last.then(() => {
        signal?.throwIfAborted();
        this.#live();
        return task();
      });
      this.#last = turn
        .catch(() => {})
        .then(() => signal?.removeEventListener('abort', abort))
        .then(nextTask);
      this.#last.then(() => turn).then(resolve, reject);
    });
  }

  #live(): Executor {
    if (!this.#executor) throw new Error(`${this.name}: expected a model in use, got one that has been disposed of.`);
    return this.#executor;
  }
}

/** A picture that is ready to be written into the network's input. */
interface ShownImage {
  readonly write: InputWriter;
  readonly crop: Crop;
}

const isList = (images: ImageSource | readonly ImageSource[]): images is readonly ImageSource[] =>
  Array.isArray(images);

const isAllFinite = (values: Float32Array): boolean => values.every(Number.isFinite);

/** A vector over its Euclidean norm; zeros stay zeros. */
function unit(values: Float32Array): Float32Array {
  const norm = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  return norm > 0 ? values.map((v) => v / norm) : values;
}

function checkClasses(classes: readonly number[] | undefined, count: number): void {
  if (classes !== undefined && !Array.isArray(classes)) {
    throw new TypeError(`classes: expected a list of whole numbers, got ${shown(classes)}.`);
  }
  for (const index of classes ?? []) {
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw new RangeError(`classes: expected whole numbers from 0 to ${count - 1}, got ${index}.`);
    }
  }
}

function featureMapOf({ node, view }: PlanValue, data: Float32Array, crop: Crop): FeatureMap {
  const { h, w, c } = view.shape;
  return { layer: node.name, data, shape: [h, w, c], crop };
}

/** The maps of some classes out of [h, w, classes]. */
function camOf(chosen: readonly Classification[], { h, w, c }: Shape, evidence: Float32Array, crop: Crop): Cam {
  const mapOf = (index: number) => Float32Array.from({ length: h * w }, (_, i) => evidence[i * c + index] as number);
  return { maps: chosen.map((found) => ({ ...found, data: mapOf(found.index) })), shape: [h, w], crop };
}

function stepProfiles({ graph, steps }: Plan, batch: number, stepMs: readonly number[]): StepProfile[] {
  return steps.map(({ kind, node, algorithm }, i) => ({
    name: node.name,
    kind,
    algorithm: kind === 'conv' ? algorithm : undefined,
    ms: stepMs[i] as number,
    macs: kind === 'conv' || kind === 'linear' ? macs(graph, node) * batch : 0,
  }));
}

const isPixels = (image: unknown): image is Pixels =>
  typeof image === 'object' && image !== null && 'data' in image && 'width' in image && 'height' in image;
