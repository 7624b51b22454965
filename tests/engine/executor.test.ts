/** Plans, records and kernels together: graphs against float64, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Choose } from '../../bindings/compile/conv-algorithm.js';
import { makePlan } from '../../bindings/compile/plan.js';
import type { Core } from '../../bindings/engine/core.js';
import type { Executor } from '../../bindings/engine/executor.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { type Activation, type Graph, GraphBuilder, parameters } from '../../models/index.js';
import { ACTIVATIONS, anyGraph } from '../support/any-graph.js';
import { eachBinary } from '../support/each-binary.js';
import { assertOutputs } from '../support/evaluate.js';
import { fitting, outputsOf, withExecutor } from '../support/executors.js';
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

/** Compares a graph's outputs with float64 for one image, for three, and for one again. */
async function check(core: Core, graph: Graph, choose?: Choose, tensors = anyTensors(graph)): Promise<void> {
  const use = async (executor: Executor) => {
    for (const batch of [1, 3, 1]) {
      const inputs = graph.inputs.map(({ name, node }) => {
        const { shape } = graph.nodes[node] as Graph['nodes'][number];
        return [name, uniform(`${name} ${batch}`, size({ batch, ...shape }), -2, 2)] as const;
      });
      const outputs = await outputsOf(executor, batch, ...inputs.map(([, values]) => values));
      assertOutputs(outputs, graph, tensors, Object.fromEntries(inputs), batch);
    }
  };
  await withExecutor(core, graph, memoryWeights(graph, tensors), use, choose);
}

eachBinary('random graphs', (test) => {
  test('every output is that of float64', async ({ core }) => {
    const kinds = new Set<string>();
    let outputs = 0;
    await property(
      fc.tuple(anyGraph, fc.nat(2)),
      async ([graph, turn]) => {
        await check(core, graph, inTurn(turn));
        for (const { kind } of graph.nodes) kinds.add(kind);
        outputs = Math.max(outputs, graph.outputs.length);
      },
      { runs: 400 },
    );
    assert.is(kinds.size, 29, [...kinds].join(', '));
    assert.is(outputs, 2);
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

eachBinary('graphs of one layer or two', (test) => {
  test('nodes that share their tensors, each computed by another algorithm', async ({ core }) => {
    const g = new GraphBuilder('shared');
    let x = g.input({ h: 6, w: 5, c: 8 });
    for (const name of ['a', 'b', 'c']) {
      x = g.conv(name, x, 8, { kernel: 3, padding: 1, params: { weight: 'one.weight', bias: 'one.bias' } });
      // One of them has a batch norm folded into its copy of the weight.
      if (name === 'b') x = g.batchNorm('norm', x);
    }
    const [first, second] = ['p', 'q'].map((name) =>
      g.linear(name, g.globalAvgPool(`${name}.pool`, x), 7, false, { params: { weight: 'fc.weight' } }),
    ) as [number, number];
    const graph = g.finish(g.concat('both', [first, second]));
    assert.equal(
      parameters(graph).map(({ name }) => name),
      ['one.weight', 'one.bias', 'norm.weight', 'norm.bias', 'norm.running_mean', 'norm.running_var', 'fc.weight'],
    );
    for (const turn of [0, 1, 2]) await check(core, graph, inTurn(turn));
  });

  test('slopes of a PReLU: of both signs and above 1, per channel, alone and after every layer', async ({ core }) => {
    for (const c of [3, 8, 13]) {
      const g = new GraphBuilder(`prelu ${c}`);
      const prelu = (name: string, x: number) => g.activation(name, x, { kind: 'prelu' });
      const x = prelu('alone', g.input({ h: 3, w: 5, c }));
      const conv = prelu('conv.act', g.conv('conv', x, c, { kernel: 3, padding: 1 }));
      const norm = prelu('norm.act', g.batchNorm('norm', conv));
      const sum = prelu('sum.act', g.add('sum', norm, x));
      const vector = prelu('fc.act', g.linear('fc', g.globalAvgPool('pool', sum), c));
      const graph = g.finish({ x, conv, norm, sum, vector });
      const tensors = anyTensors(graph);
      for (const name of ['alone', 'conv.act', 'norm.act', 'sum.act', 'fc.act']) {
        tensors.set(`${name}.weight`, uniform(`${name} slopes`, c, -1.5, 1.5));
      }
      await check(core, graph, undefined, tensors);
    }
  });

  test('a depthwise convolution of odd sizes by steps of 2, its batch norm and every activation', async ({ core }) => {
    const activations: readonly (Activation | undefined)[] = [undefined, ...ACTIVATIONS];
    for (const [kernel, h, w, c] of [
      [3, 7, 9, 13],
      [5, 9, 5, 24],
    ] as const) {
      for (const activation of activations) {
        const g = new GraphBuilder('depthwise');
        const x = g.input({ h, w, c });
        const window = { kernel, stride: 2, padding: kernel >> 1, groups: c };
        const y = g.batchNorm('norm', g.conv('conv', x, c, window));
        const graph = g.finish(activation ? g.activation('act', y, activation) : y);
        const { steps } = makePlan(graph, () => 'depthwise');
        assert.equal(
          steps.map(({ node, folded, activation: own }) => [node.name, folded?.name, own]),
          [['conv', 'norm', activation]],
        );
        await check(core, graph, () => 'depthwise');
      }
    }
  });

  test('two inputs and two outputs, each by its name', async ({ core }) => {
    const g = new GraphBuilder('named');
    const [image, mask] = [g.input({ h: 6, w: 5, c: 3 }, 'image'), g.input({ h: 6, w: 5, c: 8 }, 'mask')];
    const map = g.mul('masked', g.conv('conv', image, 8, { kernel: 3, padding: 1 }), mask);
    const vector = g.linear('fc', g.globalAvgPool('pool', map), 4);
    await check(core, g.finish({ vector, map }));
    await check(core, g.finish({ map, vector }));
  });
});
