/** What a Keras model computes, by definition: its JSON is walked layer by layer, in float64 and without this project's graphs. */

import type { KerasJson, Variable, Version } from './keras-models.js';

/** Values of one image, row-major: [h, w, c] or [c]. */
export interface Value {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

type Json = Readonly<Record<string, unknown>>;

const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

const made = (shape: readonly number[], at: (i: number) => number): Value => ({
  shape,
  data: Float64Array.from({ length: size(shape) }, (_, i) => at(i)),
});

const mapped = ({ shape, data }: Value, f: (v: number, channel: number) => number): Value => {
  const c = shape.at(-1) as number;
  return made(shape, (i) => f(data[i] as number, i % c));
};

const erf = (x: number): number => {
  // Its Taylor series, for what a test has.
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const clip = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

function activation(value: Value, given: unknown, version: Version): Value {
  const name = typeof given === 'object' && given !== null ? String((given as Json).config) : String(given ?? 'linear');
  if (name === 'softmax') {
    const sum = value.data.reduce((all, v) => all + Math.exp(v), 0);
    return mapped(value, (v) => Math.exp(v) / sum);
  }
  const functions: Record<string, (x: number) => number> = {
    linear: (x) => x,
    relu: (x) => Math.max(x, 0),
    relu6: (x) => clip(x, 0, 6),
    sigmoid,
    swish: (x) => x * sigmoid(x),
    silu: (x) => x * sigmoid(x),
    gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    hard_sigmoid: (x) => (version === 3 ? clip(x / 6 + 0.5, 0, 1) : clip(0.2 * x + 0.5, 0, 1)),
    hard_silu: (x) => x * clip(x / 6 + 0.5, 0, 1),
    leaky_relu: (x) => (x < 0 ? 0.2 * x : x),
  };
  return mapped(value, functions[name] as (x: number) => number);
}

/** Zeros above and left, and the size of what a window makes. */
function placed(length: number, kernel: number, stride: number, dilation: number, padding: unknown) {
  const reach = dilation * (kernel - 1) + 1;
  if (padding !== 'same') return { before: 0, out: Math.floor((length - reach) / stride) + 1 };
  const out = Math.ceil(length / stride);
  return { before: Math.floor(Math.max(0, (out - 1) * stride + reach - length) / 2), out };
}

/** Slides a window over a map; `at` gets the values in it with their places in the window, those outside left out. */
function slide(
  { shape, data }: Value,
  {
    kernel,
    stride,
    dilation = [1, 1],
    padding,
  }: { kernel: number[]; stride: number[]; dilation?: number[]; padding: unknown },
  channels: number,
  at: (inside: { row: number; column: number; pixel: Float64Array }[], channel: number) => number,
): Value {
  const [h = 0, w = 0, c = 0] = shape;
  const y = placed(h, kernel[0] as number, stride[0] as number, dilation[0] as number, padding);
  const x = placed(w, kernel[1] as number, stride[1] as number, dilation[1] as number, padding);
  return made([y.out, x.out, channels], (i) => {
    const channel = i % channels;
    const column = Math.floor(i / channels) % x.out;
    const row = Math.floor(i / channels / x.out);
    const inside = [];
    for (let ky = 0; ky < (kernel[0] as number); ky++) {
      for (let kx = 0; kx < (kernel[1] as number); kx++) {
        const at = row * (stride[0] as number) - y.before + ky * (dilation[0] as number);
        const left = column * (stride[1] as number) - x.before + kx * (dilation[1] as number);
        if (at < 0 || left < 0 || at >= h || left >= w) continue;
        const first = (at * w + left) * c;
        inside.push({ row: ky, column: kx, pixel: data.subarray(first, first + c) });
      }
    }
    return at(inside, channel);
  });
}

const pair = (value: unknown, usual: number[] = [1, 1]): number[] =>
  value === undefined || value === null ? usual : Array.isArray(value) ? value : [value as number, value as number];

type Get = (variable: string) => Float32Array | undefined;

function conv(x: Value, config: Json, get: Get, depthwise: boolean): Value {
  const kernel = pair(config.kernel_size);
  const c = x.shape[2] as number;
  const weights = (depthwise ? (get('depthwise_kernel') ?? get('kernel')) : get('kernel')) as Float32Array;
  const multiplier = (config.depth_multiplier as number | undefined) ?? 1;
  const groups = depthwise ? c : ((config.groups as number | undefined) ?? 1);
  const filters = depthwise ? c * multiplier : (config.filters as number);
  const inner = c / groups;
  const bias = get('bias');
  const window = {
    kernel,
    stride: pair(config.strides),
    dilation: pair(config.dilation_rate),
    padding: config.padding,
  };
  return slide(x, window, filters, (inside, o) => {
    const group = Math.floor(o / (filters / groups));
    return inside.reduce(
      (sum, { row, column, pixel }) => {
        let all = sum;
        for (let i = 0; i < inner; i++) {
          const tap = row * (kernel[1] as number) + column;
          // [kh, kw, in, out], or [kh, kw, c, multiplier]: both have the outputs of a tap in a row.
          const weight = weights[(tap * inner + i) * filters + o] as number;
          all += (pixel[group * inner + i] as number) * weight;
        }
        return all;
      },
      (bias?.[o] as number | undefined) ?? 0,
    );
  });
}

function dense(x: Value, c: number, kernel: Float32Array, bias: Float32Array | undefined): Value {
  const from = x.shape.at(-1) as number;
  return made([...x.shape.slice(0, -1), c], (i) => {
    const [row, o] = [Math.floor(i / c), i % c];
    let sum = (bias?.[o] as number | undefined) ?? 0;
    for (let k = 0; k < from; k++) sum += (x.data[row * from + k] as number) * (kernel[k * c + o] as number);
    return sum;
  });
}

function pool(x: Value, config: Json, isMax: boolean): Value {
  const kernel = pair(config.pool_size, [2, 2]);
  const window = { kernel, stride: pair(config.strides, kernel), padding: config.padding };
  return slide(x, window, x.shape[2] as number, (inside, channel) => {
    const values = inside.map(({ pixel }) => pixel[channel] as number);
    return isMax ? Math.max(...values) : values.reduce((a, b) => a + b, 0) / values.length;
  });
}

function globalPool(x: Value, config: Json, isMax: boolean): Value {
  const [h = 1, w = 1, c = 1] = x.shape;
  const shape = config.keepdims === true ? [1, 1, c] : [c];
  return made(shape, (channel) => {
    const values = Array.from({ length: h * w }, (_, i) => x.data[i * c + channel] as number);
    return isMax ? Math.max(...values) : values.reduce((a, b) => a + b, 0) / values.length;
  });
}

const perChannel = (value: unknown, c: number, usual = 0): number => {
  const list = [value ?? usual].flat(8) as number[];
  return list[list.length > 1 ? c : 0] as number;
};

function layer(kind: string, config: Json, inputs: readonly Value[], get: Get, version: Version): Value {
  const [x] = inputs as [Value];
  const [h = 1, w = 1, c = 1] = x.shape;
  const last = x.shape.at(-1) as number;
  switch (kind) {
    case 'Conv2D':
      return activation(conv(x, config, get, false), config.activation, version);
    case 'DepthwiseConv2D':
      return activation(conv(x, config, get, true), config.activation, version);
    case 'SeparableConv2D': {
      const part = conv(x, config, (name) => (name === 'bias' ? undefined : get(name)), true);
      const whole = dense(part, config.filters as number, get('pointwise_kernel') as Float32Array, get('bias'));
      return activation(whole, config.activation, version);
    }
    case 'Dense':
      return activation(
        dense(x, config.units as number, get('kernel') as Float32Array, get('bias')),
        config.activation,
        version,
      );
    case 'BatchNormalization':
      return mapped(x, (v, i) => {
        const [mean, variance] = [get('moving_mean')?.[i] as number, get('moving_variance')?.[i] as number];
        const scaled = (v - mean) / Math.sqrt(variance + (config.epsilon as number));
        return scaled * (get('gamma')?.[i] ?? 1) + (get('beta')?.[i] ?? 0);
      });
    case 'Rescaling':
      return mapped(x, (v, i) => v * perChannel(config.scale, i, 1) + perChannel(config.offset, i));
    case 'Normalization':
      return mapped(x, (v, i) => {
        const mean = config.mean === undefined ? (get('mean')?.[i] as number) : perChannel(config.mean, i);
        const variance = config.mean === undefined ? (get('variance')?.[i] as number) : perChannel(config.variance, i);
        return (v - mean) / Math.max(Math.sqrt(variance), 1e-7);
      });
    case 'Activation':
      return activation(x, config.activation, version);
    case 'Softmax':
      return activation(x, 'softmax', version);
    case 'ReLU': {
      const top = (config.max_value as number | null | undefined) ?? Number.POSITIVE_INFINITY;
      const slope = (config.negative_slope as number | undefined) ?? 0;
      return mapped(x, (v) => (v < 0 ? slope * v : Math.min(v, top)));
    }
    case 'LeakyReLU':
      return mapped(x, (v) => (v < 0 ? v * ((config.alpha ?? config.negative_slope ?? 0.3) as number) : v));
    case 'PReLU':
      return mapped(x, (v, i) => (v < 0 ? v * (get('alpha')?.[i] as number) : v));
    case 'Add':
      return made(x.shape, (i) => inputs.reduce((sum, { data }) => sum + (data[i] as number), 0));
    case 'Multiply': {
      const largest = inputs.reduce((a, b) => (b.data.length > a.data.length ? b : a));
      return made(largest.shape, (i) =>
        inputs.reduce((all, { data }) => all * (data[data.length === last ? i % last : i] as number), 1),
      );
    }
    case 'Concatenate': {
      const channels = inputs.map(({ shape }) => shape.at(-1) as number);
      const all = channels.reduce((a, b) => a + b, 0);
      return made([...x.shape.slice(0, -1), all], (i) => {
        let [pixel, channel, which] = [Math.floor(i / all), i % all, 0];
        while (channel >= (channels[which] as number)) channel -= channels[which++] as number;
        return inputs[which]?.data[pixel * (channels[which] as number) + channel] as number;
      });
    }
    case 'ZeroPadding2D': {
      const [rows, columns] = pair(config.padding, [1, 1]) as unknown as (number | number[])[];
      const [[top, bottom], [left, right]] = [pair(rows), pair(columns)] as [[number, number], [number, number]];
      const shape = [h + top + bottom, w + left + right, c];
      return made(shape, (i) => {
        const column = (Math.floor(i / c) % (shape[1] as number)) - left;
        const row = Math.floor(i / c / (shape[1] as number)) - top;
        const isInside = row >= 0 && row < h && column >= 0 && column < w;
        return isInside ? (x.data[(row * w + column) * c + (i % c)] as number) : 0;
      });
    }
    case 'MaxPooling2D':
      return pool(x, config, true);
    case 'AveragePooling2D':
      return pool(x, config, false);
    case 'GlobalMaxPooling2D':
      return globalPool(x, config, true);
    case 'GlobalAveragePooling2D':
      return globalPool(x, config, false);
    case 'UpSampling2D': {
      const [y, z] = pair(config.size, [2, 2]) as [number, number];
      return made([h * y, w * z, c], (i) => {
        const [row, column] = [Math.floor(i / c / (w * z) / y), Math.floor((Math.floor(i / c) % (w * z)) / z)];
        return x.data[(row * w + column) * c + (i % c)] as number;
      });
    }
    case 'Flatten':
      return { ...x, shape: [x.data.length] };
    case 'Reshape':
      return { ...x, shape: (config.target_shape as number[]).map((n) => (n === -1 ? last : n)) };
    case 'Dropout':
    case 'RandomFlip':
      return x;
    default:
      throw new Error(`${kind}: expected a layer of the reference, got another.`);
  }
}

/** What a model makes of an input. `variables`: of all its layers, those of models in it under these models' names. */
export function reference(
  { class_name: kind, config }: KerasJson,
  variables: readonly Variable[],
  input: Value,
  version: Version,
): Value {
  const layers = config.layers as (Json & { class_name: string; config: Json })[];
  const run = (json: (typeof layers)[number], inputs: readonly Value[]): Value => {
    const name = json.config.name as string;
    const own = variables
      .filter(({ path }) => path[0] === name)
      .map(({ path, ...rest }) => ({ ...rest, path: path.slice(1) }));
    if (Array.isArray(json.config.layers))
      return reference(json as unknown as KerasJson, own, inputs[0] as Value, version);
    return layer(
      json.class_name,
      json.config,
      inputs,
      (wanted) => own.find(({ path }) => path[0] === wanted)?.values,
      version,
    );
  };
  if (kind === 'Sequential') {
    return layers.reduce((x, json) => (json.class_name === 'InputLayer' ? x : run(json, [x])), input);
  }
  const refsIn = (value: unknown): [string, number][] => {
    if (Array.isArray(value) && typeof value[0] === 'string') return [[value[0], value[1] as number]];
    if (Array.isArray(value)) return value.flatMap(refsIn);
    if (typeof value !== 'object' || value === null) return [];
    const { class_name: what, config: own } = value as Json;
    return what === '__keras_tensor__' ? refsIn((own as Json).keras_history) : Object.values(value).flatMap(refsIn);
  };
  const values = new Map<string, Value>();
  const valueAt = ([name, call]: [string, number]): Value => {
    const json = layers.find((each) => each.config.name === name);
    if (!json) throw new Error(`${name}: expected a layer, got none.`);
    if (json.class_name === 'InputLayer') return input;
    const nodes = json.inbound_nodes as unknown[];
    // Older versions count the calls of models from 1.
    const node = nodes[Math.min(call, nodes.length - 1)];
    const key = `${name} ${call}`;
    const known = values.get(key) ?? run(json, refsIn(node).map(valueAt));
    values.set(key, known);
    return known;
  };
  return valueAt(refsIn(config.output_layers)[0] as [string, number]);
}
