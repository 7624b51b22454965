/** A step more than a plan has: evidence for class activation maps. */

import type { Node } from '../../models/graph.js';
import type { Plan, PlanStep, View } from '../compile/plan.js';
import { rangeStep } from '../compile/ranges.js';
import type { Core } from './core.js';
import { writeRecords } from './lower.js';
import type { PackedWeights, WeightAddresses } from './packed-weights.js';

/** What an executor has. */
interface Running {
  readonly core: Core;
  readonly plan: Plan;
  readonly weights: PackedWeights;
  readonly batch: number;
  /** A value's address. */
  place(view: View): number;
  /** Runs so many records. */
  run(recordsPtr: number, count: number): Promise<void>;
}

/** Runs a step that reads what lies in the arena now, without bias; returns a copy of its output. */
export async function runExtra(step: PlanStep, executor: Running): Promise<Float32Array> {
  const { core, plan, batch } = executor;
  const { arena, constants, kernels } = core;
  const { h, w, c } = step.output.shape;
  const mark = arena.mark();
  try {
    // On whole numbers it wants to know the range of its own input, whatever calibration said of its node's.
    const range = step.quant && rangeStep(step, step.node, step.quant.range);
    const steps = range ? [range, step] : [step];
    const recordsPtr = arena.alloc((constants.STEP_BYTES as number) * steps.length);
    const rangesPtr = arena.alloc(batch * Int32Array.BYTES_PER_ELEMENT);
    arena.i32(rangesPtr, batch).fill(0);
    const biasBytes = kernels.packedBytes(1, c);
    const biasPtr = arena.alloc(biasBytes);
    arena.u8(biasPtr, biasBytes).fill(0);
    const count = batch * h * w * c;
    const outPtr = arena.alloc(count * Float32Array.BYTES_PER_ELEMENT);
    const place = (view: View): number => (view === step.output ? outPtr : executor.place(view));
    const weights = (node: Node): WeightAddresses => ({
      ...executor.weights.at(node),
      biasPtr,
      ...(range && { inScale: 0 }),
    });
    writeRecords(core, { ...plan, steps }, batch, recordsPtr, place, weights, () => rangesPtr);
    await executor.run(recordsPtr, steps.length);
    return new Float32Array(arena.f32(outPtr, count));
  } finally {
    arena.release(mark);
  }
}
