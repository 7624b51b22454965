/** From a name, a graph or a file that says which network it is of to a model that runs. */

import { ResnetError } from '../../models/errors.js';
import {
  buildNetwork,
  defaultPreprocessing,
  FEATURES,
  type Graph,
  graphInput,
  graphOutput,
  loadNetworks,
  lookup,
  type NetworkOptions,
  networks,
  type Preprocessing,
  type PreprocessingLike,
  type PreprocessingName,
  parameters,
} from '../../models/index.js';
import type { Binary, WasmSource } from '../engine/binary.js';
import { openExecutor, prepareExecutor } from '../engine/open-executor.js';
import { threadCount } from '../engine/thread-pool.js';
import { isA } from '../util/realm.js';
import { checkTensors, type OpenOptions, type WeightFile, type WeightSource } from '../weights/open.js';
import { ACTIVATIONS, type OutputActivation } from './classes.js';
import { ExecutorModel } from './model.js';
import { isGraph, isWeightSource, type NetworkLike } from './network-like.js';
import { openNetwork, type RandomWeights } from './open-network.js';
import { checkChoice, checkFunction, checkMaxPixels, checkOptions, checkText, checkTexts } from './options.js';
import { type Progress, throttled } from './progress.js';
import type { Model } from './types.js';

export interface LoadOptions extends NetworkOptions, Pick<OpenOptions, 'cache' | 'hdf5' | 'prefix' | 'data'> {
  /**
   * Path (in Node), URL, Response, Blob, stream, async iterable or bytes of a weight file; tensors in memory
   * (`fromTensors`); or `{ seed }` for random weights, with which a network can be timed. Not given if the first argument
   * of `load` is such a source.
   */
  readonly weights?: WeightSource | WeightFile | RandomWeights | undefined;
  /**
   * Threads that run the kernels; by default `auto`, as many as there are cores, up to 8. If memory cannot be shared
   * it is one, and `info()` says why. Results are the same, bit for bit, for every number.
   */
  readonly threads?: number | 'auto';
  /**
   * By default true: 3×3 convolutions by Winograd's algorithm, up to 3 times faster. False: by the definition, with
   * float32's least error, and less memory for weights (ResNet-50: 102 MB instead of 238).
   */
  readonly winograd?: boolean;
  /**
   * `int8`: convolutions and linear layers on whole numbers, 8 bits a weight and 7 an activation; false: on float32, which
   * whole numbers of a file then become. By default what the weights are: float32, or whole numbers if a file holds these.
   */
  readonly quantize?: 'int8' | false;
  /**
   * What inputs of layers on whole numbers are scaled by: `static`, the default, by what calibration found, if the file
   * has it; `dynamic` by the largest of each image.
   */
  readonly activationScales?: 'static' | 'dynamic';
  /**
   * What layers on whole numbers are for. `fast`, the default: those that are faster in float32 here stay in it, 3×3
   * convolutions on most machines. `small`: all that can be, for the least memory (ResNet-50: 26 MB of weights).
   */
  readonly memory?: 'small' | 'fast';
  /**
   * Times the algorithms of each layer on this machine (a second or three), and keeps the choice for the next time.
   * Without it a rule of shape chooses. Not with `winograd: false`.
   */
  readonly tune?: boolean;
  /** By default `wide` if `wide` is true, or else `relaxed` if the engine has relaxed SIMD. */
  readonly binary?: Binary;
  /**
   * Whether to use vectors of 256 bits, if it pays here: `info()` tells. V8 joins them of pairs of 128 bits where it was
   * told to (`--experimental-wasm-revectorize`; Chromium's `--js-flags=--wasm-revectorize`). By default true in Node if the
   * process has that flag, and false in pages, which cannot know. True in Node: `enableWideVectors()` is called.
   */
  readonly wide?: boolean;
  /**
   * The wasm binary, if it does not lie in `build/` beside this package's scripts: a URL, its bytes, a Response or a
   * WebAssembly.Module. It must be of this version, and its kind is `binary`'s.
   */
  readonly wasm?: WasmSource;
  /** Aborts the loading: what was loaded is freed, and `load` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** What it throws is what `load` rejects with. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called with a sentence that is no error: why there are fewer threads than asked for. By default `console.warn`. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /**
   * How `classify` prepares pictures: a name, or what differs from one. By default torchvision's way at the network's
   * input size, or Keras's for its files.
   */
  readonly preprocessing?: PreprocessingLike | undefined;
  /** A label per class; by default the file's. */
  readonly labels?: readonly string[];
  /**
   * What makes probabilities of the outputs: by default `softmax`, or `sigmoid` if there is one output; `none` if the network
   * ends in either itself. `sigmoid` is for networks whose classes may hold at once.
   */
  readonly activation?: OutputActivation;
  /**
   * The most pixels that a picture may have, since a small file can decode to gigabytes; by default 268,402,689
   * (16,383 x 16,383) in Node, and what the browser can decode in a page.
   */
  readonly maxPixels?: number | undefined;
}

