import { barrier } from './barrier';
import { conv2d } from './conv/conv2d';
import { depthwise } from './conv/depthwise';
import { grouped } from './conv/grouped';
import { winograd } from './conv/winograd';
import { batchNorm, copy, mul, zeroPadShortcut } from './elementwise';
import { linear } from './linear';
import { adaptiveAvgPool, avgPool, maxPool } from './pool';
import { reduce } from './reduce';
import {
  KIND_ADAPTIVE_AVG_POOL, KIND_AVG_POOL, KIND_BATCH_NORM, KIND_CONV, KIND_COPY, KIND_DEPTHWISE, KIND_GROUPED, KIND_LINEAR,
  KIND_MAX_POOL, KIND_MUL, KIND_REDUCE, KIND_WINOGRAD, KIND_ZERO_PAD_SHORTCUT, Step, STEP_BYTES,
} from './step';

/**
 * Runs the records `first` … `last` (not included) of `stepsPtr` in order: thread `thread`'s share of each. `scratchPtr`:
 * the thread's own. `barrierPtr`: of all threads, who wait for each other after each step; 0 for a thread alone.
 */
export function run(
  stepsPtr: usize, first: i32, last: i32, thread: i32, threads: i32, scratchPtr: usize, barrierPtr: usize,
): void {
  for (let i = first; i < last; i++) {
    const step = changetype<Step>(stepsPtr + <usize>(i * STEP_BYTES));
    switch (step.kind) {
      case KIND_CONV: conv2d(step, thread, threads, scratchPtr); break;
      case KIND_GROUPED: grouped(step, thread, threads, scratchPtr); break;
      case KIND_DEPTHWISE: depthwise(step, thread, threads); break;
      case KIND_WINOGRAD: winograd(step, thread, threads, scratchPtr); break;
      case KIND_LINEAR: linear(step, thread, threads, scratchPtr); break;
      case KIND_MAX_POOL: maxPool(step, thread, threads); break;
      case KIND_AVG_POOL: avgPool(step, thread, threads); break;
      case KIND_ADAPTIVE_AVG_POOL: adaptiveAvgPool(step, thread, threads); break;
      case KIND_REDUCE: reduce(step, thread, threads); break;
      case KIND_BATCH_NORM: batchNorm(step, thread, threads); break;
      case KIND_MUL: mul(step, thread, threads); break;
      case KIND_COPY: copy(step, thread, threads); break;
      case KIND_ZERO_PAD_SHORTCUT: zeroPadShortcut(step, thread, threads); break;
      // A kernel of a further set. A kind that no set has traps: to do nothing would be a wrong result.
      default: call_indirect<void>(step.kind, step, thread, threads, scratchPtr);
    }
    if (barrierPtr) barrier(barrierPtr, threads);
  }
}
