/** Sessions of small graphs on a core that many tests share. */

import { type Choose, makePlan } from '../../bindings/compile/plan.js';
import type { Core } from '../../bindings/engine/core.js';
import { PlanExecutor } from '../../bindings/engine/executor.js';
import { PackedWeights } from '../../bindings/engine/packed-weights.js';
import { ThreadPool } from '../../bindings/engine/thread-pool.js';
import type { WeightFile } from '../../bindings/weights/types.js';
import type { Graph } from '../../models/index.js';

/** More than the records, scratch and activations of any graph in these tests. */
const POISONED_BYTES = 2 ** 21;

/**
 * Runs `use` on a session of `graph`, its weights from `file`, and makes the core as new again. All memory beside the
 * weights holds NaN at first, so that what is read before it is written shows.
 */
export async function withSession<Result>(
  core: Core,
  graph: Graph,
  file: WeightFile,
  use: (session: PlanExecutor) => Promise<Result>,
  choose?: Choose,
): Promise<Result> {
  const { arena } = core;
  const mark = arena.mark();
  try {
    const plan = makePlan(graph, choose);
    const store = new PackedWeights(core, plan);
    await store.load(file, () => {}, undefined);
    const end = arena.mark();
    arena.f32(arena.alloc(POISONED_BYTES), POISONED_BYTES / 4).fill(Number.NaN);
    arena.release(end);
    return await use(new PlanExecutor(core, plan, store, await ThreadPool.start(core, 1)));
  } finally {
    arena.release(mark);
    arena.u8(mark, arena.memory.buffer.byteLength - mark).fill(0);
  }
}

/** The output of a session for one input, NHWC. */
export async function outputOf(session: PlanExecutor, input: Float32Array, batch: number): Promise<Float32Array> {
  session.input(batch).set(input);
  return session.run(batch);
}
