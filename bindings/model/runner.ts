/** Runs pictures and tensors on an executor, one after the other. */

import { ResnetError } from '../../models/errors.js';
import { FEATURES, graphOutput, type Preprocessing } from '../../models/index.js';
import type { Executor, InputWriter, RunResult, Wanted } from '../engine/executor.js';
import { type Crop, imageWriter, shownOf } from '../image/preprocess.js';
import { isPixels } from '../platform/pixels.js';
import { platform } from '../platform/platform.js';
import type { Pixels } from '../platform/types.js';
import { nextTask } from '../util/next-task.js';
import { type OutputActivation, rankedClasses } from './classes.js';
import type { Classification, ImageSource } from './types.js';

/** A picture that is ready to be written into the network's input. */
export interface ShownImage {
  readonly write: InputWriter;
  readonly crop: Crop;
}

/** One picture, or several. */
export type Images = ImageSource | readonly ImageSource[];

const isList = (images: Images): images is readonly ImageSource[] => Array.isArray(images);

const isAllFinite = (values: Float32Array): boolean => values.every(Number.isFinite);

/** An ImageData's fields are not its own, which a spread would miss. */
const copyOf = ({ data, width, height, channels }: Pixels): Pixels => ({ data: data.slice(), width, height, channels });

/** Copies decoded pixels, which their owner may change at once. */
export const copiesOf = <Given extends Images>(images: Given): Given =>
  (isList(images) ? images.map(copiesOf) : isPixels(images) ? copyOf(images) : images) as Given;

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

  /** Every class with its probability, best first. */
  ranked(output: Float32Array): Classification[] {
    const { labels, activation } = this.options;
    const end = graphOutput(this.executor.plan.graph);
    const isDone = end.kind === 'softmax' || (end.kind === 'activation' && end.activation.kind === 'sigmoid');
    const usual = isDone ? 'none' : output.length === 1 ? 'sigmoid' : 'softmax';
    return rankedClasses(output, activation ?? usual, labels);
  }

  /** Whether a run would begin within the call. */
  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /**
   * Decodes a picture or several, each next one while `use` has one; `use` in turn. Decoded pixels of one picture are read
   * within the call if the runner is idle; otherwise, and of a list, later.
   */
  async each<Result>(
    images: ImageSource,
    signal: AbortSignal | undefined,
    use: (shown: ShownImage) => Promise<Result>,
  ): Promise<Result>;
  async each<Result>(
    images: Images,
    signal: AbortSignal | undefined,
    use: (shown: ShownImage) => Promise<Result>,
  ): Promise<Result | Result[]>;
  async each<Result>(
    images: Images,
    signal: AbortSignal | undefined,
    use: (shown: ShownImage) => Promise<Result>,
  ): Promise<Result | Result[]> {
    signal?.throwIfAborted();
    const preprocessing = this.#fittingPreprocessing();
    const { maxPixels } = this.options;
    const shownImage = (pixels: Pixels): ShownImage => ({
      write: imageWriter(pixels, preprocessing),
      crop: shownOf(pixels, preprocessing),
    });
    if (!isList(images) && isPixels(images)) return use(shownImage(images));
    const sources = isList(images) ? images : [images];
    const decode = (source: ImageSource): Promise<Pixels> => {
      const pixels = platform.decodeImage(source, { maxPixels });
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
      results.push(await use(shownImage(pixels)));
    }
    return isList(images) ? results : (results[0] as Result);
  }

  /** Runs a picture when the runs before it are done. Rejects if a value is not finite. */
  show({ write }: ShownImage, wanted: Wanted, signal: AbortSignal | undefined): Promise<RunResult> {
    const { executor } = this;
    return this.next(async () => {
      executor.setInput(1, write);
      const result = await executor.run(wanted);
      if ([...result.outputs, ...result.values].every(isAllFinite)) return result;
      executor.setInput(1, write);
      const step = await executor.firstNonFinite();
      const where = step ? `layer ${step.node.name}` : 'the input';
      throw new ResnetError(
        'values',
        `${this.name}: values are not finite from ${where} on; the weights are damaged, or not its own.`,
      );
    }, signal);
  }

  /**
   * Runs `task` when those before it are done, if the model is still in use then and the call not aborted. The event loop
   * has its turn after each: otherwise a server that awaits runs in a row would do nothing else.
   */
  next<Result>(task: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
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
        .then(() => {
          signal?.removeEventListener('abort', abort);
          return nextTask();
        })
        .then(() => this.#waiting--);
      this.#last.then(() => turn).then(resolve, reject);
    });
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
