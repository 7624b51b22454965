/** Small random graphs of every operation. */

import fc from 'fast-check';
import { ResnetError } from '../../models/errors.js';
import {
  type Activation,
  type Graph,
  GraphBuilder,
  loadOps,
  type NodeId,
  type Reduction,
  type Triple,
} from '../../models/index.js';

await loadOps(['constant']);

/** One instruction: which operation, on which of the latest values, and numbers that it makes of what it likes. */
interface Instruction {
  readonly op: keyof typeof OPERATIONS;
  readonly back: number;
  readonly other: number;
  readonly numbers: readonly [number, number, number, number];
}

interface Context {
  readonly g: GraphBuilder;
  /** All values so far, the input first. */
  readonly values: readonly NodeId[];
  readonly name: string;
}

/** A later value of the same shape (or, for concatenation, height and width) as `x`, or `x` itself. */
function companion({ g, values }: Context, x: NodeId, other: number, sameChannels: boolean): NodeId {
  const { h, w, c } = g.shape(x);
  const fitting = values.filter((id) => {
    const shape = g.shape(id);
    return shape.h === h && shape.w === w && (!sameChannels || shape.c === c);
  });
  return fitting[other % fitting.length] as NodeId;
}

// Windows, and channels that Winograd and the grouped kernel take as well as ones that they do not.
const KERNELS = [1, 3, 3, 2, 5] as const;
const CHANNELS = [8, 12, 4, 16, 3, 24] as const;
const MOST_CHANNELS = 48;

const pick = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;

function conv({ g, name }: Context, x: NodeId, [kernel, c, stride, rest]: Instruction['numbers']): NodeId {
  const from = g.shape(x).c;
  const size = pick(KERNELS, kernel);
  const outputs = pick(CHANNELS, c);
  const groups = rest % 4 === 1 && from % 4 === 0 && outputs % 4 === 0 ? 4 : 1;
  return g.conv(`${name}.conv`, x, outputs, {
    kernel: size,
    stride: stride % 5 === 4 ? 2 : 1,
    padding: rest % 7 === 6 ? { top: 0, left: 1, bottom: 2, right: 1 } : Math.floor(size / 2),
    dilation: rest % 9 === 8 ? 2 : 1,
    groups,
    bias: rest % 2 === 0,
  });
}

const norm = ({ g, name }: Context, x: NodeId): NodeId => g.batchNorm(`${name}.norm`, x, 1e-3);
const relu = ({ g, name }: Context, x: NodeId): NodeId => g.relu(`${name}.relu`, x);

export const ACTIVATIONS: readonly Activation[] = [
  { kind: 'relu' },
  { kind: 'clip', low: 0, high: 6 },
  { kind: 'clip', low: -0.5, high: 0.5 },
  { kind: 'leakyRelu', slope: 0.2 },
  { kind: 'prelu' },
  { kind: 'silu' },
  { kind: 'sigmoid' },
  { kind: 'hardSwish' },
  { kind: 'hardSigmoid' },
  { kind: 'hardSigmoid', alpha: 0.2, beta: 0.4 },
  { kind: 'gelu' },
];

const REDUCTIONS: readonly Reduction[] = ['mean', 'max', 'sum'];

const activation = ({ g, name }: Context, x: NodeId, n: number): NodeId =>
  g.activation(`${name}.activation`, x, pick(ACTIVATIONS, n));

