/** Kernels of the set `more`, as the rows of their operations call them, against float64, on every binary. */

import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Core } from '../../bindings/engine/core.js';
import { uniform } from '../../bindings/weights/uniform.js';
import {
  type Attributes,
  type Axis,
  type BinaryOperator,
  GraphBuilder,
  inputShapes,
  loadOps,
  type MoreOpKind,
  nodeParameters,
  type ParameterNames,
  type ResizeOp,
  rowOf,
  type Shape,
  type Triple,
  type UnaryOperator,
} from '../../models/index.js';
import { eachBinary } from '../support/each-binary.js';
import { evaluateNode } from '../support/evaluate.js';
import { nodeOf } from '../support/op-examples.js';
import { property } from '../support/property.js';
import { assertSameBits, padded } from '../support/records.js';
import type { Values } from '../support/reference.js';
import { count, runStep } from '../support/run-step.js';

await loadOps(['resize']);

interface Case<Kind extends MoreOpKind> {
  readonly kind: Kind;
  readonly shapes: readonly Shape[];
  readonly attributes: Attributes<Kind>;
  readonly params?: ParameterNames;
  readonly batch: number;
  /** Channels beside those of the inputs, and of the output. */
  readonly gaps: readonly [number, number];
  /** By default from −2 to 2. */
  readonly inputs?: readonly Values[];
  /** A kept weight as its kernel reads it. */
  readonly order?: (weight: Values) => Values;
}

const elements = ({ h, w, c }: Shape): number => h * w * c;

/** A case's result by its kernel, and by its reference. */
function results<Kind extends MoreOpKind>(core: Core, one: Case<Kind>): { actual: Float32Array; expected: Values } {
  const { kind, shapes, batch, gaps, order = (weight) => weight } = one;
  const g = new GraphBuilder('test');
  const ids = shapes.map((shape, i) => g.input(shape, `input${i}`));
  const constant = g.input({ h: 1, w: 1, c: 1 }, 'none');
  const id = g.op(kind, 'n', ids, one.attributes, { params: one.params ?? {} });
  const graph = g.finish(ids.length > 0 ? id : { output: id, constant });
  const node = nodeOf(graph);
  const inputs =
    one.inputs ?? shapes.map((shape, i) => uniform(`${i} ${JSON.stringify(shape)}`, batch * elements(shape), -2, 2));
  const tensors = new Map(
    nodeParameters(graph, node).map(({ name, shape }) => {
      const length = shape.reduce((product, n) => product * n, 1);
      return [name, uniform(name, length, -1, 1)];
    }),
  );
  const first = shapes[0] ?? node.shape;
  const expected = evaluateNode(node, { batch, ...first }, inputs, tensors, shapes);
  const row = rowOf(node);
  const actual = runStep(
    core,
    {
      kind: row.kernel as string,
      from: { batch, ...first },
      to: { batch, ...node.shape },
      x: inputs[0] ?? new Float32Array(batch * elements(first)),
      gaps: row.dense ? [0, 0] : gaps,
      fields: row.fields(node, inputShapes(graph, node)),
    },
    (desk) => {
      const [, other] = shapes;
      const residual = other && desk.put(inputs[1] as Values, other.c, other.c + gaps[1]);
      const weight = tensors.get(node.params.weight ?? '') ?? new Float32Array(node.shape.c).fill(1);
      const bias = tensors.get(node.params.bias ?? '') ?? new Float32Array(node.shape.c);
      return {
        ...(residual ? { residualPtr: residual.ptr, ldResidual: residual.ld } : {}),
        weightPtr: desk.put(padded(core, order(weight))).ptr,
        biasPtr: desk.put(padded(core, bias)).ptr,
      };
    },
  );
  return { actual, expected };
}

/** Fails if a result is further from the reference than a share of the largest value. */
function check<Kind extends MoreOpKind>(core: Core, one: Case<Kind>, share = 2e-6): void {
  const { actual, expected } = results(core, one);
  const largest = Math.max(1, ...Array.from(expected, Math.abs).filter(Number.isFinite));
  assert.is(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    const [got, wanted] = [actual[i] as number, Math.fround(expected[i] as number)];
    if (Object.is(got, wanted) || got === wanted || Math.abs(got - wanted) <= share * largest) continue;
    assert.unreachable(`${one.kind} ${JSON.stringify(one.attributes)}: expected ${wanted} at ${i}, got ${got}.`);
  }
}

