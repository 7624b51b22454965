/**
 * The benchmark: networks × binaries × threads, with random weights. The variants of one network run in turn, round by
 * round, so that their ratios hold while the machine warms up or is busy with something else.
 */

import { type Binary, buildNetwork, graphInput, type Model, summary } from '../bindings/index.js';
import type { LoadOptions } from '../bindings/index.web.js';
import { threadsText } from './format.js';
import { median } from './statistics.js';

/** What layers compute with. */
export type Numbers = 'float32' | 'int8';

export interface Variant {
  readonly network: string;
  readonly binary: Binary;
  readonly numbers: Numbers;
  readonly threads: number;
}

/** What one variant took. */
export interface Row extends Variant {
  /** Milliseconds of each round. */
  readonly rounds: readonly number[];
  readonly ms: { readonly median: number; readonly min: number; readonly max: number };
  /** By the definition of the network, at the median. */
  readonly gflops: number;
  /** Of so many threads in registers, each at the measured peak of one. */
  readonly peakGflops: number;
}

/** Where it ran. */
export interface Machine {
  readonly browser: string;
  readonly cores: number;
  readonly isolated: boolean;
}

export interface Report {
  /** ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  /** GFLOP/s of one thread. */
  readonly peaks: Partial<Record<Binary, number>>;
  readonly rows: readonly Row[];
  /** Why there were fewer threads than chosen; undefined if there were not. */
  readonly threadsNote?: string | undefined;
}

/** What is known of a report so far. */
export type Results = Pick<Report, 'rows' | 'peaks' | 'threadsNote'>;

export interface Choice {
  readonly networks: readonly string[];
  readonly binaries: readonly Binary[];
  readonly numbers: readonly Numbers[];
  readonly threads: readonly number[];
  /** Timed runs of each variant. */
  readonly rounds: number;
}

/** What the benchmark needs of the library. */
export interface Library {
  load(name: string, options: LoadOptions): Promise<Model>;
  seededInput(shape: readonly number[]): Float32Array;
  measurePeak(binary: Binary): Promise<number>;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly text: string;
}

/** Runs before the timed ones, in which the engine optimises the kernels. */
const WARM_UP = 4;
/** Models that stand beside each other take at most this much; more variants run one after the other. */
const MOST_BYTES = 1.5e9;
// float32, and most 3×3 convolutions' weights a second time, transformed.
const BYTES_A_PARAMETER = 8;

/** The variants of one network in sets that are in memory together. */
export function setsOf(network: string, { binaries, numbers, threads }: Choice, mostBytes = MOST_BYTES): Variant[][] {
  const variants = binaries.flatMap((binary) =>
    numbers.flatMap((each) => threads.map((count) => ({ network, binary, numbers: each, threads: count }))),
  );
  const bytes = summary(buildNetwork(network)).parameters * BYTES_A_PARAMETER;
  const together = Math.max(1, Math.floor(mostBytes / bytes));
  return Array.from({ length: Math.ceil(variants.length / together) }, (_, i) =>
    variants.slice(i * together, (i + 1) * together),
  );
}

/** `relaxed, int8, 2 threads`; float32 goes without saying. */
export const runName = ({ binary, numbers, threads }: Variant): string =>
  [binary, ...(numbers === 'int8' ? [numbers] : []), threadsText(threads)].join(', ');

/**
 * Measures what is chosen; what comes to the same, since the browser gives fewer threads, once. `take` is told the rows so
 * far whenever a network's are done. Rejects with the signal's reason
 * once it is aborted, or if a model cannot be loaded; no model is left then.
 */
export async function bench(
  library: Library,
  choice: Choice,
  signal: AbortSignal,
  tell: (progress: Progress) => void,
  take: (results: Results) => void,
): Promise<void> {
  const sets = choice.networks.flatMap((network) => setsOf(network, choice));
  const runs = WARM_UP + choice.rounds;
  // Loading counts as one run.
  const total = choice.binaries.length + sets.flat().length * (runs + 1);
  let done = 0;
  const step = async <Result>(text: string, task: () => Promise<Result>): Promise<Result> => {
    signal.throwIfAborted();
    tell({ done, total, text });
    const result = await task();
    done++;
    return result;
  };
  const peaks: Partial<Record<Binary, number>> = {};
  for (const binary of choice.binaries) {
    peaks[binary] = await step(`Measuring the peak of the ${binary} binary.`, () => library.measurePeak(binary));
  }
  const rows: Row[] = [];
  let threadsNote: string | undefined;
  for (const set of sets) {
    const ofSet = await runSet(library, set, choice.rounds, peaks, rows, signal, step);
    rows.push(...ofSet.rows);
    threadsNote ??= ofSet.threadsNote;
    take({ rows: [...rows], peaks: { ...peaks }, threadsNote });
  }
  tell({ done: total, total, text: 'Done.' });
}

async function runSet(
  { load, seededInput }: Library,
  set: readonly Variant[],
  rounds: number,
  peaks: Report['peaks'],
  before: readonly Row[],
  signal: AbortSignal,
  step: <Result>(text: string, task: () => Promise<Result>) => Promise<Result>,
): Promise<Omit<Results, 'peaks'>> {
  const network = (set[0] as Variant).network;
  const graph = buildNetwork(network);
  const { macs } = summary(graph);
  const { h, w, c } = graphInput(graph);
  const shape = [1, c, h, w];
  const input = { data: seededInput(shape), shape, layout: 'NCHW' as const };
  const models: Model[] = [];
  const variants: Variant[] = [];
  let threadsNote: string | undefined;
  try {
    for (const { binary, numbers, threads } of set) {
      const own: LoadOptions = numbers === 'int8' ? { quantize: 'int8' } : {};
      const options: LoadOptions = { weights: { seed: 1 }, binary, threads, signal, ...own };
      const model = await step(`${network}: making random weights.`, () => load(network, options));
      models.push(model);
      const info = model.info();
      if (info.threads < threads) threadsNote ??= info.threadsNote;
      const variant = { network, binary, numbers, threads: info.threads };
      const isSame = (other: Variant) => runName(other) === runName(variant) && other.network === network;
      if ([...before, ...variants].some(isSame)) models.pop()?.dispose();
      else variants.push(variant);
    }
    const times = variants.map((): number[] => []);
    for (let round = -WARM_UP; round < rounds; round++) {
      for (const [i, model] of models.entries()) {
        const what = round < 0 ? 'warming up' : `round ${round + 1} of ${rounds}`;
        await step(`${network}: ${what}, ${runName(variants[i] as Variant)}.`, async () => {
          const start = performance.now();
          await model.run(input);
          if (round >= 0) times[i]?.push(performance.now() - start);
        });
      }
    }
    signal.throwIfAborted();
    const rows = variants.map((variant, i): Row => {
      const ofRounds = times[i] as number[];
      const middle = median(ofRounds);
      return {
        ...variant,
        rounds: ofRounds,
        ms: { median: middle, min: Math.min(...ofRounds), max: Math.max(...ofRounds) },
        gflops: (2 * macs) / middle / 1e6,
        peakGflops: (peaks[variant.binary] ?? 0) * variant.threads,
      };
    });
    return { rows, threadsNote };
  } finally {
    for (const model of models) model.dispose();
  }
}
