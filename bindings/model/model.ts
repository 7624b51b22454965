/** A model that runs where it was loaded. */

import { graphOutput, macs, type Preprocessing } from '../../models/index.js';
import type { Plan } from '../compile/plan.js';
import { type Summary, summary } from '../compile/summary.js';
import type { Executor, RunResult, Wanted } from '../engine/executor.js';
import { type Crop, imageWriter, shownOf } from '../image/preprocess.js';
import { platform } from '../platform/platform.js';
import type { Pixels } from '../platform/types.js';
import { nextTask } from '../util/next-task.js';
import { rankedClasses } from './classes.js';
import { nhwcInputs } from './tensors.js';
import type {
  Cam,
  Classification,
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

  async classify(image: ImageSource, { topK = 5 }: { topK?: number } = {}): Promise<Classification[]> {
    checkTopK(topK);
    this.#checkClassifier();
    const {
      outputs: [output],
    } = await this.#runImage(image);
    return this.#ranked(output as Float32Array).slice(0, topK);
  }

  async cam(
    image: ImageSource,
    { topK = 5, classes }: { topK?: number; classes?: readonly number[] } = {},
  ): Promise<Cam> {
    checkTopK(topK);
    const { plan } = this.#live();
    const count = plan.outputs[0].view.shape.c;
    for (const index of classes ?? []) {
      if (!Number.isInteger(index) || index < 0 || index >= count) {
        throw new RangeError(`classes: expected whole numbers from 0 to ${count - 1}, got ${index}.`);
      }
    }
    const { camStep, classMap } = await import('./cam.js');
    const extra = camStep(plan);
    const {
      outputs: [output],
      extra: evidence,
      crop,
    } = await this.#runImage(image, { extra });
    const ranked = this.#ranked(output as Float32Array);
    const chosen = classes
      ? classes.map((wanted) => ranked.find(({ index }) => index === wanted) as Classification)
      : ranked.slice(0, topK);
    const { h, w } = extra.step.output.shape;
    return {
      maps: chosen.map((found) => ({ ...found, data: classMap(evidence as Float32Array, count, found.index) })),
      shape: [h, w],
      crop,
    };
  }

  async featureMap(image: ImageSource, layer: string): Promise<FeatureMap> {
    const { graph, values } = this.#live().plan;
    const value = values[graph.nodes.findIndex(({ name }) => name === layer)];
    if (!value) throw new RangeError(`layer: expected the name of a node of ${this.name}, got ${layer}.`);
    const {
      values: [data],
      crop,
    } = await this.#runImage(image, { values: [value], isPartial: true });
    const { h, w, c } = value.view.shape;
    return { layer: value.node.name, data: data as Float32Array, shape: [h, w, c], crop };
  }

  async run(
    input: Tensor | Readonly<Record<string, Tensor>>,
    { profile = false }: { profile?: boolean } = {},
  ): Promise<Output> {
    const executor = this.#live();
    const { plan } = executor;
    const { values, batch } = nhwcInputs(input, plan.inputs);
    const { outputs, stepMs } = await this.#next(async () => {
      executor.setInput(batch, ...values);
      return profile ? executor.profile() : { ...(await executor.run()), stepMs: undefined };
    });
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

  /** Decodes a picture and runs it when the runs before it are done. */
  async #runImage(image: ImageSource, wanted?: Wanted): Promise<RunResult & { readonly crop: Crop }> {
    const executor = this.#live();
    const preprocessing = this.#fittingPreprocessing();
    // Decoded pixels are the caller's, who may change them at once.
    const pixels = await platform.decodeImage(isPixels(image) ? { ...image, data: image.data.slice() } : image);
    const write = imageWriter(pixels, preprocessing);
    const result = await this.#next(() => {
      executor.setInput(1, write);
      return executor.run(wanted);
    });
    return { ...result, crop: shownOf(pixels, preprocessing) };
  }

  #fittingPreprocessing(): Preprocessing {
    const preprocessing = this.#preprocessing;
    const { h, w, c } = this.#live().plan.inputs[0].view.shape;
    if (preprocessing) return preprocessing;
    throw new TypeError(`${this.name}: expected a preprocessing for pictures of ${h}x${w}x${c}, got none.`);
  }

  #ranked(output: Float32Array): Classification[] {
    const { kind } = graphOutput(this.#live().plan.graph);
    return rankedClasses(output, kind === 'softmax' ? 'none' : 'softmax', this.#labels);
  }

  /**
   * Runs `task` when those before it are done, if the model is still in use then. The event loop has its turn after each:
   * otherwise a server that awaits runs in a row would do nothing else.
   */
  #next<Result>(task: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(() => {
      this.#live();
      return task();
    });
    this.#last = turn.catch(() => {}).then(nextTask);
    return this.#last.then(() => turn);
  }

  #live(): Executor {
    if (!this.#executor) throw new Error(`${this.name}: expected a model in use, got one that has been disposed of.`);
    return this.#executor;
  }
}

function checkTopK(topK: number): void {
  if (!Number.isInteger(topK) || topK < 1) throw new RangeError(`topK: expected a whole number from 1, got ${topK}.`);
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
