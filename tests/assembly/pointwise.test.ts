/** Pools, linear layers, softmax and elementwise steps by records against float64, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Core } from '../../bindings/engine/core.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { eachBinary } from '../support/each-binary.js';
import { property } from '../support/property.js';
import {
  activationFields,
  assertSameBits,
  constant,
  Desk,
  type Fields,
  packedGroups,
  padded,
  type Region,
  runRecord,
} from '../support/records.js';
import {
  type Activation,
  activations,
  adaptiveAvgPool,
  add,
  assertClose,
  avgPool,
  epilogue,
  globalAvgPool,
  linear,
  type Maps,
  mapMax,
  mapSum,
  maxPool,
  type Reference,
  relu,
  size,
  softmax,
  type Values,
  type Window,
  windowMaps,
  zeroPadShortcut,
} from '../support/reference.js';
import { anyGaps, anyMaps, count, data, runStep as run, type Step } from '../support/run-step.js';

/** What is exact, or rounded once for each of `terms` operations on values of about `magnitude`. */
const exactly = (values: Float64Array, terms = 0, magnitude: Values = values.map(Math.abs)): Reference => ({
  values,
  terms,
  magnitudes: Float64Array.from(magnitude, (v) => (terms ? v : 0)),
});

const anyPool = fc
  .record({
    from: anyMaps,
    gaps: anyGaps,
    kernel: fc.tuple(count(1, 4), count(1, 4)),
    stride: fc.tuple(count(1, 3), count(1, 3)),
    // Of half the window at most, as the shape rules have it.
    share: fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2)),
  })
  .map(({ kernel, share: [top, left, bottom, right], stride, ...rest }) => {
    const [v, h] = kernel.map((n) => Math.floor(n / 2)) as [number, number];
    const padding = {
      top: Math.min(top, v),
      left: Math.min(left, h),
      bottom: Math.min(bottom, v),
      right: Math.min(right, h),
    };
    return { ...rest, window: { kernel, stride, padding } };
  })
  .filter(({ from, window }) => {
    const { h, w } = windowMaps(from, from.c, window);
    return h > 0 && w > 0;
  });

const windowFields = ({ kernel, stride, padding }: Window): Fields => ({
  kh: kernel[0],
  kw: kernel[1],
  strideH: stride[0],
  strideW: stride[1],
  padTop: padding.top,
  padLeft: padding.left,
});

const poolStep = (kind: string, x: Values, from: Maps, window: Window, gaps: readonly [number, number]): Step => ({
  kind,
  from,
  to: windowMaps(from, from.c, window),
  x,
  gaps,
  fields: windowFields(window),
});

eachBinary('pools', (test) => {
  test('max pool: any window; what lies outside is minus infinity, even beside negative values', async ({ core }) => {
    await property(
      fc.tuple(anyPool, fc.constantFrom(2, -1)),
      ([{ from, window, gaps }, high]) => {
        const x = data(from, -2, high);
        const result = run(core, poolStep('KIND_MAX_POOL', x, from, window, gaps));
        assertClose(result, exactly(maxPool(x, from, window).values), 'max pool');
      },
      { runs: 150 },
    );
  });

  test('max pool: a NaN anywhere in a window is its result', ({ core }) => {
    const from = { batch: 1, h: 5, w: 5, c: 7 };
    const window: Window = { kernel: [3, 3], stride: [2, 2], padding: { top: 1, left: 1, bottom: 1, right: 1 } };
    for (let pixel = 0; pixel < 25; pixel++) {
      const x = data(from);
      x[pixel * 7 + 1] = Number.NaN;
      x[pixel * 7 + 6] = Number.NaN;
      const result = run(core, poolStep('KIND_MAX_POOL', x, from, window, [0, 0]));
      assertClose(result, exactly(maxPool(x, from, window).values), `NaN at pixel ${pixel}`);
    }
  });

  test('average pool: any window; what lies outside counts in the divisor', async ({ core }) => {
    await property(
      anyPool,
      ({ from, window, gaps }) => {
        const x = data(from);
        const result = run(core, poolStep('KIND_AVG_POOL', x, from, window, gaps));
        assertClose(result, avgPool(x, from, window), 'average pool');
      },
      { runs: 150 },
    );
    const ones = new Float32Array(9).fill(1);
    const window: Window = { kernel: [3, 3], stride: [1, 1], padding: { top: 1, left: 1, bottom: 1, right: 1 } };
    const result = run(core, poolStep('KIND_AVG_POOL', ones, { batch: 1, h: 3, w: 3, c: 1 }, window, [0, 0]));
    assert.is(result[0], Math.fround(Math.fround(1 / 9) * 4));
  });

  test('adaptive average pool: from any map to any, smaller or larger', async ({ core }) => {
    await property(fc.tuple(anyMaps, count(1, 9), count(1, 9), anyGaps), ([from, h, w, gaps]) => {
      const x = data(from);
      const result = run(core, { kind: 'KIND_ADAPTIVE_AVG_POOL', from, to: { ...from, h, w }, x, gaps });
      assertClose(result, adaptiveAvgPool(x, from, h, w), 'adaptive average pool');
    });
  });
});

