/**
 * Class activation maps: the last feature map through the classifier, place by place (Zhou et al. 2016, "Learning Deep
 * Features for Discriminative Localization", section 2).
 */

import { ResnetError } from '../../models/errors.js';
import type { ConvOp, Graph, LinearOp, Node, NodeId } from '../../models/graph.js';
import type { Plan, PlanStep } from '../compile/plan.js';

/** The end of a network that has class activation maps: features -> global average pool -> linear (-> softmax). */
interface CamHead {
  readonly features: NodeId;
  readonly pool: NodeId;
  readonly linear: Node<LinearOp>;
}

function headOf({ name, nodes, outputs }: Graph): CamHead {
  const at = (id: NodeId | undefined): Node | undefined => nodes[id ?? -1];
  const end = at(outputs[0].node);
  const linear = end?.kind === 'softmax' ? at(end.inputs[0]) : end;
  const pool = at(linear?.inputs[0]);
  const isMean =
    (pool?.kind === 'reduce' && pool.reduction === 'mean') ||
    (pool?.kind === 'adaptiveAvgPool' && pool.shape.h === 1 && pool.shape.w === 1);
  if (linear?.kind !== 'linear' || !pool || !isMean) {
    const kinds = [pool, linear].flatMap((node) => (node ? [node.kind] : [])).join(' and ');
    throw new ResnetError(
      'argument',
      `${name}: expected to end in globalAvgPool and linear for class activation maps, got ${kinds}.`,
    );
  }
  return { features: pool.inputs[0] as NodeId, pool: pool.id, linear };
}

/**
 * The step that makes the maps of all classes, [h, w, classes], and the step of the plan that it is to run before, which
 * finds the features still there. The mean over the map and the classifier are both linear, so that the classifier may
 * come first: it is then a 1×1 convolution, and its packed weights are those of one. Throws if a network
 * has no such end.
 */
export function camStep({ graph, values, steps }: Plan): { step: PlanStep; before: number } {
  const { features, pool, linear } = headOf(graph);
  const input = values[features]?.view;
  const before = steps.findIndex(({ node }) => node.id === pool);
  if (!input || before < 0)
    throw new ResnetError('argument', `${graph.name}: expected a step that pools the last feature map, got none.`);
  // The features are as negative as their means, or not.
  const end = steps.find(({ node }) => node.id === linear.id);
  const shape = { ...input.shape, c: linear.shape.c };
  const node: Node<ConvOp> = {
    kind: 'conv',
    id: linear.id,
    name: linear.name,
    inputs: [features],
    shape,
    channels: shape.c,
    kernel: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    padding: { top: 0, left: 0, bottom: 0, right: 0 },
    groups: 1,
    params: { weight: linear.params.weight },
  };
  const step: PlanStep = {
    kind: 'conv',
    node,
    folded: undefined,
    preActivation: undefined,
    activation: undefined,
    slopes: undefined,
    algorithm: end?.algorithm ?? 'gemm',
    input,
    residual: undefined,
    output: { buffer: -1, offset: 0, ld: shape.c, shape },
    ...(end?.quant && { quant: end.quant }),
  };
  return { step, before };
}
