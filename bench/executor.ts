/** An executor for any graph, with seeded weights: below the public API, so that one kernel can be timed alone. */

import '../bindings/index.node.js';
import { BINARIES, type Binary, supportsRelaxed } from '../bindings/engine/binary.js';
import type { Executor } from '../bindings/engine/executor.js';
import { openExecutor } from '../bindings/engine/open-executor.js';
import { platform } from '../bindings/platform/platform.js';
import { openWeights } from '../bindings/weights/open.js';
import { seededWeights } from '../bindings/weights/random.js';
import { uniform } from '../bindings/weights/uniform.js';
import { type Graph, graphInput } from '../models/index.js';

/** The binaries that this engine runs; the wide one if the process was started with --experimental-wasm-revectorize. */
export const binaries: readonly Binary[] = BINARIES.filter((binary) =>
  binary === 'wide' ? platform.whyNarrow() === undefined : binary === 'baseline' || supportsRelaxed(),
);

/** Opens `graph` on one thread, with seeded values as the input of one image. */
export async function openSeeded(graph: Graph, binary: Binary): Promise<Executor> {
  const executor = await openExecutor(graph, await openWeights(seededWeights(graph)), { binary, threads: 1 });
  const { h, w, c } = graphInput(graph);
  executor.setInput(1, uniform('input', h * w * c, -1, 1));
  return executor;
}