eachBinary('reductions over the map', (test) => {
  const reduced = (core: Core, reduction: string, x: Values, from: Maps, gaps: readonly [number, number]) => {
    const fields = { reduction: constant(core, reduction) };
    return run(core, { kind: 'KIND_REDUCE', from, to: { ...from, h: 1, w: 1 }, x, gaps, fields });
  };

  test('mean, sum and maximum of any map', async ({ core }) => {
    await property(fc.tuple(anyMaps, anyGaps, fc.constantFrom(2, -1)), ([from, gaps, high]) => {
      const x = data(from, -2, high);
      assertClose(reduced(core, 'REDUCTION_MEAN', x, from, gaps), globalAvgPool(x, from), 'mean');
      assertClose(reduced(core, 'REDUCTION_SUM', x, from, gaps), mapSum(x, from), 'sum');
      assertClose(reduced(core, 'REDUCTION_MAX', x, from, gaps), exactly(mapMax(x, from).values), 'maximum');
    });
  });

  test('a NaN anywhere in a map is its maximum', ({ core }) => {
    const from = { batch: 1, h: 3, w: 3, c: 5 };
    for (let pixel = 0; pixel < 9; pixel++) {
      const x = data(from);
      x[pixel * 5 + 1] = Number.NaN;
      x[pixel * 5 + 4] = Number.NaN;
      const result = reduced(core, 'REDUCTION_MAX', x, from, [0, 0]);
      assertClose(result, exactly(mapMax(x, from).values), `NaN at pixel ${pixel}`);
      assert.ok(Number.isNaN(result[1]) && Number.isNaN(result[4]));
    }
  });
});

eachBinary('records', (test) => {
  test('a kind that the binary does not know traps', ({ core }) => {
    const desk = new Desk(core);
    const kinds = Object.keys(core.constants).filter((name) => name.startsWith('KIND_'));
    assert.is(new Set(kinds.map((name) => constant(core, name))).size, kinds.length);
    const kind = Math.max(...kinds.map((name) => constant(core, name))) + 1;
    assert.throws(() => runRecord(desk, 'KIND_COPY', { kind }), /null function|table index/);
    desk.clear();
  });
});

