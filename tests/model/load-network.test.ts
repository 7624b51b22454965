/** What `load` takes first: a name, a graph of one's own, or a file that tells which network it is of. */

import '../support/flags.mjs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, type Graph, GraphBuilder, load } from '../../bindings/index.node.js';
import { seededWeights } from '../../bindings/weights/random.js';
import { seededInput, uniform } from '../../bindings/weights/uniform.js';
import { evaluateAll } from '../support/evaluate.js';
import { anyTensors, memoryWeights } from '../support/memory-weights.js';
import { assertSameBits } from '../support/records.js';
import { concat, failure } from '../support/weight-files.js';

async function bytesOf(network: Graph): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const part of seededWeights(network)) parts.push(part);
  return concat(...parts);
}

/** A network that no registry has. */
function own(): Graph {
  const g = new GraphBuilder('own');
  let x = g.conv('stem', g.input({ h: 12, w: 10, c: 3 }), 8, { kernel: 3, padding: 1, bias: true });
  x = g.relu('relu', g.add('add', g.batchNorm('norm', g.conv('conv', x, 8, { kernel: 3, padding: 1 })), x));
  return g.finish(g.linear('head', g.globalAvgPool('pool', x), 5));
}

const cifar = buildNetwork('resnet20_cifar');
const bytes = await bytesOf(cifar);
const input = { data: seededInput([1, 3, 32, 32]), shape: [1, 3, 32, 32], layout: 'NCHW' } as const;

async function expectedOf(): Promise<Float32Array> {
  using model = await load('resnet20_cifar', { weights: bytes, threads: 1 });
  return (await model.run(input)).data;
}

test('a graph of one’s own runs, and gives what its definition says', async () => {
  const graph = own();
  const tensors = anyTensors(graph);
  const data = uniform('picture', 12 * 10 * 3, -2, 2);
  using model = await load(graph, { weights: memoryWeights(graph, tensors), threads: 1 });
  assert.is(model.name, 'own');
  assert.is(model.summary().name, 'own');
  const output = await model.run({ data, shape: [1, 12, 10, 3], layout: 'NHWC' });
  const wanted = evaluateAll(graph, tensors, data, 1).at(-1) as Float64Array;
  assert.equal(output.shape, [1, 5]);
  output.data.forEach((value, i) => {
    assert.ok(Math.abs(value - (wanted[i] as number)) < 1e-5, `${i}: ${value} for ${wanted[i]}`);
  });
});

test('a graph takes seeded weights, and no options of a network', async () => {
  using model = await load(own(), { weights: { seed: 3 }, threads: 1 });
  assert.is(model.info().network, 'own');
  const options = { weights: { seed: 3 }, classes: 7, size: undefined };
  assert.is(await failure(load(own(), options)), 'own: a graph takes no network options, got classes.');
  assert.match(await failure(load(own())), /^own: expected weights \(/);
});

test('a file tells its network by its tensors: from bytes, a path and a URL', async () => {
  const expected = await expectedOf();
  const folder = mkdtempSync(join(tmpdir(), 'load-'));
  try {
    const path = join(folder, 'weights.safetensors');
    writeFileSync(path, bytes);
    for (const source of [bytes, path, pathToFileURL(path), new Blob([bytes])]) {
      using model = await load(source, { threads: 1 });
      assert.is(model.name, 'resnet20_cifar');
      assertSameBits((await model.run(input)).data, expected, String(source).slice(0, 20));
    }
    // Strides leave no trace in tensors: an option says where they are.
    using other = await load(path, { threads: 1, size: 16 });
    assert.equal(other.summary().input, { h: 16, w: 16, c: 3 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what fits no network, or is given twice, is refused in one sentence', async () => {
  const graph = own();
  const foreign = await bytesOf(graph);
  assert.is(
    await failure(load(foreign)),
    'weights: no known network has these tensors (stem.weight, stem.bias, conv.weight and 6 more); name the network, or give its graph.',
  );
  assert.is(
    await failure(load(bytes, { weights: bytes })),
    'weights: expected weights in one place, got them as the first argument and as an option.',
  );
  assert.match(await failure(load('resnet21')), /the closest is resnet/);
  assert.is(await failure(load('./none.safetensors')), './none.safetensors: no such file.');
  const tooMany = await failure(load(graph, { weights: bytes }));
  assert.match(tooMany, /^stem\.weight: expected \[8, 3, 3, 3\], got no such tensor/);
});

test.run();
