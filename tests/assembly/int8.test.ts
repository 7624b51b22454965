/** Convolutions on whole numbers against plain loops, to the bit, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Core } from '../../bindings/engine/core.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { PLAIN, square } from '../support/convolutions.js';
import { eachBinary } from '../support/each-binary.js';
import { property } from '../support/property.js';
import {
  activationFields,
  assertSameBits,
  constant,
  Desk,
  edges,
  padded,
  type Region,
  runRecord,
} from '../support/records.js';
import { type Activation, type Convolution, type Maps, NONE, RELU, size, windowMaps } from '../support/reference.js';
import { greatest, quantConv2d, quantisedImages, quantisedRows, type Whole } from '../support/whole-numbers.js';

interface Case extends Whole {
  readonly from: Maps;
  readonly c: number;
  readonly convolution: Convolution;
  readonly activation: Activation;
  readonly residual: 'none' | 'beside' | 'in place';
  readonly gaps: readonly [number, number, number];
  readonly mr: number;
}

const BYTES: Whole = { low: 0, high: 127, inScale: 0 };
const SIGNED: Whole = { low: -127, high: 127, inScale: 0 };
/** Zero point 100 of 8 bits. */
const ZERO_POINT: Whole = { low: -100, high: 155, inScale: 1 / 128 };

const SIMPLE: Case = { ...PLAIN, ...BYTES, from: { batch: 1, h: 4, w: 5, c: 8 }, c: 8, convolution: square(1) };

const usesBytes = (core: Core, { low, high }: Whole): boolean =>
  constant(core, 'QUANT_BYTES') === 1 && low === 0 && high <= 127;

/** The bits of the greatest magnitudes of images. */
const rangesOf = (values: Float32Array, batch: number): Float32Array => {
  const length = values.length / batch;
  return Float32Array.from({ length: batch }, (_, b) => greatest(values.subarray(b * length, (b + 1) * length)));
};

interface Result {
  readonly output: Float32Array;
  readonly ranges: Float32Array;
}

function run(core: Core, one: Case, its: ReturnType<typeof operands>, threads: number, subject: string): Result {
  const desk = new Desk(core);
  const { kernels, arena } = core;
  try {
    const { from, c, convolution, gaps, low, high, inScale } = one;
    const { kernel, stride, dilation, padding, groups } = convolution;
    const to = windowMaps(from, c, convolution, dilation);
    const [inner, taps, perGroup] = [from.c / groups, kernel[0] * kernel[1], c / groups];
    const bytes = usesBytes(core, one);
    const words = kernels.quantWords(bytes, taps, inner);
    const packedBytes = groups * kernels.packedQuantBytes(bytes, words, perGroup);
    const scaleBytes = padded(core, its.bias).byteLength;
    const weight = desk.put(new Float32Array((packedBytes + scaleBytes) / 4));
    const source = desk.put(its.weight);
    kernels.packF32(
      bytes,
      source.ptr,
      weight.ptr,
      0,
      c,
      perGroup,
      inner,
      taps,
      words,
      weight.ptr + packedBytes,
      desk.scratch(inner * taps),
    );
    desk.assertIntact('packF32', weight);
    desk.settle(weight);
    const input = desk.put(its.x, from.c, from.c + gaps[0]);
    const inPlace = one.residual === 'in place';
    const output: Region = inPlace
      ? desk.put(its.residual, c, c + gaps[1])
      : desk.room(to.batch * to.h * to.w, c, c + gaps[1]);
    const residual = inPlace ? output : desk.put(its.residual, c, c + gaps[2]);
    const outRange = desk.put(new Float32Array(from.batch));
    const pixelWords = kernels.quantWords(bytes, 1, inner);
    const scratchBytes =
      kernels.quantScratchBytes(words) +
      kernels.quantMapBytes(
        kernels.quantBlockRows(words),
        to.h,
        to.w,
        ...(kernel as [number, number]),
        ...(stride as [number, number]),
        ...(dilation as [number, number]),
        pixelWords,
      );
    const fields = {
      ...activationFields(desk, one.activation),
      flags: one.residual === 'none' ? 0 : constant(core, 'FLAG_ADD'),
      mr: one.mr,
      inPtr: input.ptr,
      ldIn: input.ld,
      outPtr: output.ptr,
      ldOut: output.ld,
      residualPtr: residual.ptr,
      ldResidual: residual.ld,
      weightPtr: weight.ptr,
      biasPtr: desk.put(padded(core, its.bias)).ptr,
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
      low,
      high,
      inScale,
      rangePtr: desk.put(rangesOf(its.x, from.batch)).ptr,
      outRangePtr: outRange.ptr,
    };
    runRecord(desk, 'KIND_QUANT_CONV', fields, threads, scratchBytes);
    desk.assertIntact(subject, output, outRange);
    return { output: desk.read(output), ranges: arena.f32(outRange.ptr, from.batch).slice() };
  } finally {
    desk.clear();
  }
}

