/** Plan -> records: what each kind of step writes into its record for the kernel that runs it. */

import { type Fields, type Node, ops, rowOf } from '../../models/index.js';
import type { Plan, PlanStep, View } from '../compile/plan.js';
import { algorithms } from './algorithms/index.js';
import type { Core } from './core.js';
import type { WeightAddresses } from './packed-weights.js';

/** The record's kind in assembly/step.ts: a convolution's is that of its algorithm. */
function kindOf({ kind, node, algorithm }: PlanStep): string {
  if (kind === 'copy') return 'KIND_COPY';
  // Until the binary has KIND_REDUCE.
  if (node.kind === 'reduce' && node.reduction === 'mean') return 'KIND_GLOBAL_AVG_POOL';
  return algorithms[algorithm].kind ?? ops[kind].kernel ?? 'none';
}

/** What the kernel of a step needs beside shapes and addresses. */
const fieldsOf = (step: PlanStep): Fields =>
  step.kind === 'copy'
    ? {}
    : { ...rowOf(step.node).fields(step.node, [step.input.shape]), ...algorithms[step.algorithm].fields(step) };

/** Bits of a record's flags. Until the binary has more than ReLU, it is one of them. */
function flagsOf({ activation, residual, node }: PlanStep, constant: (name: string) => number): number {
  if (activation && activation.kind !== 'relu') {
    throw new Error(`${node.name}: expected no activation but ReLU in this binary, got ${activation.kind}.`);
  }
  return (activation ? constant('FLAG_RELU') : 0) | (residual ? constant('FLAG_ADD') : 0);
}

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
    const { input, output, residual } = step;
    const fields: Fields = {
      kind: constant(kindOf(step)),
      flags: flagsOf(step, constant),
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
      ...fieldsOf(step),
    };
    const record = arena.i32(recordsPtr + i * words * 4, words);
    record.fill(0);
    // Zero is there already, also for a field that the binary does not have yet.
    for (const [name, value] of Object.entries(fields)) if (value) record[constant(`STEP_${name}`) / 4] = value;
  });
}
