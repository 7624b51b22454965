/** Where values lie: which share memory, how long each lives, and where it is then. */

import { type Graph, type Node, type NodeId, rowOf, type Shape, type SliceOp } from '../../models/index.js';
import type { Draft } from './fuse.js';

/** A place in the buffer of a root value: a channel offset and, unless they are the root's, channels from pixel to pixel. */
export interface Place {
  readonly root: NodeId;
  readonly offset: number;
  readonly ld?: number | undefined;
}

/** Where values share memory. */
export class Places {
  readonly #at = new Map<NodeId, Place>();

  of(id: NodeId): Place {
    return this.#at.get(id) ?? { root: id, offset: 0 };
  }

  has(id: NodeId): boolean {
    return this.#at.has(id);
  }

  put(id: NodeId, place: Place): void {
    this.#at.set(id, place);
  }

  /** Moves all that lies in `root` to the start of another root, whose pixels may be of other lengths. */
  move(root: NodeId, to: NodeId, ld: number): void {
    for (const [id, at] of this.#at) {
      if (at.root === root) this.#at.set(id, { root: to, offset: at.offset, ld: at.ld ?? ld });
    }
    this.#at.set(root, { root: to, offset: 0, ld });
  }
}

/** Values that kernels read or write as one line, without other channels between the pixels. */
function denseIds({ nodes }: Graph): ReadonlySet<NodeId> {
  const dense = new Set<NodeId>();
  for (const node of nodes) {
    const row = rowOf(node);
    if (row.dense) for (const id of node.inputs) dense.add(id);
    if (row.dense === 'all') dense.add(node.id);
  }
  return dense;
}

/** Outputs lie by themselves: nothing shares their memory, and nothing overwrites them. */
const outputIds = ({ outputs }: Graph): ReadonlySet<NodeId> => new Set(outputs.map(({ node }) => node));

/**
 * Lets the inputs of a concatenation be written where it wants them. Concatenations are placed from the last back, so
 * that a growing list of features (DenseNet) shares the buffer of its longest; what cannot lie there is copied. The
 * graph's outputs lie by themselves.
 */
export function placeConcats(graph: Graph, drafts: Draft[], places: Places): void {
  const written = new Set(drafts.map(({ output }) => output));
  const outputs = outputIds(graph);
  const dense = denseIds(graph);
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
    const mayShare = (id: NodeId): boolean => !places.has(id) && !outputs.has(id) && !dense.has(id);
    if (alreadyThere && places.has(concat.inputs[0] as NodeId) && mayShare(concat.id)) {
      places.put(concat.id, base);
      continue;
    }
    concat.inputs.forEach((id, i) => {
      const repeated = concat.inputs.indexOf(id) !== i;
      const isFree = mayShare(id) && !repeated && (written.has(id) || graph.nodes[id]?.kind === 'concat');
      if (isFree) {
        places.put(id, { ...home, offset: offsets[i] as number });
        return;
      }
      // It lies elsewhere: a copy, made when all that stands before the concatenation is done.
      const later = drafts.findIndex(({ order }) => order > concat.id);
      const copy = graph.nodes.length + drafts.length;
      places.put(copy, { ...home, offset: offsets[i] as number });
      drafts.splice(later < 0 ? drafts.length : later, 0, copyOf(graph.nodes[id] as Node, copy, concat.id));
    });
  }
}

/**
 * Lets a value that is another, or channels of another, lie where that lies: a reshape has no step at all, and the step of a
 * slice goes. In the graph's order, so that a slice of a slice finds its place.
 */
export function placeViews(graph: Graph, drafts: Draft[], places: Places): void {
  const outputs = outputIds(graph);
  const dense = denseIds(graph);
  for (const node of graph.nodes) {
    const from = graph.nodes[node.inputs[0] as NodeId];
    if (!from) continue;
    const at = places.of(from.id);
    if (node.kind === 'reshape') places.put(node.id, { ...at, ld: node.shape.c });
    if (node.kind !== 'slice' || outputs.has(node.id) || dense.has(node.id) || places.has(node.id)) continue;
    const step = drafts.findIndex(({ output, node: { id } }) => output === node.id && id === node.id);
    if (step < 0 || !isOfChannels(node, from.shape)) continue;
    places.put(node.id, { ...at, offset: at.offset + node.start[2] });
    drafts.splice(step, 1);
  }
}

/** Whether a slice is of all pixels, and of channels side by side. */
const isOfChannels = ({ shape, step }: Node<SliceOp>, { h, w }: Shape): boolean =>
  shape.h === h && shape.w === w && step.every((n) => n === 1);

/** A copy of a node's value that a concatenation wants. */
const copyOf = (node: Node, output: NodeId, order: NodeId): Draft => ({
  kind: 'copy',
  node,
  parts: [],
  folded: undefined,
  preActivation: undefined,
  activation: undefined,
  slopes: undefined,
  input: node.id,
  residual: undefined,
  output,
  order,
});

/** First and last step that touch a value. */
export interface Life {
  readonly first: number;
  readonly last: number;
}

/** The life of each root: inputs are written before step 0, outputs read after the last. */
export function lifetimes(graph: Graph, drafts: readonly Draft[], places: Places): Map<NodeId, Life> {
  const lives = new Map<NodeId, Life>();
  const touch = (id: NodeId, step: number): void => {
    const { root } = places.of(id);
    const { first, last } = lives.get(root) ?? { first: step, last: step };
    lives.set(root, { first: Math.min(first, step), last: Math.max(last, step) });
  };
  for (const { node } of graph.inputs) touch(node, -1);
  drafts.forEach(({ input, residual, output }, step) => {
    touch(input, step);
    if (residual !== undefined) touch(residual, step);
    touch(output, step);
  });
  for (const { node } of graph.outputs) touch(node, drafts.length);
  return lives;
}

/**
 * Lets what is made of pairs of elements take the place of its residual if nothing reads that again: the kernel reads each
 * element before it writes it. `elementsOf`: of a root.
 */
export function placeSums(
  graph: Graph,
  drafts: readonly Draft[],
  places: Places,
  lives: Map<NodeId, Life>,
  elementsOf: (id: NodeId) => number,
): void {
  const outputs = outputIds(graph);
  drafts.forEach((draft, step) => {
    if (draft.residual === undefined || draft.kind === 'matmul') return;
    if (places.has(draft.output) || outputs.has(draft.output)) return;
    const { root } = places.of(draft.residual);
    const output = lives.get(draft.output);
    const old = lives.get(root);
    if (!output || !old || old.last !== step || places.of(draft.input).root === root) return;
    if (elementsOf(root) !== elementsOf(draft.output)) return;
    places.move(draft.output, root, draft.node.shape.c);
    lives.delete(draft.output);
    lives.set(root, { first: old.first, last: output.last });
  });
}

/** A root's place in the arena, in elements for one image. */
export interface Placed {
  readonly root: NodeId;
  readonly offset: number;
  readonly size: number;
}

/** Largest first, each at the lowest place that is free for as long as it lives. In the order of `lives`. */
export function placeBuffers(lives: ReadonlyMap<NodeId, Life>, elementsOf: (id: NodeId) => number): Placed[] {
  const roots = [...lives].map(([root, life]) => ({ root, ...life, size: wholeLines(elementsOf(root)), offset: 0 }));
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
  return roots;
}

/** Buffers begin at multiples of 16 elements: a cache line. */
export const LINE = 16;

export const wholeLines = (elements: number): number => Math.ceil(elements / LINE) * LINE;
export const elements = ({ h, w, c }: Shape): number => h * w * c;
