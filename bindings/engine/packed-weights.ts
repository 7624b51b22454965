/** Where the weights of a network lie in linear memory. */

import type { BatchNormOp, Graph, Node, NodeId } from '../../models/graph.js';
import { inputShape, inputShapes } from '../../models/graph.js';
import { rowOf } from '../../models/ops.js';
import type { Plan } from '../compile/plan.js';
import { algorithms } from './algorithms/index.js';
import type { AlgorithmKernel, Matrix } from './algorithms/types.js';
import { align } from './arena.js';
import type { Core } from './core.js';

/**
 * The addresses of a step's weights: packed matrix, a batch norm's scale, or a tensor that is kept as it is; bias or shift,
 * zero-padded to whole tiles.
 */
export interface WeightAddresses {
  readonly weightPtr: number;
  readonly biasPtr: number;
  /** What the input of a layer on whole numbers is a multiple of, if calibration said so. */
  readonly inScale?: number | undefined;
}

/** The place of what one step needs: a matrix with its bias, a batch norm, or both folded into one; or a kept tensor. */
export interface Slot extends WeightAddresses {
  inScale?: number | undefined;
  readonly node: Node;
  readonly matrix: { readonly algorithm: AlgorithmKernel; readonly size: Matrix } | undefined;
  readonly norm: Node<BatchNormOp> | undefined;
  /** Values of a weight that is neither: a PReLU's slopes, a constant, a norm's scales, taps of a transposed convolution. */
  readonly kept: number | undefined;
}

const KEPT: ReadonlySet<Node['kind']> = new Set(['activation', 'constant', 'convTranspose', 'groupNorm', 'layerNorm']);

/** Values of the weight of a node whose kernel reads it as it is; 1 for each channel of a norm that has none. */
function keptOf(graph: Graph, node: Node): number | undefined {
  if (!KEPT.has(node.kind)) return undefined;
  const [weight] = rowOf(node).parameters(node, inputShapes(graph, node));
  return weight?.shape.reduce((product, n) => product * n, 1);
}

function matrixOf(graph: Graph, node: Node, quant: Matrix['quant']): Matrix | undefined {
  if (node.kind !== 'conv' && node.kind !== 'linear') return undefined;
  const from = inputShape(graph, node);
  const outputs = node.shape.c;
  if (node.kind === 'linear') return { outputs, groups: 1, inner: from.c, taps: from.h * from.w, quant };
  const { groups, kernel } = node;
  return { outputs, groups, inner: from.c / groups, taps: kernel[0] * kernel[1], quant };
}

type Wanted = Omit<Slot, keyof WeightAddresses>;

/** What a plan's steps need, once per node. */
function wantedBy({ graph, steps }: Plan): Wanted[] {
  const wanted = new Map<NodeId, Wanted>();
  const want = (node: Node, matrix: Slot['matrix'], norm: Slot['norm']): void => {
    const kept = keptOf(graph, node);
    if ((matrix || norm || kept) && !wanted.has(node.id)) wanted.set(node.id, { node, matrix, norm, kept });
  };
  for (const { kind, node, folded, algorithm, preActivation, slopes, quant } of steps) {
    // A copy makes the value of a node that has its weights elsewhere; a range is of such a value.
    if (kind !== 'copy' && kind !== 'range') {
      const size = matrixOf(graph, node, quant);
      want(node, size && { algorithm: algorithms[algorithm], size }, node.kind === 'batchNorm' ? node : folded);
    }
    if (preActivation) want(preActivation, undefined, preActivation);
    if (slopes) want(slopes, undefined, undefined);
  }
  return [...wanted.values()];
}

/** Allocates a network's packed weights. Clears the padding, which kernels read and no tensor fills. */
export class PackedWeights {
  readonly #slots: ReadonlyMap<NodeId, Slot>;
  /** Bytes of packed weights and biases. */
  readonly bytes: number;

  constructor(core: Core, plan: Plan) {
    const { arena, kernels } = core;
    const places = wantedBy(plan).map((wanted) => {
      const { matrix, node, kept = node.shape.c } = wanted;
      const vectorBytes = kernels.packedBytes(1, node.shape.c);
      const weightBytes = matrix?.algorithm.weightBytes(core, matrix.size) ?? kernels.packedBytes(1, kept);
      return { wanted, vectorBytes, weightBytes };
    });
    this.bytes = places.reduce((sum, { vectorBytes, weightBytes }) => sum + align(vectorBytes) + align(weightBytes), 0);
    arena.reserve(this.bytes);
    const panelColumns = kernels.packedBytes(1, 1) / Float32Array.BYTES_PER_ELEMENT;
    const slots = places.map(({ wanted, vectorBytes, weightBytes }): Slot => {
      const { matrix, node, kept } = wanted;
      const weightPtr = arena.alloc(weightBytes);
      const biasPtr = arena.alloc(vectorBytes);
      // Words of whole numbers have up to 4 channels.
      const isCut = matrix?.algorithm.isInt8 && matrix.size.inner % 4 !== 0;
      const isPadded = !matrix || isCut || (matrix.size.outputs / matrix.size.groups) % panelColumns !== 0;
      if (isPadded) arena.u8(weightPtr, weightBytes).fill(0);
      arena.u8(biasPtr, vectorBytes).fill(0);
      if (kept && node.params.weight === undefined) arena.f32(weightPtr, kept).fill(1);
      return { ...wanted, weightPtr, biasPtr };
    });
    this.#slots = new Map(slots.map((slot) => [slot.node.id, slot]));
  }

  get slots(): Iterable<Slot> {
    return this.#slots.values();
  }

  /** The addresses of a node's weights; zeros for a node that has none. */
  at(node: Node): WeightAddresses {
    const { weightPtr, biasPtr, inScale } = this.#slots.get(node.id) ?? { weightPtr: 0, biasPtr: 0 };
    return inScale === undefined ? { weightPtr, biasPtr } : { weightPtr, biasPtr, inScale };
  }
}
