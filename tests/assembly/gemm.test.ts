/** GEMM and the matrix–vector product by records against float64, on every binary. */

import fc from 'fast-check';
import { test } from 'uvu';
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
  edges,
  packed,
  padded,
  type Region,
  runRecord,
  tileRows,
} from '../support/records.js';
import {
  type Activation,
  activations,
  assertClose,
  epilogue,
  firstFar,
  gemm as gemmReference,
  NONE,
  RELU,
  type Reference,
} from '../support/reference.js';

interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly bias: Float32Array;
  readonly residual: Float32Array;
  readonly reference: Reference;
}

const products = new Map<string, Product>();

/** Seeded operands and their product in float64: computed once for both binaries. */
function product(m: number, n: number, k: number): Product {
  const key = `${m}x${n}x${k}`;
  const known = products.get(key);
  if (known) return known;
  const a = uniform(`a ${key}`, m * k, -1, 1);
  const b = uniform(`b ${key}`, k * n, -1, 1);
  const bias = uniform(`bias ${key}`, n, -1, 1);
  const residual = uniform(`residual ${key}`, m * n, -1, 1);
  const made = { m, n, k, a, b, bias, residual, reference: gemmReference(m, n, k, a, b, bias) };
  products.set(key, made);
  return made;
}

interface Variant {
  readonly mr: number;
  readonly activation: Activation;
  /** Where what is added lies: nothing is, beside C, or in C. */
  readonly residual: 'none' | 'beside' | 'in place';
  /** Elements that rows of A, C and the residual are longer than they need be. */
  readonly gaps: readonly [number, number, number];
  /** Who share rows or panels. */
  readonly threads: number;
}

/** A 1×1 convolution of a map of m pixels is the GEMM. */
function runGemm(core: Core, { m, n, k, a, b, bias, residual }: Product, variant: Variant, subject: string) {
  const desk = new Desk(core);
  try {
    const { gaps, mr, threads } = variant;
    const aRegion = desk.put(a, k, k + gaps[0]);
    const isInPlace = variant.residual === 'in place';
    const c: Region = isInPlace ? desk.put(residual, n, n + gaps[1]) : desk.room(m, n, n + gaps[1]);
    const r = isInPlace ? c : desk.put(residual, n, n + gaps[2]);
    const fields = {
      ...activationFields(desk, variant.activation),
      flags: variant.residual === 'none' ? 0 : constant(core, 'FLAG_ADD'),
      mr,
      inPtr: aRegion.ptr,
      ldIn: aRegion.ld,
      outPtr: c.ptr,
      ldOut: c.ld,
      residualPtr: r.ptr,
      ldResidual: r.ld,
      weightPtr: desk.put(packed(core, b, k, n)).ptr,
      biasPtr: desk.put(padded(core, bias)).ptr,
      ...{ batch: 1, groups: 1, ih: m, iw: 1, ic: k, oh: m, ow: 1, oc: n },
      ...{ kh: 1, kw: 1, strideH: 1, strideW: 1, dilationH: 1, dilationW: 1 },
    };
    runRecord(desk, 'KIND_CONV', fields, threads);
    desk.assertIntact(subject, c);
    return desk.read(c);
  } finally {
    desk.clear();
  }
}

function checkGemm(core: Core, made: Product, variant: Variant): Float32Array {
  const subject = `gemm ${made.m}x${made.n}x${made.k} ${JSON.stringify(variant)}`;
  const result = runGemm(core, made, variant, subject);
  const added = variant.residual === 'none' ? undefined : made.residual;
  assertClose(result, epilogue(made.reference, added, variant.activation), subject);
  return result;
}

const PLAIN = { activation: NONE, residual: 'none', gaps: [0, 0, 0], threads: 1 } as const;

const EPILOGUES = [
  PLAIN,
  { ...PLAIN, activation: RELU, gaps: [3, 1, 2] },
  { ...PLAIN, residual: 'beside', gaps: [0, 5, 1] },
  { ...PLAIN, residual: 'beside', activation: RELU, gaps: [1, 0, 0] },
  { ...PLAIN, residual: 'in place', gaps: [0, 0, 0] },
  { ...PLAIN, residual: 'in place', activation: RELU, gaps: [2, 3, 0] },
  { ...PLAIN, residual: 'beside', activation: { name: 'CLIP', alpha: -0.5, beta: 0.75 }, gaps: [0, 1, 2] },
  { ...PLAIN, residual: 'in place', activation: { name: 'SILU' }, gaps: [0, 1, 0] },
] as const;

/** Depths around that of a block. */
function depths(core: Core): number[] {
  const depth = constant(core, 'KC');
  return [...edges(depth).slice(1), 2 * depth, 2 * depth + 1];
}

