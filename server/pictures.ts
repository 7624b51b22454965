/** Pictures in, classes or embeddings out: Hugging Face's shape of image classification, and `/embed`. */

import { isObject, mediaType, parseJson } from './body.js';
import { HttpError } from './http-error.js';
import type { Call, Service } from './service.js';

export interface Labelled {
  readonly label: string;
  readonly score: number;
}

/** Pictures per request of `/embed`. */
const MAX_INPUTS = 64;

/** Reads a body that is a picture, or a JSON object with its `inputs`. Throws status 415 for other media types. */
async function bodyOf(
  service: Service,
  call: Call,
  model: string,
): Promise<Buffer | Readonly<Record<string, unknown>>> {
  const type = mediaType(call.incoming);
  const isJson = type === 'application/json';
  if (!isJson && !/^(image\/.+|application\/octet-stream|)$/.test(type)) {
    throw new HttpError(415, `content-type: expected image/* or application/json, got ${type.slice(0, 100)}.`);
  }
  const body = await service.body(call, model);
  return isJson ? parseJson(body) : body;
}

/** Throws status 400 for a name that is not among `known`. */
function checkNames(subject: string, value: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const other = Object.keys(value).find((name) => !known.includes(name));
  if (other === undefined) return;
  throw new HttpError(400, `${subject}: expected ${known.join(', ')}, got ${other.slice(0, 100)}.`);
}

function topKOf(parameters: unknown, classes: number): number {
  if (parameters === undefined) return Math.min(5, classes);
  if (!isObject(parameters)) throw new HttpError(400, 'parameters: expected an object, got another value.');
  // What makes scores of the outputs is decided when the server starts.
  checkNames('parameters', parameters, ['top_k']);
  const { top_k: topK = 5 } = parameters;
  if (typeof topK === 'number' && Number.isInteger(topK) && topK >= 1) return Math.min(topK, classes);
  throw new HttpError(400, 'parameters.top_k: expected a whole number from 1, got another value.');
}

/** `POST /models/{model}`: the most probable classes of a picture. */
export async function classifyPicture(service: Service, call: Call, model: string): Promise<Labelled[]> {
  const { graph } = service.pool(model).model;
  const body = await bodyOf(service, call, model);
  const isRaw = Buffer.isBuffer(body);
  if (!isRaw) checkNames('body', body, ['inputs', 'parameters', 'options']);
  const picture = isRaw ? service.picture(body, 'body') : service.pictureOf(body.inputs, 'inputs', call);
  const classes = graph.nodes[graph.outputs[0].node]?.shape.c ?? 1;
  const topK = topKOf(isRaw ? undefined : body.parameters, classes);
  const [found = []] = await service.submit(call, model, { kind: 'classify', topK }, [picture]);
  return found.map(({ label, index, probability }) => ({ label: label ?? `LABEL_${index}`, score: probability }));
}

/** `POST /embed`: the features of one picture or several, a list of numbers each. */
export async function embedPictures(service: Service, call: Call, model: string): Promise<number[][]> {
  const body = await bodyOf(service, call, model);
  const isRaw = Buffer.isBuffer(body);
  if (!isRaw) checkNames('body', body, ['inputs', 'normalize']);
  const { inputs, normalize = false } = isRaw ? {} : body;
  if (typeof normalize !== 'boolean') throw new HttpError(400, 'normalize: expected true or false, got another value.');
  const list = Array.isArray(inputs) ? inputs : [inputs];
  if (list.length === 0 || list.length > MAX_INPUTS) {
    throw new HttpError(400, `inputs: expected 1 to ${MAX_INPUTS} pictures, got ${list.length}.`);
  }
  const pictures = isRaw
    ? [service.picture(body, 'body')]
    : list.map((each, i) => service.pictureOf(each, list.length > 1 ? `inputs[${i}]` : 'inputs', call));
  const rows = await service.submit(call, model, { kind: 'embed', normalise: normalize }, pictures);
  return rows.map((row) => Array.from(row));
}