/** By name, so that the compiler tells of one that is missing. */
const OPTIONS: Readonly<Record<keyof LoadOptions, true>> = {
  weights: true,
  threads: true,
  winograd: true,
  quantize: true,
  activationScales: true,
  memory: true,
  tune: true,
  binary: true,
  wide: true,
  wasm: true,
  cache: true,
  hdf5: true,
  prefix: true,
  data: true,
  signal: true,
  onProgress: true,
  onWarning: true,
  preprocessing: true,
  labels: true,
  activation: true,
  maxPixels: true,
  classes: true,
  size: true,
  inChannels: true,
  shortcut: true,
  strideIn: true,
  convBias: true,
  batchNormEps: true,
};

const subjectOf = (network: NetworkLike): string =>
  typeof network === 'string' ? network : isGraph(network) ? network.name : 'weights';

/** Throws if `load` has no option of a name that is given, with the closest, or if one is of a wrong type. */
export function checkLoadOptions(
  network: NetworkLike,
  options: Pick<LoadOptions, 'labels' | 'onProgress' | 'onWarning' | 'prefix'>,
): void {
  checkOptions(subjectOf(network), options, Object.keys(OPTIONS));
  checkFunction('onProgress', options.onProgress);
  checkFunction('onWarning', options.onWarning);
  checkTexts('labels', options.labels);
  checkText('prefix', options.prefix);
}

/** Whether weights come from a server. */
const isRemote = (weights: unknown): boolean =>
  isA(weights, 'Response') || (isUrl(weights) && /^https?:/i.test(String(weights)));

const isUrl = (weights: unknown): weights is string | URL => typeof weights === 'string' || isA(weights, 'URL');

/** What is not given follows the file. Biases before batch norms are Keras's, whose ResNets are Caffe's. */
async function preprocessingOf(
  { config, preprocessing }: WeightFile,
  graph: Graph,
  given: PreprocessingLike | undefined,
): Promise<Preprocessing | undefined> {
  const base = preprocessing ?? (config.convBias ? 'caffe' : 'torch');
  return given === undefined ? defaultPreprocessing(graph, base) : resolved(given, graph, base);
}

async function resolved(given: PreprocessingLike, graph: Graph, base?: PreprocessingName): Promise<Preprocessing> {
  const { resolvePreprocessing } = await import('../../models/resolve-preprocessing.js');
  return resolvePreprocessing(given, graphInput(graph), base);
}

/**
 * Loads a network by its name, by its graph, or from a file that says which network it is of. Weights are packed as
 * their bytes come: JavaScript keeps no copy of them. What a file says of its network (a Keras model's strides, biases and
 * epsilon) holds unless an option says otherwise. Rejects with one sentence if the name, an option or the file does not
 * fit; nothing is left of the model then.
 */
