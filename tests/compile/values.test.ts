/** Plans in float64, without kernels: fusion, places and lifetimes together, with several inputs and outputs. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makePlan } from '../../bindings/compile/plan.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { type Graph, GraphBuilder } from '../../models/index.js';
import { anyGraph } from '../support/any-graph.js';
import { evaluateAll, type Inputs } from '../support/evaluate.js';
import { anyTensors } from '../support/memory-weights.js';
import { property } from '../support/property.js';
import { size, type Values } from '../support/reference.js';
import { runPlan } from '../support/run-plan.js';

/** Values for every input, in [−2, 2). */
const inputsOf = (graph: Graph, batch: number): Record<string, Float32Array> =>
  Object.fromEntries(
    graph.inputs.map(({ name, node }) => {
      const shape = graph.nodes[node]?.shape ?? { h: 0, w: 0, c: 0 };
      return [name, uniform(name, size({ batch, ...shape }), -2, 2)];
    }),
  );

/** Float64 sums that are taken in another order, or of a batch norm that is applied elsewhere, differ by less. */
const RELATIVE = 1e-9;

function assertNear(actual: Values, expected: Values, largest: number, subject: string): void {
  assert.is(actual.length, expected.length, subject);
  for (let i = 0; i < expected.length; i++) {
    const [got, wanted] = [actual[i] as number, expected[i] as number];
    if (!(Math.abs(got - wanted) <= RELATIVE * largest)) {
      assert.unreachable(`${subject}: expected ${wanted} at ${i}, got ${got}.`);
    }
  }
}

/** Every output, and every value right after the step that completes it. */
function check(graph: Graph): void {
  const plan = makePlan(graph);
  const tensors = anyTensors(graph);
  for (const batch of [1, 2]) {
    const inputs: Inputs = inputsOf(graph, batch);
    const expected = evaluateAll(graph, tensors, inputs, batch);
    let largest = 0;
    for (const list of expected) for (const v of list) largest = Math.max(largest, Math.abs(v));
    const { outputs, values } = runPlan(plan, tensors, inputs, batch);
    assert.equal(
      [...outputs.keys()],
      graph.outputs.map(({ name }) => name),
    );
    for (const { name, node } of graph.outputs) {
      assertNear(outputs.get(name) as Values, expected[node] as Values, largest, `output ${name}`);
    }
    plan.values.forEach(({ node }, id) => {
      assertNear(values[id] as Values, expected[node.id] as Values, largest, `value of ${graph.nodes[id]?.name}`);
    });
    for (const { name, view } of plan.outputs) assert.equal([view.offset, view.ld], [0, view.shape.c], name);
  }
}

test('every plan comes to what its graph does, value by value', async () => {
  const kinds = new Set<string>();
  let outputs = 0;
  await property(
    anyGraph,
    (graph) => {
      check(graph);
      for (const { kind } of graph.nodes) kinds.add(kind);
      outputs = Math.max(outputs, graph.outputs.length);
    },
    { runs: 800 },
  );
  assert.is(kinds.size, 29, [...kinds].join(', '));
  assert.is(outputs, 2);
});

test('several inputs and outputs: all that is given stays until it is read, all that is given away until the end', () => {
  const g = new GraphBuilder('several');
  const image = g.input({ h: 6, w: 5, c: 3 }, 'image');
  const late = g.input({ h: 6, w: 5, c: 8 }, 'late');
  const early = g.relu('early', g.conv('a', image, 8, { kernel: 3, padding: 1 }));
  const middle = g.relu('middle', g.conv('b', early, 8, { kernel: 3, padding: 1 }));
  const wide = g.conv('c', middle, 32, { kernel: 1 });
  const joined = g.concat('joined', [g.conv('d', wide, 8, { kernel: 1 }), early, late]);
  const vector = g.linear('fc', g.globalAvgPool('pool', g.add('sum', g.conv('e', joined, 8, { kernel: 1 }), late)), 4);
  const graph = g.finish({ vector, early, joined, again: early });
  assert.equal(
    graph.inputs.map(({ name }) => name),
    ['image', 'late'],
  );
  check(graph);
  const { outputs } = makePlan(graph);
  assert.equal(outputs[1]?.view, outputs[3]?.view);
});

test('an output that other outputs are made of, by a concatenation, a sum and a product', () => {
  const g = new GraphBuilder('chain');
  const a = g.conv('a', g.input({ h: 3, w: 3, c: 4 }), 4, { kernel: 1 });
  const b = g.conv('b', a, 4, { kernel: 1 });
  const sum = g.add('sum', g.conv('c', b, 4, { kernel: 1 }), a);
  const product = g.mul('product', sum, b);
  const joined = g.concat('joined', [a, b, sum]);
  check(g.finish({ a, b, sum, product, joined, end: g.concat('end', [joined, product]) }));
});

test('an output that is an input: alone, beside others, read and not read', () => {
  const alone = new GraphBuilder('alone');
  const plan = makePlan(alone.finish(alone.input({ h: 2, w: 3, c: 4 })));
  assert.is(plan.steps.length, 0);
  assert.equal(plan.outputs[0].view, plan.inputs[0].view);
  check(plan.graph);

  const g = new GraphBuilder('beside');
  const [x, unread] = [g.input({ h: 4, w: 4, c: 8 }, 'x'), g.input({ h: 1, w: 1, c: 2 }, 'unread')];
  let y = x;
  for (const name of ['a', 'b', 'c']) y = g.conv(name, y, 8, { kernel: 3, padding: 1 });
  check(g.finish({ x, y }));
  check(g.finish({ y, unread }));
  check(g.finish(g.add('sum', y, x)));
  check(g.finish({ sum: g.add('sum of all', y, x), x }));
  check(g.finish(g.concat('joined', [x, x])));
});

test('tensors that nodes share, and that are called anything', () => {
  const g = new GraphBuilder('shared');
  let x = g.input({ h: 4, w: 4, c: 8 });
  const params = { weight: 'onnx::Conv_497', bias: 'b' };
  for (const name of ['a', 'b', 'c']) {
    x = g.conv(name, x, 8, { kernel: 3, padding: 1, params });
    x = g.batchNorm(`${name}.norm`, x, 1e-3, { params: { bias: 'b', running_var: 'variance' } });
    x = g.activation(`${name}.act`, x, { kind: 'prelu' }, { params: { weight: 'slopes' } });
  }
  check(g.finish(x));
});

test.run();
