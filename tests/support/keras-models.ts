/**
 * Keras models made by code, as `Model.to_json` of Keras 2 and Keras 3 tells them, with the values of their variables:
 * layers are added one by one, and the topology says what each reads.
 */

import type { Layer, Model, Weight } from './tfjs-models.js';
import { bytesOf } from './tfjs-models.js';
import { concat, utf8 } from './weight-files.js';

export type Version = 2 | 3;

/** A variable of a layer by its name in Keras, in Keras's shape. */
export interface Variable {
  readonly path: readonly string[];
  readonly shape: number[];
  readonly values: Float32Array;
}

type Json = Record<string, unknown>;

export interface KerasJson {
  readonly class_name: string;
  readonly name?: string;
  readonly config: Json;
}

export type { Layer, Model, Weight };

/** A row of numbers that a seed determines, in −1 … 1. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

/** Adds layers to a Functional model. */
export class KerasBuilder {
  readonly #version: Version;
  readonly #layers: Json[] = [];
  readonly #next: () => number;
  readonly #hasValues: boolean;
  readonly #calls = new Map<string, number>();
  /** Of all layers, those of models in this one too. */
  readonly variables: Variable[] = [];

  /** `hasValues`: false for networks whose values nobody reads. */
  constructor(version: Version, seed = 1, hasValues = true) {
    this.#version = version;
    this.#next = numbers(seed);
    this.#hasValues = hasValues;
  }

  input(name: string, ...shape: (number | null)[]): string {
    const key = this.#version === 3 ? 'batch_shape' : 'batch_input_shape';
    return this.#add('InputLayer', name, { [key]: [null, ...shape] }, []);
  }

