/** A session for any graph, with reference weights: below the public API, so that one kernel can be timed alone. */

import '../bindings/index.node.js';
import { makePlan } from '../bindings/compile/plan.js';
import { type Binary, createCore } from '../bindings/engine/core.js';
import { PlanExecutor } from '../bindings/engine/executor.js';
import { PackedWeights } from '../bindings/engine/packed-weights.js';
import { ThreadPool } from '../bindings/engine/thread-pool.js';
import { openWeights } from '../bindings/weights/open.js';
import { seededWeights } from '../bindings/weights/random.js';
import type { Graph } from '../models/index.js';
import { seeded } from './shapes.js';

/** One thread, one image, the input filled with seeded values. */
export async function openSession(graph: Graph, binary: Binary): Promise<PlanExecutor> {
  const file = await openWeights(seededWeights(graph));
  const core = await createCore({ binary });
  const plan = makePlan(graph);
  const store = new PackedWeights(core, plan);
  await store.load(file, () => {}, undefined);
  const session = new PlanExecutor(core, plan, store, await ThreadPool.start(core, 1));
  seeded(session.input(1), 1);
  return session;
}
