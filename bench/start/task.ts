/** What bench/start.ts measures, in a page and in a process of Node alike. */

import type * as ResnetWasm from '../../bindings/index.web.js';
import type { LiteRt, Ort } from '../peers/engines.js';

/** `read` reads the file, and computes nothing. */
export const STARTERS = ['resnet-wasm', 'onnxruntime-web', 'onnxruntime-node', 'LiteRT.js', 'read'] as const;
export type Starter = (typeof STARTERS)[number];

export interface StartTask {
  readonly network: string;
  readonly engine: Starter;
  readonly winograd: boolean;
  readonly threads: number;
}

/** Milliseconds of each stage of a start. */
export interface StartTimes {
  /** Until the engine's script runs: in a page from its navigation on, in Node from the import on. */
  readonly module: number;
  readonly load: number;
  /** The first run, from an input to logits. */
  readonly run: number;
  /** The sum of the logits, which tells whether engines computed the same. */
  readonly sum: number;
}

/** Where everything is: URLs in a page, paths and URLs in Node. */
export interface StartPlaces {
  readonly api: string;
  /** A folder that ends with node_modules/. */
  readonly packages: string;
  /** Everything but the ending of a file with the network's weights. */
  readonly weights: string;
  readonly ort: { readonly web: string; node?(): Ort };
  /** Reads a file whole. */
  read(file: string): Promise<unknown>;
}

type Run = (values: Float32Array) => Promise<Float32Array>;

const SIDE = 224;
const PIXELS = SIDE * SIDE;

/** Modules are imported by URL, since the peers are no dependencies of the project. */
const fetchModule = (url: string): Promise<unknown> => import(url);

/** An image with as little work as can be; the planes are the same, so that NCHW and NHWC differ by their order alone. */
function image(isPlanar: boolean): Float32Array {
  return Float32Array.from({ length: 3 * PIXELS }, (_, i) => {
    const pixel = isPlanar ? i % PIXELS : Math.floor(i / 3);
    return ((pixel * 7919) % 255) / 64 - 2;
  });
}

async function ours(task: StartTask, { api, weights }: StartPlaces): Promise<() => Promise<Run>> {
  const { load } = (await fetchModule(api)) as typeof ResnetWasm;
  return async () => {
    const { winograd, threads } = task;
    const model = await load(task.network, { weights: `${weights}.safetensors`, winograd, threads, cache: false });
    return async (data) => (await model.run({ data, shape: [1, SIDE, SIDE, 3], layout: 'NHWC' })).data;
  };
}

async function onnxruntime(
  { threads }: StartTask,
  ort: Ort,
  file: string,
  options: object,
): Promise<() => Promise<Run>> {
  ort.env.wasm.numThreads = threads;
  return async () => {
    const session = await ort.InferenceSession.create(file, options);
    return async (data) => {
      const results = await session.run({
        [session.inputNames[0] ?? '']: new ort.Tensor('float32', data, [1, 3, SIDE, SIDE]),
      });
      return Object.values(results)[0]?.data as Float32Array;
    };
  };
}

async function liteRt({ threads }: StartTask, { packages, weights }: StartPlaces): Promise<() => Promise<Run>> {
  const lite = (await fetchModule(`${packages}@litertjs/core/dist/index.js`)) as LiteRt;
  return async () => {
    await lite.loadLiteRt(`${packages}@litertjs/core/wasm/`, { threads: threads > 1 });
    const cpuOptions = { numThreads: threads };
    const model = await lite.loadAndCompile(`${weights}.tflite`, { accelerator: 'wasm', cpuOptions });
    return async (data) => {
      const [logits] = await model.run(new lite.Tensor(data, [1, SIDE, SIDE, 3]));
      return (await logits?.data()) as Float32Array;
    };
  };
}

/** Fetches an engine's script. Returns what loads the weights, which returns what runs. */
async function engineOf(task: StartTask, places: StartPlaces): Promise<() => Promise<Run>> {
  const { packages, ort, weights, read } = places;
  switch (task.engine) {
    case 'resnet-wasm':
      return ours(task, places);
    case 'onnxruntime-web': {
      const web = (await fetchModule(`${packages}onnxruntime-web/dist/${ort.web}`)) as Ort;
      return onnxruntime(task, web, `${weights}.onnx`, { executionProviders: ['wasm'] });
    }
    case 'onnxruntime-node': {
      if (!ort.node) throw new Error('onnxruntime-node: expected Node, got a page.');
      const threads = { intraOpNumThreads: task.threads, interOpNumThreads: 1 };
      return onnxruntime(task, ort.node(), `${weights}.onnx`, threads);
    }
    case 'LiteRT.js':
      return liteRt(task, places);
    case 'read':
      return async () => {
        await read(`${weights}.safetensors`);
        return async () => new Float32Array();
      };
  }
}

/** Starts an engine, and runs it once. `begin`: the time of performance.now() that counts as the beginning. */
export async function startOnce(task: StartTask, places: StartPlaces, begin: number): Promise<StartTimes> {
  const load = await engineOf(task, places);
  const imported = performance.now();
  const run = await load();
  const loaded = performance.now();
  const logits = await run(image(task.engine.startsWith('onnx')));
  const end = performance.now();
  const sum = logits.reduce((total, value) => total + value, 0);
  return { module: imported - begin, load: loaded - imported, run: end - loaded, sum };
}
