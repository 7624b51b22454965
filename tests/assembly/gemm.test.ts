/** GEMM and the matrix–vector product against float64, on every binary. */

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Core } from '../../bindings/engine/core.js';
import { uniform } from '../../bindings/weights/random.js';
import { eachBinary } from '../support/each-binary.js';
import { assertSameBits, constant, Desk, kernelsOf, NR, packed, padded, type Region } from '../support/records.js';
import { assertClose, epilogue, firstFar, gemm as gemmReference, type Reference } from '../support/reference.js';

// assembly/tile.ts
const [KC, MC] = [256, 240];
const TILE_ROWS = [4, 5, 6];

/** DESIGN.md's rule for sizes that a loop may get wrong. */
const edges = (tile: number): number[] => [1, tile - 1, tile, tile + 1, 2 * tile + 3];

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
  readonly relu: boolean;
  /** Where what is added lies: nothing is, beside C, or in C. */
  readonly residual: 'none' | 'beside' | 'in place';
  /** Elements that rows of A, C and the residual are longer than they need be. */
  readonly gaps: readonly [number, number, number];
  /** Rows and panels are computed in so many shares. */
  readonly shares: readonly [number, number];
}

function runGemm(core: Core, { m, n, k, a, b, bias, residual }: Product, variant: Variant, subject: string) {
  const desk = new Desk(core);
  try {
    const { gaps, mr, shares } = variant;
    const aRegion = desk.put(a, k, k + gaps[0]);
    const bRegion = desk.put(packed(b, k, n));
    const biasRegion = desk.put(padded(bias));
    const inPlace = variant.residual === 'in place';
    const c: Region = inPlace ? desk.put(residual, n, n + gaps[1]) : desk.room(m, n, n + gaps[1]);
    const r = inPlace ? c : desk.put(residual, n, n + gaps[2]);
    const flags =
      (variant.relu ? constant(core, 'FLAG_RELU') : 0) | (variant.residual === 'none' ? 0 : constant(core, 'FLAG_ADD'));
    const scratch = desk.scratch(constant(core, 'SCRATCH_BYTES'));
    const panels = Math.ceil(n / NR);
    const share = (units: number, t: number, of: number) => Math.floor((units * t) / of);
    for (let s = 0; s < shares[0]; s++) {
      for (let t = 0; t < shares[1]; t++) {
        const [m0, m1] = [share(m, s, shares[0]), share(m, s + 1, shares[0])];
        const [j0, j1] = [share(panels, t, shares[1]), share(panels, t + 1, shares[1])];
        kernelsOf(core).gemm(
          m0,
          m1,
          j0,
          j1,
          n,
          k,
          aRegion.ptr,
          aRegion.ld,
          bRegion.ptr,
          biasRegion.ptr,
          c.ptr,
          c.ld,
          r.ptr,
          r.ld,
          flags,
          mr,
          scratch,
          0,
          0,
        );
      }
    }
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
  assertClose(result, epilogue(made.reference, added, variant.relu), subject);
  return result;
}

const PLAIN = { relu: false, residual: 'none', gaps: [0, 0, 0], shares: [1, 1] } as const;

const EPILOGUES = [
  PLAIN,
  { ...PLAIN, relu: true, gaps: [3, 1, 2] },
  { ...PLAIN, residual: 'beside', gaps: [0, 5, 1] },
  { ...PLAIN, residual: 'beside', relu: true, gaps: [1, 0, 0] },
  { ...PLAIN, residual: 'in place', gaps: [0, 0, 0] },
  { ...PLAIN, residual: 'in place', relu: true, gaps: [2, 3, 0] },
] as const;

eachBinary('gemm', (test) => {
  test('every tile, edge size and epilogue', ({ core }) => {
    for (const mr of TILE_ROWS)
      for (const m of edges(mr))
        for (const n of edges(NR))
          for (const k of [1, 3, 4, 7]) {
            for (const one of EPILOGUES) checkGemm(core, product(m, n, k), { ...one, mr });
          }
  });

  test('every tile around the depth of a block', ({ core }) => {
    for (const mr of TILE_ROWS)
      for (const m of edges(mr))
        for (const n of [1, NR, 2 * NR + 3])
          for (const k of [...edges(KC).slice(1), 2 * KC, 2 * KC + 1]) {
            for (const one of EPILOGUES) checkGemm(core, product(m, n, k), { ...one, mr });
          }
  });

  test('every tile around the rows of a block', ({ core }) => {
    for (const mr of TILE_ROWS)
      for (const m of edges(MC).slice(1))
        for (const [n, k] of [
          [NR + 1, 5],
          [3, KC + 1],
        ] as const) {
          checkGemm(core, product(m, n, k), { ...PLAIN, mr });
          checkGemm(core, product(m, n, k), { ...PLAIN, relu: true, residual: 'in place', mr });
        }
  });

  test('shares of rows and panels make, bit for bit, the whole', ({ core }) => {
    const count = (max: number) => fc.integer({ min: 1, max });
    const gap = fc.nat(9);
    const anyCase = fc.record({
      sizes: fc.tuple(count(40), count(40), count(600)),
      mr: fc.constantFrom(...TILE_ROWS),
      relu: fc.boolean(),
      residual: fc.constantFrom('none' as const, 'beside' as const, 'in place' as const),
      gaps: fc.tuple(gap, gap, gap),
      shares: fc.tuple(count(4), count(4)),
    });
    fc.assert(
      fc.property(anyCase, ({ sizes, ...variant }) => {
        const made = product(...sizes);
        const shared = checkGemm(core, made, variant);
        const whole = runGemm(core, made, { ...variant, shares: [1, 1] }, 'whole');
        assertSameBits(shared, whole, `gemm ${sizes} in shares`);
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  test('the identity gives back what it multiplies, bit for bit', ({ core }) => {
    for (const n of [1, 7, 8, 19, 300]) {
      const b = new Float32Array(n * n);
      for (let i = 0; i < n; i++) b[i * n + i] = 1;
      const made = { ...product(7, n, n), b, bias: new Float32Array(n) };
      for (const mr of TILE_ROWS) {
        assertSameBits(runGemm(core, made, { ...PLAIN, mr }, 'identity'), made.a, `identity ${n}`);
      }
    }
  });

  test('NaN goes through ReLU; a clamped sum is zero', ({ core }) => {
    const made = product(7, 9, 5);
    const a = made.a.slice();
    a[2 * 5 + 1] = Number.NaN;
    a.fill(Number.POSITIVE_INFINITY, 4 * 5, 4 * 5 + 1);
    const result = runGemm(core, { ...made, a }, { ...PLAIN, relu: true, mr: 4 }, 'NaN');
    for (let i = 0; i < 7 * 9; i++) {
      const row = Math.floor(i / 9);
      if (row === 2) assert.ok(Number.isNaN(result[i]), `row 2 holds ${result[i]}`);
      else assert.ok((result[i] as number) >= 0, `row ${row} holds ${result[i]}`);
    }
    assert.ok(result.subarray(4 * 9, 5 * 9).includes(Number.POSITIVE_INFINITY));
  });
});

eachBinary('gemv', (test) => {
  test('every edge size, share of panels and ReLU', ({ core }) => {
    for (const n of [...edges(NR), 1000])
      for (const k of [...edges(4), ...edges(KC), 2 * KC + 1]) {
        const made = product(1, n, k);
        for (const relu of [false, true])
          for (const shares of [1, 3]) {
            const subject = `gemv ${n}x${k} relu ${relu} in ${shares}`;
            const desk = new Desk(core);
            const x = desk.put(made.a);
            const b = desk.put(packed(made.b, k, n));
            const bias = desk.put(padded(made.bias));
            const y = desk.room(1, n);
            const panels = Math.ceil(n / NR);
            for (let t = 0; t < shares; t++) {
              const [j0, j1] = [Math.floor((panels * t) / shares), Math.floor((panels * (t + 1)) / shares)];
              const flags = relu ? constant(core, 'FLAG_RELU') : 0;
              kernelsOf(core).gemv(j0, j1, n, k, x.ptr, b.ptr, bias.ptr, y.ptr, flags);
            }
            desk.assertIntact(subject, y);
            assertClose(desk.read(y), epilogue(made.reference, undefined, relu), subject);
            desk.clear();
          }
      }
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
