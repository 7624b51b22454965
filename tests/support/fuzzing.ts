/** Damaged weight files by the number: valid ones, changed at random places, and what a reader may do with them. */

import { readdirSync, readFileSync } from 'node:fs';
import '../../bindings/index.node.js';
import * as platforms from '../../bindings/platform/platform.js';
import { usePlatform } from '../../bindings/platform/platform.js';
import { openWeights } from '../../bindings/weights/open.js';
import { randomBytes } from '../../bindings/weights/stream/random-access.js';
import { graphToJson } from '../../models/graph-json.js';
import { type Graph, GraphBuilder } from '../../models/index.js';
import { KerasBuilder, tfjsFiles } from './keras-models.js';
import { concat, hostileChunks, pattern, safetensorsFile, utf8 } from './weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

/** A row of random numbers that a seed determines (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Random = ReturnType<typeof random>;

/** Numbers at which readers go wrong. */
const ODD = [
  0n,
  1n,
  2n,
  7n,
  8n,
  127n,
  255n,
  256n,
  65535n,
  65536n,
  2n ** 24n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

const ODD_TEXTS = ['-1', '0', '1e999', '1e308', '9007199254740993', '1.5', 'null', '[]', '{}', '"x"', 'true', '[[1]]'];

const CHANGES: readonly ((bytes: Bytes, pick: Random) => Bytes)[] = [
  // One byte.
  (bytes, pick) => {
    bytes[pick(bytes.length)] = pick(256);
    return bytes;
  },
  // One bit.
  (bytes, pick) => {
    const at = pick(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(8));
    return bytes;
  },
  // A field.
  (bytes, pick) => {
    const width = [1, 2, 4, 8][pick(4)] ?? 1;
    const value = pick(3) > 0 ? (ODD[pick(ODD.length)] ?? 0n) : BigInt(bytes.length + pick(5) - 2);
    const field = new Uint8Array(8);
    new DataView(field.buffer).setBigUint64(0, value, true);
    if (pick(8) === 0) field.subarray(0, width).reverse();
    bytes.set(field.subarray(0, Math.min(width, bytes.length)), pick(Math.max(1, bytes.length - width)));
    return bytes;
  },
  // A field that points to another place in the file.
  (bytes, pick) => {
    const field = new Uint8Array(8);
    new DataView(field.buffer).setBigUint64(0, BigInt(pick(bytes.length)), true);
    const at = pick(bytes.length) & ~7;
    bytes.set(field.subarray(0, bytes.length - at), at);
    return bytes;
  },
  // Cut.
  (bytes, pick) => bytes.slice(0, pick(bytes.length)),
  // Longer.
  (bytes, pick) => concat(bytes, pattern(1 + pick(40), pick(99))),
  // A piece less, twice, or elsewhere too.
  (bytes, pick) => {
    const [at, length] = [pick(bytes.length), 1 + pick(64)];
    return concat(bytes.slice(0, at), bytes.slice(at + length));
  },
  (bytes, pick) => {
    const [at, length] = [pick(bytes.length), 1 + pick(64)];
    const piece = bytes.slice(at, at + length);
    return concat(bytes.slice(0, at), ...Array.from({ length: 1 + pick(4) }, () => piece), bytes.slice(at));
  },
  (bytes, pick) => {
    const [from, length] = [pick(bytes.length), 1 + pick(64)];
    const piece = bytes.slice(from, from + length);
    bytes.set(piece, pick(Math.max(1, bytes.length - piece.length)));
    return bytes;
  },
  // A number or text of JSON, where there is one.
  (bytes, pick) => {
    const text = new TextDecoder('latin1').decode(bytes);
    const values = [...text.matchAll(/"[ -!#-~]*"|-?\d+/g)];
    const value = values[pick(values.length)];
    if (!value) return bytes;
    const odd = utf8(ODD_TEXTS[pick(ODD_TEXTS.length)] ?? '');
    return concat(bytes.slice(0, value.index), odd, bytes.slice(value.index + value[0].length));
  },
];

export function damaged(bytes: Uint8Array, pick: Random): Bytes {
  let changed = Uint8Array.from(bytes);
  for (let left = 1 + pick(4); left > 0 && changed.length > 0; left--) {
    changed = CHANGES[pick(CHANGES.length)]?.(changed, pick) ?? changed;
  }
  return changed;
}

/** The files of one model by their paths; the first one is opened. */
type Model = Readonly<Record<string, Uint8Array>>;

const folder = (name: string, matches: RegExp): Model[] => {
  const place = new URL(`../data/${name}/`, import.meta.url);
  const names = readdirSync(place).filter((file) => matches.test(file));
  if (names.length === 0) throw new Error(`${place}: expected files that match ${matches}, got none.`);
  return names.map((file) => ({ [file]: readFileSync(new URL(file, place)) }));
};

const tensors = (...names: string[]) =>
  names.map((name, i) => ({ name, dtype: 'F32', shape: [2, i + 1], bytes: pattern(8 * (i + 1), i) }));

const index = {
  metadata: { total_size: 32 },
  weight_map: { 'a.weight': 'one', 'b.weight': 'one', 'c.weight': 'two' },
};

const layers = ['conv1', 'bn_conv1', 'fc1000'];
const layersModel = {
  format: 'layers-model',
  modelTopology: {
    model_config: {
      config: {
        layers: layers.map((name, i) => ({
          class_name: ['Conv2D', 'BatchNormalization', 'Dense'][i],
          config: { name, use_bias: true, epsilon: 0.001, strides: [2, 2] },
        })),
      },
    },
  },
  weightsManifest: [
    {
      paths: ['g1', 'g2'],
      weights: [
        { name: 'conv1/kernel', shape: [3, 2, 2, 5], dtype: 'float32' },
        { name: 'bn_conv1/gamma', shape: [5], dtype: 'float32' },
      ],
    },
    { paths: ['g3'], weights: [{ name: 'fc1000/kernel', shape: [4, 2], dtype: 'float32' }] },
  ],
};

function smallGraph(): Graph {
  const g = new GraphBuilder('small');
  let x = g.conv('conv', g.input({ h: 9, w: 8, c: 2 }), 4, { kernel: 3, padding: 1, bias: true });
  x = g.relu('relu', g.add('add', g.batchNorm('norm', x), x));
  return g.finish(g.linear('fc', g.maxPool('pool', g.concat('concat', [x, x]), { kernel: 2 }), 3));
}

function nestedModel(): Model {
  const inner = new KerasBuilder(3, 5);
  const y = inner.norm('bn', inner.conv('conv2d', inner.input('in', null, null, 2), 2, 3, 3, { padding: 'same' }), 3);
  const base = inner.functional('base', 'in', inner.layer('ReLU', 'relu', y, { max_value: 6 }));
  const k = new KerasBuilder(3, 6);
  const x = k.model(base, k.layer('Rescaling', 'rescaling', k.input('image', 6, 6, 2), { scale: 0.1, offset: [1, 2] }));
  const head = k.dense('dense', k.layer('GlobalMaxPooling2D', 'pool', x), 3, 2, 'softmax');
  return tfjsFiles(k.functional('model', 'image', head), 3);
}

function quantisedModel(): Model {
  const layers = [
    { class_name: 'InputLayer', config: { name: 'input', batch_input_shape: [null, 3, 3, 2] } },
    { class_name: 'Conv2D', config: { name: 'conv', filters: 3, kernel_size: 3, use_bias: true } },
    { class_name: 'Dense', config: { name: 'dense', units: 2, use_bias: false } },
  ];
  const quantization = { dtype: 'uint16', scale: 0.5, min: -3 };
  const weights = [
    { name: 'conv/kernel', shape: [3, 3, 2, 3], dtype: 'float32', quantization },
    { name: 'conv/bias', shape: [3], dtype: 'float32', quantization: { dtype: 'float16' } },
    { name: 'dense/kernel', shape: [3, 2], dtype: 'float32', quantization: { ...quantization, dtype: 'uint8' } },
  ];
  const topology = { class_name: 'Sequential', config: { name: 'sequential', layers } };
  const json = { format: 'layers-model', modelTopology: topology, weightsManifest: [{ paths: ['q'], weights }] };
  return { 'model.json': utf8(JSON.stringify(json)), q: pattern(2 * 54 + 2 * 3 + 6) };
}

const numbers = { dtype: 'I8', shape: [2, 30], bytes: pattern(60, 4) };
const scale = (name: string, ...values: number[]) => {
  return { name, dtype: 'F32', shape: [values.length], bytes: new Uint8Array(Float32Array.from(values).buffer) };
};

/** Every reader, and valid files for it. */
export const READERS: Readonly<Record<string, readonly Model[]>> = {
  safetensors: [
    ...folder('pth', /\.safetensors$/),
    { a: safetensorsFile(tensors('x', 'y'), { format: 'pt' }) },
    {
      a: safetensorsFile(tensors('x'), {
        'resnet-wasm.graph': graphToJson(smallGraph()),
        'resnet-wasm.stride': 'conv1',
      }),
    },
  ],
  int8: [
    {
      a: safetensorsFile(
        [
          ...tensors('fc.bias'),
          scale('fc.weight_scale', 0.25, 3),
          scale('fc.input_scale', 0.5),
          { name: 'fc.weight', ...numbers },
          scale('head.weight_scale', 1, 2),
          { name: 'head.weight', ...numbers },
        ],
        { quantization: 'int8' },
      ),
    },
  ],
  'pytorch archive': folder('pth', /(?<!legacy)\.pt$/),
  'pytorch of before 1.6': folder('pth', /legacy\.pt$/),
  hdf5: folder('h5', /^(plain|latest|weights|model|chunked|dense|keras3|keras3_named|functional)\.h5$/),
  keras: folder('h5', /\.keras$/),
  onnx: [
    ...folder('onnx', /^(gated|quantised|shuffled)\.onnx$/),
    { ...folder('onnx', /^apart\.onnx$/)[0], ...folder('onnx', /^apart\.onnx\.data$/)[0] },
  ],
  shards: [
    {
      'index.json': utf8(JSON.stringify(index)),
      one: safetensorsFile(tensors('a.weight', 'b.weight')),
      two: safetensorsFile(tensors('c.weight', 'bn.num_batches_tracked').slice(0, 1)),
    },
  ],
  'layers model': [
    // A whole one, with a model within it, and one whose values are quantised.
    nestedModel(),
    quantisedModel(),
    { 'model.json': utf8(JSON.stringify(layersModel)), g1: pattern(101), g2: pattern(159), g3: pattern(32) },
  ],
};

export interface Outcome {
  /** `read`, or the sentence of the refusal. */
  readonly result: string;
  readonly bytes: number;
  readonly milliseconds: number;
  /** Of the largest typed array that was made, and of all. */
  readonly largest: number;
  readonly allocated: number;
  /** Of the largest memory, an instance of WebAssembly's, that was looked at. */
  readonly heap: number;
}

/** Runs case `i` of a seed for a reader, or a model as it is. Throws where a refusal is not one sentence. */
export async function runCase(reader: string, seed: number, i: number, whole?: Model): Promise<Outcome> {
  const pick = random(seed * 1_000_003 + i);
  const models = READERS[reader] ?? [];
  const model = whole ?? models[pick(models.length)] ?? {};
  const paths = Object.keys(model);
  const target = paths[pick(paths.length)] ?? '';
  const files = whole ?? { ...model, [target]: damaged(model[target] ?? utf8(''), pick) };
  const first = files[paths[0] ?? ''] ?? utf8('');
  const chunk = [64, 1000, 2 ** 16][pick(3)] ?? 64;
  // Where a file's length is known beforehand, and where not; what names others has to have a place.
  const source = paths.length > 1 ? (paths[0] ?? '') : pick(2) > 0 ? first : hostileChunks(first, [chunk]);
  const memory = countAllocations();
  const platform = platforms.platform;
  usePlatform({ ...platform, openFile: async (path) => fileOf(files, String(path), chunk) });
  const start = performance.now();
  let result = 'read';
  try {
    const file = await openWeights(source);
    for await (const piece of file.pieces()) if (piece.bytes.length === 0) throw new Error('an empty piece');
  } catch (error) {
    const { name, message } = error as Error;
    if (!/^[^\n]+: [^\n]+\.$/.test(message) || message.length > 600) {
      throw new Error(`${reader}, case ${i} of seed ${seed}: expected one sentence, got ${name}: ${message}`, {
        cause: error,
      });
    }
    result = message;
  } finally {
    usePlatform(platform);
  }
  const milliseconds = performance.now() - start;
  const bytes = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  return { result, bytes, milliseconds, ...memory.stop() };
}

function fileOf(files: Model, path: string, chunk: number) {
  const bytes = Object.hasOwn(files, path) ? files[path] : undefined;
  if (!bytes) throw new Error(`${path}: expected a file, got none.`);
  return { total: bytes.length, chunks: hostileChunks(bytes, [chunk]), random: () => randomBytes(bytes) };
}

const COUNTED = ['Uint8Array', 'Uint16Array', 'Uint32Array', 'Float32Array', 'Float64Array'] as const;

/** Counts the bytes of typed arrays that are made, with memory of their own or as views of another, until `stop`. */
function countAllocations(): { stop(): { largest: number; allocated: number; heap: number } } {
  let [largest, allocated, heap] = [0, 0, 0];
  const globals = globalThis as unknown as Record<string, unknown>;
  const before = COUNTED.map((name) => [name, globals[name]] as const);
  for (const [name, original] of before) {
    globals[name] = new Proxy(original as Uint8ArrayConstructor, {
      construct(target, args, newTarget) {
        const made = Reflect.construct(target, args, newTarget === globals[name] ? target : newTarget) as Uint8Array;
        if (!(args[0] instanceof ArrayBuffer)) {
          allocated += made.byteLength;
          largest = Math.max(largest, made.byteLength);
        } else heap = Math.max(heap, args[0].byteLength);
        return made;
      },
    });
  }
  return {
    stop: () => {
      for (const [name, original] of before) globals[name] = original;
      return { largest, allocated, heap };
    },
  };
}

/** h5wasm's module, which is decoded anew for the file after a damaged one. */
const MODULE = (reader: string): number => (/^(hdf5|keras)$/.test(reader) ? 2 ** 22 : 0);

/** What a file of so many bytes justifies: the largest array, and all of them. */
export const LARGEST = (bytes: number): number => 2 ** 17 + 4 * bytes;
export const ALLOCATED = (bytes: number): number => 2 ** 21 + 64 * bytes;
/** libhdf5 begins with 19 MB, of which it touches few, and is given so much (bindings/weights/libhdf5.ts). */
export const HEAP = (bytes: number): number => 2 ** 26 + 4 * bytes;
export const LONGEST_MS = 1000;

/** Cases `first` to `last`; throws one sentence at the first that breaks a rule. Returns counts of what became of them. */
export async function runCases(
  reader: string,
  seed: number,
  first: number,
  last: number,
  onCase: (i: number) => void = () => {},
): Promise<{ read: number; refused: number; slowest: number; largest: number; allocated: number; heap: number }> {
  const counts = { read: 0, refused: 0, slowest: 0, largest: 0, allocated: 0, heap: 0 };
  for (let i = first; i < last; i++) {
    onCase(i);
    const { result, bytes, milliseconds, largest, allocated, heap } = await runCase(reader, seed, i);
    const name = `${reader}, case ${i} of seed ${seed}`;
    if (milliseconds > LONGEST_MS)
      throw new Error(`${name}: expected ${LONGEST_MS} ms, got ${milliseconds}: ${result}`);
    if (largest > LARGEST(bytes) + MODULE(reader) || allocated > ALLOCATED(bytes) + MODULE(reader)) {
      throw new Error(
        `${name}: expected memory for ${bytes} bytes, got ${largest} at once, ${allocated} in all: ${result}`,
      );
    }
    if (heap > HEAP(bytes)) throw new Error(`${name}: expected a heap of ${HEAP(bytes)} bytes, got ${heap}: ${result}`);
    if (result === 'read') counts.read += 1;
    else counts.refused += 1;
    counts.slowest = Math.max(counts.slowest, milliseconds);
    counts.largest = Math.max(counts.largest, largest);
    counts.allocated = Math.max(counts.allocated, allocated);
    counts.heap = Math.max(counts.heap, heap);
  }
  return counts;
}
