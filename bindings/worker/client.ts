/** A model in a worker, as the page sees it: each call is a message to the worker (host.ts), and its answer another. */

import type { Summary } from '../../models/index.js';
import { frameOf, isElement } from '../browser/decode-image.js';
import { wasmBytes } from '../engine/binary.js';
import type { LoadOptions, Progress } from '../model/load.js';
import type { Cam, Classification, FeatureMap, ImageSource, Model, ModelInfo, Output, Tensor } from '../model/types.js';
import { plain } from '../util/messages.js';
import { byteSourceOf } from '../weights/stream/open.js';
import type { Method, PostedOptions, WorkerRequest, WorkerResponse } from './protocol.js';
import { serveStream } from './stream-port.js';

/** Asked of the worker before it is a model. */
type FirstRequest = Extract<WorkerRequest, { kind: 'load' | 'peak' }>;

// Omit would merge the union.
type Unnumbered<Message> = Message extends { id: number } ? Omit<Message, 'id'> : never;

/** Milliseconds in which a worker may end by itself: browsers are slow to end threads that sleep. */
const GRACE = 1000;

const ERRORS: Readonly<Record<string, ErrorConstructor>> = { TypeError, RangeError, SyntaxError };

/** What is a URL beside the page, as `fetch` has it, made one that holds in a worker too. */
export const absolute = <Source>(source: Source): Source | string => {
  const base = globalThis.document?.baseURI ?? location.href;
  return typeof source === 'string' && URL.canParse(source, base) ? new URL(source, base).href : source;
};

