/** Operations of a graph that one kernel computes together become one step. */

import type { BatchNormOp, Graph, Node, NodeId, Op } from '../../models/graph.js';

/** Kinds of operation that remain after fusion. */
export type StepKind = Exclude<Op['kind'], 'input' | 'concat' | 'relu' | 'add'> | 'copy';

/** A step before its values have places. */
export interface Draft {
  kind: StepKind;
  node: Node;
  /** Every node that the step computes: `node`, and those that are fused with it. None for a copy that concat wants. */
  parts: NodeId[];
  folded: Node<BatchNormOp> | undefined;
  preActivation: Node<BatchNormOp> | undefined;
  relu: boolean;
  input: NodeId;
  residual: NodeId | undefined;
  output: NodeId;
  /** Steps run in the order of these: the node's id, or of a copy that of the concatenation which wants it. */
  order: NodeId;
}

/**
 * Folds batch norm into the convolution before it and fuses a following add and ReLU: an add goes to the later of its
 * two operands' convolutions, whose other operand is then there. Batch norm and ReLU before a pointwise convolution, which
 * no weights can take, go to the packing of its input.
 */
export function fuse(graph: Graph): Draft[] {
  const consumers = graph.nodes.map((): Node[] => []);
  for (const node of graph.nodes) for (const id of node.inputs) consumers[id]?.push(node);
  const made = new Set<NodeId>();
  const drafts: Draft[] = [];

  for (const node of graph.nodes) {
    if (made.has(node.id)) continue;
    made.add(node.id);
    if (node.kind === 'input' || node.kind === 'concat') continue;
    const [first, second] = node.inputs as [NodeId, NodeId | undefined];
    const draft: Draft = {
      kind: node.kind === 'relu' || node.kind === 'add' ? 'copy' : node.kind,
      node,
      parts: [node.id],
      folded: undefined,
      preActivation: undefined,
      relu: node.kind === 'relu',
      input: first,
      residual: node.kind === 'add' ? second : undefined,
      output: node.id,
      order: node.id,
    };
    const next = (): Node | undefined => {
      const users = consumers[draft.output] ?? [];
      return users.length === 1 && draft.output !== graph.output ? users[0] : undefined;
    };
    const take = (taken: Node): void => {
      made.add(taken.id);
      draft.parts.push(taken.id);
      draft.output = taken.id;
    };
    const isGemm = node.kind === 'conv' || node.kind === 'linear';
    const before = drafts.findIndex(({ output }) => output === first);
    const producer = drafts[before];
    const isOnly = consumers[first]?.length === 1 && first !== graph.output;
    if (isOnly && isPointwise(node) && producer?.kind === 'batchNorm' && producer.relu) {
      draft.preActivation = producer.node as Node<BatchNormOp>;
      draft.input = producer.input;
      draft.parts.push(...producer.parts);
      drafts.splice(before, 1);
    }
    let user = next();
    if (isGemm && user?.kind === 'batchNorm') {
      draft.folded = user as Node<BatchNormOp>;
      take(user);
      user = next();
    }
    if (node.kind === 'conv' && user?.kind === 'add') {
      const other = user.inputs[0] === draft.output ? user.inputs[1] : user.inputs[0];
      if (other !== undefined && other !== draft.output && made.has(other)) {
        draft.residual = other;
        take(user);
        user = next();
      }
    }
    if (user?.kind === 'relu' && (isGemm || node.kind === 'add' || node.kind === 'batchNorm')) {
      draft.relu = true;
      take(user);
    }
    drafts.push(draft);
  }
  return drafts;
}

/** A convolution that is a GEMM on its input as it lies. */
function isPointwise(node: Node): boolean {
  if (node.kind !== 'conv' || node.groups > 1) return false;
  const { top, left, bottom, right } = node.padding;
  return [...node.kernel, ...node.stride].every((n) => n === 1) && top + left + bottom + right === 0;
}
