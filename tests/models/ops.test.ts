/** The table of operations, row by row. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Activation,
  activationFields,
  activationWords,
  type Fields,
  inputShapes,
  kernelConstant,
  macs,
  nodeParameters,
  operationOf,
  ops,
  rowOf,
} from '../../models/index.js';
import { type Build, examples, graphOf, nodeOf } from '../support/op-examples.js';

test('every operation has examples', () => {
  assert.equal(Object.keys(examples).sort(), Object.keys(ops).sort());
  assert.is(Object.keys(ops).length, 31);
});

for (const [kind, list] of Object.entries(examples)) {
  test(`${kind}: shape, words, kernel, parameters, multiply-adds, fields`, () => {
    for (const example of list) {
      const graph = graphOf(example.build);
      const node = nodeOf(graph);
      const row = rowOf(node);
      assert.is(node.kind, kind);
      assert.equal(node.shape, example.shape);
      assert.is(operationOf(node), example.words);
      assert.is(row.kernel, example.kernel);
      assert.is(macs(graph, node), example.macs ?? 0);
      assert.equal(row.fields(node, inputShapes(graph, node)), example.fields ?? {});
      const parameters = nodeParameters(graph, node);
      assert.equal(Object.fromEntries(parameters.map(({ role, shape }) => [role, shape])), example.parameters ?? {});
      assert.ok(parameters.every(({ name, role, node: id }) => name === `n.${role}` && id === node.id));
      assert.equal(
        node.params,
        Object.fromEntries(Object.keys(example.parameters ?? {}).map((role) => [role, `n.${role}`])),
      );
    }
  });
}

test('a product has its vector second, whichever comes first', () => {
  const inputs = (build: Build) => nodeOf(graphOf(build)).inputs;
  assert.equal(
    inputs((g, x, v) => g.mul('n', x, v)),
    [0, 1],
  );
  assert.equal(
    inputs((g, x, v) => g.mul('n', v, x)),
    [0, 1],
  );
  assert.equal(
    inputs((g, x) => g.mul('n', g.relu('y', x), x)),
    [2, 0],
  );
});

test('every activation in words, and in a record', () => {
  const cases: readonly [Activation | undefined, string, string, Fields][] = [
    [undefined, '', 'ACTIVATION_NONE', {}],
    [{ kind: 'relu' }, 'ReLU', 'ACTIVATION_RELU', {}],
    [{ kind: 'clip', low: 0, high: 6 }, 'ReLU6', 'ACTIVATION_CLIP', { alpha: 0, beta: 6 }],
    [{ kind: 'clip', low: -1, high: 0.5 }, 'clip -1 to 0.5', 'ACTIVATION_CLIP', { alpha: -1, beta: 0.5 }],
    [{ kind: 'leakyRelu', slope: 0.01 }, 'leaky ReLU', 'ACTIVATION_LEAKY_RELU', { alpha: 0.01 }],
    [{ kind: 'prelu' }, 'PReLU', 'ACTIVATION_PRELU', {}],
    [{ kind: 'hardSigmoid' }, 'hard sigmoid', 'ACTIVATION_HARD_SIGMOID', { alpha: 1 / 6, beta: 0.5 }],
    [
      { kind: 'hardSigmoid', alpha: 0.2, beta: 0.4 },
      'hard sigmoid',
      'ACTIVATION_HARD_SIGMOID',
      { alpha: 0.2, beta: 0.4 },
    ],
    [{ kind: 'hardSwish' }, 'hard swish', 'ACTIVATION_HARD_SWISH', {}],
    [{ kind: 'sigmoid' }, 'sigmoid', 'ACTIVATION_SIGMOID', {}],
    [{ kind: 'silu' }, 'SiLU', 'ACTIVATION_SILU', {}],
    [{ kind: 'gelu' }, 'GELU', 'ACTIVATION_GELU', {}],
  ];
  for (const [activation, words, constant, fields] of cases) {
    if (activation) assert.is(activationWords(activation), words);
    assert.is(kernelConstant(activation), constant);
    assert.equal(activationFields(activation), fields);
  }
});

test.run();
