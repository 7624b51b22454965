/** Times the algorithms that can compute each convolution, on this very machine, and keeps the fastest. */

import type { ConvOp, Graph, Node, NodeId, Shape } from '../../models/index.js';
import { GraphBuilder, inputShape } from '../../models/index.js';
import { type AlgorithmName, type Choose, chooseByRule, type RuleOptions } from '../compile/conv-algorithm.js';
import { makePlan } from '../compile/plan.js';
import { isNonNegative } from '../compile/ranges.js';
import { platform } from '../platform/platform.js';
import { algorithms, arrange } from './algorithms/index.js';
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

/** A convolution to time. */
interface Layer {
  readonly node: Node<ConvOp>;
  readonly input: Shape;
  /** Whether no value of the input is negative, as whole numbers want to know. */
  readonly isPositive: boolean;
}

/** Equal for convolutions of one shape. */
function shapeKey({ node, input, isPositive }: Layer): string {
  const { kernel, stride, dilation, padding, groups, shape } = node;
  const pads = [padding.top, padding.left, padding.bottom, padding.right];
  const sizes = [input.h, input.w, input.c, shape.c, ...kernel, ...stride, ...dilation, ...pads, groups];
  return `${sizes.join(',')}${isPositive ? '+' : ''}`;
}

/** Whole numbers take part if they are wanted at all; if they are wanted wherever they can be, nothing else does there. */
function algorithmsFor({ node, input }: Layer, int8: RuleOptions['int8']): AlgorithmName[] {
  const able = Object.values(algorithms).flatMap(({ name, fits }) => (fits(node, input) ? [name] : []));
  if (int8 === 'all' && able.includes('int8')) return ['int8'];
  return able.filter((name) => name !== 'int8' || int8 === 'faster');
}

/** Milliseconds of one convolution alone, by one algorithm: the least of some runs. What its weights are does not matter. */
async function time({ node, input, isPositive }: Layer, algorithm: AlgorithmName, core: Core, pool: ThreadPool) {
  const mark = core.arena.mark();
  const builder = new GraphBuilder('tune');
  const { kernel, stride, dilation, padding, groups } = node;
  const from = isPositive ? builder.relu('relu', builder.input(input)) : builder.input(input);
  const x = builder.conv('conv', from, node.shape.c, { kernel, stride, dilation, padding, groups });
  const plan = makePlan(builder.finish(x), () => algorithm, arrange);
  const executor = new PlanExecutor(core, plan, new PackedWeights(core, plan), pool);
  executor.setInput(1, new Float32Array(input.h * input.w * input.c));
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    const { stepMs } = await executor.profile();
    if (run >= WARM_UP) least = Math.min(least, stepMs.at(-1) ?? least);
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
  { onTuned, signal, int8 }: TuneOptions & Pick<RuleOptions, 'int8'> = {},
): Promise<Choose> {
  const layers = new Map<NodeId, Layer>();
  const shapes = new Map<string, Layer>();
  for (const node of graph.nodes) {
    if (node.kind !== 'conv') continue;
    const layer = { node, input: inputShape(graph, node), isPositive: isNonNegative(graph, node.inputs[0] as NodeId) };
    layers.set(node.id, layer);
    if (algorithmsFor(layer, int8).length > 1) shapes.set(shapeKey(layer), layer);
  }
  await core.measured;
  const cacheKey = `tune 3|${platform.machine}|${core.binary} ${core.vectors.bits}|${pool.count}|${graph.name}|${int8}|${[...shapes.keys()].join(';')}`;
  const cached = await platform.getCached(cacheKey);
  const chosen = new Map<string, AlgorithmName>(cached ? (JSON.parse(cached) as [string, AlgorithmName][]) : []);
  if (!cached) {
    let timed = 0;
    for (const [key, layer] of shapes) {
      onTuned?.(timed++, shapes.size);
      let best: { algorithm: AlgorithmName; ms: number } | undefined;
      for (const algorithm of algorithmsFor(layer, int8)) {
        signal?.throwIfAborted();
        const ms = await time(layer, algorithm, core, pool);
        if (!best || ms < best.ms) best = { algorithm, ms };
      }
      if (best) chosen.set(key, best.algorithm);
    }
    onTuned?.(timed, shapes.size);
    await platform.putCached(cacheKey, JSON.stringify([...chosen]));
  }
  const byRule = chooseByRule(Object.values(algorithms), { int8 });
  return (node, input) => {
    const layer = layers.get(node.id);
    return (layer && chosen.get(shapeKey(layer))) ?? byRule(node, input);
  };
}
