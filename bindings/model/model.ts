/** A model that runs where it was loaded. */

import type { Graph, Preprocessing, Shape } from '../../models/index.js';
import { type Summary, summary } from '../compile/summary.js';
import type { Executor, Wanted } from '../engine/executor.js';
import { DISPOSE } from '../util/dispose.js';
import { checkOptions, checkTopK } from './options.js';
import { copiesOf, type Images, Runner, type RunnerOptions } from './runner.js';
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
  Tensor,
} from './types.js';

/** The version in package.json. */
const VERSION = '0.2.0';

/** Calls that want the same object may share a run. */
const OUTPUTS: Wanted = {};

export class ExecutorModel implements Model {
  readonly #runner: Runner;

  /** @internal Use `load`. */
  constructor(executor: Executor, options: RunnerOptions) {
    this.#runner = new Runner(executor, options);
  }

  get name(): string {
    return this.#runner.name;
  }

  get labels(): readonly string[] | undefined {
    return this.#runner.options.labels;
  }

  get preprocessing(): Preprocessing | undefined {
    return this.#runner.options.preprocessing;
  }

  get graph(): Graph {
    return this.#runner.executor.plan.graph;
  }

  get input(): Shape {
    return this.#runner.executor.plan.inputs[0].view.shape;
  }

  get layers(): readonly string[] {
    return this.graph.nodes.map(({ name }) => name);
  }

  classify(image: ImageSource, options?: ClassifyOptions): Promise<Classification[]>;
  classify(images: readonly ImageSource[], options?: ClassifyOptions): Promise<Classification[][]>;
  async classify(images: Images, options: ClassifyOptions = {}): Promise<Classification[] | Classification[][]> {
    checkOptions('classify', options, ['topK', 'signal']);
    const { topK = 5, signal } = options;
    checkTopK(topK);
    const runner = this.#runner;
    runner.checkClassifier();
    // One picture of an idle model is read within the call.
    const taken = runner.isIdle && !Array.isArray(images) ? images : copiesOf(images);
    return runner.each(taken, OUTPUTS, signal, ({ outputs: [output] }) => runner.classes(output as Float32Array, topK));
  }

  embed(image: ImageSource, options?: EmbedOptions): Promise<Float32Array>;
  embed(images: readonly ImageSource[], options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(images: Images, options: EmbedOptions = {}): Promise<Float32Array | Float32Array[]> {
    checkOptions('embed', options, ['normalise', 'signal']);
    const taken = copiesOf(images);
    return (await import('./analysis.js')).embed(this.#runner, taken, options);
  }

  async cam(image: ImageSource, options: CamOptions = {}): Promise<Cam> {
    checkOptions('cam', options, ['topK', 'classes', 'signal']);
    const { topK, classes, signal } = options;
    const { cam } = await this.analyse(image, { topK, cam: { classes }, signal });
    return cam as Cam;
  }

  async featureMap(image: ImageSource, layer: string, options: CallOptions = {}): Promise<FeatureMap> {
    checkOptions('featureMap', options, ['signal']);
    const taken = copiesOf(image);
    return (await import('./analysis.js')).featureMap(this.#runner, taken, layer, options);
  }

  async analyse(image: ImageSource, options: AnalyseOptions = {}): Promise<Analysis> {
    checkOptions('analyse', options, ['topK', 'cam', 'layers', 'embedding', 'signal']);
    const taken = copiesOf(image);
    return (await import('./analysis.js')).analyse(this.#runner, taken, options);
  }

  async preprocess(image: ImageSource, options: CallOptions = {}): Promise<Tensor> {
    checkOptions('preprocess', options, ['signal']);
    const taken = copiesOf(image);
    return (await import('./analysis.js')).preprocess(this.#runner, taken, options);
  }

  async run(
    input: Tensor | Readonly<Record<string, Tensor>>,
    options: CallOptions & { readonly profile?: boolean | undefined } = {},
  ): Promise<Output> {
    checkOptions('run', options, ['profile', 'signal']);
    const { profile = false, signal } = options;
    const { executor } = this.#runner;
    const { plan } = executor;
    const { values, batch } = nhwcInputs(input, plan.inputs);
    const { outputs, stepMs } = await this.#runner.next(async () => {
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
      ...(stepMs ? { profile: (await import('./step-profiles.js')).stepProfiles(plan, batch, stepMs) } : {}),
    };
  }

  summary(): Summary {
    return summary(this.graph);
  }

  info(): ModelInfo {
    const { executor } = this.#runner;
    return {
      version: VERSION,
      backend: 'wasm',
      network: this.name,
      binary: executor.binary,
      vectors: executor.vectors.bits,
      vectorsNote: executor.vectors.note,
      threads: executor.threads,
      threadsNote: executor.threadsNote,
      weightBytes: executor.weightBytes,
      activationBytes: executor.activationBytes(1),
      memoryBytes: executor.memoryBytes,
    };
  }

  dispose(): void {
    this.#runner.dispose();
  }

  [DISPOSE](): void {
    this.dispose();
  }
}
