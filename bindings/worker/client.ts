/** A model in a worker, as whoever loaded it sees it: each call posts a request to the worker (server.ts) and awaits its response. */

import { ResnetError } from '../../models/errors.js';
import type { Graph, Preprocessing, Shape } from '../../models/index.js';
import { frameOf, isElement } from '../browser/decode-image.js';
import { wasmBytes } from '../engine/wasm-bytes.js';
import type { LoadOptions } from '../model/load.js';
import { isWeightSource, type NetworkLike } from '../model/network-like.js';
import { checkFunction, checkSignal } from '../model/options.js';
import type { Progress } from '../model/progress.js';
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
  Summary,
  Tensor,
} from '../model/types.js';
import { copyOf, isPixels } from '../platform/pixels.js';
import { platform, RUNNING } from '../platform/platform.js';
import { bytesOf } from '../util/bytes.js';
import { DISPOSE } from '../util/dispose.js';
import { plain } from '../util/messages.js';
import { isA, isBlob } from '../util/realm.js';
import { restored } from './errors.js';
import type {
  LoadedModel,
  Method,
  ModelRequest,
  ModelWorker,
  PostedOptions,
  WorkerRequest,
  WorkerResponse,
} from './protocol.js';
import { serveStream } from './stream-port.js';

/** The first request of a worker, which is no model yet. */
type FirstRequest = Extract<WorkerRequest, { kind: 'load' | 'peak' }>;

// Distributes over the union, which a plain Omit would merge.
type Unnumbered<Message> = Message extends { id: number } ? Omit<Message, 'id'> : never;

/** How long a worker may take to end by itself. */
const END_MS = 1000;

/** Matches requests with responses. */
class WorkerConnection {
  readonly #worker: ModelWorker;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (reason: unknown) => void }>();
  #count = 0;
  /** Why the connection is closed; a page may abort for any reason, undefined too. */
  #closed: { readonly reason: unknown } | undefined;
  onProgress: ((progress: Progress) => void) | undefined;
  onWarning: ((message: string) => void) | undefined;
  onInfo: ((info: ModelInfo) => void) | undefined;

  constructor(worker: ModelWorker) {
    this.#worker = worker;
    worker.listen(
      (message) => message === RUNNING || this.#take(message),
      (reason) =>
        this.close(new ResnetError('worker', `The worker ended without a response (${reason ?? 'out of memory'}).`)),
    );
  }

