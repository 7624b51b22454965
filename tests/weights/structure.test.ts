/** Graphs of the registry's networks are known by what they compute, without names and with batch norms folded. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load } from '../../bindings/index.node.js';
import { randomWeights } from '../../bindings/weights/random.js';
import { asNetwork, networkOf } from '../../bindings/weights/structure.js';
import {
  type Attributes,
  buildNetwork,
  type Graph,
  GraphBuilder,
  type NodeId,
  type OpKind,
} from '../../models/index.js';

/** The graph as exporters write it: batch norms after convolutions are biases, and nothing has its name. */
function folded(graph: Graph): Graph {
  const g = new GraphBuilder('model');
  const ids = new Map<NodeId, NodeId>();
  for (const { id, kind, inputs, name: _, shape: __, params, ...attributes } of graph.nodes) {
    const from = inputs.map((each) => ids.get(each) as NodeId);
    const isFolded = kind === 'batchNorm' && graph.nodes[inputs[0] as NodeId]?.kind === 'conv';
    if (isFolded) {
      ids.set(id, from[0] as NodeId);
      continue;
    }
    const named = Object.fromEntries(Object.keys(params).map((role) => [role, `t${id}.${role}`]));
    const own = kind === 'conv' ? { ...named, bias: `t${id}.bias` } : named;
    ids.set(id, g.op(kind, `n${id}`, from, attributes as Attributes<OpKind>, { params: own }));
  }
  return g.finish(ids.get(graph.outputs[0].node) as NodeId);
}

for (const [network, options] of [
  ['resnet18', {}],
  ['resnet50', { classes: 7 }],
  ['resnet50', { strideIn: 'conv1' }],
  ['densenet121', {}],
  ['vgg11', {}],
] as const) {
  test(`${network} ${JSON.stringify(options)} is known without its names`, () => {
    assert.equal(networkOf(folded(buildNetwork(network, options))), { network, options });
  });
}

test('a graph that computes something else is none', () => {
  const g = new GraphBuilder('other');
  const x = g.conv('conv', g.input({ h: 8, w: 8, c: 3 }), 4, { kernel: 3 });
  const graph = g.finish(g.linear('fc', g.globalAvgPool('pool', x), 10));
  assert.is(networkOf(graph), undefined);
  const file = { ...randomWeights(graph, 1), graph };
  assert.is(asNetwork(file), undefined);
});

test('its tensors get the names of the network, which computes the same with them', async () => {
  const graph = folded(buildNetwork('resnet20_cifar', {}));
  const file = () => ({ ...randomWeights(graph, 3), graph });
  const named = asNetwork(file());
  assert.is(named?.graph, undefined);
  const [own, other] = await Promise.all([
    load('resnet20_cifar', { weights: named, threads: 1 }),
    load(graph, { weights: file(), threads: 1 }),
  ]);
  const data = Float32Array.from({ length: 32 * 32 * 3 }, (_, i) => Math.sin(i));
  const [a, b] = await Promise.all(
    [own, other].map((model) => model.run({ data, shape: [1, 32, 32, 3], layout: 'NHWC' })),
  );
  const largest = Math.max(...(b?.data ?? []).map(Math.abs));
  for (const [i, value] of (b?.data ?? []).entries()) {
    assert.ok(Math.abs((a?.data[i] as number) - value) <= 1e-5 * largest, `class ${i}: ${a?.data[i]} for ${value}`);
  }
  own.dispose();
  other.dispose();
});

test.run();