export async function load(network: NetworkLike, options: LoadOptions = {}): Promise<Model> {
  checkLoadOptions(network, options);
  const {
    weights,
    cache,
    hdf5,
    prefix,
    data,
    threads = 'auto',
    winograd,
    quantize,
    activationScales = 'static',
    memory = 'fast',
    tune,
    binary,
    wide,
    wasm,
    signal,
    onProgress = () => {},
    onWarning = console.warn,
    preprocessing,
    labels,
    activation,
    maxPixels,
    ...networkOptions
  } = options;
  const isSource = isWeightSource(network);
  const subject = subjectOf(network);
  if (typeof network === 'string' && !isSource) {
    await loadNetworks(network);
    lookup('network', networks, network);
  }
  if (isSource && weights !== undefined) {
    throw new ResnetError(
      'argument',
      `${subject}: expected weights in one place, got them as the first argument and as an option.`,
    );
  }
  if (!isSource && (weights === undefined || weights === null)) {
    throw new ResnetError(
      'argument',
      `${subject}: expected weights (a URL, Response, Blob, stream or bytes), got none.`,
    );
  }
  threadCount(threads);
  checkChoice('activation', activation, [undefined, ...Object.keys(ACTIVATIONS)]);
  checkChoice('quantize', quantize, [undefined, 'int8', false]);
  checkChoice('activationScales', activationScales, ['static', 'dynamic']);
  checkChoice('memory', memory, ['small', 'fast']);
  checkMaxPixels(maxPixels);
  if (preprocessing !== undefined && !isSource) {
    const graph = typeof network === 'string' ? buildNetwork(network, networkOptions) : network;
    await resolved(preprocessing, graph);
  }
  signal?.throwIfAborted();
  prepareExecutor({ binary, wide, wasm, threads });
  let file: WeightFile | undefined;
  try {
    const opened = await openNetwork(network, weights, { signal, cache, hdf5, prefix, data }, networkOptions);
    file = opened.file;
    const { graph } = opened;
    const classes = graphOutput(graph).shape.c;
    // What has no classes has no labels; `classify` says why.
    const isClassifier = graph.outputs[0].name !== FEATURES;
    const itsLabels = labels ?? file.labels;
    if (itsLabels && isClassifier && itsLabels.length !== classes) {
      throw new ResnetError('argument', `labels: expected ${classes}, one per class, got ${itsLabels.length}.`);
    }
    const wholePreprocessing = await preprocessingOf(file, graph, preprocessing);
    checkTensors(file, parameters(graph));
    const { total, tensors } = file;
    const isInt8 = quantize ?? tensors.some(({ scales }) => scales);
    const report = throttled(onProgress);
    const phase = isRemote(isSource ? network : weights) ? 'download' : 'pack';
    const executor = await openExecutor(graph, file, {
      binary,
      wide,
      wasm,
      threads,
      winograd,
      int8: isInt8 ? (memory === 'small' ? 'all' : 'faster') : undefined,
      activationScales,
      tune,
      signal,
      onTensor: (tensor, loaded) => report({ phase, loaded, total, tensor: tensor.name }),
      onTuned: (loaded, all) => report({ phase: 'tune', loaded, total: all }),
    });
    if (executor.threadsNote && threads !== 'auto') onWarning(executor.threadsNote);
    for (const warning of file.warnings ?? []) onWarning(warning);
    return new ExecutorModel(executor, {
      preprocessing: wholePreprocessing,
      labels: isClassifier ? itsLabels : undefined,
      activation,
      maxPixels,
    });
  } catch (reason) {
    if (cache !== false && !signal?.aborted) await revalidate(isSource ? network : weights);
    throw reason;
  } finally {
    await file?.close();
  }
}

/** Has a browser's cache ask again for what could not be loaded. */
async function revalidate(weights: unknown): Promise<void> {
  if (isUrl(weights) && isRemote(weights))
    await (await import('../weights/stream/browser-cache.js')).revalidateCachedWeights(weights);
}
