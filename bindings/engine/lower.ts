/** Plan -> records: what each kind of step writes into its record for the kernel that runs it. */

import type { ConvOp, Node, PoolOp, ShortcutOp } from '../../models/graph.js';
import type { Plan, PlanStep, StepKind, View } from '../compile/plan.js';
import { algorithms } from './algorithms/index.js';
import type { Fields } from './algorithms/types.js';
import type { Core } from './core.js';
import type { WeightAddresses } from './packed-weights.js';

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
const lowerings: Readonly<Record<StepKind, readonly [kind: string, Lowering]>> = {
  conv: ['KIND_CONV', convolution],
  linear: ['KIND_LINEAR', () => ({})],
  maxPool: ['KIND_MAX_POOL', window],
  avgPool: ['KIND_AVG_POOL', window],
  adaptiveAvgPool: ['KIND_ADAPTIVE_AVG_POOL', () => ({})],
  globalAvgPool: ['KIND_GLOBAL_AVG_POOL', () => ({})],
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

/** Writes the records of `plan` for `batch` images. `place`: a value's address; `weights`: those of a node. */
export function writeRecords(
  { arena, constants, tileRows }: Core,
  plan: Plan,
  batch: number,
  recordsPtr: number,
  place: (view: View) => number,
  weights: (node: Node) => WeightAddresses,
): void {
  const constant = (name: string): number => {
    const value = constants[name];
    if (value === undefined) throw new Error(`wasm: expected an export named ${name}, got none; build again.`);
    return value;
  };
  const words = constant('STEP_BYTES') / 4;
  const preActivation = ({ preActivation: norm }: PlanStep): Fields => {
    if (!norm) return {};
    const { weightPtr, biasPtr } = weights(norm);
    return { preScalePtr: weightPtr, preShiftPtr: biasPtr };
  };
  plan.steps.forEach((step, i) => {
    const { input, output, residual, relu } = step;
    const [kind, lowering] = lowerings[step.kind];
    const algorithm = algorithms[step.algorithm];
    const fields: Fields = {
      kind: constant(algorithm.kind ?? kind),
      flags: (relu ? constant('FLAG_RELU') : 0) | (residual ? constant('FLAG_ADD') : 0),
      mr: tileRows,
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
      ...algorithm.fields(step),
    };
    const record = arena.i32(recordsPtr + i * words * 4, words);
    record.fill(0);
    for (const [name, value] of Object.entries(fields)) record[constant(`STEP_${name}`) / 4] = value;
  });
}
