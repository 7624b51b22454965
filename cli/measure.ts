/** Times a network with random weights, for `bench` and `compare`. */

import { cpus } from 'node:os';
import {
  type Binary,
  buildNetwork,
  graphInput,
  load,
  type ModelInfo,
  measurePeak,
  type StepProfile,
  seededInput,
} from '../bindings/index.node.js';

/** Images of a run whose throughput is measured. */
const MANY = 8;

/** Runs before the timed ones, in which the engine optimises the kernels. */
const WARM_UP = 6;

export interface BenchLayer {
  readonly name: string;
  readonly kind: string;
  readonly algorithm: string | undefined;
  readonly output: string;
  /** Median. */
  readonly ms: number;
  readonly gflops: number;
}

export interface BenchResult {
  readonly model: string;
  readonly date: string;
  readonly machine: string;
  readonly info: ModelInfo;
  readonly batch: number;
  readonly rounds: number;
  /** Of whole runs. */
  readonly ms: { readonly median: number; readonly min: number; readonly max: number };
  readonly gflops: number;
  /** GFLOP/s of all threads, each in a loop of multiply-adds on registers alone. */
  readonly peak: number;
  readonly layers: readonly BenchLayer[];
  /** Of runs of several images; undefined if it was not asked for. */
  readonly throughput: { readonly batch: number; readonly imagesPerSecond: number } | undefined;
}

/** How to run a network that is measured. */
export interface MeasureOptions {
  readonly rounds: number;
  readonly batch: number;
  /** Of the input; by default the network's own. */
  readonly size?: number;
  readonly threads?: number | 'auto';
  readonly binary?: Binary;
  readonly tune?: boolean;
  readonly winograd?: boolean;
  readonly quantize?: 'int8';
  readonly memory?: 'small' | 'fast';
  readonly throughput?: boolean;
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
};

/** Runs a network with seeded weights, whole and step by step. Rejects with the signal's reason once it is aborted. */
export async function measure(name: string, options: MeasureOptions, signal: AbortSignal): Promise<BenchResult> {
  const { rounds, batch, size, threads, binary, tune, winograd, quantize, memory, throughput = false } = options;
  const graph = buildNetwork(name, { size });
  const { h, w, c } = graphInput(graph);
  const images = (count: number) => {
    const shape = [count, c, h, w];
    return { data: seededInput(shape), shape, layout: 'NCHW' as const };
  };
  const input = images(batch);
  const how = { threads, binary, tune, winograd, quantize, memory };
  const model = await load(name, { weights: { seed: 0 }, size, ...how, signal });
  try {
    const times: number[] = [];
    for (let round = -WARM_UP; round < rounds; round++) {
      signal.throwIfAborted();
      const start = performance.now();
      await model.run(input);
      if (round >= 0) times.push(performance.now() - start);
    }
    const profiles: (readonly StepProfile[])[] = [];
    for (let round = 0; round < rounds; round++) {
      signal.throwIfAborted();
      profiles.push((await model.run(input, { profile: true })).profile ?? []);
    }
    const manyMs: number[] = [];
    const many = throughput ? images(MANY) : undefined;
    for (let round = -1; many && round < rounds; round++) {
      signal.throwIfAborted();
      const start = performance.now();
      await model.run(many);
      if (round >= 0) manyMs.push(performance.now() - start);
    }
    const info = model.info();
    const gflops = (macs: number, ms: number): number => (2 * macs) / ms / 1e6;
    const layers = (profiles[0] ?? []).map(({ name: layer, kind, algorithm, macs }, i): BenchLayer => {
      const {
        h: height,
        w: width,
        c: channels,
      } = graph.nodes.find((node) => node.name === layer)?.shape ?? { h: 0, w: 0, c: 0 };
      const ms = median(profiles.map((profile) => profile[i]?.ms ?? 0));
      return { name: layer, kind, algorithm, output: `${height}x${width}x${channels}`, ms, gflops: gflops(macs, ms) };
    });
    const macs = (profiles[0] ?? []).reduce((sum, step) => sum + step.macs, 0);
    return {
      model: name,
      date: new Date().toISOString(),
      machine: `${cpus()[0]?.model.trim()}, Node ${process.versions.node}, V8 ${process.versions.v8}`,
      info,
      batch,
      rounds,
      ms: { median: median(times), min: Math.min(...times), max: Math.max(...times) },
      gflops: gflops(macs, median(times)),
      peak: (await measurePeak(info.binary)) * info.threads,
      layers,
      throughput: many && { batch: MANY, imagesPerSecond: (1000 * MANY) / median(manyMs) },
    };
  } finally {
    model.dispose();
  }
}
