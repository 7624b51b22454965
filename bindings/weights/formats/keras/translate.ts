/** A whole topology -> a graph: the models in it are part of it, and what no output needs is left out. */

import { ResnetError } from '../../../../models/errors.js';
import type { Graph, NodeId, Shape } from '../../../../models/index.js';
import { label, plain, shown } from '../../../util/messages.js';
import { translateLayer } from './layers.js';
import { type Constant, KerasNetwork, type Value, type Variable } from './network.js';
import { allLayers, type KerasLayer, type KerasModel, type Ref } from './topology.js';

export interface Translation {
  readonly graph: Graph;
  readonly variables: ReadonlyMap<KerasLayer, ReadonlyMap<string, Variable>>;
  readonly constants: readonly Constant[];
}

/** Calls of layers: a model that is called many times over is run as often. */
const MAX_CALLS = 20_000;
/** Of a message that may quote the file. */
const LONGEST_MESSAGE = 300;

/** Makes the graph of a model. Throws one sentence, that names a layer and its class, if it cannot be run. */
export function translate(model: KerasModel, version: 2 | 3): Translation {
  try {
    const walk = new Walk(model, version);
    return { graph: walk.graph(), variables: walk.net.variables, constants: [...walk.net.constants.values()] };
  } catch (cause) {
    // The builder's: they may quote names of any kind.
    if (!(cause instanceof ResnetError && cause.code === 'argument')) throw cause;
    throw new ResnetError('weights', `${label(plain(cause), LONGEST_MESSAGE)}.`, { cause });
  }
}

/** Names of layers that are unique in the whole: a layer's own or, if two models have it, with the models' before it. */
function uniqueNames(model: KerasModel): Map<KerasLayer, string> {
  const counts = new Map<string, number>();
  for (const { layer } of allLayers(model)) counts.set(layer.name, (counts.get(layer.name) ?? 0) + 1);
  const names = new Map<KerasLayer, string>();
  for (const { layer, above } of allLayers(model)) {
    names.set(layer, counts.get(layer.name) === 1 ? layer.name : [...above, layer.name].join('/'));
  }
  return names;
}

class Walk {
  readonly net: KerasNetwork;
  readonly #model: KerasModel;
  #calls = 0;

  constructor(model: KerasModel, version: 2 | 3) {
    this.#model = model;
    this.net = new KerasNetwork(model.name, version, uniqueNames(model));
  }

  graph(): Graph {
    const model = this.#model;
    const { g } = this.net;
    if (model.isSequential) {
      const shape = sequentialShape(model);
      return g.finish(this.#node(model, this.#sequence(model, this.#input('input', shape, model.name))));
    }
    const inputs = model.inputs.map(({ layer }) => {
      const { config } = layerOf(model, layer);
      return this.#input(layer, config.batch_shape ?? config.batch_input_shape, layer);
    });
    const outputs = this.#functional(model, inputs);
    if (outputs.length === 1) return g.finish(this.#node(model, outputs[0] as Value));
    const named = model.outputs.map(({ layer }, i): [string, NodeId] => [
      layer,
      this.#node(model, outputs[i] as Value),
    ]);
    return g.finish(Object.fromEntries(named));
  }

  #node(model: KerasModel, value: Value): NodeId {
    if (value.zeros)
      throw new ResnetError('weights', `${label(model.name)}: a model that ends in ZeroPadding2D cannot be run.`);
    return value.node;
  }

  #input(name: string, shape: unknown, subject: string): Value {
    const { rank, ...sizes } = inputShape(subject, shape);
    return { node: this.net.g.input(sizes, this.net.free(name)), rank, zeros: undefined, isPositive: false };
  }

