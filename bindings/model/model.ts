/** A model that runs where it was loaded. */

import { graphOutput, macs, type Preprocessing } from '../../models/index.js';
import type { Plan } from '../compile/plan.js';
import { type Summary, summary } from '../compile/summary.js';
import type { PlanExecutor } from '../engine/executor.js';
import { preprocess, shownOf } from '../image/preprocess.js';
import { platform } from '../platform/platform.js';
import type { Pixels } from '../platform/types.js';
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
  #session: PlanExecutor | undefined;
  readonly #preprocessing: Preprocessing | undefined;
  readonly #labels: readonly string[] | undefined;
  readonly #threadsNote: string | undefined;
  /** Settles when the last run that was asked for is done. */
  #last: Promise<unknown> = Promise.resolve();

  /** @internal Use `load`. */
  constructor(
    session: PlanExecutor,
    preprocessing: Preprocessing | undefined,
    labels: readonly string[] | undefined,
    threadsNote: string | undefined,
  ) {
    this.#threadsNote = threadsNote;
    this.#session = session;
    this.#preprocessing = preprocessing;
    this.#labels = labels;
    this.name = session.plan.graph.name;
  }

  readonly name: string;

  async classify(image: ImageSource, { topK = 5 }: { topK?: number } = {}): Promise<Classification[]> {
    checkTopK(topK);
    this.#checkClassifier();
    const { session, pixels, preprocessing } = await this.#decoded(image);
    const values = await this.#next(() => {
      preprocess(session.core, pixels, preprocessing, session.inputPtr(1));
      return session.run(1);
    });
    return best(probabilities(session.plan, values), this.#labels).slice(0, topK);
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
    const { step, before } = camStep(plan);
    const { session, pixels, preprocessing } = await this.#decoded(image);
    const { output, values } = await this.#next(() => {
      preprocess(session.core, pixels, preprocessing, session.inputPtr(1));
      return session.runWith(step, before);
    });
    const ranked = best(probabilities(plan, output), this.#labels);
    const chosen = classes
      ? classes.map((wanted) => ranked.find(({ index }) => index === wanted) as Classification)
      : ranked.slice(0, topK);
    const { h, w } = step.output.shape;
    return {
      maps: chosen.map((found) => ({ ...found, data: classMap(values, count, found.index) })),
      shape: [h, w],
      crop: shownOf(pixels, preprocessing),
    };
  }

  async featureMap(image: ImageSource, layer: string): Promise<FeatureMap> {
    const { graph, values } = this.#live().plan;
    const value = values[graph.nodes.findIndex(({ name }) => name === layer)];
    if (!value) throw new RangeError(`layer: expected the name of a node of ${this.name}, got ${layer}.`);
    const { session, pixels, preprocessing } = await this.#decoded(image);
    const data = await this.#next(() => {
      preprocess(session.core, pixels, preprocessing, session.inputPtr(1));
      return session.value(1, value);
    });
    const { h, w, c } = value.view.shape;
    return { layer: value.node.name, data, shape: [h, w, c], crop: shownOf(pixels, preprocessing) };
  }

  async run(input: Tensor, { profile = false }: { profile?: boolean } = {}): Promise<Output> {
    const session = this.#live();
    const { data, shape = [], layout } = input ?? ({} as Tensor);
    const { h, w, c } = session.plan.inputs[0].view.shape;
    const isNchw = layout === 'NCHW';
    if (!isNchw && layout !== 'NHWC') throw new TypeError(`layout: expected NCHW or NHWC, got ${layout}.`);
    const wanted = isNchw ? [c, h, w] : [h, w, c];
    const batch = shape[0] ?? 0;
    const fits = shape.length === 4 && wanted.every((n, i) => shape[i + 1] === n) && Number.isInteger(batch);
    if (!fits || batch < 1) {
      throw new TypeError(`input: expected shape [N, ${wanted.join(', ')}] (${layout}), got [${shape.join(', ')}].`);
    }
    const count = batch * h * w * c;
    if (!(data instanceof Float32Array) || data.length !== count) {
      const got = data instanceof Float32Array ? `${data.length}` : Object.prototype.toString.call(data);
      throw new TypeError(`input: expected a Float32Array of ${count} values, got ${got}.`);
    }
    const { output, stepMs } = await this.#next(async () => {
      const to = session.input(batch);
      if (isNchw) toNhwc(data, to, batch, c, h * w);
      else to.set(data);
      return profile ? session.profile(batch) : { output: await session.run(batch), stepMs: undefined };
    });
    const to = session.plan.outputs[0].view.shape;
    const out = { data: output, shape: to.h === 1 && to.w === 1 ? [batch, to.c] : [batch, to.h, to.w, to.c] };
    return stepMs ? { ...out, profile: stepProfiles(session.plan, batch, stepMs) } : out;
  }

  summary(): Summary {
    return summary(this.#live().plan.graph);
  }

  info(): ModelInfo {
    const session = this.#live();
    return {
      network: this.name,
      binary: session.core.binary,
      threads: session.threads.count,
      threadsNote: this.#threadsNote,
      weightBytes: session.weightBytes,
      activationBytes: session.activationBytes(1),
      memoryBytes: session.core.arena.memory.buffer.byteLength,
    };
  }

  dispose(): void {
    this.#session?.threads.stop();
    this.#session = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkClassifier(): void {
    const { h, w, c } = this.#live().plan.outputs[0].view.shape;
    if (h !== 1 || w !== 1) throw new TypeError(`${this.name}: expected a classifier, got a ${h}x${w}x${c} output.`);
  }

  /** A picture's pixels, once it is sure that there is a preprocessing for them. */
  async #decoded(image: ImageSource): Promise<{ session: PlanExecutor; pixels: Pixels; preprocessing: Preprocessing }> {
    const session = this.#live();
    const preprocessing = this.#preprocessing;
    const { h, w, c } = session.plan.inputs[0].view.shape;
    if (!preprocessing || preprocessing.crop !== h || preprocessing.crop !== w || c !== 3) {
      const got = preprocessing ? `one for ${preprocessing.crop}x${preprocessing.crop}x3` : 'none';
      throw new TypeError(`${this.name}: expected a preprocessing for pictures of ${h}x${w}x${c}, got ${got}.`);
    }
    return { session, pixels: await platform.decodeImage(image), preprocessing };
  }

  /** Runs `task` when those before it are done, if the model is still in use then. */
  #next<Result>(task: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(() => {
      this.#live();
      return task();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  #live(): PlanExecutor {
    if (!this.#session) throw new Error(`${this.name}: expected a model in use, got one that has been disposed of.`);
    return this.#session;
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

function toNhwc(from: Float32Array, to: Float32Array, batch: number, channels: number, pixels: number): void {
  for (let b = 0; b < batch; b++) {
    const base = b * channels * pixels;
    for (let c = 0; c < channels; c++) {
      const plane = base + c * pixels;
      for (let p = 0; p < pixels; p++) to[base + p * channels + c] = from[plane + p] as number;
    }
  }
}

function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (v) => Math.exp(v - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / sum);
}

/** Those that a network ends in, or the softmax of its logits. */
function probabilities({ graph }: Plan, output: Float32Array): Float32Array | Float64Array {
  return graphOutput(graph).kind === 'softmax' ? output : softmax(output);
}

/** Every class, the most probable first. */
function best(values: Float32Array | Float64Array, labels: readonly string[] | undefined): Classification[] {
  return Array.from(values, (probability, index) => ({ index, label: labels?.[index], probability })).sort(
    (a, b) => b.probability - a.probability || a.index - b.index,
  );
}
