/** Layers, parameters and multiply–adds, and their table. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { summary } from '../../bindings/compile/summary.js';
import { summaryTable } from '../../cli/summary.js';
import { buildNetwork, GraphBuilder } from '../../models/index.js';

test('the summary counts every layer once and its table shows the totals', () => {
  const graph = buildNetwork('resnet50');
  const { rows, parameters: total, macs, input } = summary(graph);
  assert.equal(input, { h: 224, w: 224, c: 3 });
  assert.is(total, 25557032);
  assert.is(macs, 4089184256);
  assert.is(rows.filter(({ kind }) => kind === 'conv').length, 53);
  assert.is(rows.filter(({ kind }) => kind === 'add').length, 16);
  assert.equal(rows[0], {
    name: 'conv1',
    kind: 'conv',
    operation: 'conv 7x7, stride 2',
    shape: { h: 112, w: 112, c: 64 },
    parameters: 9408 + 128,
    macs: 118013952,
  });
  const lines = summaryTable(summary(graph)).split('\n');
  assert.is(lines[0], 'resnet50, input 224x224x3: 25,557,032 parameters, 4.09 GMACs');
  assert.match(lines.at(-1) ?? '', /^total +25,557,032 +4,089,184,256$/);
  assert.match(lines.join('\n'), /^layer2\.0\.conv2 +conv 3x3, stride 2 +28x28x128 +147,712 +115,605,504$/m);
  assert.is(lines.length, rows.length + 6);
  assert.is(new Set(lines.slice(2).map(({ length }) => length)).size, 1);
});

test('a batch norm that no layer feeds has a row of its own', () => {
  const g = new GraphBuilder('test');
  const pooled = g.maxPool('pool', g.input({ h: 4, w: 4, c: 3 }), { kernel: 2 });
  const { rows, parameters: total } = summary(g.finish(g.relu('relu', g.batchNorm('norm', pooled))));
  assert.equal(
    rows.map(({ name, parameters: n }) => [name, n]),
    [
      ['pool', 0],
      ['norm', 6],
    ],
  );
  assert.is(total, 6);
});

test('activations that no layer ends in, and those with slopes of their own', () => {
  const g = new GraphBuilder('test');
  const pooled = g.relu('relu', g.maxPool('pool', g.input({ h: 4, w: 4, c: 3 }), { kernel: 2 }));
  const conv = g.activation('slopes', g.conv('conv', pooled, 5, { kernel: 1 }), { kind: 'prelu' });
  const { rows, parameters: total } = summary(g.finish(conv));
  assert.equal(
    rows.map(({ name, operation, parameters: n }) => [name, operation, n]),
    [
      ['pool', 'max pool 2x2, stride 2', 0],
      ['relu', 'ReLU', 0],
      ['conv', 'conv 1x1', 3 * 5 + 5],
    ],
  );
  assert.is(total, 20);
});

test('a tensor that layers share counts once, and a batch norm that others read past has a row of its own', () => {
  const g = new GraphBuilder('test');
  const params = { weight: 'w' };
  const a = g.conv('a', g.input({ h: 4, w: 4, c: 4 }), 4, { kernel: 1, params });
  const b = g.conv('b', a, 4, { kernel: 1, params, bias: true });
  const counts = summary(g.finish(g.add('sum', g.batchNorm('norm', b), b)));
  assert.equal(
    counts.rows.map(({ name, parameters: n, macs }) => [name, n, macs]),
    [
      ['a', 16, 256],
      ['b', 4, 256],
      ['norm', 8, 0],
      ['sum', 0, 0],
    ],
  );
  assert.equal([counts.parameters, counts.macs], [28, 512]);
});

test.run();
