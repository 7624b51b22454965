/** Files that bring their graph. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromTensors } from '../../bindings/weights/from-tensors.js';
import { inspectWeights } from '../../bindings/weights/inspect.js';
import { openWeights } from '../../bindings/weights/open.js';
import { randomWeights } from '../../bindings/weights/random.js';
import { writeSafetensors } from '../../bindings/weights/write.js';
import { graphToJson } from '../../models/graph-json.js';
import { type Graph, GraphBuilder } from '../../models/index.js';
import { concat, failure, readAll, safetensorsFile } from '../support/weight-files.js';

function own(): Graph {
  const g = new GraphBuilder('own “Netz”');
  let x = g.conv('net.stem', g.input({ h: 12, w: 10, c: 3 }), 8, { kernel: 3, padding: [1, 0], bias: true });
  x = g.relu('net.relu', g.add('net.add', g.batchNorm('net.norm', g.conv('net.conv', x, 8, { kernel: 1 })), x));
  return g.finish(g.softmax('net.softmax', g.linear('net.head.fc', g.globalAvgPool('net.pool', x), 5, false)));
}

async function written(...args: Parameters<typeof writeSafetensors>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(...args)) chunks.push(chunk);
  return concat(...chunks);
}

test('a graph goes with its tensors, and comes back equal', async () => {
  const graph = own();
  const tensors = randomWeights(graph, 5);
  const bytes = await written(tensors, { graph });
  const file = await openWeights(bytes);
  assert.equal(file.graph, graph);
  assert.equal(file.metadata, { format: 'pt' });
  assert.equal(await readAll(file), await readAll(tensors));
  // It is kept by default.
  assert.equal(await written(await openWeights(bytes)), bytes);
  assert.is((await openWeights(await written(tensors))).graph, undefined);
  const report = await inspectWeights(bytes);
  assert.is(report.network, undefined);
  assert.equal(
    report.tensors.map(({ name }) => name),
    tensors.tensors.map(({ name }) => name),
  );
});

test('tensors in memory bring a graph too', async () => {
  const graph = own();
  const file = fromTensors([{ name: 'x', shape: [1], data: new Float32Array(1) }], {
    graph,
    config: { convBias: true },
  });
  assert.is(file.graph, graph);
  const read = await openWeights(await written(file));
  assert.equal(read.graph, graph);
  assert.equal(read.config, { convBias: true });
});

test('a graph that cannot be is refused in one sentence, whatever it says', async () => {
  const text = graphToJson(own());
  const refusal = (graph: string) => failure(openWeights(safetensorsFile([], { 'resnet-wasm.graph': graph })));
  assert.match(await refusal('{'), /^weights: header: resnet-wasm\.graph: .*JSON/);
  assert.is(
    await refusal('{}'),
    'weights: header: resnet-wasm.graph: graph: expected { name, nodes: [], outputs: {} }, got other JSON.',
  );
  const long = `\\n\\u0007${'x'.repeat(5000)}`;
  const odd = await refusal(text.replaceAll('net.stem', long).replace('"groups":1', '"groups":3'));
  assert.ok(odd.length < 600);
  assert.match(odd, /^weights: header: resnet-wasm\.graph: \\n/);
});

test.run();
