/**
 * A graph as people speak of it: layers with what is fused with them, blocks by module path, stages by map size. Read
 * from the nodes alone; no network is known by name.
 */

import { type Graph, layersOf, type Node, type NodeId, type Shape } from '../bindings/index.js';

type Nodes = readonly [Node, ...Node[]];

/** A layer with the batch norm and activation that are computed with it, and its place in a part. */
export interface Unit {
  /** Its first node's. */
  readonly name: string;
  readonly nodes: Nodes;
  readonly shape: Shape;
  /** The units of the same part whose values it reads; -1 is the part's input. */
  readonly inputs: readonly number[];
}

/** How the input of a block comes to its output. */
export type ShortcutKind = 'identity' | 'projection' | 'concat';

/** What is drawn as one box: a block of several layers, or a layer that belongs to none. */
export interface Part {
  /** A block's module path, or the name of a layer's first node. */
  readonly name: string;
  /** The name without what its group says. */
  readonly label: string;
  readonly isBlock: boolean;
  readonly units: readonly Unit[];
  readonly shape: Shape;
  readonly shortcut: ShortcutKind | undefined;
}

/** Parts that stand together: the stem, a stage of one map size, the head. */
export interface Group {
  readonly title: string;
  readonly note: string;
  readonly parts: readonly Part[];
}

const times = ({ h, w }: Shape): string => `${h} × ${w}`;

/** `56×56×256`; a vector is its length. */
export const shapeOf = ({ h, w, c }: Shape): string => (h === 1 && w === 1 ? `${c}` : `${h}×${w}×${c}`);

const parentOf = (path: string): string => path.split('.').slice(0, -1).join('.');

/** Tells whether a network has class activation maps: it ends in the mean of its last map and one linear layer. */
export function hasMaps({ nodes, outputs }: Graph): boolean {
  const before = (node: Node | undefined): Node | undefined => nodes[node?.inputs[0] ?? -1];
  const end = nodes[outputs[0].node];
  const linear = end?.kind === 'softmax' ? before(end) : end;
  const pool = before(linear);
  const isMean = pool?.kind === 'reduce' ? pool.reduction === 'mean' : pool?.kind === 'adaptiveAvgPool';
  return linear?.kind === 'linear' && isMean && pool?.shape.h === 1 && pool.shape.w === 1;
}

/** The block of a node: the shortest path of two names or more that has layers of its own. */
function blockOf(name: string, modules: ReadonlySet<string>): string | undefined {
  const names = name.split('.');
  for (let length = 2; length < names.length; length++) {
    const path = names.slice(0, length).join('.');
    if (modules.has(path)) return path;
  }
  return undefined;
}

/** `layer1.0`, `denselayer3`: a number alone says too little. */
function labelOf(name: string): string {
  const names = name.split('.');
  return /^\d+$/.test(names.at(-1) ?? '') ? names.slice(-2).join('.') : (names.at(-1) ?? name);
}

/** How the block's input goes past its layers: the shorter way to an addition, or straight into a concatenation. */
function shortcutOf(units: readonly Unit[]): ShortcutKind | undefined {
  const layersBefore = (unit: number): number =>
    unit < 0 ? 0 : 1 + Math.min(...(units[unit]?.inputs ?? []).map(layersBefore));
  for (const { nodes, inputs } of units) {
    const { kind } = nodes[0];
    if (kind === 'concat' && inputs.includes(-1)) return 'concat';
    if (kind === 'add') return Math.min(...inputs.map(layersBefore)) === 0 ? 'identity' : 'projection';
  }
  return undefined;
}

function makePart(name: string, isBlock: boolean, layers: readonly Nodes[]): Part {
  const maker = new Map<NodeId, number>();
  const units = layers.map((nodes, i): Unit => {
    // A concatenation reads the input of its block in many pieces: they count as one.
    const [first] = nodes;
    const inputs = [...new Set(first.inputs.map((id) => maker.get(id) ?? -1))];
    for (const { id } of nodes) maker.set(id, i);
    return { name: first.name, nodes, shape: first.shape, inputs };
  });
  return {
    name,
    label: labelOf(name),
    isBlock,
    units,
    shape: (units.at(-1) as Unit).shape,
    shortcut: isBlock ? shortcutOf(units) : undefined,
  };
}

/** The parts of a network in the order of its nodes: each reads the one before it. */
export function partsOf(graph: Graph): Part[] {
  const modules = new Set(graph.nodes.map(({ name }) => parentOf(name)));
  const blocks = new Map<string, Nodes[]>();
  const ordered: { name: string; isBlock: boolean; layers: Nodes[] }[] = [];
  for (const { nodes } of layersOf(graph)) {
    const [first] = nodes;
    const block = blockOf(first.name, modules) ?? '';
    const known = blocks.get(block);
    if (block && known) {
      known.push(nodes);
      continue;
    }
    const layers = [nodes];
    if (block) blocks.set(block, layers);
    ordered.push({ name: block || first.name, isBlock: block !== '', layers });
  }
  return ordered.map(({ name, isBlock, layers }) => makePart(name, isBlock, layers));
}

/** What most blocks of a stage are part of: `layer1`. */
function moduleOf(parts: readonly Part[]): string {
  const counts = new Map<string, number>();
  for (const { name, isBlock } of parts) {
    const parent = isBlock ? parentOf(name) : '';
    counts.set(parent, (counts.get(parent) ?? 0) + 1);
  }
  const [[most] = ['']] = [...counts].sort((a, b) => b[1] - a[1]);
  return most.split('.').at(-1) ?? '';
}

/** Stem, stages and head; a network without blocks has stages alone. */
export function groupsOf(parts: readonly Part[]): Group[] {
  const first = parts.findIndex(({ isBlock }) => isBlock);
  const last = parts.findLastIndex(({ isBlock }) => isBlock);
  const stages: Part[][] = [];
  const inside = first < 0 ? parts : parts.slice(first, last + 1);
  for (const part of inside) {
    const before = stages.at(-1)?.at(-1)?.shape;
    if (before && before.h === part.shape.h && before.w === part.shape.w) stages.at(-1)?.push(part);
    else stages.push([part]);
  }
  const groups = stages.map((stage): Group => {
    const { shape } = stage[0] as Part;
    const isVector = shape.h === 1 && shape.w === 1;
    return { title: isVector ? 'Head' : times(shape), note: moduleOf(stage), parts: stage };
  });
  if (first < 0) return groups;
  return [
    { title: 'Stem', note: '', parts: parts.slice(0, first) },
    ...groups,
    { title: 'Head', note: '', parts: parts.slice(last + 1) },
  ].filter((group) => group.parts.length > 0);
}
