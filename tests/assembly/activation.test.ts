/** Activations alone, by copies of many values, against float64, on every binary. */

import * as assert from 'uvu/assert';
import type { Core } from '../../bindings/engine/core.js';
import { eachBinary } from '../support/each-binary.js';
import { activationFields, constant, Desk, runRecord } from '../support/records.js';
import { type Activation, activateOne, activations, RELU } from '../support/reference.js';

/** Copies [pixels, c] values through an activation. */
function activated(core: Core, x: Float32Array, c: number, activation: Activation, threads = 1): Float32Array {
  const desk = new Desk(core);
  const [input, output] = [desk.put(x, c), desk.room(x.length / c, c, c + 3)];
  const fields = {
    ...activationFields(desk, activation),
    ...{ inPtr: input.ptr, ldIn: input.ld, outPtr: output.ptr, ldOut: output.ld },
    ...{ batch: 1, ih: x.length / c, iw: 1, ic: c, oh: x.length / c, ow: 1, oc: c },
  };
  runRecord(desk, 'KIND_COPY', fields, threads, constant(core, 'SCRATCH_BYTES'));
  desk.assertIntact(activation.name, output);
  const result = desk.read(output);
  desk.clear();
  return result;
}

const CHANNELS = 7;
/** Both signs of steps from 2⁻³⁰ to 128, and fine ones around the middle. */
const GRID = Float32Array.from({ length: CHANNELS * 4000 }, (_, i) => {
  if (i % 2) return (i / (CHANNELS * 4000) - 0.5) * 40;
  return (i % 4 ? -1 : 1) * 2 ** ((i / (CHANNELS * 4000)) * 37 - 30);
});

/** Relative to the result, and to what is added up on the way. */
const ERRORS: Record<Activation['name'], readonly [relative: number, absolute: (x: number) => number]> = {
  NONE: [0, () => 0],
  RELU: [0, () => 0],
  CLIP: [0, () => 0],
  LEAKY_RELU: [2 ** -24, () => 0],
  PRELU: [2 ** -24, () => 0],
  HARD_SIGMOID: [2 ** -23, (x) => 2 ** -23 * Math.abs(x)],
  HARD_SWISH: [2 ** -22, (x) => 2 ** -23 * Math.abs(x) * Math.min(1, Math.abs(x))],
  SIGMOID: [3 * 2 ** -23, () => 2 ** -126],
  SILU: [3 * 2 ** -23, () => 2 ** -119],
  // The polynomial's 1.5e-7, and roundings of its coefficients, which are up to 1.5 and of both signs.
  GELU: [2 ** -23, (x) => 4e-7 * Math.min(Math.abs(x), 6)],
};

eachBinary('activations', (test) => {
  test('many values of every magnitude', ({ core }) => {
    const all = activations(CHANNELS);
    assert.is(all.length, Object.keys(core.constants).filter((name) => name.startsWith('ACTIVATION_')).length);
    for (const activation of all) {
      const [relative, absolute] = ERRORS[activation.name];
      const result = activated(core, GRID, CHANNELS, activation);
      GRID.forEach((x, i) => {
        const wanted = activateOne(x, activation, i % CHANNELS);
        const most = relative * Math.abs(wanted) + absolute(x);
        const got = result[i] as number;
        assert.ok(
          Math.abs(got - wanted) <= most,
          `${activation.name}(${x}): expected ${wanted} ± ${most}, got ${got}.`,
        );
      });
    }
  });

  test('results do not depend on the place of a value, nor on threads', ({ core }) => {
    const x = GRID.subarray(0, CHANNELS * 40);
    for (const activation of activations(1)) {
      const whole = activated(core, x, 1, activation);
      for (const c of [2, 4, 5, 8]) {
        const slopes = activation.slopes && new Float32Array(c).fill(activation.slopes[0] as number);
        for (const threads of [1, 3]) {
          assert.equal(activated(core, x, c, slopes ? { ...activation, slopes } : activation, threads), whole);
        }
      }
    }
  });

  test('NaN stays NaN, in vectors and in what is left over', ({ core }) => {
    for (const activation of activations(7)) {
      for (let at = 0; at < 7; at++) {
        const x = new Float32Array(7).fill(0.5);
        x[at] = Number.NaN;
        const result = activated(core, x, 7, activation);
        result.forEach((v, i) => {
          assert.is(Number.isNaN(v), i === at, `${activation.name}, NaN at ${at}: got ${v} at ${i}.`);
        });
      }
    }
  });

  test('infinities and the largest values', ({ core }) => {
    const x = Float32Array.of(Number.POSITIVE_INFINITY, 3e38, -3e38, Number.NEGATIVE_INFINITY);
    const of = (activation: Activation) => [...activated(core, x, 4, activation)];
    const large = Math.fround(3e38);
    assert.equal(of(RELU), [Number.POSITIVE_INFINITY, large, 0, 0]);
    assert.equal(of({ name: 'CLIP', alpha: 0, beta: 6 }), [6, 6, 0, 0]);
    assert.equal(of({ name: 'SIGMOID' }), [1, 1, 0, 0]);
    assert.equal(of({ name: 'HARD_SIGMOID', alpha: 0.25, beta: 0.5 }), [1, 1, 0, 0]);
    assert.equal(
      of({ name: 'SILU' }).map((v) => v + 0),
      [Number.POSITIVE_INFINITY, large, 0, Number.NaN],
    );
    assert.equal(
      of({ name: 'HARD_SWISH' }).map((v) => v + 0),
      [Number.POSITIVE_INFINITY, large, 0, Number.NaN],
    );
    assert.equal(
      of({ name: 'GELU' }).map((v) => v + 0),
      [Number.POSITIVE_INFINITY, large, 0, 0],
    );
    assert.equal(of({ name: 'LEAKY_RELU', alpha: 0.5 }), [
      Number.POSITIVE_INFINITY,
      large,
      -large / 2,
      Number.NEGATIVE_INFINITY,
    ]);
  });
});