/** The same, bit for bit: what moves values. */
function checkBits<Kind extends MoreOpKind>(core: Core, one: Case<Kind>): void {
  const { actual, expected } = results(core, one);
  assertSameBits(actual, Float32Array.from(expected), `${one.kind} ${JSON.stringify(one.attributes)}`);
}

const size = count(1, 9);
const anyShape = fc.record({ h: size, w: size, c: count(1, 13) });
const anyPlace = fc.record({ batch: count(1, 3), gaps: fc.tuple(fc.nat(5), fc.nat(5)) });
const anyAxes = fc.constantFrom<readonly Axis[]>(
  ...([['h'], ['w'], ['c'], ['h', 'w'], ['w', 'c'], ['h', 'w', 'c']] as Axis[][]),
);

const SPECIAL = Float32Array.of(
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1e-30,
  3,
  -3,
  90,
  -90,
  2.5,
  -1.5,
  0.5,
);

/** Numbers that an operator takes. */
const UNARY: { readonly [Operator in UnaryOperator]: readonly [alpha?: number, beta?: number] } = {
  affine: [-1.5, 0.25],
  power: [1.7],
  abs: [],
  sqrt: [],
  exp: [],
  log: [],
  erf: [],
  tanh: [],
  reciprocal: [],
  elu: [1.25],
  selu: [1.6732632, 1.050701],
  celu: [2],
  geluTanh: [],
  softplus: [],
  softsign: [],
  mish: [],
  thresholdedRelu: [0.5],
  floor: [],
  ceil: [],
  round: [],
  sign: [],
};

const BINARY: readonly BinaryOperator[] = [
  ...(['add', 'subtract', 'multiply', 'divide', 'power', 'min', 'max', 'modulo'] as const),
  ...(['equal', 'less', 'lessOrEqual', 'greater', 'greaterOrEqual'] as const),
];

eachBinary('elementwise kernels of the set more', (test) => {
  for (const [name, [alpha, beta]] of Object.entries(UNARY)) {
    const operator = name as UnaryOperator;
    const attributes = { operator, ...(alpha === undefined ? {} : { alpha }), ...(beta === undefined ? {} : { beta }) };
    test(`${operator}, with NaN, infinities and large values`, async ({ core }) => {
      await property(fc.tuple(anyShape, anyPlace), ([shape, place]) =>
        check(core, { kind: 'unary', shapes: [shape], attributes, ...place }),
      );
      const x = Float32Array.from(SPECIAL);
      const shape = { h: 1, w: 1, c: x.length };
      check(core, { kind: 'unary', shapes: [shape], attributes, batch: 1, gaps: [0, 0], inputs: [x] }, 4e-6);
    });
  }

  test('a square and a cube are exact to the last digits', ({ core }) => {
    for (const alpha of [2, 3, 0, -2, 0.5]) {
      const attributes = { operator: 'power', alpha } as const;
      check(core, { kind: 'unary', shapes: [{ h: 3, w: 3, c: 7 }], attributes, batch: 2, gaps: [1, 2] }, 2e-7);
    }
  });

  test('pairs of values, with axes of 1 repeated', async ({ core }) => {
    const ones = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean());
    const any = fc.tuple(anyShape, ones, ones, anyPlace, fc.nat(99));
    const shrunk = ({ h, w, c }: Shape, [a, b, d]: readonly boolean[]) => ({
      h: a ? 1 : h,
      w: b ? 1 : w,
      c: d ? 1 : c,
    });
    await property(
      any,
      ([shape, a, b, place, n]) => {
        const operator = BINARY[n % BINARY.length] as BinaryOperator;
        const shapes = [shrunk(shape, a), shrunk(shape, b)] as const;
        // Few values, so that some are equal; divisors from 1.
        const low = ['divide', 'modulo', 'power'].includes(operator) ? 1 : -2;
        const inputs = shapes.map((each, i) =>
          uniform(`${i}`, place.batch * elements(each), i === 0 && operator !== 'power' ? -2 : low, 2).map(
            (v) => Math.round(v * 4) / 4,
          ),
        );
        const gaps = n % 3 === 0 ? ([0, 0] as const) : place.gaps;
        check(core, { kind: 'binary', shapes, attributes: { operator }, batch: place.batch, gaps, inputs });
      },
      { runs: 400 },
    );
  });
});

