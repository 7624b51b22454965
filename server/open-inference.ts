/** The Open Inference Protocol, version 2, over HTTP: tensors and pictures in, tensors out. */

import type { Model, Output, Shape, Tensor } from '../bindings/index.node.js';
import type { Input } from './answer.js';
import { isObject, mediaType, parseJson } from './body.js';
import { HttpError } from './http-error.js';
import type { Call, Service } from './service.js';

/** There is one version of each model. */
export const VERSION = '1';

/** Images per request. */
const MAX_BATCH = 64;

interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

interface InferOutput extends TensorMetadata {
  readonly data: readonly (number | string)[];
}

export interface InferResponse {
  readonly model_name: string;
  readonly model_version: string;
  readonly id?: string;
  readonly outputs: readonly InferOutput[];
}

const shapeOf = ({ graph }: Model, node: number): Shape => graph.nodes[node]?.shape as Shape;

/** Describes a model. The first input takes pictures too: `BYTES` of shape [N], each in base64. */
export function metadataOf(name: string, model: Model): ModelMetadata {
  const { inputs, outputs } = model.graph;
  return {
    name,
    versions: [VERSION],
    platform: 'resnet-wasm',
    inputs: inputs.map(({ name, node }) => {
      const { h, w, c } = shapeOf(model, node);
      return { name, datatype: 'FP32', shape: [-1, c, h, w] };
    }),
    outputs: outputs.map(({ name, node }) => {
      const { h, w, c } = shapeOf(model, node);
      return { name, datatype: 'FP32', shape: h === 1 && w === 1 ? [-1, c] : [-1, h, w, c] };
    }),
  };
}

/** `POST /v2/models/{model}/infer`. */
export async function infer(service: Service, call: Call, name: string): Promise<InferResponse> {
  const { model } = service.pool(name);
  const type = mediaType(call.incoming);
  if (!['application/json', ''].includes(type)) {
    throw new HttpError(415, `content-type: expected application/json, got ${type.slice(0, 100)}.`);
  }
  const { id, inputs, outputs, parameters } = parseJson(await service.body(call, name));
  if (!Array.isArray(inputs) || !inputs.every(isObject)) {
    throw new HttpError(400, 'inputs: expected a list of tensors, got another value.');
  }
  const wanted = wantedOutputs(model, outputs, parameters);
  const results = await service.submit(call, name, { kind: 'run' }, imagesOf(service, call, model, inputs));
  return {
    model_name: name,
    model_version: VERSION,
    ...(typeof id === 'string' && { id }),
    outputs: wanted.map(({ name, topK }) => outputOf(model, results, name, topK)),
  };
}

type TensorJson = Readonly<Record<string, unknown>>;

/** Splits the inputs of a request into images. */
function imagesOf(service: Service, call: Call, model: Model, given: readonly TensorJson[]): (() => Promise<Input>)[] {
  const names = model.graph.inputs.map(({ name }) => name);
  const found = given.map(({ name }) => name);
  if (found.length !== names.length || !names.every((name) => found.includes(name))) {
    throw new HttpError(400, `inputs: expected ${names.join(', ')}, got ${found.join(', ').slice(0, 200) || 'none'}.`);
  }
  const [only] = given as [TensorJson];
  if (only.datatype === 'BYTES' && given.length === 1) {
    const { shape, data } = only;
    const pictures = Array.isArray(data) ? data : [];
    checkBatch(pictures.length);
    if (!Array.isArray(shape) || shape.length !== 1 || shape[0] !== pictures.length) {
      throw new HttpError(400, `${only.name}: expected data of the shape [N], got ${pictures.length} values.`);
    }
    return pictures.map((each, i) => service.pictureOf(each, `${only.name}[${i}]`, call));
  }
  const tensors = model.graph.inputs.map(({ name, node }) => {
    const json = given.find((each) => each.name === name) as TensorJson;
    return [name, parsedTensor(name, shapeOf(model, node), json)] as const;
  });
  const [[, { shape }]] = tensors as [(typeof tensors)[number]];
  const [batch = 0] = shape;
  const odd = tensors.find(([, tensor]) => tensor.shape[0] !== batch);
  if (odd)
    throw new HttpError(400, `${odd[0]}: expected a batch of ${batch} as the first input has, got ${odd[1].shape[0]}.`);
  return Array.from({ length: batch }, (_, i) => async () => {
    const one = ({ data, shape, layout }: Tensor): Tensor => {
      const each = data.length / batch;
      return { data: data.slice(i * each, (i + 1) * each), shape: [1, ...shape.slice(1)], layout };
    };
    return Object.fromEntries(tensors.map(([name, tensor]) => [name, one(tensor)]));
  });
}

