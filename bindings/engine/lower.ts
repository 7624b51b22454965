/** Plan -> records: what each kind of step writes into its record for the kernel that runs it. */

import type { ConvOp, Node, PoolOp, ShortcutOp } from '../../models/graph.js';
import { winogradTile } from '../compile/conv-algorithm.js';
import type { Plan, PlanStep, StepKind, View } from '../compile/plan.js';
import type { Core } from './core.js';
import type { WeightAddresses } from './packed-weights.js';

/** Fields of a record by their names in assembly/step.ts. Sizes are elements, addresses bytes; what is not named is zero. */
export type Fields = Readonly<Record<string, number>>;

type Lowering = (step: PlanStep) => Fields;

const node = <O>(step: PlanStep): Node & O => step.node as Node & O;

const window: Lowering = (step) => {
  const { kernel, stride, padding } = node<PoolOp>(step);
  return {
    kh: kernel[0],
    kw: kernel[1],
    strideH: stride[0],
    strideW: stride[1],
    padTop: padding.top,
    padLeft: padding.left,
  };
};

const convolution: Lowering = (step) => {
  const { dilation, groups } = node<ConvOp>(step);
  return { ...window(step), dilationH: dilation[0], dilationW: dilation[1], groups };
};

/** By kind: the record's kind in assembly/step.ts, and the fields that only this kind has. */
const lowerings: Readonly<Record<StepKind | 'winograd' | 'grouped', readonly [kind: string, Lowering]>> = {
  conv: ['KIND_CONV', convolution],
  grouped: ['KIND_GROUPED', convolution],
  winograd: ['KIND_WINOGRAD', (step) => ({ ...window(step), winogradTile: winogradTile(step.algorithm) })],
  linear: ['KIND_LINEAR', () => ({})],
  maxPool: ['KIND_MAX_POOL', window],
  avgPool: ['KIND_AVG_POOL', window],
  adaptiveAvgPool: ['KIND_ADAPTIVE_AVG_POOL', () => ({})],
  // `reduction` stays zero: REDUCTION_MEAN.
  globalAvgPool: ['KIND_REDUCE', () => ({})],
  batchNorm: ['KIND_BATCH_NORM', () => ({})],
  copy: ['KIND_COPY', () => ({})],
  softmax: ['KIND_SOFTMAX', () => ({})],
  zeroPadShortcut: [
    'KIND_ZERO_PAD_SHORTCUT',
    (step) => {
      const { stride, before } = node<ShortcutOp>(step);
      return { strideH: stride, strideW: stride, zerosBefore: before };
    },
  ],
};

/** Which kernel runs a step: a convolution's is that of its algorithm. */
function kernelOf({ kind, algorithm }: PlanStep): keyof typeof lowerings {
  if (algorithm === 'gemm') return kind;
  return algorithm === 'grouped' ? 'grouped' : 'winograd';
}

/** The value of an export of assembly/. */
export function constant({ constants }: Core, name: string): number {
  const value = constants[name];
  if (value === undefined) throw new Error(`wasm: expected an export named ${name}, got none; build again.`);
  return value;
}

/** Fields that are float32; all others are whole numbers. */
const FLOATS: ReadonlySet<string> = new Set(['alpha', 'beta']);

/** Writes one record: `fields`, and zero for all others. */
export function writeRecord(core: Core, recordPtr: number, fields: Fields): void {
  const words = constant(core, 'STEP_BYTES') / 4;
  const integers = core.arena.i32(recordPtr, words).fill(0);
  const floats = core.arena.f32(recordPtr, words);
  for (const [name, value] of Object.entries(fields)) {
    (FLOATS.has(name) ? floats : integers)[constant(core, `STEP_${name}`) / 4] = value;
  }
}

/** Writes the records of `plan` for `batch` images. `place`: a value's address; `weights`: those of a node. */
export function writeRecords(
  core: Core,
  plan: Plan,
  batch: number,
  recordsPtr: number,
  place: (view: View) => number,
  weights: (node: Node) => WeightAddresses,
): void {
  const preActivation = ({ preActivation: norm }: PlanStep): Fields => {
    if (!norm) return {};
    const { weightPtr, biasPtr } = weights(norm);
    return { preScalePtr: weightPtr, preShiftPtr: biasPtr };
  };
  plan.steps.forEach((step, i) => {
    const { input, output, residual, relu } = step;
    const [kind, lowering] = lowerings[kernelOf(step)];
    writeRecord(core, recordsPtr + i * constant(core, 'STEP_BYTES'), {
      kind: constant(core, kind),
      flags: residual ? constant(core, 'FLAG_ADD') : 0,
      activation: constant(core, relu ? 'ACTIVATION_RELU' : 'ACTIVATION_NONE'),
      mr: core.tileRows,
      inPtr: place(input),
      ldIn: input.ld,
      outPtr: place(output),
      ldOut: output.ld,
      residualPtr: residual ? place(residual) : 0,
      ldResidual: residual?.ld ?? 0,
      ...weights(step.node),
      ...preActivation(step),
      batch,
      ih: input.shape.h,
      iw: input.shape.w,
      ic: input.shape.c,
      oh: output.shape.h,
      ow: output.shape.w,
      oc: output.shape.c,
      ...lowering(step),
    });
  });
}
