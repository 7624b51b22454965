/** Weights on their way into linear memory: every order, type and size of piece comes to the same, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Choose } from '../../bindings/compile/conv-algorithm.js';
import { makePlan } from '../../bindings/compile/plan.js';
import type { Core } from '../../bindings/engine/core.js';
import { PackedWeights } from '../../bindings/engine/packed-weights.js';
import { ThreadPool } from '../../bindings/engine/thread-pool.js';
import { packWeights } from '../../bindings/engine/weight-packer.js';
import type { WeightFile } from '../../bindings/weights/types.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { type Graph, GraphBuilder, graphInput, type Parameter, parameters } from '../../models/index.js';
import { eachBinary } from '../support/each-binary.js';
import { assertOutputs } from '../support/evaluate.js';
import { fitting, outputOf, withExecutor } from '../support/executors.js';
import { anyTensors, kept, memoryWeights } from '../support/memory-weights.js';
import { property } from '../support/property.js';
import { assertSameBits } from '../support/records.js';
import { size } from '../support/reference.js';
import { failure, rejection } from '../support/weight-files.js';

/** Every way in which tensors become weights of a step. */
function everything(): Graph {
  const g = new GraphBuilder('everything');
  let x = g.conv('biased', g.input({ h: 6, w: 5, c: 3 }), 8, { kernel: 3, padding: 1, bias: true });
  x = g.relu('relu', g.batchNorm('bn1', g.conv('conv1', x, 12, { kernel: 3, padding: 1, bias: true }), 1e-2));
  x = g.batchNorm('bn2', g.conv('grouped', x, 20, { kernel: 3, padding: 1, groups: 4 }));
  x = g.batchNorm('alone', g.maxPool('pool', x, { kernel: 2 }), 1e-3);
  x = g.conv('pointwise', g.relu('relu2', g.batchNorm('before', x)), 9, { kernel: 1 });
  x = g.batchNorm('bn3', g.linear('hidden', x, 17));
  return g.finish(g.linear('fc', x, 5, false));
}

/** The plain GEMM, or the last of the algorithms that can compute a convolution: Winograd, or the grouped one. */
const CHOICES: Readonly<Record<string, Choose>> = {
  definition: () => 'gemm',
  special: (node, input) => fitting(node, input).at(-1) ?? 'gemm',
};

const graph = everything();
const tensors = anyTensors(graph);
const input = uniform('input', size({ batch: 1, ...graphInput(graph) }), -2, 2);

const run = (core: Core, file: WeightFile, choose: Choose): Promise<Float32Array> =>
  withExecutor(core, graph, file, (executor) => outputOf(executor, input, 1), choose);

/** A list with the last first, and one that `seed` shuffles. */
const reversed = <T>(list: T[]): T[] => [...list].reverse();
const shuffled = <T>(list: T[], seed: number): T[] => {
  const keys = uniform(`order ${seed}`, list.length, 0, 1);
  return list
    .map((_, i) => i)
    .sort((a, b) => (keys[a] as number) - (keys[b] as number))
    .map((i) => list[i] as T);
};

const isNorm = ({ node }: Parameter): boolean => graph.nodes[node]?.kind === 'batchNorm';
const normsFirst = (list: Parameter[]): Parameter[] => [...list.filter(isNorm), ...list.filter((p) => !isNorm(p))];
const normsLast = (list: Parameter[]): Parameter[] => [...list.filter((p) => !isNorm(p)), ...list.filter(isNorm)];

