/** One convolution by a record, compared with float64 and with the shares of threads. */

import type { AlgorithmName } from '../../bindings/compile/conv-algorithm.js';
import type { Core } from '../../bindings/engine/core.js';
import { uniform } from '../../bindings/weights/uniform.js';
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
} from './records.js';
import {
  type Activation,
  assertClose,
  type Convolution,
  conv2d,
  epilogue,
  type Maps,
  NONE,
  type Reference,
  relu,
  size,
  type Values,
  windowMaps,
} from './reference.js';

/** Those on floats. */
export type Algorithm = Exclude<AlgorithmName, 'int8'>;

/** Outputs of a Winograd tile along a side; 0 for other algorithms. */
const tileOf = (algorithm: Algorithm): 0 | 2 | 4 => (algorithm === 'winograd4' ? 4 : algorithm === 'winograd2' ? 2 : 0);

export interface Case {
  readonly from: Maps;
  readonly c: number;
  readonly convolution: Convolution;
  readonly activation: Activation;
  readonly residual: 'none' | 'beside' | 'in place';
  /** Channels that pixels of input, output and residual have beside their own. */
  readonly gaps: readonly [number, number, number];
  readonly mr: number;
  readonly algorithm: Algorithm;
  /** A batch norm and ReLU before a pointwise convolution. */
  readonly preActivation: boolean;
  /** FLAG_WIDE. */
  readonly isWide?: boolean;
}

export interface Operands {
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly residual: Float32Array;
  /** Of the pre-activation. */
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

export function operands({ from, c, convolution: { kernel, groups, dilation, ...window } }: Case): Operands {
  const to = windowMaps(from, c, { kernel, ...window }, dilation);
  return {
    x: uniform('x', size(from), -1, 1),
    weight: uniform('weight', (c * from.c * kernel[0] * kernel[1]) / groups, -1, 1),
    bias: uniform('bias', c, -1, 1),
    residual: uniform('residual', size(to), -1, 1),
    scale: uniform('scale', from.c, -1, 1),
    shift: uniform('shift', from.c, -1, 1),
  };
}

function referenceOf({ from, c, convolution, activation, residual, preActivation }: Case, its: Operands): Reference {
  const convolve = (x: Values) => conv2d(x, from, its.weight, its.bias, c, convolution);
  let result = convolve(its.x);
  if (preActivation) {
    const at = (values: Values, i: number) => values[i % from.c] as number;
    const activated = Float64Array.from(its.x, (v, i) => v * at(its.scale, i) + at(its.shift, i));
    const sizes = Float64Array.from(its.x, (v, i) => Math.abs(v * at(its.scale, i)) + Math.abs(at(its.shift, i)));
    result = { ...convolve(relu(activated)), magnitudes: convolve(sizes).magnitudes };
  }
  return epilogue(result, residual === 'none' ? undefined : its.residual, activation);
}

interface Placed {
  readonly fields: Fields;
  readonly output: Region;
  readonly scratchBytes: number;
}

function place(desk: Desk, one: Case, its: Operands, threads: number): Placed {
  const { core } = desk;
  const { from, c, convolution, gaps, algorithm } = one;
  const tile = tileOf(algorithm);
  const { kernel, stride, dilation, padding, groups } = convolution;
  const to = windowMaps(from, c, convolution, dilation);
  const [inner, taps] = [from.c / groups, kernel[0] * kernel[1]];
  const input = desk.put(its.x, from.c, from.c + gaps[0]);
  const bias = desk.put(padded(core, its.bias));
  const isDepthwise = algorithm === 'depthwise';
  const perGroup = isDepthwise ? c : c / groups;
  let weight = desk.put(packedGroups(core, its.weight, { outputs: c, perGroup, inner, taps }));
  if (tile) {
    const transformed = desk.put(new Float32Array(core.kernels.winogradBytes(tile, from.c, c) / 4));
    const ones = desk.put(
      packedGroups(core, new Float32Array(c).fill(1), { outputs: c, perGroup: c, inner: 1, taps: 1 }),
    );
    const record = { winogradTile: tile, inPtr: weight.ptr, outPtr: transformed.ptr, weightPtr: ones.ptr };
    const transformBytes = constant(core, 'TRANSFORM_BYTES');
    runRecord(desk, 'KIND_WINOGRAD_WEIGHTS', { ...record, ic: from.c, oc: c }, threads, transformBytes);
    desk.assertIntact('winogradWeights', transformed);
    desk.settle(transformed);
    weight = transformed;
  }
  const inPlace = one.residual === 'in place';
  const pixels = to.batch * to.h * to.w;
  const output = inPlace ? desk.put(its.residual, c, c + gaps[1]) : desk.room(pixels, c, c + gaps[1]);
  const residual = inPlace ? output : desk.put(its.residual, c, c + gaps[2]);
  const fields = {
    ...activationFields(desk, one.activation),
    flags: (one.residual === 'none' ? 0 : constant(core, 'FLAG_ADD')) | (one.isWide ? constant(core, 'FLAG_WIDE') : 0),
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
    ...(one.preActivation ? { preScalePtr: desk.put(its.scale).ptr, preShiftPtr: desk.put(its.shift).ptr } : {}),
  };
  const scratchBytes = {
    gemm: constant(core, 'SCRATCH_BYTES'),
    depthwise: 0,
    grouped: core.kernels.groupedScratchBytes(taps, from.c),
    winograd2: core.kernels.winogradScratchBytes(2, from.c),
    winograd4: core.kernels.winogradScratchBytes(4, from.c),
  }[algorithm];
  return { fields, output, scratchBytes };
}

const KINDS = {
  gemm: 'KIND_CONV',
  grouped: 'KIND_GROUPED',
  depthwise: 'KIND_DEPTHWISE',
  winograd2: 'KIND_WINOGRAD',
  winograd4: 'KIND_WINOGRAD',
} as const;

export function run(core: Core, one: Case, its: Operands, threads: number, subject: string): Float32Array {
  const desk = new Desk(core);
  try {
    const { fields, output, scratchBytes } = place(desk, one, its, threads);
    runRecord(desk, KINDS[one.algorithm], fields, threads, scratchBytes);
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
const TRANSFORM_ERROR = { gemm: 1, grouped: 1, depthwise: 1, winograd2: 1, winograd4: 3 } as const;

/** Compares with float64, and with the shares of so many threads. */
export function check(core: Core, one: Case, ...threads: number[]): void {
  const its = operands(one);
  const subject = JSON.stringify(one);
  const whole = run(core, one, its, 1, subject);
  const expected = referenceOf(one, its);
  if (tileOf(one.algorithm)) expected.magnitudes.fill(expected.magnitudes.reduce((a, b) => Math.max(a, b), 0));
  assertClose(whole, expected, subject, TRANSFORM_ERROR[one.algorithm]);
  for (const count of threads)
    assertSameBits(run(core, one, its, count, subject), whole, `${count} threads: ${subject}`);
}

export const PLAIN = {
  activation: NONE,
  residual: 'none',
  gaps: [0, 0, 0],
  mr: 6,
  algorithm: 'gemm',
  preActivation: false,
} as const;

export const square = (kernel: number, stride = 1, padding = 0, groups = 1, dilation = 1): Convolution => ({
  kernel: [kernel, kernel],
  stride: [stride, stride],
  dilation: [dilation, dilation],
  padding: { top: padding, left: padding, bottom: padding, right: padding },
  groups,
});
