/** Where values lie: which share memory, and how large they are. */

import type { Graph, Node, NodeId, Shape } from '../../models/graph.js';
import type { Draft } from './fuse.js';

/** Where values share memory: each has a root value, and a channel offset in the root's buffer. */
export class Places {
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
export function placeConcats(graph: Graph, drafts: Draft[], places: Places): void {
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

/** Buffers begin at multiples of 16 elements: a cache line. */
export const LINE = 16;

export const wholeLines = (elements: number): number => Math.ceil(elements / LINE) * LINE;
export const elements = ({ h, w, c }: Shape): number => h * w * c;
