/** What the views share: the picture, the chosen weights and settings, and the model that they give. */

import { type Analysis, type Binary, load, type Model, supportsRelaxed } from '../bindings/index.web.js';
import { hasMaps } from './structure.js';
import { hdf5, hubWeights, publishedWeights, type Weights } from './weights.js';

/** A part of the page. */
export interface View {
  /** Its address: `#id`. */
  readonly id: string;
  readonly title: string;
  /** Called once, when it is first shown. */
  render(app: App): HTMLElement;
  shown?(): void;
  hidden?(): void;
}

export interface Picture {
  readonly blob: Blob;
  /** Upright. */
  readonly bitmap: ImageBitmap;
  readonly name: string;
}

export interface Settings {
  /** The network of the chosen weights. */
  readonly network: string;
  readonly binary: Binary;
  readonly threads: number | 'auto';
}

/** A load that runs, or one that was cancelled and may go on. */
export interface Loading {
  readonly phase: 'loading' | 'cancelled';
  readonly title: string;
  readonly loaded: number;
  readonly total: number;
  /** Bytes per second over the last seconds; undefined until enough was seen. */
  readonly rate: number | undefined;
}

const RATE_MS = 3000;

/** What a network makes of a picture, for every view. */
export interface Answer extends Analysis {
  /** Milliseconds from the file to it. */
  readonly ms: number;
}

/** Classes of a picture that are shown. */
export const TOP = 5;

/** Events: `model`, `picture`, `progress`, `weights`, `problem`; what each is about is read from the fields. */
export class App extends EventTarget {
  /** What is loaded for the settings; undefined until `ensureModel`. */
  model: Model | undefined;
  picture: Picture | undefined;
  settings: Settings = { network: 'resnet50', binary: supportsRelaxed() ? 'relaxed' : 'baseline', threads: 'auto' };
  loading: Loading | undefined;
  /** All that can be chosen, in the order of the page. */
  weights: readonly Weights[] = [];
  chosen: Weights | undefined;
  /** One sentence about what went wrong last. */
  problem: string | undefined;
  /** Settles when the weights that come with the page are among `weights`. */
  readonly ready: Promise<void>;

  #abort: AbortController | undefined;
  #promise: Promise<Model> | undefined;
  #analysed: { readonly model: Model; readonly picture: Picture; readonly answer: Promise<Answer> } | undefined;

  constructor() {
    super();
    this.ready = publishedWeights().then(
      (published) => {
        this.weights = [...published, ...hubWeights(), ...this.weights];
        if (!this.chosen) this.choose({}, published[0]);
        this.#tell('weights');
      },
      (reason) => this.report(reason),
    );
  }

  /**
   * Returns the model of the chosen weights and settings, loaded if needed. Rejects with an AbortError if the visitor
   * cancels.
   */
  ensureModel(): Promise<Model> {
    if (this.model) return Promise.resolve(this.model);
    this.#promise ??= this.#load();
    return this.#promise;
  }

  /**
   * Returns the most probable classes of a picture and, if the network has them, their maps: one decode and one run,
   * whichever views ask.
   */
  analyse(model: Model, picture: Picture): Promise<Answer> {
    const last = this.#analysed;
    if (last?.model === model && last.picture === picture) return last.answer;
    const start = performance.now();
    const answer = model
      .analyse(picture.blob, { topK: TOP, cam: hasMaps(model.graph) })
      .then((analysis) => ({ ...analysis, ms: performance.now() - start }));
    this.#analysed = { model, picture, answer };
    return answer;
  }

  /** Stops the load that runs. What came is kept by the cache, and `ensureModel` goes on from there. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Forgets the cancelled load that is offered again. */
  dismiss(): void {
    if (this.loading?.phase !== 'cancelled') return;
    this.loading = undefined;
    this.#tell('progress');
  }

  /** Other settings or weights: the model of the ones before is given up. */
  choose(settings: Partial<Settings>, weights = this.chosen): void {
    this.settings = { ...this.settings, ...settings, network: weights?.network ?? this.settings.network };
    this.chosen = weights;
    this.#abort?.abort();
    this.#promise = undefined;
    this.loading = undefined;
    this.model?.dispose();
    this.model = undefined;
    this.#analysed = undefined;
    this.#tell('progress');
    this.#tell('model');
  }

