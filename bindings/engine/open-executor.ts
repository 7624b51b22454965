/** A graph and its weights become what runs them. */

import { type Graph, type KernelSet, rowOf } from '../../models/index.js';
import { type Choose, chooseByRule, type Int8Layers } from '../compile/conv-algorithm.js';
import { makePlan } from '../compile/plan.js';
import { platform } from '../platform/platform.js';
import type { TensorInfo, WeightFile } from '../weights/types.js';
import { algorithms, arrange, loadInt8 } from './algorithms/index.js';
import type { TuneOptions } from './autotune.js';
import { type Binary, compiled, type WasmSource } from './binary.js';
import type { Core } from './core.js';
import { createCore, fastestBinary } from './create-core.js';
import { type Executor, PlanExecutor } from './executor.js';
import { PackedWeights } from './packed-weights.js';
import { ThreadPool, threadCount } from './thread-pool.js';
import { packWeights } from './weight-packer.js';

export interface ExecutorOptions extends TuneOptions {
  /** By default `relaxed` if the engine has relaxed SIMD. */
  readonly binary?: Binary | undefined;
  /** By default whether the engine was told to join vectors. */
  readonly wide?: boolean | undefined;
  /** By default the binary that lies beside this package's scripts. */
  readonly wasm?: WasmSource | undefined;
  /** By default `auto`: one thread per core, up to 8. */
  readonly threads?: number | 'auto' | undefined;
  /** By default true: 3×3 convolutions by Winograd's algorithm. */
  readonly winograd?: boolean | undefined;
  /** Times the algorithms on this machine instead of choosing by a rule. */
  readonly tune?: boolean | undefined;
  /** The layers on whole numbers: by default none. */
  readonly int8?: Int8Layers | undefined;
  /** By default `static`: layers on whole numbers take the scale that calibration found for their input. */
  readonly activationScales?: 'static' | 'dynamic' | undefined;
  /** Called after each piece of weights with the bytes so far. */
  readonly onTensor?: ((tensor: TensorInfo, loaded: number) => void) | undefined;
}

/** Runs a graph on a core of the caller's, its weights packed at the present end of the core's memory. */
export async function executorOn(
  core: Core,
  pool: ThreadPool,
  graph: Graph,
  file: WeightFile,
  choose: Choose = chooseByRule(Object.values(algorithms)),
  { onTensor = () => {}, activationScales, signal }: ExecutorOptions = {},
): Promise<Executor> {
  const plan = makePlan(graph, choose, arrange);
  const weights = new PackedWeights(core, plan);
  await packWeights(core, pool, graph, weights, file, onTensor, signal);
  if (activationScales === 'dynamic') for (const slot of weights.slots) slot.inScale = undefined;
  await core.measured;
  return new PlanExecutor(core, plan, weights, pool);
}

/** The further kernels that a graph's operations need, and those on whole numbers if it is to have them. */
const kernelSets = ({ nodes }: Graph, int8: Int8Layers | undefined): readonly KernelSet[] => [
  ...new Set(nodes.flatMap((node) => rowOf(node).kernelSet ?? [])),
  ...(int8 ? ['int8' as const] : []),
];

/** Whether a core for so many threads has a memory that they can share. */
const isShared = (count: number): boolean =>
  // If this thread may not block, one thread is a worker too, if it can be.
  count > 1 || (!platform.mayBlock && platform.whyNoSharedMemory === undefined);

/** Begins to fetch and compile what `openExecutor` will need: it depends on no weights. */
export function prepareExecutor({ binary, wide, wasm, threads = 'auto' }: ExecutorOptions): void {
  if (!binary && wasm === undefined) void compiled(fastestBinary(wide), isShared(threadCount(threads).count));
}

/**
 * Starts a core and threads of its own for a graph, and packs the tensors of `file`, whose names and shapes have been
 * checked. Rejects with one sentence or the signal's reason; nothing is left running then.
 */
export async function openExecutor(graph: Graph, file: WeightFile, options: ExecutorOptions = {}): Promise<Executor> {
  const { binary, wide, wasm, threads = 'auto', winograd = true, tune = false, int8 } = options;
  const { count, note } = threadCount(threads);
  if (int8) await loadInt8();
  const core = await createCore({ binary, wide, wasm, shared: isShared(count), sets: kernelSets(graph, int8) });
  const pool = await ThreadPool.start(core, count, note);
  try {
    const isInt8Fastest = int8 === 'faster' && !tune && (await (await import('./int8-speed.js')).isInt8Fastest(core));
    const byRule = chooseByRule(Object.values(algorithms), { winograd: winograd && !isInt8Fastest, int8 });
    const isTuned = tune && winograd;
    const choose = isTuned ? await (await import('./autotune.js')).tune(graph, core, pool, options) : byRule;
    return await executorOn(core, pool, graph, file, choose, options);
  } catch (reason) {
    pool.stop();
    throw reason;
  }
}
