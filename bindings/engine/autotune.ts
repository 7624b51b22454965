/** Times the algorithms that can compute each convolution, on this very machine, and keeps the fastest. */

import type { ConvOp, Graph, Node, Shape } from '../../models/index.js';
import { GraphBuilder, inputShape } from '../../models/index.js';
import { type Algorithm, algorithmsFor, chooseAlgorithm } from '../compile/conv-algorithm.js';
import { type Choose, makePlan } from '../compile/plan.js';
import { platform } from '../platform/platform.js';
import type { Core } from './core.js';
import { scratchBytes } from './executor.js';
import { writeRecords } from './lower.js';
import { PackedWeights } from './packed-weights.js';
import type { ThreadPool } from './thread-pool.js';

/** Runs of each algorithm: the first ones let the engine compile the kernel with optimisation. */
const WARM_UP = 4;
const RUNS = 5;

/** Equal for convolutions of one shape. */
function shapeKey(node: Node<ConvOp>, input: Shape): string {
  const { kernel, stride, dilation, padding, groups, shape } = node;
  const pads = [padding.top, padding.left, padding.bottom, padding.right];
  return [input.h, input.w, input.c, shape.c, ...kernel, ...stride, ...dilation, ...pads, groups].join(',');
}

/** Milliseconds of one convolution alone, by one algorithm: the least of some runs. */
async function time(node: Node<ConvOp>, input: Shape, algorithm: Algorithm, core: Core, threads: ThreadPool) {
  const { arena } = core;
  const mark = arena.mark();
  const builder = new GraphBuilder('tune');
  const { kernel, stride, dilation, padding, groups } = node;
  const x = builder.conv('conv', builder.input(input), node.shape.c, { kernel, stride, dilation, padding, groups });
  const plan = makePlan(builder.finish(x), () => algorithm);
  const store = new PackedWeights(core, plan);
  const scratch = scratchBytes(core, plan);
  const recordsPtr = arena.alloc(core.constants.STEP_BYTES as number);
  const scratchPtr = arena.alloc(scratch * threads.count);
  const activations = arena.alloc(plan.arenaSize * 4);
  const place = ({ buffer }: { buffer: number }) => activations + (plan.buffers[buffer]?.offset ?? 0) * 4;
  writeRecords(core, plan, 1, recordsPtr, place, (of) => store.at(of));
  const job = { recordsPtr, first: 0, last: 1, scratchPtr, scratchBytes: scratch };
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    const start = performance.now();
    await threads.run(job);
    if (run >= WARM_UP) least = Math.min(least, performance.now() - start);
  }
  // The memory becomes weights, whose padding must be zero.
  arena.u8(mark, arena.mark() - mark).fill(0);
  arena.release(mark);
  return least;
}

/**
 * The choice of algorithms for a graph's convolutions: from the platform's cache if this engine, binary, number of
 * threads and network have been tuned before, else by timing (1 to 3 seconds for a ResNet-50). `core` must be new.
 */
export async function tune(graph: Graph, core: Core, threads: ThreadPool, signal?: AbortSignal): Promise<Choose> {
  const shapes = new Map<string, { node: Node<ConvOp>; input: Shape }>();
  for (const node of graph.nodes) {
    if (node.kind !== 'conv') continue;
    const input = inputShape(graph, node);
    if (algorithmsFor(node, input).length > 1) shapes.set(shapeKey(node, input), { node, input });
  }
  const cacheKey = `tune 1|${platform.machine}|${core.binary}|${threads.count}|${graph.name}|${[...shapes.keys()].join(';')}`;
  const cached = await platform.getCached(cacheKey);
  const chosen = new Map<string, Algorithm>(cached ? (JSON.parse(cached) as [string, Algorithm][]) : []);
  if (!cached) {
    for (const [key, { node, input }] of shapes) {
      let best: { algorithm: Algorithm; ms: number } | undefined;
      for (const algorithm of algorithmsFor(node, input)) {
        signal?.throwIfAborted();
        const ms = await time(node, input, algorithm, core, threads);
        if (!best || ms < best.ms) best = { algorithm, ms };
      }
      if (best) chosen.set(key, best.algorithm);
    }
    await platform.putCached(cacheKey, JSON.stringify([...chosen]));
  }
  return (node, input) => chosen.get(shapeKey(node, input)) ?? chooseAlgorithm(node, input);
}