  #sequence(model: KerasModel, input: Value): Value {
    return model.layers.reduce((x, layer) => (layer.kind === 'InputLayer' ? x : this.#call(layer, [x])), input);
  }

  #call(layer: KerasLayer, inputs: readonly Value[]): Value {
    if (++this.#calls > MAX_CALLS) {
      throw new ResnetError(
        'weights',
        `${label(layer.name)}: expected at most ${MAX_CALLS} calls of layers, got more.`,
      );
    }
    const { model } = layer;
    if (!model) return translateLayer(this.net, layer, inputs);
    if (layer.isTraining)
      throw new ResnetError('weights', `${label(layer.name)}: this model is called to train, and cannot be run so.`);
    const [input] = inputs;
    if (model.isSequential && input && inputs.length === 1) return this.#sequence(model, input);
    const [output, ...others] = this.#functional(model, inputs);
    if (!output || others.length > 0) {
      throw new ResnetError(
        'weights',
        `${label(layer.name)}: expected a model within a model to have one output, got ${others.length + 1}.`,
      );
    }
    return output;
  }

  /** Calls what the outputs need, each after what it reads. */
  #functional(model: KerasModel, inputs: readonly Value[]): Value[] {
    if (model.inputs.length !== inputs.length) {
      const expected = `${model.inputs.length} inputs`;
      throw new ResnetError('weights', `${label(model.name)}: expected ${expected}, got ${inputs.length}.`);
    }
    const key = ({ layer, call }: Ref) => `${call} ${layer}`;
    const values = new Map<string, Value>(model.inputs.map((ref, i) => [key(ref), inputs[i] as Value]));
    const begun = new Set<string>();
    const stack = [...model.outputs];
    for (let ref = stack.at(-1); ref; ref = stack.at(-1)) {
      const at = key(ref);
      if (values.has(at)) {
        stack.pop();
        continue;
      }
      const layer = layerOf(model, ref.layer);
      const reads = layer.calls[ref.call];
      if (!reads)
        throw new ResnetError(
          'weights',
          `${label(layer.name)}: expected inbound_nodes that tell what it reads, got none.`,
        );
      const missing = reads.filter((each) => !values.has(key(each)));
      if (missing.length === 0) {
        values.set(
          at,
          this.#call(
            layer,
            reads.map((each) => values.get(key(each)) as Value),
          ),
        );
        continue;
      }
      if (begun.has(at))
        throw new ResnetError('weights', `${label(layer.name)}: this layer reads what comes of itself.`);
      begun.add(at);
      stack.push(...missing.reverse());
    }
    return model.outputs.map((ref) => values.get(key(ref)) as Value);
  }
}

function layerOf(model: KerasModel, name: string): KerasLayer {
  const layer = model.byName.get(name);
  if (!layer)
    throw new ResnetError('weights', `${label(name)}: the topology has no such layer, though another reads it.`);
  return layer;
}

/** The height and width of an input that may have any. */
const USUAL = 224;

/** Sizes without the batch: of a map, or of a vector. */
function inputShape(subject: string, shape: unknown): Shape & { rank: 2 | 4 } {
  const [, ...sizes] = Array.isArray(shape) ? shape : [];
  const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) > 0;
  const c = sizes.at(-1);
  if (sizes.length === 1 && isCount(c)) return { h: 1, w: 1, c, rank: 2 };
  const [h, w] = sizes.map((n) => n ?? USUAL);
  if (sizes.length !== 3 || !isCount(h) || !isCount(w) || !isCount(c)) {
    throw new ResnetError(
      'weights',
      `${label(subject)}: expected an input [batch, height, width, channels], got ${shown(shape)}.`,
    );
  }
  return { h, w, c, rank: 4 };
}

/** The shape of what a Sequential model reads: its own, or what its first layer says. */
function sequentialShape({ layers, built }: KerasModel): unknown {
  const [first] = layers;
  const own = first?.config.batch_shape ?? first?.config.batch_input_shape ?? built;
  if (own !== undefined && own !== null) return own;
  if (!first?.model) return first?.built;
  const { model } = first;
  if (model.isSequential) return sequentialShape(model);
  const [input] = model.inputs;
  const config = input && layerOf(model, input.layer).config;
  return config?.batch_shape ?? config?.batch_input_shape ?? first.built;
}