  /** `signal`: rejects with its reason when it aborts, and drops the request if it still waits in the worker. */
  request<Value>(
    request: Unnumbered<ModelRequest>,
    transfer: Transferable[] = [],
    signal?: AbortSignal,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed.reason);
      if (signal?.aborted) return reject(signal.reason);
      const id = this.#count++;
      try {
        this.#worker.post({ ...request, id } as WorkerRequest, transfer);
      } catch (cause) {
        const subject = request.kind === 'call' ? request.method : request.kind;
        return reject(
          new ResnetError('argument', `${subject}: this cannot be sent to a worker (${plain(cause)}).`, { cause }),
        );
      }
      this.#waiting.set(id, { resolve, reject });
      this.#worker.awaited?.(true);
      signal?.addEventListener('abort', () => {
        if (!this.#taken(id)) return;
        this.#worker.post({ kind: 'abort', id });
        reject(signal.reason);
      });
    });
  }

  /** Takes a request off those that wait. */
  #taken(id: number) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.awaited?.(false);
    return waiting;
  }

  /** Calls the caller's function. What it throws rejects the caller's load. */
  #tell(response: Extract<WorkerResponse, { kind: 'progress' | 'warning' }>): void {
    try {
      if (response.kind === 'progress') this.onProgress?.(response.progress);
      else this.onWarning?.(response.message);
    } catch (reason) {
      this.close(reason);
    }
  }

  /** Ends the worker, which frees its memory, and rejects the requests that wait with `reason`. */
  close(reason: unknown): void {
    if (this.#closed) return;
    this.#closed = { reason };
    this.#worker.post({ kind: 'end' });
    this.#worker.end();
    this.#worker.awaited?.(false);
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #take(response: WorkerResponse): void {
    if (response.kind === 'progress' || response.kind === 'warning') {
      // A worker that was told to end may still be loading.
      if (!this.#closed) this.#tell(response);
      return;
    }
    const waiting = this.#taken(response.id);
    if (response.kind === 'done') {
      if (response.info) this.onInfo?.(response.info);
      waiting?.resolve(response.value as never);
    } else waiting?.reject(restored(response.error));
  }
}

/** Resolves when the script of a worker runs, and rejects if it cannot. */
export function whenRunning(worker: ModelWorker): Promise<ModelWorker> {
  return new Promise((resolve, reject) => {
    worker.listen(
      () => resolve(worker),
      (reason) => {
        worker.end();
        reject(new Error(reason || 'no script'));
      },
    );
  });
}

/** A Web Worker as `loadInWorker` takes it; `start` starts it, and the threads that it asks for. */
export const webWorker = (start: () => Worker): ModelWorker => {
  const workers = [start()];
  const worker = workers[0] as Worker;
  return {
    listen(take, fail) {
      worker.onmessage = ({ data }) => {
        if (data.kind === 'thread') workers[workers.push(start()) - 1]?.postMessage(data, [data.port]);
        else take(data);
      };
      worker.onerror = (event) => {
        // Otherwise it also fires window.onerror.
        event.preventDefault();
        fail(event.message);
      };
    },
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    end: () => {
      for (const each of workers) setTimeout(() => each.terminate(), END_MS);
    },
  };
};

/**
 * Loads a model in `worker`, whose script runs, with the options of model/load.ts. `wasm` is needed if the worker cannot
 * find the binary.
 */
export async function loadInWorker(worker: ModelWorker, network: NetworkLike, options: LoadOptions): Promise<Model> {
  const { signal, onProgress, onWarning = console.warn, ...rest } = options;
  const connection = new WorkerConnection(worker);
  const onAbort = () => connection.close(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  let release: (() => Promise<void>) | undefined;
  try {
    signal?.throwIfAborted();
    checkFunction('onProgress', onProgress);
    checkFunction('onWarning', onWarning);
    connection.onProgress = onProgress;
    connection.onWarning = onWarning;
    let info: ModelInfo | undefined;
    connection.onInfo = (now) => {
      info = now;
    };
    // A file that tells its network goes as the weights of none that is named.
    const isSource = isWeightSource(network);
    const weights = isSource ? network : rest.weights;
    const { options: sent, transfer, ...posted } = await postedLoad({ ...rest, weights }, signal);
    release = posted.release;
    const loaded = await connection.request<LoadedModel>(
      { kind: 'load', network: isSource ? undefined : network, options: sent } satisfies Unnumbered<FirstRequest>,
      transfer,
    );
    return new WorkerModel(connection, loaded, info as ModelInfo);
  } catch (reason) {
    connection.close(reason);
    throw reason;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    void release?.();
  }
}

/** Measures the peak of engine/peak.ts in `worker`, and ends it. */
export async function measurePeakInWorker(
  worker: ModelWorker,
  options: Omit<Extract<FirstRequest, { kind: 'peak' }>, 'id' | 'kind'>,
) {
  const connection = new WorkerConnection(worker);
  try {
    return await connection.request<number>({ kind: 'peak', ...options });
  } finally {
    connection.close(new Error('The worker is closed.'));
  }
}

/** The options of `load` in a form that can be posted. */
interface PostedLoad {
  readonly options: PostedOptions;
  /** What moves to the worker rather than being copied. */
  readonly transfer: Transferable[];
  /** Cancels the stream that the page reads for the worker. */
  readonly release?: () => Promise<void>;
}

async function postedLoad(
  { weights, wasm, hdf5, data, ...others }: Omit<LoadOptions, 'signal' | 'onProgress' | 'onWarning'>,
  signal: AbortSignal | undefined,
): Promise<PostedLoad> {
  const posted = isA(wasm, 'Response') ? await wasmBytes(wasm) : isA(wasm, 'URL') ? wasm.href : wasm;
  const rest = { ...others, hdf5: hdf5 && String(hdf5), data: isA(data, 'URL') ? data.href : data, wasm: posted };
  if (typeof weights === 'string' || isA(weights, 'URL')) {
    return { options: { ...rest, weights: String(weights) }, transfer: [] };
  }
  if (isBlob(weights) || (typeof weights === 'object' && weights !== null && 'seed' in weights)) {
    return { options: { ...rest, weights: await platform.postable(weights) }, transfer: [] };
  }
  // A Blob's bytes lie outside JavaScript's memory, and posting one does not copy them.
  if (isA(weights, 'ArrayBuffer', 'SharedArrayBuffer') || ArrayBuffer.isView(weights)) {
    const bytes = bytesOf('weights', weights) as Uint8Array<ArrayBuffer>;
    return { options: { ...rest, weights: await platform.postable(new Blob([bytes])) }, transfer: [] };
  }
  if (weights === undefined)
    throw new ResnetError('argument', 'weights: expected a URL, Response, Blob, stream or bytes, got none.');
  const isFile = 'pieces' in weights;
  const stream = isFile ? (await import('../weights/write.js')).writeSafetensors(weights) : weights;
  const { byteSourceOf } = await import('../weights/stream/open.js');
  const source = await byteSourceOf(stream, { signal });
  const { port1, port2 } = new MessageChannel();
  const release = serveStream(source, port1);
  const { name, total, base } = source;
  const sent = { ...rest, weights: { name, total, base: base?.toString(), port: port2 } };
  return { options: sent, transfer: [port2], release };
}

/** Makes a picture one that can be posted. Returns it and what of it moves to the worker. */
async function postedImage(image: ImageSource): Promise<[unknown, Transferable[]]> {
  if (isPixels(image)) return [copyOf(image), []];
  if (isElement(image) || isA(image, 'OffscreenCanvas')) {
    const frame = await frameOf(image);
    return [frame, [frame]];
  }
  const posted = await platform.postable(image);
  return [isA(posted, 'URL') ? posted.href : posted, []];
}

class WorkerModel implements Model {
  readonly #connection: WorkerConnection;
  readonly #loaded: LoadedModel;
  #info: ModelInfo;
  #isDisposed = false;

  constructor(connection: WorkerConnection, loaded: LoadedModel, info: ModelInfo) {
    this.#connection = connection;
    this.#loaded = loaded;
    this.#info = info;
    connection.onInfo = (now) => {
      this.#info = now;
    };
  }

  get name(): string {
    return this.#loaded.summary.name;
  }

  get labels(): readonly string[] | undefined {
    return this.#loaded.labels;
  }

  get preprocessing(): Preprocessing | undefined {
    return this.#loaded.preprocessing;
  }

  get graph(): Graph {
    return this.#loaded.graph;
  }

  get input(): Shape {
    return this.#loaded.summary.input;
  }

  get layers(): readonly string[] {
    return this.graph.nodes.map(({ name }) => name);
  }

  classify(image: ImageSource, options?: ClassifyOptions): Promise<Classification[]>;
  classify(images: readonly ImageSource[], options?: ClassifyOptions): Promise<Classification[][]>;
  classify<Result>(images: ImageSource | readonly ImageSource[], options?: ClassifyOptions): Promise<Result> {
    return this.#show('classify', images, options);
  }

  embed(image: ImageSource, options?: EmbedOptions): Promise<Float32Array>;
  embed(images: readonly ImageSource[], options?: EmbedOptions): Promise<Float32Array[]>;
  embed<Result>(images: ImageSource | readonly ImageSource[], options?: EmbedOptions): Promise<Result> {
    return this.#show('embed', images, options);
  }

  cam(image: ImageSource, options?: CamOptions): Promise<Cam> {
    return this.#show('cam', image, options);
  }

  featureMap(image: ImageSource, layer: string, options?: CallOptions): Promise<FeatureMap> {
    return this.#show('featureMap', image, options, layer);
  }

  analyse(image: ImageSource, options?: AnalyseOptions): Promise<Analysis> {
    return this.#show('analyse', image, options);
  }

  preprocess(image: ImageSource, options?: CallOptions): Promise<Tensor> {
    return this.#show('preprocess', image, options);
  }

  async run(
    input: Tensor | Readonly<Record<string, Tensor>>,
    options?: CallOptions & { readonly profile?: boolean },
  ): Promise<Output> {
    return this.#call('run', [input], options, []);
  }

  summary(): Summary {
    this.#check();
    return this.#loaded.summary;
  }

  info(): ModelInfo {
    this.#check();
    return this.#info;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#connection.close(this.#disposedError());
  }

  [DISPOSE](): void {
    this.dispose();
  }

  /** Calls a method that takes pictures, which elements and canvases become first. */
  async #show<Result>(
    method: Method,
    images: ImageSource | readonly ImageSource[],
    options: CallOptions | undefined,
    ...rest: readonly unknown[]
  ): Promise<Result> {
    this.#check();
    const list = (Array.isArray(images) ? images : [images]) as readonly ImageSource[];
    // Posted within the call: their owner may change them at once.
    if (list.every(isPixels)) return this.#call(method, [images, ...rest], options, []);
    const all = await Promise.all(list.map(postedImage));
    const posted = all.map(([image]) => image);
    const transfer = all.flatMap(([, own]) => own);
    return this.#call(method, [Array.isArray(images) ? posted : posted[0], ...rest], options, transfer);
  }

  /** Calls a method with its options last, all but the signal, which cannot be posted. */
  async #call<Result>(
    method: Method,
    args: readonly unknown[],
    options: CallOptions | undefined = {},
    transfer: Transferable[],
  ): Promise<Result> {
    this.#check();
    if (options === null) return this.#connection.request({ kind: 'call', method, args: [...args, options] }, transfer);
    const { signal, ...others } = options;
    checkSignal(signal);
    return this.#connection.request({ kind: 'call', method, args: [...args, others] }, transfer, signal);
  }

  #disposedError(): Error {
    return new ResnetError('disposed', `${this.name}: this model has been disposed.`);
  }

  #check(): void {
    if (this.#isDisposed) throw this.#disposedError();
  }
}