eachBinary('gemm', (test) => {
  test('every tile, edge size and epilogue', ({ core }) => {
    for (const mr of tileRows(core))
      for (const m of edges(mr))
        for (const n of new Set([...edges(constant(core, 'NR')), ...edges(constant(core, 'NR_MAX'))]))
          for (const k of [1, 3, 4, 7]) {
            for (const one of EPILOGUES) checkGemm(core, product(m, n, k), { ...one, mr });
          }
  });

  test('every tile around the depth of a block', ({ core }) => {
    for (const mr of tileRows(core))
      for (const m of edges(mr))
        for (const n of [1, constant(core, 'NR'), 2 * constant(core, 'NR') + 3])
          for (const k of depths(core)) {
            for (const one of EPILOGUES) checkGemm(core, product(m, n, k), { ...one, mr });
          }
  });

  test('every tile around the rows of a block', ({ core }) => {
    for (const mr of tileRows(core))
      for (const m of edges(constant(core, 'MC')).slice(1))
        for (const [n, k] of [
          [constant(core, 'NR') + 1, 5],
          [3, constant(core, 'KC') + 1],
        ] as const) {
          checkGemm(core, product(m, n, k), { ...PLAIN, mr });
          checkGemm(core, product(m, n, k), { ...PLAIN, activation: RELU, residual: 'in place', mr });
        }
  });

  test('shares of threads make, bit for bit, the whole', async ({ core }) => {
    const count = (max: number) => fc.integer({ min: 1, max });
    const gap = fc.nat(9);
    const anyCase = fc.record({
      sizes: fc.tuple(count(40), count(80), count(600)),
      mr: fc.constantFrom(...tileRows(core)),
      activation: fc.constantFrom(NONE, RELU, { name: 'GELU' } as const),
      residual: fc.constantFrom('none' as const, 'beside' as const, 'in place' as const),
      gaps: fc.tuple(gap, gap, gap),
      threads: fc.integer({ min: 2, max: 4 }),
    });
    await property(
      anyCase,
      ({ sizes, ...variant }) => {
        const made = product(...sizes);
        const shared = checkGemm(core, made, variant);
        const whole = runGemm(core, made, { ...variant, threads: 1 }, 'whole');
        assertSameBits(shared, whole, `gemm ${sizes} in shares`);
      },
      { runs: 60 },
    );
  });

  test('the identity gives back what it multiplies, bit for bit', ({ core }) => {
    for (const n of [1, 7, 8, 19, 300]) {
      const b = new Float32Array(n * n);
      for (let i = 0; i < n; i++) b[i * n + i] = 1;
      const made = { ...product(7, n, n), b, bias: new Float32Array(n) };
      for (const mr of tileRows(core)) {
        assertSameBits(runGemm(core, made, { ...PLAIN, mr }, 'identity'), made.a, `identity ${n}`);
      }
    }
  });

  test('NaN goes through ReLU; a clamped sum is zero', ({ core }) => {
    const made = product(7, 9, 5);
    const a = made.a.slice();
    a[2 * 5 + 1] = Number.NaN;
    a.fill(Number.POSITIVE_INFINITY, 4 * 5, 4 * 5 + 1);
    const result = runGemm(core, { ...made, a }, { ...PLAIN, activation: RELU, mr: 4 }, 'NaN');
    for (let i = 0; i < 7 * 9; i++) {
      const row = Math.floor(i / 9);
      if (row === 2) assert.ok(Number.isNaN(result[i]), `row 2 holds ${result[i]}`);
      else assert.ok((result[i] as number) >= 0, `row ${row} holds ${result[i]}`);
    }
    assert.ok(result.subarray(4 * 9, 5 * 9).includes(Number.POSITIVE_INFINITY));
  });
});

eachBinary('gemm with every activation', (test) => {
  test('one block and several, whole panels and parts', ({ core }) => {
    // More columns than are activated at a time.
    for (const [m, n, k] of [
      [7, 19, 5],
      [13, 150, 20],
      [3, 9, constant(core, 'KC') + 1],
    ] as const)
      for (const activation of activations(n))
        for (const residual of ['none', 'beside'] as const) {
          const variant: Variant = { ...PLAIN, mr: 5, activation, residual };
          const whole = checkGemm(core, product(m, n, k), variant);
          const shared = checkGemm(core, product(m, n, k), { ...variant, threads: 3 });
          assertSameBits(shared, whole, `gemm, ${activation.name} on threads`);
        }
  });
});

eachBinary('gemv', (test) => {
  /** A linear layer of one image. */
  function check(core: Core, made: Product, activation: Activation, residual: boolean, threads: number): void {
    const { n, k } = made;
    const subject = `gemv ${n}x${k} ${activation.name} on ${threads} threads`;
    const desk = new Desk(core);
    const y = desk.room(1, n);
    const fields = {
      ...activationFields(desk, activation),
      flags: residual ? constant(core, 'FLAG_ADD') : 0,
      inPtr: desk.put(made.a).ptr,
      outPtr: y.ptr,
      residualPtr: residual ? desk.put(made.residual).ptr : 0,
      weightPtr: desk.put(packed(core, made.b, k, n)).ptr,
      biasPtr: desk.put(padded(core, made.bias)).ptr,
      ...{ mr: 4, ldIn: k, ldOut: n, ldResidual: n, batch: 1, ih: 1, iw: 1, ic: k, oh: 1, ow: 1, oc: n },
    };
    runRecord(desk, 'KIND_LINEAR', fields, threads);
    desk.assertIntact(subject, y);
    assertClose(desk.read(y), epilogue(made.reference, residual ? made.residual : undefined, activation), subject);
    desk.clear();
  }

  test('every edge size, number of threads, residual and ReLU', ({ core }) => {
    for (const n of [...edges(constant(core, 'NR')), 1000])
      for (const k of [...edges(4), ...depths(core)])
        for (const activation of [NONE, RELU])
          for (const threads of [1, 3]) check(core, product(1, n, k), activation, threads === 3, threads);
  });

  test('every activation', ({ core }) => {
    for (const n of [3, 8, 21])
      for (const activation of activations(n))
        for (const threads of [1, 2]) check(core, product(1, n, 9), activation, true, threads);
  });
});

test('the tolerance is finer than one wrong product', () => {
  const { m, n, k, a, b, bias, reference } = product(6, 8, 513);
  const wrong = b.slice();
  for (let j = 0; j < n; j++) wrong[77 * n + j] = 0;
  const { values } = gemmReference(m, n, k, a, wrong, bias);
  for (let i = 0; i < values.length; i++) {
    const right = { ...reference, values: reference.values.slice() };
    right.values[i] = values[i] as number;
    assert.is(firstFar(reference.values, right), i);
  }
});

test.run();
