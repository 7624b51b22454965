/** Runs a model in a worker: takes requests (client.ts), and posts a response to each. */

import { measurePeak } from '../engine/peak.js';
import { load } from '../model/load.js';
import type { Progress } from '../model/progress.js';
import type { Model } from '../model/types.js';
import type { WeightSource } from '../weights/stream/types.js';
import { posted } from './errors.js';
import type { LoadedModel, ModelRequest, WorkerPort, WorkerResponse } from './protocol.js';
import { streamFromPort } from './stream-port.js';

/** How long the model's threads may take to end. */
const THREADS_END_MS = 100;

/** Responds to `first` and to every request that comes through `port` after it. */
export function serveModel(first: ModelRequest, port: WorkerPort): void {
  const post = (response: WorkerResponse, transfer: Transferable[] = []): void => port.post(response, transfer);
  const ending = new AbortController();
  let model: Model | undefined;
  /** Calls that a page may drop, by their ids. */
  const calls = new Map<number, AbortController>();

  const run = async (request: ModelRequest): Promise<unknown> => {
    if (request.kind === 'peak') return measurePeak(request.binary, request.wasm);
    if (request.kind === 'load') {
      const { weights, ...options } = request.options;
      const onProgress = (progress: Progress): void => post({ kind: 'progress', progress });
      const source = typeof weights === 'object' && 'port' in weights ? streamFromPort(weights) : weights;
      const onWarning = (message: string): void => post({ kind: 'warning', message });
      const all = { ...options, onProgress, onWarning, signal: ending.signal };
      model =
        request.network === undefined
          ? await load(source as WeightSource, all)
          : await load(request.network, { ...all, weights: source as WeightSource });
      const { graph, labels, preprocessing } = model;
      return { summary: model.summary(), graph, labels, preprocessing } satisfies LoadedModel;
    }
    const method = model?.[request.method] as ((...args: unknown[]) => Promise<unknown>) | undefined;
    const call = new AbortController();
    calls.set(request.id, call);
    try {
      // Options come last; what is none is refused by the model.
      const args = [...request.args];
      const options = args.pop();
      const isObject = typeof options === 'object' && options !== null;
      return await method?.call(model, ...args, isObject ? { ...options, signal: call.signal } : options);
    } finally {
      calls.delete(request.id);
    }
  };

  const respond = async (request: ModelRequest): Promise<void> => {
    const { id } = request;
    try {
      const value = await run(request);
      post({ kind: 'done', id, value, info: model?.info() }, request.kind === 'call' ? transferOf(value) : []);
    } catch (reason) {
      post({ kind: 'failed', id, error: posted(reason) });
    }
  };
  const firstDone = respond(first);
  port.listen(async (request) => {
    if (request.kind === 'abort') return calls.get(request.id)?.abort();
    if (request.kind !== 'end') return respond(request);
    ending.abort();
    await firstDone;
    model?.dispose();
    // Its threads end first: to end one that sleeps takes a browser seconds.
    setTimeout(port.close, THREADS_END_MS);
  });
}

/** Lists the memory of a result, to transfer it to the page: every array of values in it. */
function transferOf(value: unknown): Transferable[] {
  if (value instanceof Float32Array) return [value.buffer as ArrayBuffer];
  if (typeof value !== 'object' || value === null) return [];
  // Two results may be views of one array.
  return [...new Set(Object.values(value).flatMap(transferOf))];
}