function operands({ from, c, convolution: { kernel, groups, dilation, ...window }, low }: Case) {
  const to = windowMaps(from, c, { kernel, ...window }, dilation);
  return {
    x: uniform('x', size(from), low === 0 ? 0 : -1, 1.3),
    weight: uniform('weight', (c * from.c * kernel[0] * kernel[1]) / groups, -1, 1),
    bias: uniform('bias', c, -1, 1),
    residual: uniform('residual', size(to), -1, 1),
  };
}

/** Compares with plain loops, and with the shares of so many threads. */
function check(core: Core, one: Case, ...threads: number[]): void {
  const its = operands(one);
  const subject = JSON.stringify(one);
  const expected = quantConv2d(
    quantisedImages(its.x, one.from.batch, one),
    one.from,
    quantisedRows(its.weight, one.c),
    its.bias,
    one.c,
    one.convolution,
    one.residual === 'none' ? undefined : its.residual,
    one.activation,
  );
  for (const count of [1, ...threads]) {
    const { output, ranges } = run(core, one, its, count, subject);
    assertSameBits(output, expected, `${count} threads: ${subject}`);
    assertSameBits(ranges, rangesOf(expected, one.from.batch), `ranges, ${count} threads: ${subject}`);
  }
}

const count = (min: number, max: number) => fc.integer({ min, max });
const pairOf = (one: fc.Arbitrary<number>) => fc.tuple(one, one);

const anyCase: fc.Arbitrary<Case> = fc
  .record({
    whole: fc.constantFrom(BYTES, SIGNED, ZERO_POINT, { ...BYTES, inScale: 1 / 64 }),
    activation: fc.constantFrom<Activation>(NONE, RELU, { name: 'CLIP', alpha: -0.5, beta: 0.75 }),
    residual: fc.constantFrom('none' as const, 'beside' as const, 'in place' as const),
    gaps: fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5)),
    mr: count(4, 6),
    batch: count(1, 3),
    map: pairOf(count(1, 11)),
    groups: count(1, 3),
    inner: count(1, 21),
    perGroup: count(1, 19),
    kernel: pairOf(count(1, 4)),
    stride: pairOf(count(1, 3)),
    dilation: pairOf(count(1, 2)),
    padding: fc.record({ top: fc.nat(2), left: fc.nat(2), bottom: fc.nat(2), right: fc.nat(2) }),
  })
  .map(({ whole, batch, map: [h, w], groups, inner, perGroup, kernel, stride, dilation, padding, ...rest }) => ({
    ...rest,
    ...whole,
    from: { batch, h, w, c: groups * inner },
    c: groups * perGroup,
    convolution: { kernel, stride, dilation, padding, groups },
  }))
  .filter(({ from, c, convolution }) => {
    const { h, w } = windowMaps(from, c, convolution, convolution.dilation);
    return h > 0 && w > 0;
  });

eachBinary('whole numbers', (test) => {
  test('tiles of every size, with what surrounds them', ({ core }) => {
    for (const mr of [4, 5, 6])
      for (const pixels of edges(mr))
        for (const c of edges(constant(core, 'NR')))
          check(core, {
            ...SIMPLE,
            mr,
            from: { batch: 1, h: 1, w: pixels, c: 5 },
            c,
            activation: RELU,
            residual: 'beside',
          });
  });

  test('any kernel, stride, dilation, padding, groups, batch, epilogue and number of threads', async ({ core }) => {
    await property(fc.tuple(anyCase, count(2, 7)), ([one, threads]) => check(core, one, threads), { runs: 300 });
  });

  test('more rows than a block, and deep sums', ({ core }) => {
    for (const whole of [BYTES, SIGNED]) {
      check(
        core,
        { ...SIMPLE, ...whole, from: { batch: 2, h: 17, w: 19, c: 24 }, c: 20, convolution: square(3, 1, 1) },
        2,
        3,
      );
      check(core, { ...SIMPLE, ...whole, from: { batch: 1, h: 7, w: 7, c: 1100 }, c: 17, residual: 'in place' }, 2, 5);
      check(core, { ...SIMPLE, ...whole, from: { batch: 3, h: 1, w: 1, c: 30000 }, c: 9 }, 2);
    }
  });

  test('the largest sums do not leave int32', ({ core }) => {
    assert.is(constant(core, 'QUANT_MAX_K'), 65536);
  });
});
