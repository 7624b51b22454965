/** Runs a model in a worker: takes requests from the page (client.ts), and posts a response to each. */

import { measurePeak } from '../engine/peak.js';
import { load, type Progress } from '../model/load.js';
import type { Model } from '../model/types.js';
import type { WeightSource } from '../weights/stream/types.js';
import type { ModelRequest, WorkerRequest, WorkerResponse } from './protocol.js';
import { streamFromPort } from './stream-port.js';

/** How long the model's threads may take to end. */
const THREADS_END_MS = 100;

const post = (response: WorkerResponse, transfer: Transferable[] = []): void => postMessage(response, { transfer });

/** Responds to `first` and to every request after it. */
export function serveModel(first: ModelRequest): void {
  const ending = new AbortController();
  let model: Model | undefined;

  const run = async (request: ModelRequest): Promise<unknown> => {
    if (request.kind === 'peak') return measurePeak(request.binary, request.wasm);
    if (request.kind === 'load') {
      const { weights, ...options } = request.options;
      const onProgress = (progress: Progress): void => post({ kind: 'progress', progress });
      const source = typeof weights === 'object' && 'port' in weights ? streamFromPort(weights) : weights;
      const all = { ...options, onProgress, signal: ending.signal };
      model =
        request.network === undefined
          ? await load(source as WeightSource, all)
          : await load(request.network, { ...all, weights: source as WeightSource });
      return model.summary();
    }
    const method = model?.[request.method] as ((...args: unknown[]) => Promise<unknown>) | undefined;
    return method?.call(model, ...request.args);
  };

  const respond = async (request: ModelRequest): Promise<void> => {
    const { id } = request;
    try {
      const value = await run(request);
      post({ kind: 'done', id, value, info: model?.info() }, transferOf(value));
    } catch (reason) {
      const { name, message } = reason instanceof Error ? reason : new Error(String(reason));
      post({ kind: 'failed', id, name, message });
    }
  };
  const firstDone = respond(first);
  addEventListener('message', async ({ data }: MessageEvent<WorkerRequest>) => {
    if (data.kind !== 'end') return respond(data);
    ending.abort();
    await firstDone;
    model?.dispose();
    // Its threads end first: to end one that sleeps takes a browser seconds.
    setTimeout(close, THREADS_END_MS);
  });
}

/** Lists the memory of a result, to transfer it to the page. */
function transferOf(value: unknown): Transferable[] {
  if (typeof value !== 'object' || value === null || !('data' in value)) return [];
  return value.data instanceof Float32Array ? [value.data.buffer as ArrayBuffer] : [];
}
