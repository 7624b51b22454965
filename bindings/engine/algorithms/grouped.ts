/** Grouped convolution through a table of addresses, after Dukhan 2019 (assembly/conv/grouped.ts). */

import type { ConvOp, Node } from '../../../models/graph.js';
import { gemm } from './gemm.js';
import type { AlgorithmKernel } from './types.js';

export const grouped: AlgorithmKernel = {
  ...gemm,
  name: 'grouped',
  fits: (node) => node.kind === 'conv' && node.groups > 1 && (node.shape.c / node.groups) % 4 === 0,
  kind: 'KIND_GROUPED',
  scratchBytes({ kernels }, { node, input }) {
    const [kh, kw] = (node as Node<ConvOp>).kernel;
    return kernels.groupedScratchBytes(kh * kw, input.shape.c);
  },
};
