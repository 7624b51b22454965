/** Logistic regression against its definition in float64. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import '../../bindings/index.node.js';
import { RowMatrix } from '../../bindings/engine/row-matrix.js';
import { type Examples, fit } from '../../bindings/learning/logistic.js';
import { uniform } from '../../bindings/weights/uniform.js';

/** Examples of classes around places of their own, some of which do not count. */
async function examplesOf(count: number, columns: number, classCount: number): Promise<Examples> {
  const rows = await RowMatrix.create(columns);
  const classes = Array.from({ length: count }, (_, i) => i % classCount);
  for (let i = 0; i < count; i++) {
    const centre = uniform(`class ${classes[i]}`, columns, 2, 4);
    rows.push(uniform(`example ${i}`, columns, -1, 1).map((value, k) => value + (centre[k] as number)));
  }
  return { rows, classes, weights: Float64Array.from({ length: count }, (_, i) => [1, 2, 0, 0.5][i % 4] as number) };
}

const options = { epochs: 500, l2: 0.01, onEpoch: () => {} };

/** Largest derivative of the loss with respect to any weight or bias, by loops. */
function steepest({ rows, classes, weights }: Examples, weight: Float32Array, bias: Float32Array, l2: number): number {
  const [count, columns] = [bias.length, rows.columns];
  const slopes = Array.from(weight, (value) => l2 * value);
  const biasSlopes = new Array<number>(count).fill(0);
  const total = weights.reduce((sum, each) => sum + each, 0);
  for (let i = 0; i < rows.length; i++) {
    const x = rows.row(i);
    const powers = Array.from(bias, (shift, c) =>
      Math.exp(x.reduce((sum, value, k) => sum + value * (weight[c * columns + k] as number), shift)),
    );
    const sum = powers.reduce((a, b) => a + b, 0);
    powers.forEach((power, c) => {
      const error = ((weights[i] as number) * (power / sum - (classes[i] === c ? 1 : 0))) / total;
      biasSlopes[c] = (biasSlopes[c] as number) + error;
      x.forEach((value, k) => {
        slopes[c * columns + k] = (slopes[c * columns + k] as number) + error * value;
      });
    });
  }
  return Math.max(...[...slopes, ...biasSlopes].map(Math.abs));
}

for (const [count, columns, classCount] of [
  [12, 3, 2],
  [300, 17, 3],
  [513, 64, 9],
] as const) {
  test(`the loss of ${count} examples of ${columns} values and ${classCount} classes is level at the end`, async () => {
    const examples = await examplesOf(count, columns, classCount);
    const { weight, bias } = await fit(examples, classCount, options);
    assert.is(weight.length, columns * classCount);
    const slope = steepest(examples, weight, bias, options.l2);
    assert.ok(slope < 5e-4, `got a slope of ${slope}`);
    const start = steepest(examples, new Float32Array(weight.length), new Float32Array(classCount), options.l2);
    assert.ok(start > 100 * slope, `got a slope of ${start} at first`);
  });
}

test('products are those of float64, over several blocks', async () => {
  const { rows, classes } = await examplesOf(600, 13, 5);
  const layer = { weight: uniform('weight', 5 * 13, -1, 1), bias: uniform('bias', 5, -1, 1) };
  const scores = rows.scores(layer);
  assert.is(scores.length, 3000);
  for (let i = 0; i < 600; i++) {
    layer.bias.forEach((shift, c) => {
      const expected = rows.row(i).reduce((sum, x, k) => sum + x * (layer.weight[c * 13 + k] as number), shift);
      assert.ok(Math.abs((scores[i * 5 + c] as number) - expected) < 1e-4);
    });
  }
  // Errors that are 1 for the class of a row and 0 otherwise: sums of the rows of each class.
  const gradient = rows.gradient(layer, (part, first) => {
    for (let i = 0; i < part.length; i++) part[i] = classes[first + Math.floor(i / 5)] === i % 5 ? 1 : 0;
  });
  for (let c = 0; c < 5; c++) {
    for (let k = 0; k < 13; k++) {
      const expected = classes.reduce((sum, each, i) => sum + (each === c ? (rows.row(i)[k] as number) : 0), 0);
      assert.ok(Math.abs((gradient[c * 13 + k] as number) - expected) < 1e-2 * Math.abs(expected) + 1e-3);
    }
  }
});

test('a row that is removed gives its place to the last', async () => {
  const rows = await RowMatrix.create(2);
  for (let i = 0; i < 300; i++) rows.push(Float32Array.of(i, -i));
  rows.remove(10);
  rows.remove(298);
  assert.is(rows.length, 298);
  assert.equal(rows.row(10), Float32Array.of(299, -299));
  assert.equal(rows.row(297), Float32Array.of(297, -297));
});

test('a signal stops it', async () => {
  const examples = await examplesOf(300, 17, 3);
  const controller = new AbortController();
  const onEpoch = (epoch: number): void => {
    if (epoch === 2) controller.abort(new Error('enough'));
  };
  try {
    await fit(examples, 3, { ...options, signal: controller.signal, onEpoch });
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'enough');
  }
});

test.run();