function checkBatch(count: number): void {
  if (count < 1 || count > MAX_BATCH)
    throw new HttpError(400, `inputs: expected 1 to ${MAX_BATCH} images, got ${count}.`);
}

/** Parses a tensor of JSON, [N, C, H, W], whose data may be nested. */
function parsedTensor(name: string, { h, w, c }: Shape, { datatype, shape, data }: TensorJson): Tensor {
  if (datatype !== 'FP32') {
    throw new HttpError(
      400,
      `${name}: expected the datatype FP32 or, of a picture, BYTES, got ${String(datatype).slice(0, 20)}.`,
    );
  }
  const expected = [c, h, w];
  const isShape = Array.isArray(shape) && shape.length === 4 && expected.every((size, i) => shape[i + 1] === size);
  if (!isShape || !Number.isInteger(shape[0])) {
    throw new HttpError(
      400,
      `${name}: expected the shape [N, ${expected.join(', ')}], got ${JSON.stringify(shape)?.slice(0, 50)}.`,
    );
  }
  checkBatch(shape[0]);
  const values = Array.isArray(data) ? data.flat(Number.POSITIVE_INFINITY) : [];
  const count = shape[0] * c * h * w;
  if (values.length !== count || !values.every((value) => typeof value === 'number')) {
    throw new HttpError(400, `${name}: expected ${count} numbers, got ${values.length} values.`);
  }
  return { data: Float32Array.from(values), shape, layout: 'NCHW' };
}

interface WantedOutput {
  readonly name: string;
  /** Best values as texts, as Triton's classification extension has them, or all values if it is undefined. */
  readonly topK: number | undefined;
}

function wantedOutputs({ graph }: Model, outputs: unknown, parameters: unknown): WantedOutput[] {
  const names = graph.outputs.map(({ name }) => name);
  const all: unknown = outputs ?? names.map((name) => ({ name, parameters }));
  if (!Array.isArray(all) || !all.every(isObject)) {
    throw new HttpError(400, 'outputs: expected a list of objects with names, got another value.');
  }
  return all.map(({ name, parameters }) => {
    if (typeof name !== 'string' || !names.includes(name)) {
      throw new HttpError(400, `outputs: expected ${names.join(', ')}, got ${String(name).slice(0, 100)}.`);
    }
    const topK = isObject(parameters) ? parameters.classification : undefined;
    if (topK === undefined) return { name, topK };
    if (typeof topK === 'number' && Number.isInteger(topK) && topK >= 1) return { name, topK };
    throw new HttpError(400, 'parameters.classification: expected a whole number from 1, got another value.');
  });
}

function outputOf(model: Model, results: readonly Output[], name: string, topK: number | undefined): InferOutput {
  const parts = results.map((result) => result.outputs?.[name] ?? result);
  const each = parts[0]?.shape.slice(1) ?? [];
  if (topK === undefined) {
    const data = parts.flatMap((part) => Array.from(part.data));
    return { name, datatype: 'FP32', shape: [parts.length, ...each], data };
  }
  const rows = parts.map(({ data }) => best(data, topK, model.labels));
  return { name, datatype: 'BYTES', shape: [rows.length, rows[0]?.length ?? 0], data: rows.flat() };
}

/** The `topK` largest values as `value:index:label`. */
function best(data: Float32Array, topK: number, labels: readonly string[] | undefined): string[] {
  return Array.from(data, (value, index) => ({ value, index }))
    .sort((a, b) => b.value - a.value || a.index - b.index)
    .slice(0, topK)
    .map(({ value, index }) => `${value}:${index}${labels ? `:${labels[index]}` : ''}`);
}
