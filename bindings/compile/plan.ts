/**
 * A graph becomes a plan: fused steps in order, and a place in one arena of activations for every value that a step
 * makes. Pure data, no memory: the places are elements for one image, and grow with the batch.
 */

import type { BatchNormOp, ConvOp, Graph, Node, NodeId, Shape } from '../../models/graph.js';
import { inputShape } from '../../models/graph.js';
import { type Algorithm, chooseAlgorithm } from './conv-algorithm.js';
import { type Draft, fuse, type StepKind } from './fuse.js';

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
  readonly algorithm: Algorithm;
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

/** Buffers begin at multiples of 16 elements: a cache line. */
const LINE = 16;
const wholeLines = (elements: number): number => Math.ceil(elements / LINE) * LINE;

const elements = ({ h, w, c }: Shape): number => h * w * c;

/** Where values share memory: each has a root value, and a channel offset in the root's buffer. */
class Places {
  readonly #at = new Map<NodeId, { root: NodeId; offset: number }>();

  of(id: NodeId): { root: NodeId; offset: number } {
    return this.#at.get(id) ?? { root: id, offset: 0 };
  }

  has(id: NodeId): boolean {
    return this.#at.has(id);
  }

  put(id: NodeId, root: NodeId, offset: number): void {
    this.#at.set(id, { root, offset });
  }
}

/**
 * Lets the inputs of a concatenation be written where it wants them. Concatenations are placed from the last back, so
 * that a growing list of features (DenseNet) shares the buffer of its longest; what cannot lie there is copied. The
 * graph's output lies by itself.
 */
function placeConcats(graph: Graph, drafts: Draft[], places: Places): void {
  const written = new Set(drafts.map(({ output }) => output));
  for (const concat of graph.nodes.filter(({ kind }) => kind === 'concat').reverse()) {
    const home = places.of(concat.id);
    const offsets: number[] = [];
    let offset = home.offset;
    for (const id of concat.inputs) {
      offsets.push(offset);
      offset += graph.nodes[id]?.shape.c ?? 0;
    }
    const base = places.of(concat.inputs[0] as NodeId);
    const alreadyThere = concat.inputs.every((id, i) => {
      const at = places.of(id);
      return at.root === base.root && at.offset - base.offset === (offsets[i] as number) - home.offset;
    });
    const mayShare = (id: NodeId): boolean => !places.has(id) && id !== graph.output;
    if (alreadyThere && places.has(concat.inputs[0] as NodeId) && mayShare(concat.id)) {
      places.put(concat.id, base.root, base.offset);
      continue;
    }
    concat.inputs.forEach((id, i) => {
      const repeated = concat.inputs.indexOf(id) !== i;
      const isFree = mayShare(id) && !repeated && (written.has(id) || graph.nodes[id]?.kind === 'concat');
      if (isFree) {
        places.put(id, home.root, offsets[i] as number);
        return;
      }
      // It lies elsewhere: a copy, made when all that stands before the concatenation is done.
      const later = drafts.findIndex(({ order }) => order > concat.id);
      const copy = graph.nodes.length + drafts.length;
      places.put(copy, home.root, offsets[i] as number);
      const node = graph.nodes[id] as Node;
      const draft: Draft = {
        kind: 'copy',
        node,
        parts: [],
        folded: undefined,
        preActivation: undefined,
        relu: false,
        input: id,
        residual: undefined,
        output: copy,
        order: concat.id,
      };
      drafts.splice(later < 0 ? drafts.length : later, 0, draft);
    });
  }
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

/** The algorithm for a convolution of an input of this shape. */
export type Choose = (node: Node<ConvOp>, input: Shape) => Algorithm;

/** Fuses the graph's operations and lays out its activations. Throws where an operation cannot be laid out. */
export function makePlan(graph: Graph, choose: Choose = chooseAlgorithm): Plan {
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