eachBinary('linear layers', (test) => {
  test('any map and batch, with and without ReLU', async ({ core }) => {
    await property(fc.tuple(anyMaps, count(1, 40), fc.boolean()), ([from, c, hasRelu]) => {
      const [x, bias] = [data(from), uniform('bias', c, -1, 1)];
      const weight = uniform('weight', (c * size(from)) / from.batch, -1, 1);
      const expected = linear(x, from, weight, bias, c);
      const to = { batch: from.batch, h: 1, w: 1, c };
      const fields = { activation: constant(core, hasRelu ? 'ACTIVATION_RELU' : 'ACTIVATION_NONE') };
      const result = run(core, { kind: 'KIND_LINEAR', from, to, x, gaps: [0, 0], fields }, (desk) => ({
        weightPtr: desk.put(
          packedGroups(core, weight, { outputs: c, perGroup: c, inner: from.c, taps: from.h * from.w }),
        ).ptr,
        biasPtr: desk.put(padded(core, bias)).ptr,
      }));
      assertClose(result, hasRelu ? { ...expected, values: relu(expected.values) } : expected, 'linear');
    });
  });
});

eachBinary('softmax', (test) => {
  const row = (core: Core, x: Values, batch = 1): Float32Array => {
    const from = { batch, h: 1, w: 1, c: x.length / batch };
    return run(core, { kind: 'KIND_SOFTMAX', from, to: from, x, gaps: [0, 0] });
  };

  /** The difference to the largest is rounded, then its exponential, then the quotient. */
  const expected = (x: Values, c: number): Reference => {
    const values = softmax(x, c);
    const largest = (i: number) => Math.max(...x.subarray(i - (i % c), i - (i % c) + c));
    const spread = values.map((v, i) => v * (1 + Math.abs((x[i] as number) - largest(i))) + 2 ** -126);
    return exactly(values, 1, spread);
  };

  test('any rows', async ({ core }) => {
    await property(fc.tuple(count(1, 5), count(1, 50), count(1, 80)), ([batch, c, magnitude]) => {
      const x = uniform('logits', batch * c, -magnitude, magnitude);
      assertClose(row(core, x, batch), expected(x, c), 'softmax');
    });
  });

  test('magnitudes at which exp would overflow or vanish', ({ core }) => {
    for (const logits of [
      [1e30, 1e30, -1e30],
      [-3e38, -3e38],
      [1000, 1001, 999, 0],
      [-1000, -1001, -1100],
      [0, -87, -95, -103, -110],
    ]) {
      const x = Float32Array.from(logits);
      const result = row(core, x);
      assertClose(result, expected(x, x.length), `softmax of ${logits}`);
      assert.ok(Math.abs(result.reduce((a, b) => a + b, 0) - 1) < 1e-6);
    }
  });
});

