/** A model in a worker: does what the page asks for (remote.ts), and answers by messages. */

import { measurePeak } from '../engine/peak.js';
import { load, type Progress } from '../model/load.js';
import type { Model } from '../model/types.js';
import type { WeightSource } from '../weights/stream/types.js';
import type { ModelRequest, WorkerRequest, WorkerResponse } from './protocol.js';
import { streamFromPort } from './stream-port.js';

const THREADS_END_MS = 100;

const post = (answer: WorkerResponse, transfer: Transferable[] = []): void => postMessage(answer, { transfer });

/** Answers `first` and all that is asked after it. */
export function serveModel(first: ModelRequest): void {
  const ending = new AbortController();
  let model: Model | undefined;

  const answer = async (asked: ModelRequest): Promise<unknown> => {
    if (asked.kind === 'peak') return measurePeak(asked.binary, asked.wasm);
    if (asked.kind === 'load') {
      const { weights, ...options } = asked.options;
      const onProgress = (progress: Progress): void => post({ kind: 'progress', progress });
      const source = typeof weights === 'object' && 'port' in weights ? streamFromPort(weights) : weights;
      const all = { ...options, onProgress, signal: ending.signal };
      model =
        asked.network === undefined
          ? await load(source as WeightSource, all)
          : await load(asked.network, { ...all, weights: source as WeightSource });
      return model.summary();
    }
    const method = model?.[asked.method] as ((...args: unknown[]) => Promise<unknown>) | undefined;
    return method?.call(model, ...asked.args);
  };

  const take = async (asked: ModelRequest): Promise<void> => {
    const { id } = asked;
    try {
      const value = await answer(asked);
      post({ kind: 'done', id, value, info: model?.info() }, valuesIn(value));
    } catch (reason) {
      const { name, message } = reason instanceof Error ? reason : new Error(String(reason));
      post({ kind: 'failed', id, name, message });
    }
  };
  const taken = take(first);
  addEventListener('message', async ({ data }: MessageEvent<WorkerRequest>) => {
    if (data.kind !== 'end') return take(data);
    ending.abort();
    await taken;
    model?.dispose();
    // Its threads end first: a browser takes seconds to end one that it finds asleep.
    setTimeout(close, THREADS_END_MS);
  });
}

/** The memory of an answer's values, which is the page's from then on. */
function valuesIn(value: unknown): Transferable[] {
  if (typeof value !== 'object' || value === null || !('data' in value)) return [];
  return value.data instanceof Float32Array ? [value.data.buffer as ArrayBuffer] : [];
}
