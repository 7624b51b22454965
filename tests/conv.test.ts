/** Convolutions by records, im2col and Winograd, against float64, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Core } from '../bindings/wasm.js';
import { eachBinary } from './each-binary.js';
import {
  assertSameBits,
  constant,
  Desk,
  type Fields,
  packedGroups,
  padded,
  type Region,
  runRecord,
} from './records.js';
import {
  assertClose,
  type Convolution,
  conv2d,
  epilogue,
  type Maps,
  type Reference,
  size,
  windowMaps,
} from './reference.js';
import { uniform } from './reference-weights.js';

interface Case {
  readonly from: Maps;
  readonly c: number;
  readonly convolution: Convolution;
  readonly relu: boolean;
  readonly residual: 'none' | 'beside' | 'in place';
  /** Channels that pixels of input, output and residual have beside their own. */
  readonly gaps: readonly [number, number, number];
  readonly mr: number;
  /** Outputs of a Winograd tile along a side; 0 for im2col and GEMM. */
  readonly tile: 0 | 2 | 4;
}

interface Operands {
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly residual: Float32Array;
}

function operands({ from, c, convolution: { kernel, groups, dilation, ...window } }: Case): Operands {
  const to = windowMaps(from, c, { kernel, ...window }, dilation);
  return {
    x: uniform('x', size(from), -1, 1),
    weight: uniform('weight', (c * from.c * kernel[0] * kernel[1]) / groups, -1, 1),
    bias: uniform('bias', c, -1, 1),
    residual: uniform('residual', size(to), -1, 1),
  };
}

function referenceOf({ from, c, convolution, relu, residual }: Case, its: Operands): Reference {
  const result = conv2d(its.x, from, its.weight, its.bias, c, convolution);
  return epilogue(result, residual === 'none' ? undefined : its.residual, relu);
}

interface Placed {
  readonly fields: Fields;
  readonly output: Region;
  readonly scratchBytes: number;
}

function place(desk: Desk, one: Case, its: Operands): Placed {
  const { core } = desk;
  const { from, c, convolution, gaps, tile } = one;
  const { kernel, stride, dilation, padding, groups } = convolution;
  const to = windowMaps(from, c, convolution, dilation);
  const [inner, taps] = [from.c / groups, kernel[0] * kernel[1]];
  const input = desk.put(its.x, from.c, from.c + gaps[0]);
  const bias = desk.put(padded(its.bias));
  let weight = desk.put(packedGroups(its.weight, c, c / groups, inner, taps));
  if (tile) {
    const { kernels } = core;
    const transformed = desk.put(new Float32Array(kernels.winogradBytes(tile, from.c, c) / 4));
    kernels.winogradWeights(tile, weight.ptr, transformed.ptr, from.c, c, desk.scratch(288));
    desk.assertIntact('winogradWeights', transformed);
    desk.settle(transformed);
    weight = transformed;
  }
  const inPlace = one.residual === 'in place';
  const pixels = to.batch * to.h * to.w;
  const output = inPlace ? desk.put(its.residual, c, c + gaps[1]) : desk.room(pixels, c, c + gaps[1]);
  const residual = inPlace ? output : desk.put(its.residual, c, c + gaps[2]);
  const fields = {
    flags: (one.relu ? constant(core, 'FLAG_RELU') : 0) | (one.residual === 'none' ? 0 : constant(core, 'FLAG_ADD')),
    mr: one.mr,
    inPtr: input.ptr,
    ldIn: input.ld,
    outPtr: output.ptr,
    ldOut: output.ld,
    residualPtr: residual.ptr,
    ldResidual: residual.ld,
    weightPtr: weight.ptr,
    biasPtr: bias.ptr,
    batch: from.batch,
    ih: from.h,
    iw: from.w,
    ic: from.c,
    oh: to.h,
    ow: to.w,
    oc: c,
    kh: kernel[0],
    kw: kernel[1],
    strideH: stride[0],
    strideW: stride[1],
    dilationH: dilation[0],
    dilationW: dilation[1],
    padTop: padding.top,
    padLeft: padding.left,
    groups,
    winogradTile: tile,
  };
  const scratchBytes = tile ? core.kernels.winogradScratchBytes(tile, from.c) : constant(core, 'SCRATCH_BYTES');
  return { fields, output, scratchBytes };
}

function run(core: Core, one: Case, its: Operands, threads: number, subject: string): Float32Array {
  const desk = new Desk(core);
  try {
    const { fields, output, scratchBytes } = place(desk, one, its);
    runRecord(desk, one.tile ? 'KIND_WINOGRAD' : 'KIND_CONV', fields, threads, scratchBytes);
    desk.assertIntact(subject, output);
    return desk.read(output);
  } finally {
    desk.clear();
  }
}

/**
 * The transforms of F(m×m, 3×3) add and scale what they cannot all take away again: their rounding errors are those of a
 * direct sum times a constant of the method, and every output of a tile has its share of the largest.
 */
const TRANSFORM_ERROR = { 0: 1, 2: 1, 4: 3 } as const;

