/** What every route shares: the models by name, the queue's bound, decoding within limits. */

import type { IncomingMessage } from 'node:http';
import { decodeImage, type Pixels } from '../bindings/index.node.js';
import type { Input, Results, Task } from './answer.js';
import { type BodyReader, checkPicture, fromBase64 } from './body.js';
import { fetchPicture } from './fetch-picture.js';
import { HttpError } from './http-error.js';
import type { Answer, ModelPool } from './pool.js';

export interface Limits {
  /** Inputs per model that wait. */
  readonly maxQueue: number;
  readonly maxBodyBytes: number;
  readonly maxPixels: number;
  /** From a request's first byte to its answer. */
  readonly timeoutMs: number;
  readonly allowUrls: boolean;
}

/** One request on its way. */
export interface Call {
  readonly incoming: IncomingMessage;
  /** Aborts when the caller is gone, or the time is up. */
  readonly signal: AbortSignal;
  /** Told of what was answered. */
  answered(model: string, answer: Answer<unknown>): void;
}

export class Service {
  /** The first is the default; filled once the models are open. */
  readonly pools = new Map<string, ModelPool>();
  readonly #names: readonly string[];
  readonly #limits: Limits;
  readonly #reader: BodyReader;

  constructor(names: readonly string[], limits: Limits, reader: BodyReader) {
    this.#names = names;
    this.#limits = limits;
    this.#reader = reader;
  }

  get defaultModel(): string {
    return this.#names[0] as string;
  }

  /** The version of resnet-wasm, once a model is open. */
  get version(): string {
    const [first] = this.pools.values();
    return first?.model.info().version ?? '';
  }

  /** Whether all models are open. */
  get isReady(): boolean {
    return this.pools.size === this.#names.length;
  }

  /** Finds a model's workers. Throws status 404 if there is no such model, and 503 if it still loads. */
  pool(name: string): ModelPool {
    if (!this.#names.includes(name)) {
      throw new HttpError(404, `model: expected one of ${this.#names.join(', ')}, got ${name.slice(0, 100)}.`);
    }
    const pool = this.pools.get(name);
    if (!pool) throw new HttpError(503, `${name}: this model is still loading.`, { 'retry-after': '5' });
    return pool;
  }

  /** Throws status 429 if `count` more inputs would not find a place in a model's queue. */
  admit(model: string, count = 1): void {
    const pool = this.pool(model);
    if (pool.queued + count <= this.#limits.maxQueue) return;
    const seconds = Math.max(1, Math.ceil(pool.backlogMs / 1000));
    throw new HttpError(429, `${model}: the queue is full; try again in ${seconds} s.`, {
      'retry-after': `${seconds}`,
    });
  }

  /** Reads the body of a request, unless its model's queue is full already. */
  async body({ incoming, signal }: Call, model: string): Promise<Buffer> {
    this.admit(model);
    return this.#reader.read(incoming, signal);
  }

  /** Has a model answer inputs, all at once, in their order. */
  submit<Wanted extends Task>(
    call: Call,
    model: string,
    task: Wanted,
    inputs: readonly (() => Promise<Input>)[],
  ): Promise<Results[Wanted['kind']][]> {
    this.admit(model, inputs.length);
    const pool = this.pool(model);
    return Promise.all(
      inputs.map(async (open) => {
        const answer = await pool.submit(task, open, call.signal);
        call.answered(model, answer);
        return answer.value;
      }),
    );
  }

  /** Prepares to decode a picture of a request's body. Throws status 415 if it is of no known format. */
  picture(bytes: Buffer, name: string): () => Promise<Pixels> {
    checkPicture(bytes, name);
    return () => decodeImage(bytes, { maxPixels: this.#limits.maxPixels });
  }

  /** Prepares to decode a picture in base64, or one behind a URL if that is allowed. */
  pictureOf(value: unknown, name: string, { signal }: Call): () => Promise<Pixels> {
    if (typeof value !== 'string') throw new HttpError(400, `${name}: expected a picture in base64, got no text.`);
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return this.picture(fromBase64(value, name), name);
    const { allowUrls, maxBodyBytes: maxBytes, maxPixels } = this.#limits;
    if (!allowUrls)
      throw new HttpError(400, `${name}: expected a picture in base64, got a URL, which this server does not fetch.`);
    return async () => decodeImage(checkPicture(await fetchPicture(value, { maxBytes, signal }), name), { maxPixels });
  }
}
