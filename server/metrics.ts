/** Numbers for Prometheus, if the application has the package prom-client. */

import { optionalPeer } from './peer.js';
import type { Timing } from './pool.js';

/** Seconds: from a small network's run to a large one's on a slow machine. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What is measured when it is asked for. */
export interface Gauges {
  /** Inputs that wait for a model, by the model's name. */
  queued(): Readonly<Record<string, number>>;
}

export interface Metrics {
  /** Counts a request when it is answered. `seconds`: from its first byte. */
  requested(route: string, model: string, status: number, seconds: number): void;
  /** Counts what a model answered. */
  answered(model: string, timing: Timing): void;
  /** What failed for good, apart from any request. */
  failed(model: string): void;
  render(): Promise<{ readonly type: string; readonly text: string }>;
}

/** Makes metrics, or undefined if prom-client is not installed. */
export async function openMetrics({ queued }: Gauges): Promise<Metrics | undefined> {
  const prom = await optionalPeer(() => import('prom-client'));
  if (!prom) return undefined;
  const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = prom;
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name: `resnet_wasm_${name}`, help, labelNames, registers });
  const seconds = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Histogram({ name: `resnet_wasm_${name}`, help, labelNames, buckets: SECONDS, registers });

  const requests = counter('requests_total', 'Requests by their answer', ['route', 'model', 'status']);
  const errors = counter('errors_total', 'Requests whose answer is an error', ['route', 'model', 'status']);
  const requestTime = seconds('request_seconds', 'Time from a request to its answer', ['route', 'model']);
  const images = counter('images_total', 'Pictures and tensors that a model answered; its rate is images/s', ['model']);
  const failures = counter('failures_total', 'Pictures that cannot be answered', ['model']);
  const waitTime = seconds('wait_seconds', 'Time in the queue, without decoding', ['model']);
  const decodeTime = seconds('decode_seconds', 'Time to decode a picture', ['model']);
  const runTime = seconds('run_seconds', 'Time of the call of the model that answered an input', ['model']);
  const batches = new Histogram({
    name: 'resnet_wasm_batch_size',
    help: 'Inputs that were answered by the call that answered an input',
    labelNames: ['model'] as const,
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers,
  });
  new Gauge({
    name: 'resnet_wasm_queue_length',
    help: 'Inputs that wait for a model',
    labelNames: ['model'] as const,
    registers,
    collect() {
      for (const [model, length] of Object.entries(queued())) this.set({ model }, length);
    },
  });

  return {
    requested(route, model, status, time) {
      requests.inc({ route, model, status });
      if (status >= 400) errors.inc({ route, model, status });
      requestTime.observe({ route, model }, time);
    },
    answered(model, { queued, opening, opened, begun, done, batch }) {
      images.inc({ model });
      waitTime.observe({ model }, (opening - queued + begun - opened) / 1000);
      decodeTime.observe({ model }, (opened - opening) / 1000);
      runTime.observe({ model }, (done - begun) / 1000);
      batches.observe({ model }, batch);
    },
    failed: (model) => failures.inc({ model }),
    render: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}