/** Compares with float64, and with the shares of so many threads. */
function check(core: Core, one: Case, ...threads: number[]): void {
  const its = operands(one);
  const subject = JSON.stringify(one);
  const whole = run(core, one, its, 1, subject);
  const expected = referenceOf(one, its);
  if (one.tile) expected.magnitudes.fill(expected.magnitudes.reduce((a, b) => Math.max(a, b), 0));
  assertClose(whole, expected, subject, TRANSFORM_ERROR[one.tile]);
  for (const count of threads)
    assertSameBits(run(core, one, its, count, subject), whole, `${count} threads: ${subject}`);
}

const anyEpilogue = {
  relu: fc.boolean(),
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
    tile: 0 as const,
  }))
  .filter(({ from, c, convolution }) => {
    const { h, w } = windowMaps(from, c, convolution, convolution.dilation);
    return h > 0 && w > 0;
  });

const PLAIN = { relu: false, residual: 'none', gaps: [0, 0, 0], mr: 6, tile: 0 } as const;

const square = (kernel: number, stride = 1, padding = 0, groups = 1, dilation = 1): Convolution => ({
  kernel: [kernel, kernel],
  stride: [stride, stride],
  dilation: [dilation, dilation],
  padding: { top: padding, left: padding, bottom: padding, right: padding },
  groups,
});

eachBinary('convolution', (test) => {
  test('any kernel, stride, dilation, padding, groups, batch, epilogue and number of threads', ({ core }) => {
    fc.assert(
      fc.property(anyCase, count(2, 4), (one, threads) => check(core, one, threads)),
      { numRuns: 400, seed: 4 },
    );
  });

  test('more rows than a block, and K in several blocks', ({ core }) => {
    const from = { batch: 1, h: 17, w: 18, c: 64 };
    for (const mr of [4, 5, 6]) {
      check(
        core,
        { ...PLAIN, mr, from, c: 9, convolution: square(3, 1, 1), relu: true, residual: 'in place' },
        2,
        3,
        4,
      );
      // K blocks end within a run of channels.
      check(
        core,
        { ...PLAIN, mr, from: { ...from, c: 37 }, c: 8, convolution: square(3, 1, 2), gaps: [3, 0, 0] },
        2,
        3,
        4,
      );
    }
    check(
      core,
      { ...PLAIN, from: { ...from, batch: 2, c: 300 }, c: 17, convolution: square(1), residual: 'beside' },
      2,
      3,
      4,
    );
    check(core, { ...PLAIN, from: { ...from, batch: 2, c: 270 }, c: 5, convolution: square(1, 2) }, 2, 3, 4);
  });

  test('weights larger than the map: threads share the columns', ({ core }) => {
    for (const c of [31, 64]) {
      check(
        core,
        { ...PLAIN, from: { batch: 1, h: 3, w: 2, c: 96 }, c, convolution: square(3, 1, 1), relu: true },
        2,
        3,
        4,
      );
      check(core, {
        ...PLAIN,
        from: { batch: 1, h: 1, w: 1, c: 520 },
        c,
        convolution: square(1),
        residual: 'in place',
      });
    }
  });

  test('the shapes of stems, depthwise and grouped layers', ({ core }) => {
    check(
      core,
      { ...PLAIN, from: { batch: 1, h: 31, w: 30, c: 3 }, c: 16, convolution: square(7, 2, 3), relu: true },
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

eachBinary('convolution by Winograd', (test) => {
  const fours = (min: number, max: number) => count(min, max).map((n) => 4 * n);
  const anyWinograd: fc.Arbitrary<Case> = fc
    .record({
      ...anyEpilogue,
      tile: fc.constantFrom(2 as const, 4 as const),
      from: fc.record({ batch: count(1, 3), h: count(1, 13), w: count(1, 13), c: fours(2, 5) }),
      c: fours(1, 7),
      padding: fc.record({ top: fc.nat(2), left: fc.nat(2), bottom: fc.nat(2), right: fc.nat(2) }),
    })
    .map(({ padding, ...rest }) => ({ ...rest, convolution: { ...square(3), padding } }))
    .filter(({ from, c, convolution }) => {
      const { h, w } = windowMaps(from, c, convolution);
      return h > 0 && w > 0;
    });

  test('any map, padding, channels, batch, epilogue and number of threads', ({ core }) => {
    fc.assert(
      fc.property(anyWinograd, count(2, 4), (one, threads) => check(core, one, threads)),
      { numRuns: 200, seed: 5 },
    );
  });

  test('several blocks of tiles, and of columns', ({ core }) => {
    for (const tile of [2, 4] as const) {
      const convolution = square(3, 1, 1);
      check(
        core,
        { ...PLAIN, tile, from: { batch: 1, h: 20, w: 21, c: 256 }, c: 4, convolution, relu: true },
        2,
        3,
        4,
      );
      check(
        core,
        { ...PLAIN, tile, from: { batch: 1, h: 6, w: 7, c: 8 }, c: 76, convolution, residual: 'in place' },
        2,
        3,
        4,
      );
    }
  });

  test('the binary exports a transform for both tiles', ({ core }) => {
    assert.is(core.kernels.winogradBytes(4, 8, 9), 36 * core.kernels.packedBytes(8, 9));
    assert.is(core.kernels.winogradBytes(2, 8, 9), 16 * core.kernels.packedBytes(8, 9));
  });
});