eachBinary('packed weights', (test) => {
  for (const [name, choose] of Object.entries(CHOICES)) {
    test(`${name}: folded batch norms, biases and matrices give the network's output`, async ({ core }) => {
      assertOutputs([await run(core, memoryWeights(graph, tensors), choose)], graph, tensors, input, 1);
    });

    test(`${name}: any order of tensors in any pieces gives the same bits`, async ({ core }) => {
      const expected = await run(core, memoryWeights(graph, tensors), choose);
      for (const arrange of [reversed, normsFirst, normsLast]) {
        const file = memoryWeights(graph, tensors, { arrange: arrange as (list: Parameter[]) => Parameter[] });
        assertSameBits(await run(core, file, choose), expected, arrange.name);
      }
      const anyPieces = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 });
      await property(
        fc.tuple(anyPieces, fc.nat()),
        async ([pieces, seed]) => {
          const file = memoryWeights(graph, tensors, { pieces, arrange: (list) => shuffled(list, seed) });
          assertSameBits(await run(core, file, choose), expected, `pieces ${pieces}, seed ${seed}`);
        },
        { runs: 15 },
      );
    });

    test(`${name}: matrices by input row, as Keras has them, give the same bits`, async ({ core }) => {
      const expected = await run(core, memoryWeights(graph, tensors), choose);
      for (const pieces of [[65536], [7, 1, 30]]) {
        const file = memoryWeights(graph, tensors, { order: 'IO', pieces });
        assertSameBits(await run(core, file, choose), expected, `pieces ${pieces}`);
      }
    });

    test(`${name}: 16-bit floats give the bits that their values give`, async ({ core }) => {
      for (const dtype of ['F16', 'BF16'] as const) {
        const values = new Map([...tensors].map(([tensor, list]) => [tensor, kept(list, dtype)]));
        const expected = await run(core, memoryWeights(graph, values), choose);
        for (const order of ['OI', 'IO'] as const) {
          const file = memoryWeights(graph, tensors, { dtype, order, pieces: [3, 256, 1] });
          assertSameBits(await run(core, file, choose), expected, `${dtype} ${order}`);
        }
      }
    });
  }

  test('rows longer than a piece of staging, and tensors of several pieces', async ({ core }) => {
    const g = new GraphBuilder('wide');
    // A row of 1.2 MB; 1.2 MB of short rows.
    const hidden = g.linear('hidden', g.input({ h: 64, w: 64, c: 72 }), 10);
    const wide = g.finish(g.linear('fc', g.linear('many', hidden, 30000), 3));
    const values = anyTensors(wide);
    const x = uniform('input', 64 * 64 * 72, -1, 1);
    const results: Float32Array[] = [];
    for (const options of [
      { pieces: [2 ** 22] },
      { pieces: [65537, 3, 1000003] },
      { order: 'IO', pieces: [99991] },
    ] as const) {
      const file = memoryWeights(wide, values, options);
      results.push(await withExecutor(core, wide, file, (executor) => outputOf(executor, x, 1)));
    }
    assertOutputs([results[0] as Float32Array], wide, values, x, 1);
    for (const result of results) assertSameBits(result, results[0] as Float32Array, 'wide');
  });

  test('bytes so far grow from piece to piece, up to the total', async ({ core }) => {
    const mark = core.arena.mark();
    const file = memoryWeights(graph, tensors, { pieces: [50] });
    const seen: number[] = [];
    const names = new Set<string>();
    await packWeights(
      core,
      await ThreadPool.start(core, 1),
      graph,
      new PackedWeights(core, makePlan(graph)),
      file,
      ({ name }, loaded) => {
        seen.push(loaded);
        names.add(name);
      },
      undefined,
    );
    assert.ok(seen.every((n, i) => n > (seen[i - 1] ?? 0)));
    assert.is(seen.at(-1), file.total);
    assert.equal(
      [...names],
      parameters(graph).map(({ name }) => name),
    );
    core.arena.release(mark);
  });

  test('what loading took beside the weights is given back, and is a piece of staging at most', async ({ core }) => {
    const g = new GraphBuilder('large');
    const large = g.finish(g.linear('fc', g.input({ h: 1, w: 1, c: 2048 }), 1000));
    const mark = core.arena.mark();
    const pool = await ThreadPool.start(core, 1);
    const begin = core.arena.mark();
    const packed = new PackedWeights(core, makePlan(large));
    const end = core.arena.mark();
    assert.is(packed.bytes, end - begin);
    assert.ok(packed.bytes >= (2048 + 1) * 1000 * 4 && packed.bytes < (2048 + 1) * 1000 * 4 + 256, `${packed.bytes}`);
    const before = core.arena.memory.buffer.byteLength;
    await packWeights(core, pool, large, packed, memoryWeights(large, anyTensors(large)), () => {}, undefined);
    assert.is(core.arena.mark(), end);
    const page = 65536;
    assert.ok(core.arena.memory.buffer.byteLength <= Math.max(before, end + 2 ** 20 + page));
    core.arena.release(mark);
  });
});

eachBinary('packed weights, failing', (test) => {
  /** What a load rejects with; afterwards nothing but the weights' own place is taken. */
  async function broken(core: Core, file: WeightFile, signal?: AbortSignal): Promise<unknown> {
    const mark = core.arena.mark();
    const pool = await ThreadPool.start(core, 1);
    const packed = new PackedWeights(core, makePlan(graph));
    const end = core.arena.mark();
    const reason = await rejection(packWeights(core, pool, graph, packed, file, () => {}, signal));
    assert.is(core.arena.mark(), end);
    core.arena.release(mark);
    return reason;
  }

  test('an error of the file is what load rejects with, wherever it comes', async ({ core }) => {
    const error = new Error('disk: expected bytes, got none.');
    for (const at of [0, 1, 17, 40]) {
      const file = memoryWeights(graph, tensors, { pieces: [100], failure: { at, error } });
      assert.is(await broken(core, file), error);
    }
  });

  test('an abort between pieces is what load rejects with', async ({ core }) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const file = memoryWeights(graph, tensors, { pieces: [100] });
    const { pieces } = file;
    let count = 0;
    const aborting = {
      ...file,
      async *pieces() {
        for await (const piece of pieces()) {
          if (++count === 12) controller.abort(reason);
          yield piece;
        }
      },
    };
    assert.is(await broken(core, aborting, controller.signal), reason);
    assert.is(count, 12);
  });

  test('a file with a tensor too few, or one that the network does not have, is refused', async ({ core }) => {
    const load = async (file: WeightFile) => {
      const mark = core.arena.mark();
      const pool = await ThreadPool.start(core, 1);
      const packed = new PackedWeights(core, makePlan(graph));
      return failure(packWeights(core, pool, graph, packed, file, () => {}, undefined)).finally(() =>
        core.arena.release(mark),
      );
    };
    const without = memoryWeights(graph, tensors, {
      arrange: (list) => list.filter(({ name }) => name !== 'bn1.bias'),
    });
    assert.is(await load(without), 'bn1.bias: the file ended before this tensor came.');
    const [first] = parameters(graph) as [Parameter];
    const extra = memoryWeights(graph, new Map([...tensors, ['other.weight', input]]), {
      arrange: (list) => [{ ...first, name: 'other.weight' }, ...list],
    });
    assert.is(await load(extra), 'other.weight: the network has no such tensor.');
  });
});
