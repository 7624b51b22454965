/** Every algorithm, one row each. A new one is a file beside this, and a row here. */

import type { AlgorithmName } from '../../compile/conv-algorithm.js';
import { depthwise } from './depthwise.js';
import { gemm } from './gemm.js';
import { grouped } from './grouped.js';
import { int8 } from './int8.js';
import type { AlgorithmKernel } from './types.js';
import { winograd2, winograd4 } from './winograd.js';

export const algorithms: { readonly [Name in AlgorithmName]: AlgorithmKernel } = {
  gemm,
  int8,
  depthwise,
  grouped,
  winograd2,
  winograd4,
};
