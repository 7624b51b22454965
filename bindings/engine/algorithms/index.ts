/** Every algorithm, one row each. A new one is a file beside this, and a row here. */

import type { AlgorithmName } from '../../compile/conv-algorithm.js';
import type { Arrange } from '../../compile/plan.js';
import { depthwise } from './depthwise.js';
import { gemm } from './gemm.js';
import { grouped } from './grouped.js';
import type { AlgorithmKernel } from './types.js';
import { winograd2, winograd4 } from './winograd.js';

const rows = { gemm, depthwise, grouped, winograd2, winograd4 };

/** By name; `int8` is there from `loadInt8` on. */
export const algorithms = rows as { [Name in AlgorithmName]: AlgorithmKernel };

/** What plans with steps on whole numbers are arranged by. */
export let arrange: Arrange | undefined;

/** Loads what few networks have: layers on whole numbers. */
export async function loadInt8(): Promise<void> {
  const { int8, withRanges } = await import('../whole-numbers.js');
  algorithms.int8 = int8;
  arrange = withRanges;
}