eachBinary('elementwise steps', (test) => {
  const anyCase = fc.record({
    from: anyMaps,
    gaps: anyGaps,
    relu: fc.boolean(),
    residual: fc.constantFrom('none' as const, 'beside' as const, 'in place' as const),
    gap: fc.nat(5),
  });

  /** The flags, and a residual beside the output or in its place. */
  function addition(
    core: Core,
    desk: Desk,
    output: Region,
    r: Values,
    one: { relu: boolean; residual: string; gap: number },
  ): Fields {
    const activation = constant(core, one.relu ? 'ACTIVATION_RELU' : 'ACTIVATION_NONE');
    if (one.residual === 'none') return { activation };
    const flags = constant(core, 'FLAG_ADD');
    if (one.residual === 'in place') {
      const all = core.arena.f32(output.ptr, output.pixels * output.ld);
      for (let i = 0; i < r.length; i++) {
        all[Math.floor(i / output.c) * output.ld + (i % output.c)] = r[i] as number;
      }
      return { activation, flags, residualPtr: output.ptr, ldResidual: output.ld };
    }
    const region = desk.put(r, output.c, output.c + one.gap);
    return { activation, flags, residualPtr: region.ptr, ldResidual: region.ld };
  }

  test('copy, add and ReLU, bit for bit', async ({ core }) => {
    await property(anyCase, ({ from, gaps, ...one }) => {
      const [x, r] = [data(from), uniform('residual', size(from), -2, 2)];
      const result = run(core, { kind: 'KIND_COPY', from, to: from, x, gaps }, (desk, output) =>
        addition(core, desk, output, r, one),
      );
      const sum = Float32Array.from(one.residual === 'none' ? x : add(x, r));
      assertSameBits(result, one.relu ? Float32Array.from(relu(sum)) : sum, 'copy');
    });
  });

  test('NaN and infinities go through ReLU', ({ core }) => {
    const x = Float32Array.of(Number.NaN, -1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN, 2, -3);
    const from = { batch: 1, h: 1, w: 1, c: 7 };
    const fields = { activation: constant(core, 'ACTIVATION_RELU') };
    const result = run(core, { kind: 'KIND_COPY', from, to: from, x, gaps: [0, 0], fields });
    assert.equal([...result], [Number.NaN, 0, 0, Number.POSITIVE_INFINITY, Number.NaN, 2, 0]);
  });

  test('batch norm with add and ReLU', async ({ core }) => {
    await property(anyCase, ({ from, gaps, ...one }) => {
      const [x, r] = [data(from), uniform('residual', size(from), -2, 2)];
      const [scale, shift] = [uniform('scale', from.c, -2, 2), uniform('shift', from.c, -1, 1)];
      const result = run(core, { kind: 'KIND_BATCH_NORM', from, to: from, x, gaps }, (desk, output) => ({
        ...addition(core, desk, output, r, one),
        weightPtr: desk.put(padded(core, scale)).ptr,
        biasPtr: desk.put(padded(core, shift)).ptr,
      }));
      const at = (values: Values, i: number) => values[i % from.c] as number;
      let values: Float64Array = Float64Array.from(x, (v, i) => v * at(scale, i) + at(shift, i));
      if (one.residual !== 'none') values = add(values, r);
      const magnitudes = new Float64Array(values.length).fill(8);
      assertClose(result, { values: one.relu ? relu(values) : values, magnitudes, terms: 1 }, 'batch norm');
    });
  });

  test('products with a map, and with one pixel for each image; every activation', async ({ core }) => {
    await property(
      fc.tuple(anyMaps, anyGaps, fc.boolean(), fc.nat(5), fc.nat(9)),
      ([from, gaps, isBroadcast, gap, i]) => {
        const activation = activations(from.c)[i] as Activation;
        const otherMaps = isBroadcast ? { ...from, h: 1, w: 1 } : from;
        const [x, other] = [data(from), uniform('other', size(otherMaps), -2, 2)];
        const result = run(core, { kind: 'KIND_MUL', from, to: from, x, gaps }, (desk) => {
          const region = desk.put(other, from.c, from.c + gap);
          const flags = isBroadcast ? constant(core, 'FLAG_BROADCAST') : 0;
          return { ...activationFields(desk, activation), flags, residualPtr: region.ptr, ldResidual: region.ld };
        });
        const perImage = from.h * from.w * from.c;
        const factor = (at: number) => other[isBroadcast ? Math.floor(at / perImage) * from.c + (at % from.c) : at];
        const values = Float64Array.from(x, (v, at) => v * (factor(at) as number));
        assertClose(
          result,
          epilogue({ values, magnitudes: values.map(Math.abs), terms: 1 }, undefined, activation),
          'mul',
        );
      },
      { runs: 200 },
    );
  });

  test('the shortcut without parameters: pixels by stride, between zero channels', async ({ core }) => {
    await property(
      fc.tuple(anyMaps, anyGaps, count(1, 3), fc.nat(9), fc.nat(9)),
      ([from, gaps, stride, before, after]) => {
        const x = data(from);
        const to = {
          batch: from.batch,
          h: Math.ceil(from.h / stride),
          w: Math.ceil(from.w / stride),
          c: before + from.c + after,
        };
        const fields = { strideH: stride, strideW: stride, zerosBefore: before };
        const result = run(core, { kind: 'KIND_ZERO_PAD_SHORTCUT', from, to, x, gaps, fields });
        assertSameBits(result, Float32Array.from(zeroPadShortcut(x, from, stride, before, after)), 'shortcut');
      },
    );
  });
});
