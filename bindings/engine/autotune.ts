/** Times the algorithms that can compute each convolution, on this very machine, and keeps the fastest. */

import type { ConvOp, Graph, Node, Shape } from '../../models/index.js';
import { GraphBuilder, inputShape } from '../../models/index.js';
import { type AlgorithmName, type Choose, chooseByRule } from '../compile/conv-algorithm.js';
import { makePlan } from '../compile/plan.js';
import { platform } from '../platform/platform.js';
import { algorithms } from './algorithms/index.js';
import type { Core } from './core.js';
import { PlanExecutor } from './executor.js';
import { PackedWeights } from './packed-weights.js';
import type { ThreadPool } from './thread-pool.js';

export interface TuneOptions {
  /** Called with the convolutions timed so far and those to time, if they are. */
  readonly onTuned?: ((timed: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs of each algorithm: the first ones let the engine compile the kernel with optimisation. */
const WARM_UP = 4;
const RUNS = 5;

/** Equal for convolutions of one shape. */
function shapeKey(node: Node<ConvOp>, input: Shape): string {
  const { kernel, stride, dilation, padding, groups, shape } = node;
  const pads = [padding.top, padding.left, padding.bottom, padding.right];
  return [input.h, input.w, input.c, shape.c, ...kernel, ...stride, ...dilation, ...pads, groups].join(',');
}

const algorithmsFor = (node: Node<ConvOp>, input: Shape): AlgorithmName[] =>
  Object.values(algorithms).flatMap(({ name, fits }) => (fits(node, input) ? [name] : []));

/** Milliseconds of one convolution alone, by one algorithm: the least of some runs. What its weights are does not matter. */
async function time(node: Node<ConvOp>, input: Shape, algorithm: AlgorithmName, core: Core, pool: ThreadPool) {
  const mark = core.arena.mark();
  const builder = new GraphBuilder('tune');
  const { kernel, stride, dilation, padding, groups } = node;
  const x = builder.conv('conv', builder.input(input), node.shape.c, { kernel, stride, dilation, padding, groups });
  const plan = makePlan(builder.finish(x), () => algorithm);
  const executor = new PlanExecutor(core, plan, new PackedWeights(core, plan), pool);
  executor.setInput(1, new Float32Array(input.h * input.w * input.c));
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    const [ms = least] = (await executor.profile()).stepMs;
    if (run >= WARM_UP) least = Math.min(least, ms);
  }
  core.arena.release(mark);
  return least;
}

/**
 * The choice of algorithms for a graph's convolutions: from the platform's cache if this engine, binary, number of
 * threads and network have been tuned before, else by timing (1 to 3 seconds for a ResNet-50). `core` must be new.
 */
export async function tune(
  graph: Graph,
  core: Core,
  pool: ThreadPool,
  { onTuned, signal }: TuneOptions = {},
): Promise<Choose> {
  const shapes = new Map<string, { node: Node<ConvOp>; input: Shape }>();
  for (const node of graph.nodes) {
    if (node.kind !== 'conv') continue;
    const input = inputShape(graph, node);
    if (algorithmsFor(node, input).length > 1) shapes.set(shapeKey(node, input), { node, input });
  }
  await core.measured;
  const cacheKey = `tune 2|${platform.machine}|${core.binary} ${core.vectors.bits}|${pool.count}|${graph.name}|${[...shapes.keys()].join(';')}`;
  const cached = await platform.getCached(cacheKey);
  const chosen = new Map<string, AlgorithmName>(cached ? (JSON.parse(cached) as [string, AlgorithmName][]) : []);
  if (!cached) {
    let timed = 0;
    for (const [key, { node, input }] of shapes) {
      onTuned?.(timed++, shapes.size);
      let best: { algorithm: AlgorithmName; ms: number } | undefined;
      for (const algorithm of algorithmsFor(node, input)) {
        signal?.throwIfAborted();
        const ms = await time(node, input, algorithm, core, pool);
        if (!best || ms < best.ms) best = { algorithm, ms };
      }
      if (best) chosen.set(key, best.algorithm);
    }
    onTuned?.(timed, shapes.size);
    await platform.putCached(cacheKey, JSON.stringify([...chosen]));
  }
  const byRule = chooseByRule(Object.values(algorithms));
  return (node, input) => chosen.get(shapeKey(node, input)) ?? byRule(node, input);
}