eachBinary('matrix products of two values', (test) => {
  test('any sizes, one matrix for all, transposed or not', async ({ core }) => {
    const any = fc.tuple(count(1, 3), count(1, 9), count(1, 19), count(1, 20), fc.nat(2), fc.boolean(), anyPlace);
    await property(any, ([h, m, k, n, single, transposesB, place]) => {
      const a = { h: single === 1 ? 1 : h, w: m, c: k };
      const b = { h: single === 2 ? 1 : h, ...(transposesB ? { w: n, c: k } : { w: k, c: n }) };
      check(core, { kind: 'matmul', shapes: [a, b], attributes: { transposesB }, ...place });
    });
  });

  test('a depth of several panels', ({ core }) => {
    const [a, b] = [
      { h: 1, w: 5, c: 1030 },
      { h: 1, w: 1030, c: 9 },
    ];
    check(core, { kind: 'matmul', shapes: [a, b], attributes: { transposesB: false }, batch: 1, gaps: [0, 3] }, 1e-5);
  });
});

eachBinary('kernels that move values', (test) => {
  test('a constant, for every image', async ({ core }) => {
    await property(fc.tuple(anyShape, anyPlace), ([shape, place]) =>
      checkBits(core, { kind: 'constant', shapes: [], attributes: shape, ...place }),
    );
  });

  test('rearrangements of any axes', async ({ core }) => {
    const any = fc
      .array(count(1, 6), { minLength: 1, maxLength: 5 })
      .chain((dims) => fc.tuple(fc.constant(dims), fc.shuffledSubarray([...dims.keys()], { minLength: dims.length })));
    await property(
      fc.tuple(any, count(1, 2)),
      ([[dims, order], batch]) => {
        const c = dims.reduce((product, n) => product * n, 1);
        const attributes = { h: 1, w: c, c: 1, dims, order };
        checkBits(core, { kind: 'rearrange', shapes: [{ h: 1, w: 1, c }], attributes, batch, gaps: [0, 0] });
      },
      { runs: 300 },
    );
  });

  test('slices, forwards and backwards', async ({ core }) => {
    const axis = fc.tuple(size, fc.nat(8), fc.integer({ min: -3, max: 3 }), count(1, 9));
    await property(
      fc.tuple(axis, axis, axis, anyPlace),
      ([...all]) => {
        const place = all.pop() as { batch: number; gaps: [number, number] };
        const axes = (all as unknown as [number, number, number, number][]).map(([length, at, step, most]) => {
          const start = at % length;
          const room = step > 0 ? Math.floor((length - 1 - start) / step) : step < 0 ? Math.floor(start / -step) : 8;
          return { length, start, step, count: Math.min(most, room + 1) };
        });
        const triple = (key: 'start' | 'step' | 'count' | 'length') =>
          axes.map((each) => each[key]) as unknown as Triple;
        const shape = ([h, w, c]: Triple) => ({ h, w, c });
        const attributes = { ...shape(triple('count')), start: triple('start'), step: triple('step') };
        checkBits(core, { kind: 'slice', shapes: [shape(triple('length'))], attributes, ...place });
      },
      { runs: 300 },
    );
  });

  test('expansions', async ({ core }) => {
    await property(fc.tuple(anyShape, anyShape, anyPlace), ([a, b, place]) => {
      const to = { h: a.h === 1 ? b.h : a.h, w: a.w === 1 ? b.w : a.w, c: a.c === 1 ? b.c : a.c };
      checkBits(core, { kind: 'expand', shapes: [a], attributes: to, ...place });
    });
  });

  test('padding in every mode', async ({ core }) => {
    const sides = fc.tuple(fc.nat(4), fc.nat(4), fc.nat(4));
    const modes = fc.constantFrom('constant' as const, 'edge' as const, 'reflect' as const, 'wrap' as const);
    await property(
      fc.tuple(anyShape, sides, sides, modes, anyPlace),
      ([shape, before, after, mode, place]) => {
        const most = (n: number) => (mode === 'reflect' ? n - 1 : mode === 'wrap' ? n : 4);
        const fit = (list: Triple) =>
          [shape.h, shape.w, shape.c].map((n, i) => Math.min(most(n), list[i] as number)) as unknown as Triple;
        const attributes = { mode, before: fit(before), after: fit(after), value: 0.75 };
        checkBits(core, { kind: 'pad', shapes: [shape], attributes, ...place });
      },
      { runs: 300 },
    );
  });
});

