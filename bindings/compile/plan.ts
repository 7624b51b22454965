/**
 * A graph becomes a plan: fused steps in order, and a place in one arena of activations for every value that a step
 * makes. Pure data, no memory: the places are elements for one image, and grow with the batch.
 */

import { type BatchNormOp, type Graph, inputShape, type Node, type NodeId, type Shape } from '../../models/graph.js';
import type { AlgorithmName, Choose } from './conv-algorithm.js';
import { type Draft, fuse, type StepKind } from './fuse.js';
import { elements, Places, placeConcats, wholeLines } from './memory.js';

export type { StepKind } from './fuse.js';

/** Where a value lies: channels `offset` … `offset + shape.c` of pixels that are `ld` channels apart. */
export interface View {
  readonly buffer: number;
  readonly offset: number;
  readonly ld: number;
  readonly shape: Shape;
}

export interface PlanStep {
  readonly kind: StepKind;
  /** The node whose kind and parameters the step has; for a copy, the node whose value it makes. */
  readonly node: Node;
  /** The batch norm that is folded into a convolution or linear layer. */
  readonly folded: Node<BatchNormOp> | undefined;
  /** The batch norm that, with a ReLU, comes before a pointwise convolution and is applied as its input is packed. */
  readonly preActivation: Node<BatchNormOp> | undefined;
  readonly relu: boolean;
  /** Of a convolution; `gemm` for all else. */
  readonly algorithm: AlgorithmName;
  readonly input: View;
  /** What is added before ReLU. */
  readonly residual: View | undefined;
  readonly output: View;
}

/** The value of a node, or, where it is fused with nodes that follow, that of the last of them. */
export interface PlanValue {
  /** The node whose value it is. */
  readonly node: Node;
  /** The step after which it is complete; −1 for the input. */
  readonly step: number;
  /** Where it lies after that step, and perhaps not much longer. */
  readonly view: View;
}

export interface PlanBuffer {
  /** Elements from the start of the arena of activations, for one image. */
  readonly offset: number;
  /** Elements for one image. */
  readonly size: number;
}

export interface Plan {
  readonly graph: Graph;
  readonly steps: readonly PlanStep[];
  readonly buffers: readonly PlanBuffer[];
  readonly input: View;
  readonly output: View;
  /** By node id. */
  readonly values: readonly PlanValue[];
  /** Elements of all buffers for one image: the peak of what is alive at once, and little more. */
  readonly arenaSize: number;
}

/**
 * Which value each node has, and after which step: a concatenation's is complete when all of its inputs are, and what had
 * to be copied is there.
 */
function completions(graph: Graph, drafts: readonly Draft[]): { node: Node; step: number }[] {
  const values: { node: Node; step: number }[] = graph.nodes.map((node) => ({ node, step: -1 }));
  drafts.forEach(({ parts, output }, step) => {
    for (const id of parts) values[id] = { node: graph.nodes[output] as Node, step };
  });
  for (const node of graph.nodes.filter(({ kind }) => kind === 'concat')) {
    const inputs = node.inputs.map((id) => values[id]?.step ?? -1);
    const copies = drafts.map(({ order, parts }, step) => (order === node.id && parts.length === 0 ? step : -1));
    values[node.id] = { node, step: Math.max(...inputs, ...copies) };
  }
  return values;
}

/** Fuses the graph's operations and lays out its activations. Throws where an operation cannot be laid out. */
export function makePlan(graph: Graph, choose: Choose = () => 'gemm'): Plan {
  const drafts = fuse(graph);
  const places = new Places();
  placeConcats(graph, drafts, places);

  const source = graph.nodes.find(({ kind }) => kind === 'input');
  if (!source) throw new RangeError(`${graph.name}: expected an input node, got none.`);

  // First and last step that touch each root: the input is written before step 0, the output read after the last.
  const life = new Map<NodeId, { first: number; last: number }>();
  const touch = (id: NodeId, step: number): void => {
    const { root } = places.of(id);
    const at = life.get(root) ?? { first: step, last: step };
    life.set(root, { first: Math.min(at.first, step), last: Math.max(at.last, step) });
  };
  touch(source.id, -1);
  const reads = (draft: Draft): NodeId[] =>
    draft.residual === undefined ? [draft.input] : [draft.input, draft.residual];
  drafts.forEach((draft, step) => {
    for (const id of [...reads(draft), draft.output]) touch(id, step);
  });
  touch(graph.output, drafts.length);

  const shapeOf = (id: NodeId, draft?: Draft): Shape => {
    const node = graph.nodes[id] ?? draft?.node;
    if (!node) throw new RangeError(`${graph.name}: expected a value for node ${id}, got none.`);
    return node.shape;
  };

  // A sum takes the place of its residual where nothing reads that again: the epilogue reads each element it writes.
  drafts.forEach((draft, step) => {
    if (draft.residual === undefined || places.has(draft.output) || draft.output === graph.output) return;
    const residual = places.of(draft.residual);
    const output = life.get(draft.output);
    const old = life.get(residual.root);
    if (!output || !old || old.last !== step || places.of(draft.input).root === residual.root) return;
    if (elements(shapeOf(residual.root)) !== elements(shapeOf(draft.output))) return;
    for (const { output: id } of drafts) {
      const at = places.of(id);
      if (at.root === draft.output && id !== draft.output) places.put(id, residual.root, at.offset);
    }
    places.put(draft.output, residual.root, 0);
    life.delete(draft.output);
    life.set(residual.root, { first: old.first, last: output.last });
  });

  // Largest first, each at the lowest place that is free for as long as it lives.
  const roots = [...life].map(([root, { first, last }]) => {
    return { root, first, last, size: wholeLines(elements(shapeOf(root))), offset: 0 };
  });
  const placed: typeof roots = [];
  for (const buffer of [...roots].sort((a, b) => b.size - a.size || a.first - b.first)) {
    const rivals = placed
      .filter((other) => other.first <= buffer.last && buffer.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    for (const other of rivals) {
      if (buffer.offset + buffer.size <= other.offset) break;
      buffer.offset = Math.max(buffer.offset, other.offset + other.size);
    }
    placed.push(buffer);
  }

  const view = (id: NodeId, draft?: Draft): View => {
    const { root, offset } = places.of(id);
    return {
      buffer: roots.findIndex((buffer) => buffer.root === root),
      offset,
      ld: shapeOf(root).c,
      shape: shapeOf(id, draft),
    };
  };
  const steps = drafts.map((draft): PlanStep => {
    const input = view(draft.input);
    if (draft.kind === 'linear' && input.ld !== input.shape.c) {
      throw new RangeError(
        `${draft.node.name}: expected an input that lies by itself, got channels of a concatenation.`,
      );
    }
    return {
      kind: draft.kind,
      node: draft.node,
      folded: draft.folded,
      preActivation: draft.preActivation,
      relu: draft.relu,
      algorithm:
        draft.kind === 'conv' && draft.node.kind === 'conv'
          ? choose(draft.node, inputShape(graph, draft.node))
          : 'gemm',
      input,
      residual: draft.residual === undefined ? undefined : view(draft.residual),
      output: view(draft.output, draft),
    };
  });
  return {
    graph,
    steps,
    buffers: roots.map(({ offset, size }) => ({ offset, size })),
    input: view(source.id),
    output: view(graph.output),
    values: completions(graph, drafts).map(({ node, step }) => ({ node, step, view: view(node.id) })),
    arenaSize: roots.reduce((end, { offset, size }) => Math.max(end, offset + size), 0),
  };
}