  /** Adds a layer that reads others; its class, its name, what its configuration says. */
  layer(
    kind: string,
    name: string,
    reads: string | readonly string[],
    config: Json = {},
    variables: Record<string, number[]> = {},
  ): string {
    for (const [variable, shape] of Object.entries(variables)) {
      const isSpread = /variance|gamma/.test(variable);
      const count = shape.reduce((product, n) => product * n, 1);
      const fan = Math.sqrt(Math.max(1, count / (shape.at(-1) ?? 1)));
      const values = Float32Array.from({ length: this.#hasValues ? count : 0 }, () =>
        isSpread ? 1 + 0.5 * this.#next() : (2 * this.#next()) / (shape.length > 1 ? fan : 4),
      );
      this.variables.push({ path: [name, variable], shape, values });
    }
    return this.#add(kind, name, config, [reads].flat());
  }

  conv(name: string, x: string, from: number, to: number, size: number, config: Json = {}): string {
    const own = {
      filters: to,
      kernel_size: [size, size],
      strides: [1, 1],
      padding: 'valid',
      use_bias: true,
      ...config,
    };
    const { groups = 1 } = own as { groups?: number };
    const kernel = [...(own.kernel_size as number[]), from / groups, to];
    return this.layer('Conv2D', name, x, own, { kernel, ...(own.use_bias ? { bias: [to] } : {}) });
  }

  norm(name: string, x: string, c: number, config: Json = {}): string {
    const own = { axis: this.#version === 3 ? -1 : [3], epsilon: 0.001, scale: true, center: true, ...config };
    return this.layer('BatchNormalization', name, x, own, {
      ...(own.scale ? { gamma: [c] } : {}),
      ...(own.center ? { beta: [c] } : {}),
      moving_mean: [c],
      moving_variance: [c],
    });
  }

  dense(name: string, x: string, from: number, to: number, activation = 'linear'): string {
    return this.layer('Dense', name, x, { units: to, activation, use_bias: true }, { kernel: [from, to], bias: [to] });
  }

  /** Calls a layer that is there already on something else; gives what refers to that call. */
  again(name: string, x: string): string {
    const json = this.#layers.find((layer) => (layer.config as Json).name === name) as Json;
    (json.inbound_nodes as unknown[]).push(this.#node([x]));
    const call = (this.#calls.get(name) ?? 1) + 1;
    this.#calls.set(name, call);
    return `${name}@${call - 1}`;
  }

  /** Adds a model as a layer; its variables come to be this one's. */
  model(model: { json: KerasJson; variables: readonly Variable[] }, x: string, isOlder = false): string {
    const name = model.json.config.name as string;
    for (const { path, ...rest } of model.variables) this.variables.push({ ...rest, path: [name, ...path] });
    this.#layers.push({ ...model.json, name, inbound_nodes: [this.#node([x])] });
    return isOlder ? `${name}@1` : name;
  }

  functional(name: string, input: string | readonly string[], output: string | readonly string[]) {
    const refs = (names: string | readonly string[]): unknown => {
      const all = [names].flat().map((each) => this.#ref(each));
      return this.#version === 3 && all.length === 1 ? all[0] : all;
    };
    const config = { name, layers: this.#layers, input_layers: refs(input), output_layers: refs(output) };
    return { json: { class_name: 'Functional', config } as KerasJson, variables: this.variables };
  }

  #add(kind: string, name: string, config: Json, reads: readonly string[]): string {
    const inbound = reads.length > 0 ? [this.#node(reads)] : [];
    const module = this.#version === 3 ? { module: 'keras.layers', registered_name: null } : {};
    this.#layers.push({ ...module, class_name: kind, name, config: { name, ...config }, inbound_nodes: inbound });
    return name;
  }

  #ref(name: string): [string, number, number] {
    const [layer = '', call = '0'] = name.split('@');
    return [layer, Number(call), 0];
  }

  #node(reads: readonly string[]): unknown {
    const refs = reads.map((name) => this.#ref(name));
    if (this.#version === 2) return refs.map((ref) => [...ref, {}]);
    const tensors = refs.map((history) => ({
      class_name: '__keras_tensor__',
      config: { shape: [null, 1, 1, 1], dtype: 'float32', keras_history: history },
    }));
    return { args: tensors.length === 1 ? tensors : [tensors], kwargs: {} };
  }
}

/** A Sequential model of layers and models. */
export function sequential(
  version: Version,
  name: string,
  shape: (number | null)[],
  parts: readonly (
    | { json: KerasJson; variables: readonly Variable[] }
    | { json: Json; variables: readonly Variable[] }
  )[],
) {
  const key = version === 3 ? 'batch_shape' : 'batch_input_shape';
  const input = { class_name: 'InputLayer', config: { name: 'input', [key]: [null, ...shape] } };
  const layers = [input, ...parts.map(({ json }) => json)];
  const variables = parts.flatMap(({ json, variables: own }) => {
    const inner = 'layers' in (json.config as Json) ? [(json.config as Json).name as string] : [];
    return own.map((variable) => ({ ...variable, path: [...inner, ...variable.path] }));
  });
  return { json: { class_name: 'Sequential', config: { name, layers } } as KerasJson, variables };
}

/** One layer of a Sequential model, with its variables. */
export function single(
  kind: string,
  name: string,
  config: Json = {},
  variables: Record<string, number[]> = {},
  seed = 5,
): { json: Json; variables: Variable[] } {
  const builder = new KerasBuilder(2, seed);
  builder.layer(kind, name, [], config, variables);
  return { json: { class_name: kind, config: { name, ...config } }, variables: builder.variables };
}

/** The files of a TensorFlow.js model: model.json and one shard. */
export function tfjsFiles(
  { json, variables }: { json: KerasJson; variables: readonly Variable[] },
  version: Version,
): Record<string, Uint8Array> {
  const weights = variables.map(({ path, shape }) => ({ name: path.join('/'), shape, dtype: 'float32' }));
  const topology = { keras_version: version === 3 ? '3.5.0' : '2.12.0', backend: 'tensorflow', model_config: json };
  const model = {
    format: 'layers-model',
    modelTopology: topology,
    weightsManifest: [{ paths: ['w.bin'], weights }],
  };
  return {
    'model.json': utf8(JSON.stringify(model)),
    'w.bin': concat(...variables.map(({ values }) => bytesOf(values))),
  };
}
