/** `bench`: how fast this machine runs a network, layer by layer, against its roof. */

import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { Command, Option } from 'commander';
import {
  buildNetwork,
  load,
  type ModelInfo,
  measurePeak,
  type StepProfile,
  seededInput,
  seededWeights,
} from '../bindings/node.js';
import { graphInput } from '../models/index.js';
import { benchPage } from './bench-page.js';
import { type ModelFlags, modelOptions, networkName, positive } from './options.js';
import { columns } from './text.js';

const EXAMPLES = `
Examples:
  resnet-wasm bench
  resnet-wasm bench --model resnet18 --threads 1 --binary baseline --json
  resnet-wasm bench --html report.html

The weights are random numbers, and the peak is that of multiply-adds of 128-bit vectors in registers, on all threads. A
layer that Winograd's algorithm computes can exceed it: it takes up to 4 times fewer multiplications than the definition,
by which GFLOP/s count.`;

// The engine compiles the kernels with optimisation meanwhile.
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
  /** GFLOP/s of all threads in registers. */
  readonly peak: number;
  readonly layers: readonly BenchLayer[];
}

interface BenchFlags extends ModelFlags {
  readonly rounds: number;
  readonly batch: number;
  readonly tune?: boolean;
  readonly winograd: boolean;
  readonly json?: boolean;
  readonly html?: string;
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
};

async function measure(name: string, flags: BenchFlags, signal: AbortSignal): Promise<BenchResult> {
  const { rounds, batch, threads, binary, tune, winograd } = flags;
  const graph = buildNetwork(name);
  const { h, w, c } = graphInput(graph);
  const shape = [batch, c, h, w];
  const input = { data: seededInput(shape), shape, layout: 'NCHW' as const };
  const model = await load(name, { weights: seededWeights(graph), threads, binary, tune, winograd, signal });
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
    };
  } finally {
    model.dispose();
  }
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

function report({ model, machine, info, batch, rounds, ms, gflops, peak, layers }: BenchResult): string {
  const MiB = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const total = layers.reduce((sum, layer) => sum + layer.ms, 0);
  const rows = layers.map((layer) => [
    layer.name,
    layer.algorithm ?? layer.kind,
    layer.output,
    layer.ms.toFixed(3),
    percent(layer.ms, total),
    layer.gflops ? layer.gflops.toFixed(1) : '',
    layer.gflops ? percent(layer.gflops, peak) : '',
  ]);
  const threads = info.threads === 1 ? '1 thread' : `${info.threads} threads`;
  return [
    machine,
    `${model}, ${info.binary} binary, ${threads}, batch ${batch}: weights ${MiB(info.weightBytes)}, activations ${MiB(info.activationBytes)} an image`,
    '',
    columns([['layer', 'by', 'output', 'ms', 'share', 'GFLOP/s', 'of peak'], ...rows], [3, 4, 5, 6]),
    '',
    `${ms.median.toFixed(1)} ms (median of ${rounds}; ${ms.min.toFixed(1)} to ${ms.max.toFixed(1)}), ${gflops.toFixed(1)} GFLOP/s, ${percent(gflops, peak)} of the peak of ${peak.toFixed(1)} GFLOP/s`,
    ...(info.threadsNote ? [info.threadsNote] : []),
  ].join('\n');
}

export function benchCommand(signal: AbortSignal): Command {
  const command = new Command('bench')
    .description('Measure how fast this machine runs networks, layer by layer, against its peak')
    .addOption(
      new Option('--model <name...>', 'networks to measure')
        .default(['resnet50'])
        .argParser((name, before: string[] = []) => {
          const list = before.length === 1 && before[0] === 'resnet50' ? [] : before;
          return [...list, networkName(name)];
        }),
    )
    .option('--rounds <n>', 'runs to take the median of', positive, 15)
    .option('--batch <n>', 'images in a run', positive, 1)
    .option('--tune', 'time the algorithms for each layer first, and take the fastest')
    .option('--no-winograd', "compute no convolution by Winograd's algorithm")
    .option('--json', 'print JSON')
    .option('--html <file>', 'write one self-contained page with plots');
  for (const option of modelOptions()) {
    if (option.long === '--binary' || option.long === '--threads') command.addOption(option);
  }
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Omit<BenchFlags, 'model'> & { model: string[] }) => {
      const results: BenchResult[] = [];
      for (const name of flags.model) {
        const result = await measure(name, { ...flags, model: name }, signal);
        results.push(result);
        if (!flags.json) process.stdout.write(`${results.length > 1 ? '\n' : ''}${report(result)}\n`);
      }
      if (flags.json) process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`);
      if (flags.html) await writeFile(flags.html, benchPage(results));
    });
}