eachBinary('kernels over axes', (test) => {
  for (const reduction of ['mean', 'max', 'sum', 'min', 'product', 'argMax', 'argMin'] as const) {
    test(reduction, async ({ core }) => {
      await property(fc.tuple(anyShape, anyAxes, anyPlace), ([shape, axes, place]) => {
        if (reduction.startsWith('arg') && axes.length > 1) return;
        check(core, { kind: 'reduceAxes', shapes: [shape], attributes: { reduction, axes }, ...place });
      });
    });
  }

  test('more channels than the scratch has room for', ({ core }) => {
    const shapes = [{ h: 2, w: 1, c: 9001 }];
    const place = { batch: 1, gaps: [0, 1] as const };
    check(core, { kind: 'reduceAxes', shapes, attributes: { reduction: 'min', axes: ['h'] }, ...place });
    const wide = [{ h: 2, w: 1, c: 16387 }];
    check(core, { kind: 'softmaxAxes', shapes: wide, attributes: { axes: ['h'], isLog: false }, ...place });
  });

  test('softmax and its logarithm', async ({ core }) => {
    await property(fc.tuple(anyShape, anyAxes, fc.boolean(), anyPlace), ([shape, axes, isLog, place]) =>
      check(core, { kind: 'softmaxAxes', shapes: [shape], attributes: { axes, isLog }, ...place }),
    );
  });
});

eachBinary('norms of values', (test) => {
  const names = fc.constantFrom<ParameterNames>({}, { weight: 'w' }, { bias: 'b' }, { weight: 'w', bias: 'b' });

  test('layer norm, with and without scale and shift', async ({ core }) => {
    await property(fc.tuple(anyShape, names, anyPlace), ([shape, params, place]) =>
      check(core, { kind: 'layerNorm', shapes: [shape], attributes: { eps: 1e-3 }, params, ...place }),
    );
  });

  test('group norm of any groups', async ({ core }) => {
    await property(fc.tuple(anyShape, count(1, 4), names, anyPlace), ([shape, groups, params, place]) => {
      const shapes = [{ ...shape, c: shape.c * groups }];
      check(core, { kind: 'groupNorm', shapes, attributes: { groups, eps: 1e-3 }, params, ...place });
    });
  });

  test('statistics far from zero', ({ core }) => {
    const shape = { h: 16, w: 16, c: 8 };
    const inputs = [uniform('far', elements(shape), 1000, 1001)];
    const place = { batch: 1, gaps: [0, 0] as const, inputs };
    check(core, { kind: 'groupNorm', shapes: [shape], attributes: { groups: 2, eps: 1e-5 }, ...place }, 1e-4);
  });

  test('local response norm', async ({ core }) => {
    const any = fc.tuple(anyShape, count(1, 7), fc.constantFrom(0.75, 0.5, 1.2), anyPlace);
    await property(any, ([shape, size, beta, place]) => {
      const attributes = { size, alpha: 0.5, beta, bias: 1.5 };
      check(core, { kind: 'localResponseNorm', shapes: [shape], attributes, ...place });
    });
  });
});

const anyWindow = fc.record({
  kernel: fc.tuple(count(1, 4), count(1, 4)),
  stride: fc.tuple(count(1, 3), count(1, 3)),
  dilation: fc.tuple(count(1, 3), count(1, 3)),
  sides: fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)),
});

eachBinary('windows', (test) => {
  test('pools with dilation, ceil, padding that counts or does not', async ({ core }) => {
    let pools = 0;
    const any = fc.tuple(anyShape, anyWindow, fc.boolean(), fc.boolean(), fc.boolean(), anyPlace);
    await property(
      any,
      ([shape, { kernel, stride, dilation, sides }, isMax, ceil, countsPadding, place]) => {
        const most = (axis: 0 | 1) => dilation[axis] * (kernel[axis] - 1);
        const [top, left, bottom, right] = sides.map((n, i) => Math.min(n, most((i % 2) as 0 | 1))) as [
          number,
          number,
          number,
          number,
        ];
        if (shape.h + top + bottom <= most(0) || shape.w + left + right <= most(1)) return;
        const padding = { top, left, bottom, right };
        const reduction = isMax ? ('max' as const) : ('mean' as const);
        const attributes = { reduction, kernel, stride, dilation, padding, ceil, countsPadding };
        check(core, { kind: 'dilatedPool', shapes: [shape], attributes, ...place });
        pools++;
      },
      { runs: 400 },
    );
    assert.ok(pools > 200, `${pools}`);
  });

  test('transposed convolutions', async ({ core }) => {
    let made = 0;
    const any = fc.tuple(anyShape, anyWindow, count(1, 3), count(1, 10), fc.nat(3), fc.boolean(), anyPlace);
    await property(
      any,
      ([shape, { kernel, stride, dilation, sides }, groups, outer, extra, hasBias, place]) => {
        const [top, left, bottom, right] = sides;
        const from = { h: shape.h, w: shape.w, c: groups * Math.min(shape.c, 5) };
        const output = (n: number, axis: 0 | 1, pads: number) =>
          (n - 1) * stride[axis] - pads + dilation[axis] * (kernel[axis] - 1) + 1;
        if (output(from.h, 0, top + bottom) < 1 || output(from.w, 1, left + right) < 1) return;
        const attributes = {
          ...{ channels: groups * outer, kernel, stride, dilation, groups },
          ...{ padding: { top, left, bottom, right }, outputPadding: [extra & 1, extra >> 1] as const },
        };
        const inner = from.c / groups;
        const taps = kernel[0] * kernel[1];
        const order = (weight: Values) => {
          const out = new Float32Array(weight.length);
          for (let i = 0; i < from.c; i++)
            for (let o = 0; o < outer; o++)
              for (let t = 0; t < taps; t++) {
                const group = Math.floor(i / inner);
                out[((group * taps + t) * inner + (i % inner)) * outer + o] = weight[
                  (i * outer + o) * taps + t
                ] as number;
              }
          return out;
        };
        const params = hasBias ? { bias: 'b' } : {};
        check(core, { kind: 'convTranspose', shapes: [from], attributes, params, order, ...place });
        made++;
      },
      { runs: 300 },
    );
    assert.ok(made > 150, `${made}`);
  });
});

