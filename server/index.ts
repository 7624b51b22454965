/** resnet-wasm/server: models behind HTTP. */

import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import type { HttpBindings } from '@hono/node-server';
import { type Model, ResnetError } from '../bindings/index.node.js';
import { addRoutes } from './app.js';
import { BodyReader } from './body.js';
import type { Log, LogEntry } from './log.js';
import { openMetrics } from './metrics.js';
import { peer } from './peer.js';
import { ModelPool } from './pool.js';
import { Service } from './service.js';
import { openTracer } from './tracing.js';

export type { LogEntry } from './log.js';

export interface ServeOptions {
  /**
   * How to open each model, by the name in requests: `{ resnet50: () => load('resnet50', { worker: true, threads: 1 }) }`.
   * Called once per worker.
   */
  readonly models: Readonly<Record<string, () => Promise<Model>>>;
  /** Models of each name, which answer beside each other; by default as many as there are cores, over the number of names. */
  readonly workers?: number;
  /** The address to listen on; by default 127.0.0.1, which other machines cannot reach. */
  readonly host?: string;
  /** By default 8000; 0 takes one that is free. */
  readonly port?: number;
  /** Inputs that one call of a model answers at most; by default 8. */
  readonly maxBatch?: number;
  /** How long an input waits for others to be decoded, so that they run as one batch; by default 2 ms. */
  readonly batchWindowMs?: number;
  /** Inputs that wait for a model at most, before requests are answered with 429; by default 64 per worker. */
  readonly maxQueue?: number;
  /** By default 10 MiB. */
  readonly maxBodyBytes?: number;
  /** Of a picture; by default 33,554,432, which take 100 to 134 MB. */
  readonly maxPixels?: number;
  /** How long a request may take, from its first byte to its answer; by default 30,000 ms. */
  readonly timeoutMs?: number;
  /** Whether requests may name pictures by URL, which are fetched from public addresses alone; by default false. */
  readonly allowUrls?: boolean;
  /** Takes the lines of the log; by default there is none. */
  readonly log?: (entry: LogEntry) => void;
}

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  /** Workers of each model. */
  readonly workers: Readonly<Record<string, number>>;
  /**
   * Refuses new requests, answers those that were accepted, and ends the workers. `graceMs`: how long that may take before
   * the rest is dropped; by default 30,000 ms.
   */
  close(graceMs?: number): Promise<void>;
}

const DEFAULTS = {
  host: '127.0.0.1',
  port: 8000,
  maxBatch: 8,
  batchWindowMs: 2,
  maxBodyBytes: 10 * 2 ** 20,
  maxPixels: 2 ** 25,
  timeoutMs: 30_000,
} as const;

/** Bodies that are being read hold at most this many times the largest one. */
const BODIES = 32;

/** Throws unless every number is a whole one, in its range. */
function checkNumbers(options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options)) {
    const least = name === 'port' || name === 'batchWindowMs' ? 0 : 1;
    const most = name === 'port' ? 65_535 : 2 ** 31 - 1;
    if (Number.isInteger(value) && value >= least && value <= most) continue;
    throw new ResnetError('argument', `${name}: expected a whole number from ${least} to ${most}, got ${value}.`);
  }
}

/** Listens at once, so that a port in use is told of before models are loaded. */
function listening(server: HttpServer, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      const known: Record<string, string> = {
        EADDRINUSE: 'this port is in use',
        EACCES: 'this port needs more rights',
        EADDRNOTAVAIL: 'this machine has no such address',
        ENOTFOUND: 'there is no such host',
      };
      reject(new ResnetError('unsupported', `${host}:${port}: ${known[code ?? ''] ?? message}.`));
    });
    server.listen(port, host, () => resolve(server.address() as AddressInfo));
  });
}

/**
 * Serves models over HTTP: Hugging Face's image classification (`POST /models/{model}`), the Open Inference Protocol (`/v2`),
 * `POST /embed`, and `/metrics` if prom-client is installed. Resolves when all models are ready; until then
 * `/v2/health/ready` says no. Needs the packages hono and @hono/node-server. Rejects with one sentence if the port is in use
 * or a model does not load.
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { models, allowUrls = false, log: write } = options;
  const names = Object.keys(models);
  if (names.length === 0) throw new ResnetError('argument', 'models: expected one or more, got none.');
  const cores = Math.max(1, Math.floor(availableParallelism() / names.length));
  const { workers = cores } = options;
  const numbers = {
    ...DEFAULTS,
    workers,
    maxQueue: 64 * workers,
    ...Object.fromEntries(
      Object.entries(options).filter(([name, value]) => name !== 'models' && typeof value === 'number'),
    ),
  };
  const { host: defaultHost, ...checked } = numbers;
  checkNumbers(checked);
  const { host = defaultHost } = options;
  const { maxBatch, batchWindowMs, maxQueue, maxBodyBytes, maxPixels, timeoutMs } = numbers;

  const { Hono } = await peer('hono', 'The server', () => import('hono'));
  const { createAdaptorServer } = await peer('@hono/node-server', 'The server', () => import('@hono/node-server'));
  const log: Log = (level, message, more = {}) => write?.({ time: new Date().toISOString(), level, message, ...more });
  const limits = { maxQueue, maxBodyBytes, maxPixels, timeoutMs, allowUrls };
  const service = new Service(names, limits, new BodyReader(maxBodyBytes, BODIES * maxBodyBytes));
  const { pools } = service;
  const queued = () => Object.fromEntries([...pools].map(([name, pool]) => [name, pool.queued]));
  const [metrics, tracer] = await Promise.all([openMetrics({ queued }), openTracer()]);
  let isDraining = false;
  const app = new Hono<{ Bindings: HttpBindings }>();
  addRoutes(app, { service, timeoutMs, metrics, tracer, log, isDraining: () => isDraining });

  const serverOptions = {
    // Slow headers and bodies are cut off here too, whoever waits for them.
    headersTimeout: Math.min(timeoutMs, 10_000),
    requestTimeout: timeoutMs + 1000,
    connectionsCheckingInterval: 1000,
  };
  const server = createAdaptorServer({ fetch: app.fetch, serverOptions }) as HttpServer;
  const { port } = await listening(server, host, numbers.port);
  log('info', 'listening', { host, port });

  const close = async (graceMs = 30_000): Promise<void> => {
    isDraining = true;
    log('info', 'draining', { queued: queued() });
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const answered = Promise.all([...pools.values()].map((pool) => pool.drained())).then(() => closed);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([answered, late]);
    clearTimeout(timer);
    server.closeAllConnections();
    for (const pool of pools.values()) pool.close();
    log('info', 'closed');
  };

  try {
    for (const [name, open] of Object.entries(models)) {
      const pool = await ModelPool.open({ open, workers, maxBatch, windowMs: batchWindowMs });
      pools.set(name, pool);
      const { network, binary, threads, vectors } = pool.model.info();
      log('info', 'model', { model: name, network, binary, vectors, workers: pool.workers, threads });
    }
  } catch (reason) {
    await close(0);
    throw reason;
  }
  log('info', 'ready');
  const counts = [...pools].map(([name, pool]) => [name, pool.workers] as const);
  return { host, port, workers: Object.fromEntries(counts), close };
}
