/** Runs pictures and tensors on an executor, one after the other. */

import { ResnetError } from '../../models/errors.js';
import { FEATURES, graphOutput, type Preprocessing } from '../../models/index.js';
import type { Executor, InputWriter, RunResult, Wanted } from '../engine/executor.js';
import { type Crop, imageWriter, shownOf } from '../image/preprocess.js';
import { copyOf, isPixels } from '../platform/pixels.js';
import { platform } from '../platform/platform.js';
import type { Pixels } from '../platform/types.js';
import { nextTask } from '../util/next-task.js';
import { untilAborted } from '../util/until-aborted.js';
import { classesOf, type OutputActivation } from './classes.js';
import type { Classification, ImageSource } from './types.js';

/** Pictures that share a run. */
interface Group {
  readonly wanted: Wanted;
  readonly inputs: Float32Array[];
  readonly results: Promise<readonly (RunResult | ResnetError)[]>;
}

/** One picture, or several. */
export type Images = ImageSource | readonly ImageSource[];

const isList = (images: Images): images is readonly ImageSource[] => Array.isArray(images);

const isAllFinite = (values: Float32Array): boolean => values.every(Number.isFinite);

/** Writes the inputs of several images one after the other. */
const inOrder =
  (inputs: readonly Float32Array[]): InputWriter =>
  ({ arena }, ptr) =>
    inputs.forEach((input, i) => {
      arena.f32(ptr + i * input.byteLength, input.length).set(input);
    });

/** The values of image `i` of `count`. */
function partOf(all: RunResult, i: number, count: number): RunResult {
  if (count === 1) return all;
  const part = (values: Float32Array): Float32Array =>
    values.slice((i * values.length) / count, ((i + 1) * values.length) / count);
  return { outputs: all.outputs.map(part), values: all.values.map(part), extra: all.extra && part(all.extra) };
}

/** The result at a place. Throws what is there instead. */
function only(results: readonly (RunResult | ResnetError)[], at: number): RunResult {
  const result = results[at] as RunResult | ResnetError;
  if (result instanceof ResnetError) throw result;
  return result;
}

/** Copies decoded pixels, which their owner may change at once. */
export const copiesOf = <Given extends Images>(images: Given): Given =>
  (isList(images) ? images.map(copiesOf) : isPixels(images) ? copyOf(images) : images) as Given;

/** The most bytes of activations that pictures share. */
const BATCH_BYTES = 2 ** 26;

export interface RunnerOptions {
  readonly preprocessing: Preprocessing | undefined;
  readonly labels: readonly string[] | undefined;
  /** By default softmax, or a sigmoid if there is one output; none if the network ends in either itself. */
  readonly activation: OutputActivation | undefined;
  /** The most pixels that a picture may have. */
  readonly maxPixels: number | undefined;
}

/** What the calls of a model share: decoding, waiting for a turn, running, ranking. */
export class Runner {
  readonly name: string;
  readonly options: RunnerOptions;
  #executor: Executor | undefined;
  /** Settles when the last run that was asked for is done. */
  #last: Promise<unknown> = Promise.resolve();
  /** Runs that are not done. */
  #waiting = 0;
  /** Pictures that wait for their turn together. */
  #group: Group | undefined;

  constructor(executor: Executor, options: RunnerOptions) {
    this.name = executor.plan.graph.name;
    this.options = options;
    this.#executor = executor;
  }