eachBinary('resize', (test) => {
  const anyResize = fc.record({
    h: count(1, 14),
    w: count(1, 14),
    mode: fc.constantFrom('nearest' as const, 'bilinear' as const, 'cubic' as const),
    coordinates: fc.constantFrom<ResizeOp['coordinates']>(
      ...(['halfPixel', 'asymmetric', 'alignCorners', 'pytorchHalfPixel', 'halfPixelSymmetric'] as const),
    ),
    rounding: fc.constantFrom<ResizeOp['rounding']>('floor', 'ceil', 'preferFloor', 'preferCeil'),
    cubic: fc.constantFrom(-0.75, -0.5),
    excludesOutside: fc.boolean(),
    antialias: fc.boolean(),
  });

  test('every mode, from any size to any', async ({ core }) => {
    await property(
      fc.tuple(anyShape, anyResize, anyPlace),
      ([shape, { excludesOutside, antialias, ...rest }, place]) => {
        const isLinear = rest.mode === 'bilinear';
        const isCubic = rest.mode === 'cubic';
        const attributes = {
          ...rest,
          excludesOutside: isCubic && excludesOutside,
          antialias: antialias && (isLinear || isCubic),
        };
        check(core, { kind: 'resize', shapes: [shape], attributes, ...place });
      },
      { runs: 400 },
    );
  });

  test('a scale of its own', async ({ core }) => {
    const shape = { h: 5, w: 7, c: 6 };
    for (const coordinates of ['halfPixel', 'asymmetric', 'halfPixelSymmetric'] as const) {
      for (const mode of ['nearest', 'bilinear'] as const) {
        const attributes = { h: 8, w: 4, mode, coordinates, rounding: 'floor', scale: [1.75, 0.625] } as const;
        check(core, { kind: 'resize', shapes: [shape], attributes, batch: 2, gaps: [1, 2] });
      }
    }
  });

  test('more columns than the table of taps has room for', ({ core }) => {
    const attributes = { h: 1, w: 7000, mode: 'bilinear', coordinates: 'halfPixel', rounding: 'floor' } as const;
    check(core, { kind: 'resize', shapes: [{ h: 1, w: 3, c: 1 }], attributes, batch: 1, gaps: [0, 0] });
  });

  test('the four pixels of 2 × 2 to 4 × 4, as torch has them', ({ core }) => {
    const first = (mode: 'nearest' | 'bilinear', coordinates: ResizeOp['coordinates']) => {
      const attributes = { h: 4, w: 4, mode, coordinates, rounding: 'floor' } as const;
      const inputs = [Float32Array.of(0, 12, 24, 36)];
      const one = {
        kind: 'resize',
        shapes: [{ h: 2, w: 2, c: 1 }],
        attributes,
        batch: 1,
        gaps: [0, 0],
        inputs,
      } as const;
      return [...results(core, one).actual].slice(0, 8);
    };
    assert.equal(first('nearest', 'asymmetric'), [0, 0, 12, 12, 0, 0, 12, 12]);
    assert.equal(first('bilinear', 'halfPixel'), [0, 3, 9, 12, 6, 9, 15, 18]);
    assert.equal(first('bilinear', 'alignCorners').map(Math.round), [0, 4, 8, 12, 8, 12, 16, 20]);
  });
});
