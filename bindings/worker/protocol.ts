/** The messages between whoever loads a model (client.ts) and the model's worker (server.ts). */

import type { Graph, Preprocessing } from '../../models/index.js';
import type { Binary, WasmSource } from '../engine/binary.js';
import type { LoadOptions } from '../model/load.js';
import type { RandomWeights } from '../model/open-network.js';
import type { Progress } from '../model/progress.js';
import type { Model, ModelInfo, Summary } from '../model/types.js';
import type { RUNNING } from '../platform/platform.js';

import type { PostedError } from './errors.js';

/** The methods of a model that return a promise, which the worker runs. */
export type Method = {
  [Name in keyof Model]: Model[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[keyof Model];

/** The options of `load` that can be posted. `weights` are a URL, Blob or seed, or come through a port. */
export interface PostedOptions extends Omit<LoadOptions, 'weights' | 'signal' | 'onProgress' | 'onWarning' | 'wasm'> {
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
  /** Drops a call that waits for its turn: its response says so. There is no other. */
  | { readonly kind: 'abort'; readonly id: number }
  /** Ends the worker, and its threads before it. There is no response. */
  | { readonly kind: 'end' }
  | { readonly kind: 'call'; readonly id: number; readonly method: Method; readonly args: readonly unknown[] };

export type ModelRequest = Exclude<WorkerRequest, { kind: 'abort' | 'end' }>;

/** What a page knows of a loaded model. */
export interface LoadedModel {
  readonly summary: Summary;
  readonly graph: Graph;
  readonly labels: readonly string[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
}

export type WorkerResponse =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly info?: ModelInfo }
  | { readonly kind: 'failed'; readonly id: number; readonly error: PostedError };

/** A worker as whoever loads a model in it sees it: a Web Worker, or a thread of Node. */
export interface ModelWorker {
  /** Calls `take` with every message from now on, and `fail` with the reason if the worker ends by itself. */
  listen(take: (message: WorkerResponse | typeof RUNNING) => void, fail: (reason: string | undefined) => void): void;
  post(message: WorkerRequest, transfer?: Transferable[]): void;
  /** Ends the worker, unless it ends by itself within a second: browsers are slow to end threads that sleep. */
  end(): void;
  /** Tells whether somebody waits for a response; otherwise Node need not go on. */
  awaited?(isAwaited: boolean): void;
}

/** The other end, in the worker. */
export interface WorkerPort {
  post(response: WorkerResponse, transfer: Transferable[]): void;
  /** Calls `take` with every message from now on. */
  listen(take: (request: WorkerRequest) => void): void;
  /** Ends the worker. */
  close(): void;
}

/** A stream of weights whose chunks come through a port, one per request. */
export interface PortSource {
  readonly name: string;
  readonly total: number | undefined;
  /** The URL that further files of the weights are relative to. */
  readonly base: string | undefined;
  readonly port: MessagePort;
}
