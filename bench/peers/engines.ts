/** Every engine as one function from NHWC input to logits, with the same reference weights. Runs in Node and in a page. */

import type * as ResnetWasm from '../../bindings/index.web.js';
import { seededWeights } from '../../bindings/weights/random.js';
import { buildNetwork } from '../../models/index.js';
import type { Layers } from './layers.js';
import { onnxModel } from './onnx.js';
import { type Tf, tfjsNetwork } from './tfjs.js';
import { tfliteModel } from './tflite.js';

export interface Engine {
  readonly name: string;
  /** The order that its input is in. */
  readonly layout: 'NHWC' | 'NCHW';
  /** Normalised pixels of one image -> logits, both in JavaScript's own memory. */
  run(input: Float32Array): Promise<Float32Array>;
}

/** Where everything is; a page and Node differ in it. */
export interface Places {
  /** The built public API of the project: a URL. */
  readonly api: string;
  /** The peers' packages, as a URL that ends with node_modules/; `folder`: the same as TensorFlow.js wants it. */
  readonly packages: string;
  readonly folder: string;
  /** TensorFlow.js with its wasm backend registered. */
  loadTf(): Promise<TfWasm>;
  /** The file of onnxruntime-web/dist to import. */
  readonly ortModule: string;
  /** ONNX Runtime as native code, in Node. */
  loadNativeOrt?(): Promise<Ort>;
}

export const ENGINES = [
  'wide',
  'relaxed',
  'baseline',
  'tfjs-wasm',
  'onnxruntime-web',
  'onnxruntime-node',
  'LiteRT.js',
] as const;
export type EngineName = (typeof ENGINES)[number];

/** Modules are imported by URL, since the peers are no dependencies of the project. */
const load = (url: string): Promise<unknown> => import(url);

function promised(engine: string, threads: number, got: number): void {
  if (got !== threads) throw new Error(`${engine}: expected to run ${threads} threads, got ${got}.`);
}

async function ours(binary: ResnetWasm.Binary, layers: Layers, threads: number, { api }: Places): Promise<Engine> {
  const { load: loadModel } = (await load(api)) as typeof ResnetWasm;
  const weights = seededWeights(buildNetwork(layers.name));
  const model = await loadModel(layers.name, { weights, binary, threads });
  promised(binary, threads, model.info().threads);
  const { vectors, vectorsNote } = model.info();
  if (binary === 'wide' && vectors !== 256) throw new Error(`wide: ${vectorsNote}`);
  const { h, w, c } = layers.inputShape;
  return {
    name: binary,
    layout: 'NHWC',
    run: async (data) => (await model.run({ data, shape: [1, h, w, c], layout: 'NHWC' })).data,
  };
}

/** What is used of the two TensorFlow.js packages. */
export interface TfWasm extends Tf {
  setBackend(name: string): Promise<boolean>;
  env(): { set(flag: string, value: boolean): void };
  readonly wasm: {
    setWasmPaths(folder: string): void;
    setThreadsCount(count: number): void;
    getThreadsCount(): number;
  };
}

async function tfjs(tf: TfWasm, folder: string, layers: Layers, threads: number): Promise<Engine> {
  tf.wasm.setWasmPaths(folder);
  // One thread is what the binary without threads is for.
  if (threads === 1) tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  tf.wasm.setThreadsCount(threads);
  if (!(await tf.setBackend('wasm'))) throw new Error('tfjs-wasm: expected its backend to start, got a refusal.');
  if (threads > 1) promised('tfjs-wasm', threads, tf.wasm.getThreadsCount());
  return { name: 'tfjs-wasm', layout: 'NHWC', run: tfjsNetwork(tf, layers) };
}

interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, unknown>): Promise<Record<string, { data: Float32Array }>>;
}

/** What is used of onnxruntime-web and onnxruntime-node. */
export interface Ort {
  readonly env: { readonly wasm: { numThreads: number; wasmPaths?: string } };
  readonly InferenceSession: {
    create(model: Uint8Array | string, options: object): Promise<OrtSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => unknown;
}

async function onnxruntime(name: EngineName, ort: Ort, layers: Layers, threads: number): Promise<Engine> {
  const { model, input, output } = onnxModel(layers);
  const isNative = name === 'onnxruntime-node';
  if (!isNative) ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, {
    graphOptimizationLevel: 'all',
    ...(isNative ? { intraOpNumThreads: threads, interOpNumThreads: 1 } : { executionProviders: ['wasm'] }),
  });
  const { h, w, c } = layers.inputShape;
  return {
    name,
    layout: 'NCHW',
    run: async (data) => {
      const results = await session.run({ [input]: new ort.Tensor('float32', data, [1, c, h, w]) });
      return results[output]?.data as Float32Array;
    },
  };
}

/** What is used of LiteRT.js. */
export interface LiteRt {
  loadLiteRt(folder: string, options: { threads: boolean }): Promise<unknown>;
  loadAndCompile(
    model: Uint8Array | string,
    options: object,
  ): Promise<{ run(input: LiteRtTensor): Promise<readonly LiteRtTensor[]> }>;
  readonly Tensor: new (data: Float32Array, shape: readonly number[]) => LiteRtTensor;
}

interface LiteRtTensor {
  data(): Promise<Float32Array>;
  delete(): void;
}

async function liteRt(lite: LiteRt, folder: string, layers: Layers, threads: number): Promise<Engine> {
  await lite.loadLiteRt(folder, { threads: threads > 1 });
  const model = await lite.loadAndCompile(tfliteModel(layers), {
    accelerator: 'wasm',
    cpuOptions: { numThreads: threads },
  });
  const { h, w, c } = layers.inputShape;
  return {
    name: 'LiteRT.js',
    layout: 'NHWC',
    run: async (data) => {
      const x = new lite.Tensor(data, [1, h, w, c]);
      const results = await model.run(x);
      const logits = Float32Array.from((await results[0]?.data()) ?? []);
      for (const tensor of [x, ...results]) tensor.delete();
      return logits;
    },
  };
}

/** Starts an engine with the network's weights. */
export async function start(name: EngineName, layers: Layers, threads: number, places: Places): Promise<Engine> {
  const { packages, loadTf, ortModule } = places;
  switch (name) {
    case 'wide':
    case 'relaxed':
    case 'baseline':
      return ours(name, layers, threads, places);
    case 'tfjs-wasm':
      return tfjs(await loadTf(), `${places.folder}@tensorflow/tfjs-backend-wasm/dist/`, layers, threads);
    case 'onnxruntime-web':
      return onnxruntime(name, (await load(`${packages}onnxruntime-web/dist/${ortModule}`)) as Ort, layers, threads);
    case 'onnxruntime-node':
      if (!places.loadNativeOrt) throw new Error('onnxruntime-node: expected Node, got a page.');
      return onnxruntime(name, await places.loadNativeOrt(), layers, threads);
    case 'LiteRT.js': {
      const lite = (await load(`${packages}@litertjs/core/dist/index.js`)) as LiteRt;
      return liteRt(lite, `${packages}@litertjs/core/wasm/`, layers, threads);
    }
  }
}
