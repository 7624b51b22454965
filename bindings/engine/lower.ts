/** Plan -> records: what each step writes into its record for the kernel that runs it. */

import { ResnetError } from '../../models/errors.js';
import { activationFields, type Fields, kernelConstant, type Node, rowOf, type Shape } from '../../models/index.js';
import type { Plan, PlanStep, View } from '../compile/plan.js';
import { algorithms } from './algorithms/index.js';
import type { Core } from './core.js';
import type { WeightAddresses } from './packed-weights.js';

/** The value of an export of assembly/. */
export function constant({ constants }: Core, name: string): number {
  const value = constants[name];
  if (value === undefined)
    throw new ResnetError('argument', `wasm: expected an export named ${name}, got none; build again.`);
  return value;
}

/** Fields that are float32; all others are whole numbers. */
const FLOATS: ReadonlySet<string> = new Set(['alpha', 'beta', 'gamma', 'inScale', 'scaleH', 'scaleW']);

/** Writes one record: `fields`, by their names in assembly/step.ts, and zero for all others. */
export function writeRecord(core: Core, recordPtr: number, fields: Fields): void {
  const words = constant(core, 'STEP_BYTES') / 4;
  const integers = core.arena.i32(recordPtr, words).fill(0);
  const floats = core.arena.f32(recordPtr, words);
  for (const [name, value] of Object.entries(fields)) {
    (FLOATS.has(name) ? floats : integers)[constant(core, `STEP_${name}`) / 4] = value;
  }
  const flags = constant(core, 'STEP_flags') / 4;
  if (core.vectors.bits > 128) integers[flags] = (integers[flags] as number) | constant(core, 'FLAG_WIDE');
}

/** The record's kind in assembly/step.ts: a convolution's is that of its algorithm. */
const kindOf = ({ kind, algorithm }: PlanStep): string =>
  kind === 'copy'
    ? 'KIND_COPY'
    : kind === 'range'
      ? 'KIND_RANGE'
      : (algorithms[algorithm].kind ?? rowOf({ kind }).kernel ?? 'none');

/** What the kernel of a step needs beside shapes and addresses. */
const fieldsOf = (core: Core, step: PlanStep): Fields =>
  step.kind === 'copy' || step.kind === 'range'
    ? {}
    : { ...rowOf(step.node).fields(step.node, operands(step)), ...algorithms[step.algorithm].fields(core, step) };

const operands = ({ input, residual }: PlanStep): Shape[] => [input.shape, ...(residual ? [residual.shape] : [])];

/** Kinds whose second operand is no residual to add. */
const PAIRS: ReadonlySet<PlanStep['kind']> = new Set(['mul', 'binary', 'matmul']);

/** The flag that says what the second operand is for. */
function flagOf({ kind, input, residual }: PlanStep): string | undefined {
  if (!residual) return undefined;
  if (!PAIRS.has(kind)) return 'FLAG_ADD';
  const isVector = residual.shape.h < input.shape.h || residual.shape.w < input.shape.w;
  return isVector ? 'FLAG_BROADCAST' : undefined;
}

/**
 * Writes the records of `plan` for `batch` images. `place`: a value's address; `weights`: those of a node; `range`: a
 * range's, by its number.
 */
export function writeRecords(
  core: Core,
  plan: Plan,
  batch: number,
  recordsPtr: number,
  place: (view: View) => number,
  weights: (node: Node) => WeightAddresses,
  range: (index: number) => number,
): void {
  const preActivation = ({ preActivation: norm }: PlanStep): Fields => {
    if (!norm) return {};
    const { weightPtr, biasPtr } = weights(norm);
    return { preScalePtr: weightPtr, preShiftPtr: biasPtr };
  };
  plan.steps.forEach((step, i) => {
    const { input, output, residual, activation, slopes, quant, outRange } = step;
    const flag = flagOf(step);
    writeRecord(core, recordsPtr + i * constant(core, 'STEP_BYTES'), {
      kind: constant(core, kindOf(step)),
      flags: flag ? constant(core, flag) : 0,
      activation: constant(core, kernelConstant(activation)),
      ...activationFields(activation),
      slopePtr: slopes ? weights(slopes).weightPtr : 0,
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
      ...fieldsOf(core, step),
      ...(quant && { rangePtr: range(quant.range) }),
      ...(outRange !== undefined && { outRangePtr: range(outRange) }),
    });
  });
}
