/** The topology of a Keras model, as JSON: its layers, those of the models in it too, and who reads what. */

import { ResnetError } from '../../../../models/errors.js';
import { isRecord } from '../../../util/json.js';
import { label, shown } from '../../../util/messages.js';

type Json = Readonly<Record<string, unknown>>;

/** What a layer made when it was called for the `call`-th time. */
export interface Ref {
  readonly layer: string;
  readonly call: number;
}

export interface KerasLayer {
  readonly name: string;
  /** Its class. */
  readonly kind: string;
  readonly config: Json;
  /** What it reads, for each time that it is called; empty if the topology does not tell. */
  readonly calls: readonly (readonly Ref[])[];
  /** Its own layers, if it is a model. */
  readonly model: KerasModel | undefined;
  /** Whether it is made to train when it is called, so that dropout drops. */
  readonly isTraining: boolean;
  /** Whether its class is the application's own. */
  readonly isCustom: boolean;
  /** The shape of what it reads, batch first; undefined if the topology does not tell. */
  readonly built: unknown;
}

export interface KerasModel {
  readonly name: string;
  /** Whether each layer reads the one before it. */
  readonly isSequential: boolean;
  readonly layers: readonly KerasLayer[];
  /** By name. */
  readonly byName: ReadonlyMap<string, KerasLayer>;
  readonly inputs: readonly Ref[];
  readonly outputs: readonly Ref[];
  /** The shape of a Sequential model's input, batch first; undefined if it does not tell. */
  readonly built: unknown;
}

const MAX_LAYERS = 20_000;
/** Models in models. */
const MAX_DEPTH = 16;
/** Lists in the lists of what a call reads. */
const MAX_NESTING = 8;

/** Reads a topology. Throws, `subject` first, if it is malformed. */
export function kerasModel(subject: string, topology: unknown): KerasModel {
  const model = isRecord(topology) && isRecord(topology.model_config) ? topology.model_config : topology;
  const count = { left: MAX_LAYERS };
  return readModel(subject, isRecord(model) ? model : {}, 'model', 0, count);
}

function readModel(
  subject: string,
  { class_name: kind, config }: Json,
  fallback: string,
  depth: number,
  count: { left: number },
): KerasModel {
  // A Sequential model of Keras before 2.3 is a bare list.
  const own: Json = isRecord(config) ? config : { layers: config };
  const list = own.layers;
  if (!Array.isArray(list)) {
    throw new ResnetError('weights', `${subject}: expected model_config.config.layers, got ${shown(list)}.`);
  }
  count.left -= list.length;
  if (count.left < 0 || depth > MAX_DEPTH) {
    const most = `at most ${MAX_LAYERS} layers, ${MAX_DEPTH} models deep`;
    throw new ResnetError('weights', `${subject}: expected ${most}, got more.`);
  }
  const byName = new Map<string, KerasLayer>();
  for (const [i, json] of list.entries()) {
    const layer = readLayer(subject, json, i, depth, count);
    if (byName.has(layer.name))
      throw new ResnetError('weights', `${label(layer.name)}: two layers of the topology have this name.`);
    byName.set(layer.name, layer);
  }
  const name = typeof own.name === 'string' && own.name !== '' ? own.name : fallback;
  const isSequential = kind === 'Sequential' || !isRecord(config);
  const refs = (value: unknown): Ref[] => (isSequential ? [] : refsIn(subject, value));
  const [inputs, outputs] = [refs(own.input_layers), refs(own.output_layers)];
  const fitted = fitting(byName, outputs);
  for (const layer of byName.values()) byName.set(layer.name, { ...layer, calls: layer.calls.map(fitted) });
  return {
    name,
    isSequential,
    layers: [...byName.values()],
    byName,
    inputs: fitted(inputs),
    outputs: fitted(outputs),
    built: own.build_input_shape,
  };
}

