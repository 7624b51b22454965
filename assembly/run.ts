import { conv2d } from './conv/conv2d';
import { depthwise } from './conv/depthwise';
import { grouped } from './conv/grouped';
import { winograd, winogradWeights } from './conv/winograd';
import { batchNorm, copy, mul, zeroPadShortcut } from './elementwise';
import { linear } from './linear';
import { adaptiveAvgPool, avgPool, maxPool } from './pool';
import { reduce } from './reduce';
import {
  KIND_ADAPTIVE_AVG_POOL, KIND_AVG_POOL, KIND_BATCH_NORM, KIND_CONV, KIND_COPY, KIND_DEPTHWISE, KIND_GROUPED, KIND_LINEAR,
  KIND_MAX_POOL, KIND_MUL, KIND_REDUCE, KIND_WINOGRAD, KIND_WINOGRAD_WEIGHTS, KIND_ZERO_PAD_SHORTCUT, Step, STEP_BYTES,
} from './step';

/** Runs piece `piece` of `pieces` of a step. `scratchPtr`: the thread's own. */
export function kernel(step: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  switch (step.kind) {
    case KIND_CONV: conv2d(step, piece, pieces, scratchPtr); break;
    case KIND_GROUPED: grouped(step, piece, pieces, scratchPtr); break;
    case KIND_DEPTHWISE: depthwise(step, piece, pieces); break;
    case KIND_WINOGRAD: winograd(step, piece, pieces, scratchPtr); break;
    case KIND_WINOGRAD_WEIGHTS: winogradWeights(step, piece, pieces, scratchPtr); break;
    case KIND_LINEAR: linear(step, piece, pieces, scratchPtr); break;
    case KIND_MAX_POOL: maxPool(step, piece, pieces); break;
    case KIND_AVG_POOL: avgPool(step, piece, pieces); break;
    case KIND_ADAPTIVE_AVG_POOL: adaptiveAvgPool(step, piece, pieces); break;
    case KIND_REDUCE: reduce(step, piece, pieces); break;
    case KIND_BATCH_NORM: batchNorm(step, piece, pieces); break;
    case KIND_MUL: mul(step, piece, pieces); break;
    case KIND_COPY: copy(step, piece, pieces); break;
    case KIND_ZERO_PAD_SHORTCUT: zeroPadShortcut(step, piece, pieces); break;
    // A kernel of a further set. A kind that no set has traps: to do nothing would be a wrong result.
    default: call_indirect<void>(step.kind, step, piece, pieces, scratchPtr);
  }
}

/** Runs the records `first` … `last` (not included) of `stepsPtr` in order: a piece of each. */
export function run(stepsPtr: usize, first: i32, last: i32, piece: i32, pieces: i32, scratchPtr: usize): void {
  for (let i = first; i < last; i++) {
    kernel(changetype<Step>(stepsPtr + <usize>(i * STEP_BYTES)), piece, pieces, scratchPtr);
  }
}
