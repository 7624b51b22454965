import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromJson, graphToJson } from '../../models/graph-json.js';
import { buildNetwork, type Graph, GraphBuilder, networkNames } from '../../models/index.js';
import { anyGraph } from '../support/any-graph.js';
import { property } from '../support/property.js';

test('every network comes back as it was', async () => {
  const names = networkNames();
  assert.ok(names.length > 30);
  for (const name of names) {
    const graph = buildNetwork(name);
    assert.equal(await graphFromJson(graphToJson(graph)), graph, name);
  }
});

test('so does any graph', async () => {
  // A copy has the usual prototypes.
  const check = async (graph: Graph) => assert.equal(await graphFromJson(graphToJson(graph)), structuredClone(graph));
  await property(anyGraph, check, { runs: 200 });
});

const small = () => {
  const g = new GraphBuilder('small');
  return g.finish(g.linear('fc', g.conv('conv', g.input({ h: 4, w: 3, c: 2 }), 5, { kernel: 3, bias: true }), 7));
};

/** The message with which the small graph is refused after a change of its JSON. */
async function refusal(change: (json: ReturnType<typeof parsed>) => unknown): Promise<string> {
  const json = parsed();
  const changed = change(json) ?? json;
  try {
    await graphFromJson(JSON.stringify(changed));
  } catch (error) {
    assert.match((error as Error).message, /^[^\n]+: [^\n]+\.$/);
    return (error as Error).message;
  }
  throw new Error('expected a refusal, got none.');
}

interface Json {
  name: unknown;
  nodes: { kind: unknown; name: unknown; inputs: unknown; attributes: Record<string, unknown>; params: unknown }[];
  outputs: unknown;
}

const parsed = (): Json => JSON.parse(graphToJson(small()));

test('what cannot be is refused in one sentence', async () => {
  const node = (i: number, change: object) =>
    refusal((json) => {
      Object.assign(json.nodes[i] ?? {}, change);
    });
  const attribute = (i: number, change: object) =>
    refusal((json) => {
      Object.assign(json.nodes[i]?.attributes ?? {}, change);
    });
  assert.is(await refusal(() => []), 'graph: expected { name, nodes: [], outputs: {} }, got other JSON.');
  for (const key of ['name', 'nodes', 'outputs']) await refusal((json) => ({ ...json, [key]: 7 }));
  await refusal((json) => ({ ...json, nodes: [] }));
  for (const outputs of [{}, { output: 3 }, { output: -1 }, { output: 'fc' }, { output: 0.5 }]) {
    await refusal((json) => ({ ...json, outputs }));
  }
  for (const change of [
    { kind: 'lstm' },
    { kind: 'toString' },
    { kind: 7 },
    { name: 7 },
    { name: 'input' },
    { inputs: [] },
    { inputs: [0, 0] },
    { inputs: [1] },
    { inputs: ['input'] },
    { inputs: 0 },
    { attributes: 3 },
    { attributes: {} },
    { params: [] },
  ]) {
    await node(1, change);
  }
  for (const change of [
    { channels: 0 },
    { channels: '5' },
    { groups: 3 },
    { kernel: [3] },
    { kernel: [9, 9] },
    { kernel: 3 },
    { stride: [0, 1] },
    { dilation: [1, 1e300] },
    { padding: null },
    { padding: [0, 0] },
    { padding: { top: 0, left: -1, bottom: 0, right: 0 } },
  ]) {
    await attribute(1, change);
  }
  for (const change of [{ h: -1 }, { w: 1.5 }, { c: null }]) await attribute(0, change);
});

test.run();