/** Keras 2 counts the calls of a model within a model from 1, since the first made that model: here all count from 0. */
function fitting(byName: ReadonlyMap<string, KerasLayer>, outputs: readonly Ref[]): (refs: readonly Ref[]) => Ref[] {
  const least = new Map<string, number>();
  const note = ({ layer, call }: Ref) => least.set(layer, Math.min(call, least.get(layer) ?? call));
  outputs.forEach(note);
  for (const { calls } of byName.values()) calls.flat().forEach(note);
  return (refs) =>
    refs.map(({ layer, call }) => {
      const isLater = byName.get(layer)?.model !== undefined && least.get(layer) === 1;
      return { layer, call: isLater ? call - 1 : call };
    });
}

function readLayer(subject: string, json: unknown, i: number, depth: number, count: { left: number }): KerasLayer {
  const kind = isRecord(json) ? json.class_name : undefined;
  const config = isRecord(json) ? json.config : undefined;
  const isModel = isRecord(config) ? Array.isArray(config.layers) : kind === 'Sequential' && Array.isArray(config);
  const name = isRecord(json) ? ((isRecord(config) ? config.name : undefined) ?? json.name) : undefined;
  if (!isRecord(json) || typeof kind !== 'string' || typeof name !== 'string' || !(isModel || isRecord(config))) {
    throw new ResnetError(
      'weights',
      `${subject}: expected layer ${i} to be {class_name, config: {name}}, got another value.`,
    );
  }
  const { inbound_nodes: inbound = [], module, registered_name: registered, build_config: build } = json;
  if (!Array.isArray(inbound)) {
    throw new ResnetError('weights', `${label(name)}: expected inbound_nodes to be a list, got ${shown(inbound)}.`);
  }
  const isTold = typeof registered === 'string' && registered !== kind && registered.includes('>');
  return {
    name,
    kind,
    config: isRecord(config) ? config : {},
    calls: inbound.map((node) => refsIn(label(name), node)),
    model: isModel ? readModel(subject, json, name, depth + 1, count) : undefined,
    isTraining: inbound.some(isTrainingCall),
    isCustom: !isModel && (isTold || (typeof module === 'string' && !/^(tf_)?keras(\.|$)/.test(module))),
    built: isRecord(build) ? build.input_shape : undefined,
  };
}

/**
 * Lists what a call reads, or what a model reads or gives. Keras 2 writes [layer, call, output, {}], in lists; Keras 3
 * the arguments, in which a tensor is { class_name: '__keras_tensor__', config: { keras_history: [layer, call, output] } }.
 */
function refsIn(subject: string, value: unknown, depth = 0): Ref[] {
  if (depth > MAX_NESTING)
    throw new ResnetError('weights', `${subject}: expected lists of what is read, got lists too deep.`);
  if (Array.isArray(value)) {
    const [layer, call, output] = value;
    if (typeof layer === 'string' && Number.isInteger(call)) {
      if (output !== 0)
        throw new ResnetError(
          'weights',
          `${subject}: layers with several outputs cannot be run, such as ${shown(layer)}.`,
        );
      return [{ layer, call }];
    }
    return value.flatMap((each) => refsIn(subject, each, depth + 1));
  }
  if (!isRecord(value)) return [];
  if (value.class_name === '__keras_tensor__') {
    return refsIn(subject, isRecord(value.config) ? value.config.keras_history : undefined, depth + 1);
  }
  return Object.values(value).flatMap((each) => refsIn(subject, each, depth + 1));
}

/** Whether a call says training=True. Keras 2 has a call's options in the list of each thing that it reads. */
function isTrainingCall(node: unknown): boolean {
  const options = Array.isArray(node)
    ? node.flatMap((each) => (Array.isArray(each) ? each : [each])).filter(isRecord)
    : isRecord(node) && isRecord(node.kwargs)
      ? [node.kwargs]
      : [];
  return options.some(({ training }) => training === true || training === 1);
}

/** Every layer that is no model, those of the models in a model too, with the names of these, the outermost first. */
export function* allLayers(
  model: KerasModel,
  above: readonly string[] = [],
): Generator<{ readonly layer: KerasLayer; readonly above: readonly string[] }, void, undefined> {
  for (const layer of model.layers) {
    if (layer.model) yield* allLayers(layer.model, [...above, layer.name]);
    else yield { layer, above };
  }
}
