/** Convolutions by records against float64, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { uniform } from '../../bindings/weights/uniform.js';
import { type Algorithm, type Case, check, operands, PLAIN, run, square } from '../support/convolutions.js';
import { eachBinary } from '../support/each-binary.js';
import { property } from '../support/property.js';
import { assertSameBits, constant, Desk, edges, packedGroups, tileRows } from '../support/records.js';
import { type Activation, activations, type Maps, NONE, RELU, windowMaps } from '../support/reference.js';

const CLIP: Activation = { name: 'CLIP', alpha: -0.5, beta: 0.75 };
const SILU: Activation = { name: 'SILU' };

const anyEpilogue = {
  activation: fc.constantFrom(NONE, RELU, CLIP, SILU),
  residual: fc.constantFrom('none' as const, 'beside' as const, 'in place' as const),
  gaps: fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5)),
  mr: fc.constantFrom(4, 5, 6),
};

const count = (min: number, max: number) => fc.integer({ min, max });
const pairOf = (one: fc.Arbitrary<number>) => fc.tuple(one, one);

const anyCase: fc.Arbitrary<Case> = fc
  .record({
    ...anyEpilogue,
    batch: count(1, 3),
    map: fc.tuple(count(1, 11), count(1, 11)),
    groups: count(1, 3),
    inner: count(1, 11),
    perGroup: count(1, 19),
    kernel: pairOf(count(1, 4)),
    stride: pairOf(count(1, 3)),
    dilation: pairOf(count(1, 2)),
    padding: fc.record({ top: fc.nat(2), left: fc.nat(2), bottom: fc.nat(2), right: fc.nat(2) }),
  })
  .map(({ batch, map: [h, w], groups, inner, perGroup, kernel, stride, dilation, padding, ...rest }) => ({
    ...rest,
    from: { batch, h, w, c: groups * inner },
    c: groups * perGroup,
    convolution: { kernel, stride, dilation, padding, groups },
    algorithm: 'gemm' as const,
    preActivation: false,
  }))
  .filter(({ from, c, convolution }) => {
    const { h, w } = windowMaps(from, c, convolution, convolution.dilation);
    return h > 0 && w > 0;
  });

eachBinary('convolution', (test) => {
  test('any kernel, stride, dilation, padding, groups, batch, epilogue and number of threads', async ({ core }) => {
    await property(fc.tuple(anyCase, count(2, 28)), ([one, threads]) => check(core, one, threads), { runs: 400 });
  });

  test('more rows than a block, and K in several blocks', ({ core }) => {
    const [depth, blockRows] = [constant(core, 'KC'), constant(core, 'MC')];
    const from = { batch: 1, h: Math.ceil(blockRows / 18) + 3, w: 18, c: depth / 4 };
    for (const mr of tileRows(core)) {
      check(
        core,
        { ...PLAIN, mr, from, c: 9, convolution: square(3, 1, 1), activation: RELU, residual: 'in place' },
        2,
        3,
        4,
      );
      // K blocks end within a run of channels.
      check(
        core,
        { ...PLAIN, mr, from: { ...from, c: depth / 4 - 27 }, c: 8, convolution: square(3, 1, 2), gaps: [3, 0, 0] },
        2,
        3,
        4,
      );
    }
    check(
      core,
      { ...PLAIN, from: { ...from, batch: 2, c: depth + 44 }, c: 17, convolution: square(1), residual: 'beside' },
      2,
      3,
      4,
    );
    check(core, { ...PLAIN, from: { ...from, batch: 2, c: depth + 14 }, c: 5, convolution: square(1, 2) }, 2, 3, 4);
  });

  test('weights larger than the map: threads share the columns', ({ core }) => {
    for (const c of [31, 64]) {
      check(
        core,
        { ...PLAIN, from: { batch: 1, h: 3, w: 2, c: 96 }, c, convolution: square(3, 1, 1), activation: RELU },
        2,
        3,
        4,
      );
      check(core, {
        ...PLAIN,
        from: { batch: 1, h: 1, w: 1, c: 2 * constant(core, 'KC') + 8 },
        c,
        convolution: square(1),
        residual: 'in place',
      });
    }
  });

  test('the shapes of stems, depthwise and grouped layers', ({ core }) => {
    check(
      core,
      { ...PLAIN, from: { batch: 1, h: 31, w: 30, c: 3 }, c: 16, convolution: square(7, 2, 3), activation: RELU },
      2,
      3,
      4,
    );
    check(core, { ...PLAIN, from: { batch: 2, h: 9, w: 9, c: 12 }, c: 12, convolution: square(3, 1, 1, 12) }, 2, 3, 4);
    check(
      core,
      { ...PLAIN, from: { batch: 1, h: 8, w: 8, c: 128 }, c: 128, convolution: square(3, 2, 1, 32) },
      2,
      3,
      4,
    );
    check(
      core,
      { ...PLAIN, from: { batch: 1, h: 15, w: 13, c: 6 }, c: 10, convolution: square(5, 1, 4, 2, 2) },
      2,
      3,
      4,
    );
  });

  test('batch norm and ReLU before a pointwise convolution', async ({ core }) => {
    const pointwise = fc.record({
      ...anyEpilogue,
      from: fc.record({
        batch: count(1, 2),
        h: count(1, 9),
        w: count(1, 9),
        c: fc.oneof(count(1, 20), count(250, 530)),
      }),
      c: count(1, 19),
    });
    await property(
      fc.tuple(pointwise, count(2, 4)),
      ([one, threads]) => {
        check(core, { ...PLAIN, ...one, convolution: square(1), preActivation: true }, threads);
      },
      { runs: 60 },
    );
  });

  test('a kernel of one tap in the middle gives the map back, bit for bit', ({ core }) => {
    const from = { batch: 2, h: 5, w: 7, c: 12 };
    const one: Case = { ...PLAIN, from, c: 12, convolution: square(3, 1, 1) };
    const its = operands(one);
    its.weight.fill(0);
    its.bias.fill(0);
    for (let o = 0; o < 12; o++) its.weight[(o * 12 + o) * 9 + 4] = 1;
    assertSameBits(run(core, one, its, 1, 'identity'), its.x, 'identity');
  });
});

eachBinary('grouped convolution by indirection', (test) => {
  test('any kernel, stride, dilation, padding, groups, batch, epilogue and number of threads', async ({ core }) => {
    await property(
      fc.tuple(anyCase, count(2, 4)),
      ([one, threads]) => {
        const { groups } = one.convolution;
        check(core, { ...one, c: Math.min(4 * groups, 20) * groups, algorithm: 'grouped' }, threads);
      },
      { runs: 200 },
    );
  });

  test('many groups, and more tiles than threads want', ({ core }) => {
    const of = (algorithm: Algorithm, groups: number, from: Maps): Case => ({
      ...PLAIN,
      algorithm,
      from,
      c: from.c,
      convolution: square(3, 1, 1, groups),
    });
    for (const [groups, c] of [
      [32, 128],
      [8, 96],
      [2, 24],
    ] as const) {
      check(core, of('grouped', groups, { batch: 1, h: 4, w: 5, c }), 2, 3, 4);
      check(core, of('grouped', groups, { batch: 2, h: 15, w: 16, c }), 2, 3, 4);
    }
  });

  test('pixels around a tile', ({ core }) => {
    for (const w of edges(constant(core, 'GROUPED_ROWS')))
      for (const c of [8, 12, 24]) {
        const from = { batch: 1, h: 1, w, c: 2 * c };
        check(
          core,
          { ...PLAIN, algorithm: 'grouped', from, c: 2 * c, convolution: square(3, 1, 1, 2), activation: RELU },
          2,
        );
      }
  });
});

eachBinary('depthwise convolution', (test) => {
  const depthwise = (one: Omit<Case, 'algorithm' | 'c'>): Case => ({ ...one, algorithm: 'depthwise', c: one.from.c });

  test('any kernel, stride, dilation, padding, channels, batch, epilogue and number of threads', async ({ core }) => {
    const any = fc
      .tuple(anyCase, count(1, 30))
      .map(([{ from, convolution, ...rest }, c]) =>
        depthwise({ ...rest, from: { ...from, c }, convolution: { ...convolution, groups: c } }),
      );
    await property(fc.tuple(any, count(2, 4)), ([one, threads]) => check(core, one, threads), { runs: 600 });
  });

  test('maps around a tile, panels of channels and parts of one', ({ core }) => {
    const pixels = constant(core, 'DEPTHWISE_PIXELS');
    for (const w of edges(pixels).flatMap((n) => [n, n + 2]))
      for (const c of edges(constant(core, 'NR')))
        for (const [kernel, stride] of [
          [3, 1],
          [3, 2],
          [5, 1],
        ] as const) {
          const convolution = square(kernel, stride, kernel >> 1, c);
          const from = { batch: 1, h: 3, w, c };
          for (const isWide of [false, true]) {
            check(
              core,
              depthwise({ ...PLAIN, from, convolution, residual: 'in place', activation: CLIP, isWide }),
              2,
              3,
            );
          }
        }
  });

  test('every activation', ({ core }) => {
    const from = { batch: 2, h: 5, w: 6, c: 21 };
    for (const activation of activations(from.c)) {
      check(core, depthwise({ ...PLAIN, from, convolution: square(3, 1, 1, from.c), activation, gaps: [1, 2, 3] }), 4);
    }
  });

  test('packOI and packIO make its weights of W[C, 1, KH, KW] and of W[KH, KW, C, 1]', ({ core }) => {
    const { kernels } = core;
    for (const [c, taps] of [
      [1, 9],
      [8, 25],
      [19, 9],
    ] as const) {
      const w = uniform('w', c * taps, -1, 1);
      const expected = packedGroups(core, w, { outputs: c, perGroup: c, inner: 1, taps });
      const desk = new Desk(core);
      const byTap = new Float32Array(w.length);
      for (let i = 0; i < c; i++) for (let t = 0; t < taps; t++) byTap[t * c + i] = w[i * taps + t] as number;
      const [oi, io] = [desk.put(new Float32Array(expected.length)), desk.put(new Float32Array(expected.length))];
      assert.is(kernels.packedBytes(taps, c), expected.byteLength);
      kernels.packOI(desk.put(w).ptr, oi.ptr, 0, c, c, 1, taps);
      kernels.packIO(desk.put(byTap).ptr, io.ptr, 0, taps, c, c, taps);
      desk.assertIntact('packing', oi, io);
      assertSameBits(desk.read(oi), expected, 'packOI');
      assertSameBits(desk.read(io), expected, 'packIO');
      desk.clear();
    }
  });
});

eachBinary('convolutions with every activation', (test) => {
  test('im2col, grouped and Winograd, channels of groups in output order', ({ core }) => {
    const from = { batch: 2, h: 6, w: 7, c: 24 };
    for (const activation of activations(24)) {
      const one = { ...PLAIN, from, c: 24, activation, gaps: [1, 2, 3], residual: 'beside' } as const;
      for (const groups of [1, 2, 6]) check(core, { ...one, convolution: square(3, 1, 1, groups) }, 3);
      for (const groups of [2, 6]) {
        check(core, { ...one, convolution: square(3, 2, 1, groups), algorithm: 'grouped' }, 3);
      }
      for (const algorithm of ['winograd2', 'winograd4'] as const) {
        check(core, { ...one, convolution: square(3, 1, 1), algorithm }, 3);
      }
    }
  });
});

eachBinary('convolution by Winograd', (test) => {
  const fours = (min: number, max: number) => count(min, max).map((n) => 4 * n);
  const anyWinograd: fc.Arbitrary<Case> = fc
    .record({
      ...anyEpilogue,
      algorithm: fc.constantFrom('winograd2' as const, 'winograd4' as const),
      from: fc.record({ batch: count(1, 3), h: count(1, 13), w: count(1, 13), c: fours(2, 5) }),
      c: fours(1, 7),
      padding: fc.record({ top: fc.nat(2), left: fc.nat(2), bottom: fc.nat(2), right: fc.nat(2) }),
    })
    .map(({ padding, ...rest }) => ({ ...rest, preActivation: false, convolution: { ...square(3), padding } }))
    .filter(({ from, c, convolution }) => {
      const { h, w } = windowMaps(from, c, convolution);
      return h > 0 && w > 0;
    });

  test('any map, padding, channels, batch, epilogue and number of threads', async ({ core }) => {
    await property(fc.tuple(anyWinograd, count(2, 4)), ([one, threads]) => check(core, one, threads), { runs: 200 });
  });

  test('several blocks of tiles, and of columns', ({ core }) => {
    for (const algorithm of ['winograd2', 'winograd4'] as const) {
      const convolution = square(3, 1, 1);
      check(
        core,
        { ...PLAIN, algorithm, from: { batch: 1, h: 20, w: 21, c: 256 }, c: 4, convolution, activation: RELU },
        2,
        3,
        4,
      );
      check(
        core,
        {
          ...PLAIN,
          algorithm,
          from: { batch: 1, h: 6, w: 7, c: 8 },
          c: constant(core, 'WINOGRAD_N_BLOCK') + 12,
          convolution,
          residual: 'in place',
        },
        2,
        3,
        4,
      );
      // Few tiles: a block has as many columns as there are input channels, more than with many tiles. Two blocks.
      const inputs = constant(core, 'WINOGRAD_N_BLOCK') + 32;
      check(
        core,
        {
          ...PLAIN,
          algorithm,
          from: { batch: 1, h: 6, w: 7, c: inputs },
          c: inputs + 12,
          convolution,
          residual: 'beside',
        },
        2,
        3,
      );
    }
  });

  test('the binary exports a transform for both tiles', ({ core }) => {
    assert.is(core.kernels.winogradBytes(4, 8, 9), 36 * core.kernels.packedBytes(8, 9));
    assert.is(core.kernels.winogradBytes(2, 8, 9), 16 * core.kernels.packedBytes(8, 9));
  });
});