/** Every operation with what commonly stands around it. Those that cannot be on `x` throw. */
const OPERATIONS = {
  conv: (at: Context, x: NodeId, _: number, n: Instruction['numbers']) => conv(at, x, n),
  convNormRelu: (at: Context, x: NodeId, _: number, n: Instruction['numbers']) => relu(at, norm(at, conv(at, x, n))),
  preActivation: (at: Context, x: NodeId, _: number, [, c]: Instruction['numbers']) =>
    at.g.conv(`${at.name}.conv`, relu(at, norm(at, x)), pick(CHANNELS, c), { kernel: 1 }),
  residual: (at: Context, x: NodeId, _: number, [kernel, , , rest]: Instruction['numbers']) => {
    const size = pick(KERNELS, kernel);
    const padding = { top: size >> 1, left: size >> 1, bottom: (size - 1) >> 1, right: (size - 1) >> 1 };
    const y = at.g.conv(`${at.name}.conv`, x, at.g.shape(x).c, { kernel: size, padding, bias: rest % 2 === 0 });
    const branch = rest % 3 ? norm(at, y) : y;
    const sum = rest % 5 ? at.g.add(`${at.name}.add`, branch, x) : at.g.add(`${at.name}.add`, x, branch);
    return rest % 4 ? relu(at, sum) : sum;
  },
  projection: (at: Context, x: NodeId, other: number, [kernel, c, , rest]: Instruction['numbers']) => {
    const size = 1 + 2 * (kernel % 2);
    const [outputs, stride] = [pick(CHANNELS, c), 1 + (other % 2)];
    const branch = at.g.conv(`${at.name}.conv`, x, outputs, { kernel: size, padding: size >> 1, stride });
    const shortcut = norm(at, at.g.conv(`${at.name}.downsample`, x, outputs, { kernel: 1, stride, bias: true }));
    return relu(
      at,
      rest % 2 ? at.g.add(`${at.name}.add`, branch, shortcut) : at.g.add(`${at.name}.add`, shortcut, branch),
    );
  },
  add: (at: Context, x: NodeId, other: number) => at.g.add(`${at.name}.add`, x, companion(at, x, other, true)),
  concat: (at: Context, x: NodeId, other: number, [a, b]: Instruction['numbers']) => {
    const parts = [x, companion(at, x, other, false), companion(at, x, a, false)].slice(0, 2 + (b % 2));
    const c = parts.reduce((sum, id) => sum + at.g.shape(id).c, 0);
    if (c > MOST_CHANNELS)
      throw new ResnetError('argument', `${at.name}: expected at most ${MOST_CHANNELS} channels, got ${c}.`);
    return at.g.concat(`${at.name}.concat`, parts);
  },
  norm,
  relu,
  maxPool: ({ g, name }: Context, x: NodeId, _: number, [kernel, , stride]: Instruction['numbers']) => {
    const size = 1 + (kernel % 3);
    return g.maxPool(`${name}.pool`, x, { kernel: size, stride: 1 + (stride % 2), padding: size >> 1 });
  },
  avgPool: ({ g, name }: Context, x: NodeId, _: number, [kernel, , stride]: Instruction['numbers']) => {
    const size = 1 + (kernel % 3);
    return g.avgPool(`${name}.pool`, x, { kernel: size, stride: 1 + (stride % 2), padding: size >> 1 });
  },
  adaptivePool: ({ g, name }: Context, x: NodeId, _: number, [h, w]: Instruction['numbers']) =>
    g.adaptiveAvgPool(`${name}.pool`, x, 1 + (h % 9), 1 + (w % 9)),
  shortcut: ({ g, name }: Context, x: NodeId, _: number, [more, , stride]: Instruction['numbers']) =>
    g.zeroPadShortcut(`${name}.shortcut`, x, Math.min(MOST_CHANNELS, g.shape(x).c + 2 * (more % 5)), 1 + (stride % 2)),
  activation: (at: Context, x: NodeId, other: number) => activation(at, x, other),
  convActivation: (at: Context, x: NodeId, other: number, n: Instruction['numbers']) =>
    activation(at, n[1] % 2 ? norm(at, conv(at, x, n)) : conv(at, x, n), other),
  residualActivation: (at: Context, x: NodeId, other: number, [kernel, , , rest]: Instruction['numbers']) => {
    const size = 1 + 2 * (kernel % 2);
    const y = at.g.conv(`${at.name}.conv`, x, at.g.shape(x).c, { kernel: size, padding: size >> 1 });
    return activation(at, at.g.add(`${at.name}.add`, rest % 2 ? y : x, rest % 2 ? x : y), other);
  },
  depthwise: (at: Context, x: NodeId, other: number, [kernel, , stride, rest]: Instruction['numbers']) => {
    const { c } = at.g.shape(x);
    const size = pick(KERNELS, kernel);
    const window = { kernel: size, padding: size >> 1, stride: 1 + (stride % 2), groups: c, bias: rest % 2 === 0 };
    return activation(at, at.g.conv(`${at.name}.depthwise`, x, c, window), other);
  },
  /** Hu et al. 2018, with a map of any size. */
  squeezeExcite: (at: Context, x: NodeId, other: number, [squeezed, , , rest]: Instruction['numbers']) => {
    const { g, name } = at;
    const mean = g.globalAvgPool(`${name}.pool`, x);
    const inner = activation(at, g.conv(`${name}.fc1`, mean, 1 + (squeezed % 4), { kernel: 1, bias: true }), other);
    const outer = g.conv(`${name}.fc2`, inner, g.shape(x).c, { kernel: 1, bias: true });
    const gate = g.activation(`${name}.gate`, outer, { kind: 'sigmoid' });
    return rest % 2 ? g.mul(`${name}.scale`, gate, x) : g.mul(`${name}.scale`, x, gate);
  },
  mul: (at: Context, x: NodeId, other: number, [a, b]: Instruction['numbers']) => {
    const product = at.g.mul(`${at.name}.mul`, x, companion(at, x, other, true));
    return a % 2 ? activation(at, product, b) : product;
  },
  reduce: ({ g, name }: Context, x: NodeId, other: number) => g.reduce(`${name}.reduce`, x, pick(REDUCTIONS, other)),
  slice: ({ g, name }: Context, x: NodeId, other: number, [a, b, c, d]: Instruction['numbers']) => {
    const from = g.shape(x);
    const part = (n: number, at: number, most: number) => {
      const start = at % n;
      return { start, size: 1 + (most % (n - start)) };
    };
    // Mostly channels alone, which need no step.
    const [rows, columns] =
      other % 4 ? [from.h, from.w].map((n) => ({ start: 0, size: n })) : [part(from.h, a, b), part(from.w, b, a)];
    const channels = part(from.c, c, d);
    const parts = [rows, columns, channels] as const;
    const [h, w, size] = parts.map((each) => each?.size) as [number, number, number];
    const start = parts.map((each) => each?.start) as unknown as Triple;
    return g.op('slice', `${name}.slice`, [x], { h, w, c: size, start, step: [1, 1, 1] });
  },
  reshape: ({ g, name }: Context, x: NodeId, other: number) => {
    const { h, w, c } = g.shape(x);
    const shapes = [
      { h: 1, w: h * w, c },
      { h, w: 1, c: w * c },
      { h: w, w: h, c },
      { h: 1, w: 1, c: h * w * c },
    ];
    const to = pick(shapes, other);
    if (to.c > MOST_CHANNELS) throw new ResnetError('argument', `${name}: expected fewer channels, got ${to.c}.`);
    return g.op('reshape', `${name}.reshape`, [x], to);
  },
  shuffle: ({ g, name }: Context, x: NodeId, other: number) => {
    const { h, w, c } = g.shape(x);
    const groups = [4, 3, 2, 1].find((n) => c % n === 0) as number;
    const order = pick(
      [
        [0, 1, 3, 2],
        [1, 0, 2, 3],
      ],
      other,
    );
    const to = other % 2 ? { h: w, w: h, c } : { h, w, c };
    return g.op('rearrange', `${name}.shuffle`, [x], { ...to, dims: [h, w, groups, c / groups], order });
  },
  /** A value of its own, broadcast. */
  constant: (at: Context, x: NodeId, other: number, [a, b, c]: Instruction['numbers']) => {
    const { g, name } = at;
    const from = g.shape(x);
    const shape = { h: a % 2 ? 1 : from.h, w: b % 2 ? 1 : from.w, c: c % 2 ? 1 : from.c };
    const value = g.op('constant', `${name}.constant`, [], shape);
    const operator = pick(['add', 'subtract', 'multiply', 'max'] as const, other);
    return g.op('binary', `${name}.binary`, other % 3 ? [x, value] : [value, x], { operator });
  },
  binary: (at: Context, x: NodeId, other: number, [a]: Instruction['numbers']) =>
    at.g.op('binary', `${at.name}.binary`, [x, companion(at, x, a, true)], {
      operator: pick(['subtract', 'min', 'less'] as const, other),
    }),
  unary: ({ g, name }: Context, x: NodeId, other: number) =>
    g.op('unary', `${name}.unary`, [x], { operator: pick(['abs', 'tanh', 'erf', 'softplus'] as const, other) }),
  attention: (at: Context, x: NodeId) => {
    const { g, name } = at;
    const scores = g.op('matmul', `${name}.scores`, [x, x], { transposesB: true });
    const shares = g.op('softmaxAxes', `${name}.softmax`, [scores], { axes: ['c'], isLog: false });
    return g.op('matmul', `${name}.mix`, [shares, x], { transposesB: false });
  },
  pad: ({ g, name }: Context, x: NodeId, other: number, [a, b]: Instruction['numbers']) =>
    g.op('pad', `${name}.pad`, [x], {
      ...{ mode: pick(['constant', 'edge'] as const, other), value: 0.5 },
      ...{ before: [a % 2, b % 2, 0], after: [b % 2, a % 3, 0] },
    }),
  norms: ({ g, name }: Context, x: NodeId, other: number) => {
    const params = { weight: `${name}.weight`, bias: `${name}.bias` };
    const { c } = g.shape(x);
    return other % 2
      ? g.op('layerNorm', `${name}.norm`, [x], { eps: 0.5 }, { params })
      : g.op('groupNorm', `${name}.norm`, [x], { groups: c % 4 ? 1 : 4, eps: 0.5 }, { params });
  },
  reduceAxes: ({ g, name }: Context, x: NodeId, other: number) =>
    g.op('reduceAxes', `${name}.reduce`, [x], {
      reduction: pick(['mean', 'min'] as const, other),
      axes: pick([['c'], ['w'], ['h', 'c']] as const, other),
    }),
  dilatedPool: ({ g, name }: Context, x: NodeId, other: number, [a, b]: Instruction['numbers']) =>
    g.op('dilatedPool', `${name}.pool`, [x], {
      ...{ reduction: pick(['max', 'mean'] as const, other), kernel: [2, 2], stride: [1 + (a % 2), 1 + (b % 2)] },
      ...{
        dilation: [1, 2],
        padding: { top: 0, left: 1, bottom: 1, right: 0 },
        ceil: a % 3 > 0,
        countsPadding: b % 3 > 0,
      },
    }),
  convTranspose: ({ g, name }: Context, x: NodeId, other: number, [c, a]: Instruction['numbers']) => {
    const { h, w, c: from } = g.shape(x);
    if (h * w > 100) throw new ResnetError('argument', `${name}: expected a smaller map, got ${h}x${w}.`);
    const channels = pick(CHANNELS, c);
    const groups = from % 4 === 0 && channels % 4 === 0 && other % 2 ? 4 : 1;
    return g.op('convTranspose', `${name}.up`, [x], {
      ...{ channels, kernel: [2, 3], stride: [1 + (a % 2), 2], dilation: [1, 1], groups },
      ...{ padding: { top: 0, left: 1, bottom: 0, right: 1 }, outputPadding: [0, 1] },
    });
  },
  resize: ({ g, name }: Context, x: NodeId, other: number, [h, w]: Instruction['numbers']) => {
    const mode = other % 3 ? 'bilinear' : 'nearest';
    return g.resize(`${name}.resize`, x, 1 + (h % 9), 1 + (w % 9), { mode, alignCorners: other % 3 === 2 });
  },
} as const;