/** A worker that answers. */
class WorkerConnection {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (reason: unknown) => void }>();
  #count = 0;
  /** Why it answers no more; a page may abort for any reason, undefined too. */
  #end: { readonly reason: unknown } | undefined;
  onProgress: ((progress: Progress) => void) | undefined;
  onInfo: ((info: ModelInfo) => void) | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<WorkerResponse>) => this.#take(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.close(new Error(`worker: expected an answer, got its end (${event.message ?? 'out of memory'}).`));
    };
  }

  request<Value>(asked: Unnumbered<WorkerRequest>, transfer: Transferable[] = []): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end.reason);
      const id = this.#count++;
      try {
        this.#worker.postMessage({ ...asked, id }, transfer);
      } catch (cause) {
        const subject = asked.kind === 'call' ? asked.method : asked.kind;
        const got = `others (${plain(cause)})`;
        return reject(new TypeError(`${subject}: expected values that a worker can be sent, got ${got}.`, { cause }));
      }
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** Ends the worker, whose memory is free then; what waits is rejected. */
  close(reason: unknown): void {
    if (this.#end) return;
    this.#end = { reason };
    this.#worker.postMessage({ kind: 'end' } satisfies WorkerRequest);
    setTimeout(() => this.#worker.terminate(), GRACE);
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #take(answer: WorkerResponse): void {
    if (answer.kind === 'progress') {
      // A worker that is told to end may be in the middle of a tensor.
      if (!this.#end) this.onProgress?.(answer.progress);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.kind === 'done') {
      if (answer.info) this.onInfo?.(answer.info);
      waiting?.resolve(answer.value as never);
    } else waiting?.reject(new (ERRORS[answer.name] ?? Error)(answer.message));
  }
}

/** As `load` of load.ts, in `worker`, which has said that it is up; `wasm` where the worker does not find it. */
export async function loadInWorker(worker: Worker, name: string, options: LoadOptions): Promise<Model> {
  const { signal, onProgress, ...rest } = options;
  const line = new WorkerConnection(worker);
  const onAbort = () => line.close(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  let release: (() => Promise<void>) | undefined;
  try {
    signal?.throwIfAborted();
    // What it throws, it throws at whoever loads.
    line.onProgress = (progress) => {
      try {
        onProgress?.(progress);
      } catch (reason) {
        line.close(reason);
      }
    };
    let info: ModelInfo | undefined;
    line.onInfo = (now) => {
      info = now;
    };
    const { options: sent, transfer, ...posted } = await postedLoad(rest, signal);
    release = posted.release;
    const summary = await line.request<Summary>(
      { kind: 'load', name, options: sent } satisfies Unnumbered<FirstRequest>,
      transfer,
    );
    return new WorkerModel(line, name, summary, info as ModelInfo);
  } catch (reason) {
    line.close(reason);
    throw reason;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    void release?.();
  }
}

/** As `measurePeak` of peak.ts, in `worker`. */
export async function measurePeakInWorker(
  worker: Worker,
  asked: Omit<Extract<FirstRequest, { kind: 'peak' }>, 'id' | 'kind'>,
) {
  const line = new WorkerConnection(worker);
  try {
    return await line.request<number>({ kind: 'peak', ...asked });
  } finally {
    line.close(new Error('worker: expected nothing more to be asked.'));
  }
}

/** Options that can be posted. */
interface PostedLoad {
  readonly options: PostedOptions;
  /** What of them becomes the worker's. */
  readonly transfer: Transferable[];
  /** Lets go of weights that the page reads for the worker. */
  readonly release?: () => Promise<void>;
}

async function postedLoad(
  { weights, wasm, hdf5, ...others }: Omit<LoadOptions, 'signal' | 'onProgress'>,
  signal: AbortSignal | undefined,
): Promise<PostedLoad> {
  const posted = wasm instanceof Response ? await wasmBytes(wasm) : wasm instanceof URL ? wasm.href : wasm;
  const rest = { ...others, hdf5: hdf5 && String(hdf5), wasm: posted };
  if (typeof weights === 'string' || weights instanceof URL) {
    return { options: { ...rest, weights: String(weights) }, transfer: [] };
  }
  if (weights instanceof Blob || (typeof weights === 'object' && weights !== null && 'seed' in weights)) {
    return { options: { ...rest, weights }, transfer: [] };
  }
  // A Blob's bytes lie outside of JavaScript's memory, and are not copied once more.
  if (weights instanceof ArrayBuffer || ArrayBuffer.isView(weights)) {
    return { options: { ...rest, weights: new Blob([weights as ArrayBuffer]) }, transfer: [] };
  }
  const isFile = 'pieces' in weights;
  const stream = isFile ? (await import('../weights/write.js')).writeSafetensors(weights) : weights;
  const origin = await byteSourceOf(stream, { signal });
  const { port1, port2 } = new MessageChannel();
  const release = serveStream(origin, port1);
  const { name, total, base } = origin;
  const sent = { ...rest, weights: { name, total, base: base?.toString(), port: port2 } };
  return { options: sent, transfer: [port2], release };
}

/** A picture that can be posted, and what of it becomes the worker's. */
async function postedImage(image: ImageSource): Promise<[unknown, Transferable[]]> {
  if (isElement(image) || (typeof OffscreenCanvas !== 'undefined' && image instanceof OffscreenCanvas)) {
    const frame = await frameOf(image);
    return [frame, [frame]];
  }
  if (typeof image === 'string' || image instanceof URL) return [String(absolute(image)), []];
  return [image, []];
}

class WorkerModel implements Model {
  readonly name: string;
  readonly #line: WorkerConnection;
  readonly #summary: Summary;
  #info: ModelInfo;
  #isDisposed = false;

  constructor(line: WorkerConnection, name: string, summary: Summary, info: ModelInfo) {
    this.#line = line;
    this.name = name;
    this.#summary = summary;
    this.#info = info;
    line.onInfo = (now) => {
      this.#info = now;
    };
  }

  classify(image: ImageSource, options?: { topK?: number }): Promise<Classification[]> {
    return this.#show('classify', image, options);
  }

  cam(image: ImageSource, options?: Parameters<Model['cam']>[1]): Promise<Cam> {
    return this.#show('cam', image, options);
  }

  featureMap(image: ImageSource, layer: string): Promise<FeatureMap> {
    return this.#show('featureMap', image, layer);
  }

  async run(input: Tensor, options?: { profile?: boolean }): Promise<Output> {
    this.#check();
    return this.#line.request({ kind: 'call', method: 'run', args: [input, options] });
  }

  summary(): Summary {
    this.#check();
    return this.#summary;
  }

  info(): ModelInfo {
    this.#check();
    return this.#info;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#line.close(this.#gone());
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #show<Value>(method: Method, image: ImageSource, options: unknown): Promise<Value> {
    this.#check();
    const [posted, transfer] = await postedImage(image);
    return this.#line.request({ kind: 'call', method, args: [posted, options] }, transfer);
  }

  #gone(): Error {
    return new Error(`${this.name}: expected a model in use, got one that has been disposed of.`);
  }

  #check(): void {
    if (this.#isDisposed) throw this.#gone();
  }
}
