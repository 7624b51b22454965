/** Plans, records and kernels together: random graphs against float64, on every binary. */

import fc from 'fast-check';
import type { Choose } from '../../bindings/compile/conv-algorithm.js';
import { makePlan } from '../../bindings/compile/plan.js';
import type { Core } from '../../bindings/engine/core.js';
import type { Executor } from '../../bindings/engine/executor.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { type Graph, GraphBuilder, graphInput } from '../../models/index.js';
import { anyGraph } from '../support/any-graph.js';
import { eachBinary } from '../support/each-binary.js';
import { assertOutput } from '../support/evaluate.js';
import { fitting, outputOf, withExecutor } from '../support/executors.js';
import { anyTensors, memoryWeights } from '../support/memory-weights.js';
import { property } from '../support/property.js';
import { size } from '../support/reference.js';

/** Takes turns among the algorithms that can compute a convolution. */
function inTurn(first: number): Choose {
  let turn = first;
  return (node, input) => {
    const able = fitting(node, input);
    return able[turn++ % able.length] as ReturnType<Choose>;
  };
}

/** The one thing that plans refuse. */
function isRefused(graph: Graph): boolean {
  try {
    makePlan(graph);
    return false;
  } catch (error) {
    if (error instanceof RangeError && /^end\.fc: expected an input that lies by itself/.test(error.message))
      return true;
    throw error;
  }
}

/** Compares a graph's output with float64 for one image, for three, and for one again. */
async function check(core: Core, graph: Graph, choose?: Choose): Promise<void> {
  const tensors = anyTensors(graph);
  const use = async (executor: Executor) => {
    for (const batch of [1, 3, 1]) {
      const x = uniform(`input ${batch}`, size({ batch, ...graphInput(graph) }), -2, 2);
      assertOutput(await outputOf(executor, x, batch), graph, tensors, x, batch);
    }
  };
  await withExecutor(core, graph, memoryWeights(graph, tensors), use, choose);
}

eachBinary('random graphs', (test) => {
  test('every output is that of float64', async ({ core }) => {
    await property(
      fc.tuple(anyGraph, fc.nat(2)),
      async ([graph, turn]) => {
        fc.pre(!isRefused(graph));
        await check(core, graph, inTurn(turn));
      },
      { runs: 400 },
    );
  });

  test('copies of copies, and of what a batch norm is folded into', async ({ core }) => {
    const g = new GraphBuilder('copies');
    const input = g.input({ h: 3, w: 2, c: 3 });
    const once = g.concat('once', [input, input]);
    const twice = g.concat('twice', [once, once]);
    const x = g.batchNorm('bn', g.conv('conv', twice, 8, { kernel: 1 }));
    await check(core, g.finish(g.concat('out', [g.relu('relu', g.maxPool('pool', x, { kernel: 1 })), x, x])));
  });

  test('an output in the middle of a graph', async ({ core }) => {
    const g = new GraphBuilder('middle');
    const x = g.conv('x', g.input({ h: 3, w: 3, c: 4 }), 4, { kernel: 3, padding: 1 });
    const y = g.relu('y', x);
    g.concat('c', [y, x]);
    await check(core, g.finish(y));
  });
});
