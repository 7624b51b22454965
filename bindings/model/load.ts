/** Weights -> memory: from a network's name and a source of weights to a model that runs. */

import {
  buildNetwork,
  defaultPreprocessing,
  type Graph,
  lookup,
  type NetworkOptions,
  networks,
  type Preprocessing,
  parameters,
  preprocessings,
} from '../../models/index.js';
import { chooseAlgorithm, chooseWithoutWinograd } from '../compile/conv-algorithm.js';
import { makePlan } from '../compile/plan.js';
import type { WasmSource } from '../engine/binary.js';
import { type Binary, createCore } from '../engine/core.js';
import { PlanExecutor } from '../engine/executor.js';
import { PackedWeights } from '../engine/packed-weights.js';
import { ThreadPool, threadCount } from '../engine/thread-pool.js';
import { platform } from '../platform/platform.js';
import { withNetworkNames } from '../weights/network-names.js';
import { checkTensors, type OpenOptions, openWeights, type WeightFile, type WeightSource } from '../weights/open.js';
import { ExecutorModel } from './model.js';
import type { Model } from './types.js';

export interface Progress {
  /** Bytes of weights so far. */
  readonly loaded: number;
  /** Bytes of all weights. */
  readonly total: number;
  /** The tensor that came last. */
  readonly tensor: string;
}

/** Weights that are a function of a whole number and their names, uniform and scaled after He et al. 2015. */
export interface RandomWeights {
  readonly seed: number;
}

export interface LoadOptions extends NetworkOptions, Pick<OpenOptions, 'cache' | 'hdf5'> {
  /**
   * Path (in Node), URL, Response, Blob, stream, async iterable or bytes of a weight file; tensors in memory
   * (`fromTensors`); or `{ seed }` for random weights, with which a network can be timed.
   */
  readonly weights: WeightSource | WeightFile | RandomWeights;
  /**
   * Threads that run the kernels; by default `auto`, as many as there are cores, up to 8. Where memory cannot be shared
   * it is one, and `info()` says why. Results are the same, bit for bit, for every number.
   */
  readonly threads?: number | 'auto';
  /**
   * By default true: 3×3 convolutions by Winograd's algorithm, up to 3 times faster. False: by the definition, with
   * float32's least error, and less memory for weights (ResNet-50: 102 MB for 193).
   */
  readonly winograd?: boolean;
  /**
   * Times the algorithms for each layer on this machine (a second or three), and keeps the choice for the next time.
   * Without it a rule of shape chooses. Not with `winograd: false`.
   */
  readonly tune?: boolean;
  /** By default `relaxed` where the engine has relaxed SIMD. */
  readonly binary?: Binary;
  /**
   * The wasm binary, where it does not lie in `build/` beside this package's scripts: a URL, its bytes, a Response or a
   * WebAssembly.Module. It must be of this version, and its kind is `binary`'s.
   */
  readonly wasm?: WasmSource;
  /** Aborts the loading: what was loaded is freed, and `load` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** How `classify` prepares pictures; by default torchvision's way at the network's input size, or Keras's for its files. */
  readonly preprocessing?: Preprocessing;
  /** A label for each class. */
  readonly labels?: readonly string[];
}

/** The preprocessing of a file that says nothing of it: biases before batch norms are Keras's, whose ResNets are Caffe's. */
function preprocessingOf({ config }: WeightFile, graph: Graph): Preprocessing | undefined {
  const preprocessing = defaultPreprocessing(graph);
  return preprocessing && config.convBias
    ? { ...preprocessings.caffe, resize: preprocessing.resize, crop: preprocessing.crop }
    : preprocessing;
}

/** Opens the weights: a file, or random ones of the network that the options ask for. */
async function openAny(
  name: string,
  { weights, signal, cache, hdf5 }: LoadOptions,
  network: NetworkOptions,
): Promise<WeightFile> {
  if (typeof weights === 'object' && 'pieces' in weights) return weights;
  if (typeof weights !== 'object' || !('seed' in weights)) return openWeights(weights, { signal, cache, hdf5 });
  const { seed } = weights;
  if (!Number.isInteger(seed)) throw new TypeError(`weights: expected seed to be a whole number, got ${seed}.`);
  const { randomWeights } = await import('../weights/random.js');
  return randomWeights(buildNetwork(name, network), seed);
}

/**
 * Loads a network by name. Weights are packed as their bytes come: no copy of them is kept in JavaScript. What the
 * file says of its network (a Keras model's strides, biases and epsilon) holds unless an option says otherwise.
 * Rejects with one sentence where the name, an option or the file does not fit; nothing is left of the model then.
 */
export async function load(name: string, options: LoadOptions): Promise<Model> {
  const {
    weights,
    cache,
    hdf5,
    threads: wanted = 'auto',
    winograd = true,
    tune: isTuned = false,
    binary,
    wasm,
    signal,
    onProgress,
    preprocessing,
    labels,
    ...network
  } = options;
  lookup('network', networks, name);
  if (weights === undefined || weights === null)
    throw new TypeError(`${name}: expected weights (a URL, Response, Blob, stream or bytes), got none.`);
  const { count, note } = threadCount(wanted);
  // Where this thread may not block, one thread is a worker too, if it can be.
  const needsWorker = !platform.mayBlock && platform.whyNoSharedMemory === undefined;
  signal?.throwIfAborted();
  let file: WeightFile | undefined;
  let threads: ThreadPool | undefined;
  try {
    const opened = await openAny(name, options, network);
    file = opened;
    file = withNetworkNames(opened, name);
    const graph = buildNetwork(name, { ...file.config, ...network });
    if (labels && labels.length !== graph.nodes[graph.output]?.shape.c) {
      throw new TypeError(`labels: expected ${graph.nodes[graph.output]?.shape.c}, one a class, got ${labels.length}.`);
    }
    checkTensors(file, parameters(graph));
    const core = await createCore({ binary, wasm, shared: count > 1 || needsWorker });
    threads = await ThreadPool.start(core, count);
    const byRule = winograd ? chooseAlgorithm : chooseWithoutWinograd;
    const plan = makePlan(
      graph,
      isTuned && winograd ? await (await import('../engine/autotune.js')).tune(graph, core, threads, signal) : byRule,
    );
    const store = new PackedWeights(core, plan);
    const { total } = file;
    await store.load(file, (tensor, loaded) => onProgress?.({ loaded, total, tensor: tensor.name }), signal);
    return new ExecutorModel(
      new PlanExecutor(core, plan, store, threads),
      preprocessing ?? preprocessingOf(file, graph),
      labels,
      note ?? threads.note,
    );
  } catch (reason) {
    threads?.stop();
    if (cache !== false && !signal?.aborted) await doubt(weights);
    throw reason;
  } finally {
    await file?.close();
  }
}

/** What could not be loaded is not taken from a browser's cache unseen again. */
async function doubt(weights: LoadOptions['weights']): Promise<void> {
  const isUrl = typeof caches !== 'undefined' && (weights instanceof URL || typeof weights === 'string');
  if (isUrl && /^https?:/i.test(String(weights)))
    await (await import('../weights/stream/browser-cache.js')).revalidateCachedWeights(weights);
}
