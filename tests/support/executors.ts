/** Executors of small graphs on a core that many tests share. */

import type { Choose } from '../../bindings/compile/conv-algorithm.js';
import type { MatrixOp } from '../../bindings/compile/fuse.js';
import { algorithms } from '../../bindings/engine/algorithms/index.js';
import type { Core } from '../../bindings/engine/core.js';
import type { Executor } from '../../bindings/engine/executor.js';
import { executorOn } from '../../bindings/engine/open-executor.js';
import { ThreadPool } from '../../bindings/engine/thread-pool.js';
import type { WeightFile } from '../../bindings/weights/types.js';
import type { Graph, Node, Shape } from '../../models/index.js';

/** More than the records, scratch and activations of any graph in these tests. */
const POISONED_BYTES = 2 ** 21;

/** Every algorithm on floats that can compute a layer, in the table's order. */
export const fitting = (node: Node<MatrixOp>, input: Shape) =>
  Object.values(algorithms).flatMap(({ name, isInt8, fits }) => (!isInt8 && fits(node, input) ? [name] : []));

/** Fills `bytes` from the present end of a core's memory with NaN, so that what is read before it is written shows. */
function poison({ arena }: Core, bytes: number): void {
  const end = arena.mark();
  arena.f32(arena.alloc(bytes), bytes / 4).fill(Number.NaN);
  arena.release(end);
}

/**
 * Runs `use` on an executor of `graph`, its weights from `file`, and gives its memory back. All memory holds NaN at
 * first, that of the weights too.
 */
export async function withExecutor<Result>(
  core: Core,
  graph: Graph,
  file: WeightFile,
  use: (executor: Executor) => Promise<Result>,
  choose?: Choose,
): Promise<Result> {
  const mark = core.arena.mark();
  try {
    poison(core, POISONED_BYTES);
    const executor = await executorOn(core, await ThreadPool.start(core, 1), graph, file, choose);
    poison(core, POISONED_BYTES);
    return await use(executor);
  } finally {
    core.arena.release(mark);
  }
}

/** The outputs of an executor for inputs in the graph's order, NHWC each. */
export async function outputsOf(
  executor: Executor,
  batch: number,
  ...inputs: readonly Float32Array[]
): Promise<readonly Float32Array[]> {
  executor.setInput(batch, ...inputs);
  return (await executor.run()).outputs;
}

/** The first output of an executor for one input, NHWC. */
export const outputOf = async (executor: Executor, input: Float32Array, batch: number): Promise<Float32Array> =>
  (await outputsOf(executor, batch, input))[0] as Float32Array;