  /** Adds weights to what can be chosen. */
  offer(weights: Weights): void {
    this.weights = [...this.weights.filter(({ title }) => title !== weights.title), weights];
    this.#tell('weights');
  }

  /** Takes weights back that turned out to be none; `instead` is chosen. */
  withdraw(weights: Weights, instead: Weights | undefined): void {
    this.weights = this.weights.filter((other) => other !== weights);
    this.choose({}, instead);
    this.#tell('weights');
  }

  /** Shows a picture in every view. Rejects if the browser cannot decode it. */
  async setPicture(blob: Blob, name: string): Promise<void> {
    const bitmap = await createImageBitmap(blob).catch((cause: unknown) => {
      throw new Error(
        `${name}: expected a picture that this browser can read, got none (${blob.type || 'of no known type'}).`,
        {
          cause,
        },
      );
    });
    // The one before is left to the collector: a view may still draw it.
    this.picture = { blob, bitmap, name };
    this.#tell('picture');
  }

  /** Shows what went wrong in one sentence, until it is dismissed or something else goes wrong. */
  report(reason: unknown): void {
    if (reason instanceof DOMException && reason.name === 'AbortError') return;
    this.problem = reason instanceof Error ? reason.message : String(reason);
    this.#tell('problem');
  }

  clearProblem(): void {
    this.problem = undefined;
    this.#tell('problem');
  }

  async #load(): Promise<Model> {
    await this.ready;
    const { chosen, settings } = this;
    if (!chosen) throw new Error('weights: expected a weight file, got none; drop one on the page or choose one.');
    const abort = new AbortController();
    this.#abort = abort;
    const isCurrent = () => this.#abort === abort && this.chosen === chosen && this.settings === settings;
    const show = (loading: Loading | undefined) => {
      if (!isCurrent()) return;
      this.loading = loading;
      this.#tell('progress');
    };
    let state: Loading = { phase: 'loading', title: chosen.title, loaded: 0, total: chosen.bytes, rate: undefined };
    show(state);
    const rate = rateOf(performance.now());
    try {
      const model = await load(chosen.hub ?? chosen.network, {
        ...chosen.options,
        weights: chosen.source,
        hdf5,
        preprocessing: chosen.preprocessing,
        labels: chosen.labels,
        binary: settings.binary,
        threads: settings.threads,
        signal: abort.signal,
        // In bytes of tensors; here in those of the file, whose size people have been told.
        onProgress: (tensors) => {
          const loaded = (chosen.bytes * tensors.loaded) / tensors.total;
          state = { ...state, loaded, rate: rate(loaded, performance.now()) };
          show(state);
        },
      });
      if (!isCurrent() || abort.signal.aborted) {
        model.dispose();
        throw abort.signal.reason;
      }
      this.model = model;
      show(undefined);
      this.#tell('model');
      return model;
    } catch (reason) {
      show(abort.signal.aborted ? { ...state, phase: 'cancelled', rate: undefined } : undefined);
      throw abort.signal.aborted ? abort.signal.reason : reason;
    } finally {
      if (isCurrent()) this.#promise = undefined;
    }
  }

  #tell(name: 'model' | 'picture' | 'progress' | 'weights' | 'problem'): void {
    this.dispatchEvent(new Event(name));
  }
}

/** Makes a function that returns bytes per second over the last three seconds, from the bytes so far and the time in ms. */
function rateOf(start: number): (loaded: number, now: number) => number | undefined {
  let seen: { loaded: number; now: number }[] = [{ loaded: 0, now: start }];
  return (loaded, now) => {
    seen.push({ loaded, now });
    const first = seen.findIndex((sample) => now - sample.now <= RATE_MS);
    if (first > 1) seen = seen.slice(first - 1);
    const [oldest] = seen;
    return oldest && now - oldest.now > 250 ? ((loaded - oldest.loaded) / (now - oldest.now)) * 1000 : undefined;
  };
}