/** Ends that a graph may have: `none` is the last value itself, `earlier` one before, so that what follows is of no use. */
const ENDS = ['none', 'earlier', 'pool', 'linear', 'classifier', 'softmax'] as const;

function build(
  input: { h: number; w: number; c: number },
  program: readonly Instruction[],
  end: (typeof ENDS)[number],
  second: number | undefined,
): Graph {
  const g = new GraphBuilder('any');
  const values = [g.input(input)];
  program.forEach(({ op, back, other, numbers }, i) => {
    const x = values[values.length - 1 - (back % Math.min(4, values.length))] as NodeId;
    try {
      const last = OPERATIONS[op]({ g, values, name: `${op}${i}` }, x, other, numbers);
      for (let id = (values.at(-1) as NodeId) + 1; id <= last; id++) values.push(id);
    } catch (error) {
      // What the shape rules refuse is left out; what was added of it before stays, unused.
      if (!(error instanceof ResnetError)) throw error;
    }
  });
  let x = values[Math.max(0, values.length - (end === 'earlier' ? 3 : 1))] as NodeId;
  if (end === 'pool' || end === 'classifier' || end === 'softmax') x = g.globalAvgPool('end.pool', x);
  if (end === 'linear' || end === 'classifier' || end === 'softmax') x = g.linear('end.fc', x, 10);
  if (end === 'softmax') x = g.softmax('end.softmax', x);
  return g.finish(second === undefined ? x : { output: x, second: pick(values, second) });
}

const count = (min: number, max: number) => fc.integer({ min, max });

/** Random graphs of one input, and one output or two. */
export const anyGraph: fc.Arbitrary<Graph> = fc
  .record({
    input: fc.record({ h: count(1, 9), w: count(1, 9), c: fc.constantFrom(3, 8, 16) }),
    program: fc.array(
      fc.record({
        op: fc.constantFrom(...(Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[])),
        back: fc.nat(11),
        other: fc.nat(99),
        numbers: fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99)),
      }),
      { minLength: 1, maxLength: 9 },
    ),
    end: fc.constantFrom(...ENDS),
    second: fc.option(fc.nat(99), { nil: undefined }),
  })
  .map(({ input, program, end, second }) => build(input, program, end, second));
