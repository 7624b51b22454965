/** The minimiser, on functions whose least place is known. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minimise } from '../../bindings/learning/lbfgs.js';

const quiet = { tolerance: 1e-9, onIteration: () => {} };

test('a quadratic function of very unequal axes', async () => {
  const scales = [1, 10, 100, 1000];
  const at = new Float64Array(4);
  const value = await minimise(
    async (x, gradient) => {
      let sum = 0;
      scales.forEach((scale, i) => {
        const away = (x[i] as number) - i - 1;
        gradient[i] = 2 * scale * away;
        sum += scale * away * away;
      });
      return sum;
    },
    at,
    { ...quiet, iterations: 100 },
  );
  assert.ok(value < 1e-12, `got ${value}`);
  for (const [i, x] of at.entries()) assert.ok(Math.abs(x - i - 1) < 1e-6, `got ${x} for ${i + 1}`);
});

test('each iteration gains, and there are no more than were asked for', async () => {
  const values: number[] = [];
  const objective = async (x: Float64Array, gradient: Float64Array): Promise<number> => {
    const [a] = x as unknown as [number];
    gradient[0] = 4 * (a - 3) ** 3;
    return (a - 3) ** 4;
  };
  const last = await minimise(objective, new Float64Array(1), {
    tolerance: 0,
    iterations: 5,
    onIteration: (_, value) => values.push(value),
  });
  assert.is(values.length, 5);
  assert.is(values.at(-1), last);
  assert.ok(values.every((value, i) => i === 0 || value < (values[i - 1] as number)));
});

test('a gradient of nothing ends it at once', async () => {
  const at = Float64Array.of(7);
  await minimise(async () => 1, at, { ...quiet, iterations: 10 });
  assert.equal(at, Float64Array.of(7));
});

test.run();
