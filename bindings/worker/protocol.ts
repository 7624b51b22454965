/** What a page and a model's worker say to each other. */

import type { Graph } from '../../models/index.js';
import type { Binary, WasmSource } from '../engine/binary.js';
import type { LoadOptions, Progress, RandomWeights } from '../model/load.js';
import type { Model, ModelInfo } from '../model/types.js';

/** What a page can ask of a model that takes time. */
export type Method = {
  [Name in keyof Model]: Model[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[keyof Model];

/** What may be posted of the options; `weights` are a URL, Blob or seed, or come through a port. */
export interface PostedOptions extends Omit<LoadOptions, 'weights' | 'signal' | 'onProgress' | 'wasm'> {
  readonly weights: string | Blob | RandomWeights | PortSource;
  readonly wasm?: Exclude<WasmSource, Response | URL>;
}

export type WorkerRequest =
  | {
      readonly kind: 'load';
      readonly id: number;
      readonly network: string | Graph | undefined;
      readonly options: PostedOptions;
    }
  | { readonly kind: 'peak'; readonly id: number; readonly binary?: Binary; readonly wasm?: PostedOptions['wasm'] }
  /** No more is asked: the worker is to end, and its threads before it. */
  | { readonly kind: 'end' }
  | { readonly kind: 'call'; readonly id: number; readonly method: Method; readonly args: readonly unknown[] };

export type ModelRequest = Exclude<WorkerRequest, { kind: 'end' }>;
export type WorkerResponse =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly info?: ModelInfo }
  | { readonly kind: 'failed'; readonly id: number; readonly name: string; readonly message: string };

/** An origin whose chunks are asked for through a port. */
export interface PortSource {
  readonly name: string;
  readonly total: number | undefined;
  /** The URL beside which further files lie. */
  readonly base: string | undefined;
  readonly port: MessagePort;
}
