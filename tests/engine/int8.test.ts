/** Networks with layers on whole numbers: from any file, in any batch and on any number of threads, near to those on floats. */

import * as assert from 'uvu/assert';
import type { Choose } from '../../bindings/compile/conv-algorithm.js';
import { makePlan } from '../../bindings/compile/plan.js';
import { withRanges } from '../../bindings/compile/ranges.js';
import { algorithms } from '../../bindings/engine/algorithms/index.js';
import { openExecutor } from '../../bindings/engine/open-executor.js';
import type { TensorInfo, WeightFile } from '../../bindings/weights/types.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { buildNetwork, type Graph, GraphBuilder, graphInput, parameters } from '../../models/index.js';
import { eachBinary } from '../support/each-binary.js';
import { outputOf, withExecutor } from '../support/executors.js';
import { anyTensors, memoryWeights } from '../support/memory-weights.js';
import { assertSameBits } from '../support/records.js';
import { size } from '../support/reference.js';
import { quantisedRows } from '../support/whole-numbers.js';

const everywhere: Choose = (node, input) => (algorithms.int8.fits(node, input) ? 'int8' : 'gemm');
const onFloats: Choose = () => 'gemm';

/** Every way in which a value comes to a layer on whole numbers. */
function everything(): Graph {
  const g = new GraphBuilder('everything');
  const input = g.input({ h: 12, w: 10, c: 3 });
  const stem = g.relu('relu', g.batchNorm('bn', g.conv('stem', input, 32, { kernel: 3, padding: 1 })));
  const pool = g.maxPool('pool', stem, { kernel: 2 });
  const left = g.conv('left', pool, 24, { kernel: 1, bias: true });
  const right = g.batchNorm('rightBn', g.conv('right', pool, 24, { kernel: 3, padding: 1, groups: 2 }));
  const sum = g.relu('sumRelu', g.add('sum', left, right));
  const both = g.concat('both', [sum, pool]);
  const before = g.conv('pointwise', g.relu('preRelu', g.batchNorm('pre', both)), 20, { kernel: 1 });
  const swish = g.activation('swish', g.conv('signed', before, 10, { kernel: 3, stride: 2 }), { kind: 'silu' });
  const hidden = g.relu('hiddenRelu', g.linear('hidden', swish, 30));
  return g.finish(g.linear('fc', hidden, 7));
}

const graph = everything();
const tensors = anyTensors(graph);
const batch = 3;
const input = uniform('input', size({ batch, ...graphInput(graph) }), -2, 2);

/** A file of the whole numbers that packing would make of matrices, in pieces cut anywhere. */
function int8File(): WeightFile {
  const bytes = new Map<TensorInfo, Uint8Array>();
  for (const { name, shape } of parameters(graph)) {
    const values = tensors.get(name) as Float32Array;
    if (shape.length < 2) {
      bytes.set({ name, shape, dtype: 'F32', order: 'OI' }, new Uint8Array(values.buffer.slice(0)));
      continue;
    }
    const { q, scales } = quantisedRows(values, shape[0] as number);
    bytes.set({ name, shape, dtype: 'I8', order: 'OI', scales: { weight: scales } }, new Uint8Array(q.buffer));
  }
  return {
    ...memoryWeights(graph, tensors),
    tensors: [...bytes.keys()],
    async *pieces() {
      for (const [tensor, all] of bytes) {
        for (let at = 0; at < all.length; at += 1009) yield { tensor, bytes: all.subarray(at, at + 1009) };
      }
    },
  };
}

function assertNear(actual: Float32Array, expected: Float32Array, subject: string): void {
  const norm = (values: Float32Array) => Math.hypot(...values);
  const distance = norm(actual.map((value, i) => value - (expected[i] as number)));
  assert.ok(distance < 0.05 * norm(expected), `${subject}: ${distance} of ${norm(expected)}`);
}

eachBinary('networks on whole numbers', (test) => {
  const run = (core: Parameters<typeof withExecutor>[0], file: WeightFile, choose: Choose) =>
    withExecutor(core, graph, file, (executor) => outputOf(executor, input, batch), choose);

  test('are near to those on floats, an image alone as in a batch', async ({ core }) => {
    const floats = await run(core, memoryWeights(graph, tensors), onFloats);
    await withExecutor(
      core,
      graph,
      memoryWeights(graph, tensors),
      async (executor) => {
        const whole = await outputOf(executor, input, batch);
        assertNear(whole, floats, 'batch');
        for (let b = 0; b < batch; b++) {
          const image = input.subarray((b * input.length) / batch, ((b + 1) * input.length) / batch);
          const alone = await outputOf(executor, image, 1);
          assertSameBits(alone, whole.subarray(b * alone.length, (b + 1) * alone.length), `image ${b}`);
        }
      },
      everywhere,
    );
  });

  test('have the same bits from rows of inputs, and from a file of whole numbers', async ({ core }) => {
    const expected = await run(core, memoryWeights(graph, tensors), everywhere);
    for (const pieces of [[65536], [7, 1, 30]]) {
      assertSameBits(
        await run(core, memoryWeights(graph, tensors, { order: 'IO', pieces }), everywhere),
        expected,
        'IO',
      );
    }
    assertSameBits(await run(core, int8File(), everywhere), expected, 'int8');
    const floats = await run(core, int8File(), onFloats);
    assertNear(floats, expected, 'floats from whole numbers');
  });

  test('tell of values that are not finite', async ({ core }) => {
    const file = () => memoryWeights(graph, tensors);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const damaged = input.slice(0, input.length / batch);
      damaged[17] = value;
      const output = await withExecutor(core, graph, file(), (executor) => outputOf(executor, damaged, 1), everywhere);
      assert.ok(!output.some(Number.isFinite), `${value}`);
    }
  });

  test('have the same bits on every number of threads', async ({ binary }) => {
    const results: Float32Array[] = [];
    for (const threads of [1, 2, 3]) {
      const executor = await openExecutor(graph, memoryWeights(graph, tensors), { binary, threads, int8: 'all' });
      results.push(await outputOf(executor, input, batch));
      executor.dispose();
    }
    for (const result of results) assertSameBits(result, results[0] as Float32Array, 'threads');
  });
});

eachBinary('plans on whole numbers', (test) => {
  test('look for a range only where no epilogue finds it', () => {
    const { steps, ranges } = makePlan(buildNetwork('resnet50'), everywhere, withRanges);
    const looked = steps.filter(({ kind }) => kind === 'range').map(({ node }) => node.name);
    assert.equal(looked, ['input', 'maxpool', 'avgpool']);
    assert.is(ranges, steps.filter(({ outRange }) => outRange !== undefined).length);
    const signed = steps.filter(({ quant }) => quant && quant.low < 0).map(({ node }) => node.name);
    assert.equal(signed, ['conv1']);
  });
});
