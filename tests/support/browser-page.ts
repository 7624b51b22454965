/** The page's side of tests/browser: each function runs in a browser, on the package as it is built. */

import type * as Api from '../../bindings/index.web.js';
import { tinyGraph } from './tiny-graph.js';

const API = '/dist/web.js';
const api: typeof Api = await import(API);

const NETWORK = 'resnet20_cifar';
const CIFAR = { ...api.preprocessings.cifar, resize: 32, crop: 32 } as Api.Preprocessing;

const message = (task: Promise<unknown>): Promise<string> =>
  task.then(
    () => 'no error',
    (error: Error) => `${error.name}: ${error.message}`,
  );

const fetched = async (url: string): Promise<Blob> => (await fetch(url)).blob();

const pages = {
  /** The binary that this browser runs by default. */
  binary: (): Api.Binary => (api.supportsRelaxed() ? 'relaxed' : 'baseline'),

  /** Logits of a network with seeded weights, and what the model says of itself. */
  async logits(name: string, options: Partial<Api.LoadOptions>) {
    using model = await api.load(name, { weights: { seed: 1 }, ...options });
    const { h, w, c } = model.summary().input;
    const shape = [1, c, h, w];
    const { data } = await model.run({ data: api.seededInput(shape), shape, layout: 'NCHW' });
    return { data: [...data], info: model.info(), isIsolated: crossOriginIsolated };
  },

  /** The longest task of the page while a network loads and runs, in milliseconds; 0 where none took 50. */
  async longestTask(name: string, runs: number) {
    const tasks: number[] = [];
    const observer = new PerformanceObserver((list) =>
      tasks.push(...list.getEntries().map(({ duration }) => duration)),
    );
    observer.observe({ entryTypes: ['longtask'] });
    using model = await api.load(name, { weights: { seed: 1 } });
    const blob = await fetched('/tests/data/photos/chelsea.jpg');
    for (let run = 0; run < runs; run++) await model.classify(blob);
    await new Promise((resolve) => setTimeout(resolve, 100));
    tasks.push(...observer.takeRecords().map(({ duration }) => duration));
    observer.disconnect();
    return Math.max(0, ...tasks);
  },

  /** What becomes of each way to give the wasm. */
  async wasm() {
    const url = new URL('/build/baseline.wasm', location.href);
    const bytes = await (await fetch(url)).arrayBuffer();
    const sources: Record<string, Api.WasmSource> = {
      string: '/build/baseline.wasm',
      url,
      bytes,
      view: new Uint8Array(bytes),
      response: await fetch(url),
      module: await WebAssembly.compile(bytes),
    };
    const binaries: Record<string, string> = {};
    for (const [name, wasm] of Object.entries(sources)) {
      using model = await api.load(NETWORK, { weights: { seed: 1 }, wasm });
      binaries[name] = model.info().binary;
    }
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    const wrong: Record<string, Partial<Api.LoadOptions>> = {
      other: { wasm: url, binary: 'relaxed' },
      module: { wasm: empty },
      noModule: { wasm: new Uint8Array(9) },
      missing: { wasm: '/build/none.wasm' },
      spent: { wasm: sources.response as Response },
      silent: { wasm: 'http://127.0.0.1:9/none.wasm' },
      number: { wasm: 7 as unknown as string },
    };
    const messages: Record<string, string> = {};
    for (const [name, options] of Object.entries(wrong)) {
      messages[name] = await message(api.load(NETWORK, { weights: { seed: 1 }, ...options }));
    }
    return { binaries, messages };
  },

  /** A picture's tensor, [32, 32, 3], by each of the ways in which a page can have it. */
  async tensors(url: string, ways: readonly string[]) {
    using model = await api.load(NETWORK, { weights: { seed: 1 }, preprocessing: CIFAR });
    const blob = await fetched(url);
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext('2d', { willReadFrequently: true })?.drawImage(image, 0, 0);
    const offscreen = new OffscreenCanvas(canvas.width, canvas.height);
    const context = offscreen.getContext('2d', { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
    context.drawImage(image, 0, 0);
    const bitmap = await createImageBitmap(blob);
    const sources: Record<string, () => Api.ImageSource | Promise<Api.ImageSource>> = {
      blob: () => blob,
      file: () => new File([blob], 'photo'),
      url: () => url,
      bytes: () => blob.arrayBuffer(),
      bitmap: () => bitmap,
      imageData: () => context.getImageData(0, 0, canvas.width, canvas.height),
      img: () => image,
      canvas: () => canvas,
      offscreen: () => offscreen,
    };
    const tensors: Record<string, number[]> = {};
    for (const way of ways) {
      const source = await sources[way]?.();
      tensors[way] = [...(await model.featureMap(source as Api.ImageSource, 'input')).data];
    }
    // What was given is still the page's.
    return { tensors, bitmap: bitmap.width, offscreen: offscreen.width };
  },

  /** The tensor of a film's frame that is all of one colour, and what it is of that colour itself. */
  async video() {
    using model = await api.load(NETWORK, { weights: { seed: 1 }, preprocessing: CIFAR });
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [64, 48];
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    const paint = () => {
      context.fillStyle = '#808080';
      context.fillRect(0, 0, 64, 48);
    };
    paint();
    const video = document.createElement('video');
    const early = await message(model.classify(video));
    video.muted = true;
    video.srcObject = canvas.captureStream(30);
    const painting = setInterval(paint, 20);
    await video.play();
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    const { data } = await model.featureMap(video, 'input');
    clearInterval(painting);
    const grey = { data: new Uint8Array(64 * 48 * 3).fill(0x80), width: 64, height: 48 };
    const wanted = (await model.featureMap(grey, 'input')).data;
    return { early, largest: Math.max(...data.map((value, i) => Math.abs(value - (wanted[i] as number)))) };
  },

  /** What pictures that are none are refused with. */
  async refusals() {
    using model = await api.load(NETWORK, { weights: { seed: 1 }, preprocessing: CIFAR });
    const closed = await createImageBitmap(new ImageData(1, 1));
    closed.close();
    const wrong: Record<string, unknown> = {
      empty: new Blob([]),
      text: new Blob(['no picture']),
      missing: '/none.png',
      element: document.createElement('div'),
      unloaded: new Image(),
      nothing: undefined,
      pixels: { data: new Uint8Array(5), width: 2, height: 2 },
      malformed: 'http://[',
      closed,
      canvas: new OffscreenCanvas(0, 0),
    };
    const messages: Record<string, string> = {};
    for (const [name, image] of Object.entries(wrong)) {
      messages[name] = await message(model.classify(image as Api.ImageSource));
    }
    const gone = await api.load(NETWORK, { weights: { seed: 1 } });
    const waiting = message(gone.classify(await fetched('/tests/data/photos/chelsea.jpg')));
    gone.dispose();
    gone.dispose();
    return { ...messages, waiting: await waiting, gone: await message(gone.run({} as Api.Tensor)) };
  },

  /** Loads weights by URL; `stopAt`: the share of the bytes after which it is aborted. */
  async fromUrl(name: string, url: string, options: Partial<Api.LoadOptions> = {}, stopAt = 2) {
    const controller = new AbortController();
    let loaded = 0;
    const onProgress = (progress: Api.Progress): void => {
      loaded = progress.loaded;
      if (progress.loaded > stopAt * progress.total) controller.abort(new Error('enough'));
    };
    let logits: number[] = [];
    const outcome = await message(
      (async () => {
        using model = await api.load(name, { weights: url, signal: controller.signal, onProgress, ...options });
        const shape = [1, 3, 32, 32];
        logits = [...(await model.run({ data: api.seededInput(shape), shape, layout: 'NCHW' })).data];
      })(),
    );
    return { outcome, loaded, logits, kept: await api.weightCache.list() };
  },

  /** A network that a file is of, and one of a graph, with weights that the worker's second script reads too. */
  async otherNetworks(url: string) {
    const names: string[] = [];
    const logits: number[][] = [];
    const given: [Api.NetworkLike, Api.LoadOptions][] = [
      [url, {}],
      [tinyGraph(api.GraphBuilder), { weights: { seed: 1 } }],
      [tinyGraph(api.GraphBuilder), { weights: '/tests/data/pth/state_dict.pt' }],
    ];
    for (const [network, options] of given) {
      using model = await api.load(network, options);
      const shape = [1, 3, 32, 32];
      names.push(model.name);
      logits.push([...(await model.run({ data: api.seededInput(shape), shape, layout: 'NCHW' })).data]);
    }
    return { names, logits };
  },

  /** What a network's published weights say of a photograph. */
  async published(name: string) {
    using model = await api.load(name, { worker: false });
    const [best] = await model.classify(await fetched('/tests/data/photos/chelsea.jpg'), { topK: 1 });
    const names = api.pretrained();
    return {
      network: model.name,
      best,
      resize: model.preprocessing?.resize,
      names,
      kept: await api.weightCache.list(),
    };
  },

  /** Two loads of one URL that run at the same time. */
  async atOnce(name: string, url: string) {
    const one = () => pages.fromUrl(name, url);
    const [first, second] = await Promise.all([one(), one()]);
    return { logits: [first.logits, second.logits], kept: await api.weightCache.list() };
  },

  /** The same weights as a URL gives, in all other forms. */
  async otherForms(name: string, url: string) {
    const blob = await fetched(url);
    const bytes = await blob.arrayBuffer();
    async function* iterable(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.byteLength; at += 100_000) yield new Uint8Array(bytes.slice(at, at + 100_000));
    }
    const forms: Record<string, Api.WeightSource> = {
      blob,
      bytes,
      view: new Uint8Array(bytes),
      stream: blob.stream(),
      response: await fetch(url),
      iterable: iterable(),
    };
    const logits: Record<string, number[]> = {};
    for (const [form, weights] of Object.entries(forms)) {
      using model = await api.load(name, { weights });
      const shape = [1, 3, 32, 32];
      logits[form] = [...(await model.run({ data: api.seededInput(shape), shape, layout: 'NCHW' })).data];
    }
    const cancelled: string[] = [];
    const streamOf = (what: string) =>
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(10)),
        cancel: () => void cancelled.push(what),
      });
    await message(api.load('none', { weights: streamOf('of no network') }));
    await message(api.load(name, { weights: streamOf('that cannot be sent'), labels: [() => {}] as never }));
    const locked = blob.stream();
    locked.getReader();
    return {
      logits,
      cancelled,
      errors: {
        none: await message((api.load as (name: string) => Promise<Api.Model>)(name)),
        locked: await message(api.load(name, { weights: locked })),
        truncated: await message(api.load(name, { weights: new Response(bytes.slice(0, 900_000)) })),
        page: await message(api.load(name, { weights: '/page.html' })),
        progress: await message(
          api.load(name, {
            weights: blob,
            onProgress: () => {
              throw new RangeError('of its own');
            },
          }),
        ),
      },
    };
  },

  /** What a network makes of values of this realm, and of the same from an iframe. */
  async ofAnotherRealm(name: string, weightsUrl: string, photo: string) {
    const frame = document.body.appendChild(document.createElement('iframe'));
    const other = frame.contentWindow as Window & typeof globalThis;
    const weights = await (await fetch(weightsUrl)).arrayBuffer();
    const file = await (await fetch(photo)).arrayBuffer();
    const shape = [1, 3, 32, 32];
    const input = api.seededInput(shape);
    const outputs = async (realm: typeof globalThis) => {
      const logits: number[][] = [];
      const sources = [
        realm.Uint8Array.from(new Uint8Array(weights)),
        new realm.Blob([weights]),
        new realm.Response(weights),
        new realm.URL(weightsUrl, location.href),
      ];
      for (const source of sources) {
        const { signal } = new realm.AbortController();
        using model = await api.load(name, { weights: source, signal });
        logits.push([
          ...(await model.run({ data: realm.Float32Array.from(input), shape, layout: 'NCHW' }, { signal })).data,
        ]);
      }
      return logits;
    };
    using model = await api.load(name, { weights: weightsUrl, preprocessing: CIFAR });
    const classes = async (realm: Window & typeof globalThis) => {
      const image = realm.document.createElement('img');
      image.src = photo;
      const canvas = realm.document.createElement('canvas');
      canvas.getContext('2d')?.fillRect(0, 0, 100, 100);
      const pixels = new realm.ImageData(40, 40);
      const bytes = realm.Uint8Array.from(new Uint8Array(file));
      const pictures = [bytes, new realm.Blob([file]), new realm.URL(photo, location.href), image, canvas, pixels];
      return Promise.all(pictures.map((picture) => model.classify(picture)));
    };
    const result = {
      logits: [await outputs(globalThis), await outputs(other)],
      classes: [await classes(window), await classes(other)],
    };
    frame.remove();
    return result;
  },

  clear: (url?: string): Promise<void> => api.weightCache.clear(url),

  /** Names of the tensors in an HDF5 file, each of whose values is read; and what is kept of weights then. */
  async hdf5(url: string) {
    const file = await api.openWeights(url, { hdf5: '/node_modules/h5wasm/dist/esm/hdf5_hl.js' });
    const names = new Set<string>();
    for await (const { tensor } of file.pieces()) names.add(tensor.name);
    await file.close();
    return { names: [...names], kept: await api.weightCache.list() };
  },

  /** What a thread's worker says of a module that is none. */
  brokenThread: (): Promise<string> =>
    new Promise((resolve) => {
      const worker = new Worker('/dist/worker.js', { type: 'module' });
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => resolve(data.failed);
      port1.postMessage({ modules: [{}] });
      worker.postMessage({ kind: 'thread', port: port2 }, [port2]);
    }),

  /** How many parts of weights the cache has, whether or not it tells of them. */
  async storedParts() {
    const keys = await (await caches.open('resnet-wasm weights')).keys();
    return keys.filter(({ url }) => url.includes('/part/')).length;
  },

  async cycles(name: string, count: number) {
    for (let i = 0; i < count; i++) {
      using model = await api.load(name, { weights: { seed: 1 } });
      await model.classify({ data: new Uint8Array(256 * 256 * 3), width: 256, height: 256 });
    }
  },

  peak: (): Promise<number> => api.measurePeak(),
};

export type Pages = typeof pages;

Object.assign(globalThis, { pages });
document.documentElement.dataset.ready = '';