  /** The executor. Throws if the model has been disposed. */
  get executor(): Executor {
    if (!this.#executor) throw new ResnetError('disposed', `${this.name}: this model has been disposed.`);
    return this.#executor;
  }

  dispose(): void {
    this.#executor?.dispose();
    this.#executor = undefined;
  }

  /** Throws if the output is no vector of classes. */
  checkClassifier(): void {
    const [{ name, view }] = this.executor.plan.outputs;
    const { h, w, c } = view.shape;
    if (name === FEATURES) {
      const why = 'features alone, since its weights have no last layer; use embed';
      throw new ResnetError('argument', `${this.name}: expected a classifier, got ${why}.`);
    }
    if (h !== 1 || w !== 1)
      throw new ResnetError('argument', `${this.name}: expected a classifier, got a ${h}x${w}x${c} output.`);
  }

  /** The best classes with their probabilities, so many, or the given ones. */
  classes(output: Float32Array, wanted: number | readonly number[]): Classification[] {
    const { labels, activation } = this.options;
    const end = graphOutput(this.executor.plan.graph);
    const isDone = end.kind === 'softmax' || (end.kind === 'activation' && end.activation.kind === 'sigmoid');
    const usual = isDone ? 'none' : output.length === 1 ? 'sigmoid' : 'softmax';
    return classesOf(output, activation ?? usual, labels, wanted);
  }

  /** Whether a run would begin within the call. */
  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /**
   * Decodes a picture or several and runs each; `use` makes a result of what a run gives. Of a list, some are on their way at
   * once. Decoded pixels of one picture are read within the call if the runner is idle; otherwise, and of a list, later.
   */
  async each<Result>(
    images: ImageSource,
    wanted: Wanted,
    signal: AbortSignal | undefined,
    use: (result: RunResult, crop: Crop) => Result,
  ): Promise<Result>;
  async each<Result>(
    images: Images,
    wanted: Wanted,
    signal: AbortSignal | undefined,
    use: (result: RunResult, crop: Crop) => Result,
  ): Promise<Result | Result[]>;
  async each<Result>(
    images: Images,
    wanted: Wanted,
    signal: AbortSignal | undefined,
    use: (result: RunResult, crop: Crop) => Result,
  ): Promise<Result | Result[]> {
    signal?.throwIfAborted();
    const preprocessing = this.#fittingPreprocessing();
    const { maxPixels } = this.options;
    const shown = async (pixels: Pixels): Promise<Result> => {
      const result = await this.#show(imageWriter(pixels, preprocessing), wanted, signal);
      return use(result, shownOf(pixels, preprocessing));
    };
    if (!isList(images) && isPixels(images)) return shown(images);
    const one = async (source: ImageSource): Promise<Result> => {
      const pixels = await platform.decodeImage(source, { maxPixels });
      signal?.throwIfAborted();
      return shown(pixels);
    };
    if (!isList(images)) return one(images);
    const results: Promise<Result>[] = [];
    for (const [i, source] of images.entries()) {
      await results[i - this.inFlight];
      signal?.throwIfAborted();
      const result = one(source);
      // Awaited later, perhaps never.
      result.catch(() => {});
      results.push(result);
    }
    return Promise.all(results);
  }

  /**
   * Pictures to have on their way at once: one is decoded while another runs, and threads are given as many as share a run.
   * Their pixels are in memory.
   */
  get inFlight(): number {
    return 2 * this.#most;
  }

  /** The most pictures that share a run: two per thread, if their activations are not too large. */
  get #most(): number {
    const { executor } = this;
    if (executor.threads === 1) return 1;
    return Math.max(1, Math.min(2 * executor.threads, Math.floor(BATCH_BYTES / executor.activationBytes(1))));
  }

  /**
   * Runs a picture when the runs before it are done, together with those that wait for the same values: threads have less to
   * share in one image than in several. Rejects if a value is not finite.
   */
  async #show(write: InputWriter, wanted: Wanted, signal: AbortSignal | undefined): Promise<RunResult> {
    if (this.isIdle || this.#most === 1) return only(await this.next(() => this.#run([write], wanted), signal), 0);
    let group = this.#group;
    if (group?.wanted !== wanted || group.inputs.length === this.#most) {
      const inputs: Float32Array[] = [];
      const results = this.next(() => {
        if (this.#group?.inputs === inputs) this.#group = undefined;
        return this.#run(inputs, wanted);
      });
      group = this.#group = { wanted, inputs, results };
    }
    const at = group.inputs.push(this.executor.written(write)) - 1;
    return only(await untilAborted(group.results, signal), at);
  }

  /** Runs pictures together: the result of each, or why it has none. */
  async #run(inputs: readonly (Float32Array | InputWriter)[], wanted: Wanted): Promise<(RunResult | ResnetError)[]> {
    const { executor } = this;
    executor.setInput(inputs.length, ...(inputs.length === 1 ? inputs : [inOrder(inputs as Float32Array[])]));
    const all = await executor.run(wanted);
    const results: (RunResult | ResnetError)[] = [];
    for (const [i, input] of inputs.entries()) {
      const result = partOf(all, i, inputs.length);
      const isSound = [...result.outputs, ...result.values].every(isAllFinite);
      results.push(isSound ? result : await (await import('./not-finite.js')).notFinite(executor, input));
    }
    return results;
  }

  /**
   * Runs `task` when those before it are done, if the model is still in use then and the call not aborted. The event loop
   * has its turn after each: otherwise a server that awaits runs in a row would do nothing else.
   */
  next<Result>(task: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const start = async (): Promise<Result> => {
      signal?.throwIfAborted();
      // Throws if the model was disposed meanwhile.
      return this.executor && task();
    };
    // The first of a row begins at once, and reads its input within the call.
    const turn = this.isIdle ? start() : this.#last.then(start);
    this.#waiting++;
    this.#last = turn
      .catch(() => {})
      .then(nextTask)
      .then(() => this.#waiting--);
    return untilAborted(
      this.#last.then(() => turn),
      signal,
    );
  }

  #fittingPreprocessing(): Preprocessing {
    const { preprocessing } = this.options;
    const { h, w, c } = this.executor.plan.inputs[0].view.shape;
    if (preprocessing) return preprocessing;
    throw new ResnetError(
      'argument',
      `${this.name}: expected a preprocessing for pictures of ${h}x${w}x${c}, got none.`,
    );
  }
}
