/** A model in a worker: does what the page asks for (remote.ts), and answers by messages. */

import type { Binary, WasmSource } from '../engine/core.js';
import { measurePeak } from '../engine/peak.js';
import type { LoadOptions, Progress, RandomWeights } from '../model/load.js';
import { load } from '../model/load.js';
import type { Model, ModelInfo } from '../model/types.js';
import type { WeightSource } from '../weights/open.js';
import { type PortOrigin, pumped } from './stream-port.js';

/** What a page can ask of a model that takes time. */
export type Method = {
  [Name in keyof Model]: Model[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[keyof Model];

/** What may be posted of the options; `weights` are a URL, Blob or seed, or come through a port. */
export interface AskedOptions extends Omit<LoadOptions, 'weights' | 'signal' | 'onProgress' | 'wasm'> {
  readonly weights: string | Blob | RandomWeights | PortOrigin;
  readonly wasm?: Exclude<WasmSource, Response | URL>;
}

export type Asked =
  | { readonly kind: 'load'; readonly id: number; readonly name: string; readonly options: AskedOptions }
  | { readonly kind: 'peak'; readonly id: number; readonly binary?: Binary; readonly wasm?: AskedOptions['wasm'] }
  /** No more is asked: the worker is to end, and its threads before it. */
  | { readonly kind: 'end' }
  | { readonly kind: 'call'; readonly id: number; readonly method: Method; readonly args: readonly unknown[] };

export type Question = Exclude<Asked, { kind: 'end' }>;

export type Answer =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly info?: ModelInfo }
  | { readonly kind: 'failed'; readonly id: number; readonly name: string; readonly message: string };

const THREADS_END_MS = 100;

const post = (answer: Answer, transfer: Transferable[] = []): void => postMessage(answer, { transfer });

/** Answers `first` and all that is asked after it. */
export function host(first: Question): void {
  const ending = new AbortController();
  let model: Model | undefined;

  const answer = async (asked: Question): Promise<unknown> => {
    if (asked.kind === 'peak') return measurePeak(asked.binary, asked.wasm);
    if (asked.kind === 'load') {
      const { weights, ...options } = asked.options;
      const onProgress = (progress: Progress): void => post({ kind: 'progress', progress });
      const source = typeof weights === 'object' && 'port' in weights ? pumped(weights) : weights;
      model = await load(asked.name, {
        ...options,
        weights: source as WeightSource,
        onProgress,
        signal: ending.signal,
      });
      return model.summary();
    }
    const method = model?.[asked.method] as ((...args: unknown[]) => Promise<unknown>) | undefined;
    return method?.call(model, ...asked.args);
  };

  const take = async (asked: Question): Promise<void> => {
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
  addEventListener('message', async ({ data }: MessageEvent<Asked>) => {
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
