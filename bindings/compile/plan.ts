/**
 * A graph becomes a plan: fused steps in order, and a place in one arena of activations for every value that a step
 * makes. Pure data, no memory: the places are elements for one image, and grow with the batch.
 */

import { ResnetError } from '../../models/errors.js';
import { type Graph, inputShape, type Node, type NodeId, type Port, type Shape } from '../../models/index.js';
import type { Choose } from './conv-algorithm.js';
import { type Draft, fuse, multiplies } from './fuse.js';
import { elements, lifetimes, Places, placeBuffers, placeConcats, placeSums, placeViews } from './memory.js';
import type { PlanStep, View } from './plan-step.js';
import type { withRanges } from './ranges.js';

/** Adds to a plan's steps what those on whole numbers need. */
export type Arrange = typeof withRanges;

const asTheyAre: Arrange = (_, __, steps) => ({ steps, ranges: 0, places: [...steps.keys()] });

export type { StepKind } from './fuse.js';
export type { PlanStep, View } from './plan-step.js';

/** The value of a node or, if it is fused with nodes that follow, that of the last of them. */
export interface PlanValue {
  /** The node whose value it is. */
  readonly node: Node;
  /** The step after which it is complete; −1 for an input. */
  readonly step: number;
  /** Where it lies after that step, and perhaps not much longer. */
  readonly view: View;
}

/** Where an input of the graph is to be written, or an output lies: by itself, its channels together. */
export interface PlanPort extends Port {
  readonly view: View;
}

/** At least one. */
export type PlanPorts = readonly [PlanPort, ...PlanPort[]];

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
  /** In the graph's order. An input's place is used again once nothing reads it any more. */
  readonly inputs: PlanPorts;
  /** In the graph's order. One that is an input too has the input's place. */
  readonly outputs: PlanPorts;
  /** By node id. */
  readonly values: readonly PlanValue[];
  /** How many values' ranges steps find for others, each a word per image. */
  readonly ranges: number;
  /** Elements of all buffers for one image: the peak of what is alive at once, and little more. */
  readonly arenaSize: number;
}

/**
 * Which value each node has, and after which step: a concatenation's is complete when all of its inputs are, and what had
 * to be copied is there; that of a node which lies where its input lies, when that is.
 */
function completions(graph: Graph, drafts: readonly Draft[]): { node: Node; step: number }[] {
  const values: { node: Node; step: number }[] = graph.nodes.map((node) => ({ node, step: -1 }));
  drafts.forEach(({ parts, output }, step) => {
    for (const id of parts) values[id] = { node: graph.nodes[output] as Node, step };
  });
  const computed = new Set(drafts.flatMap(({ parts }) => parts));
  for (const node of graph.nodes.filter(({ id }) => !computed.has(id))) {
    const inputs = node.inputs.map((id) => values[id]?.step ?? -1);
    const copies = drafts.map(({ order, parts }, step) => (order === node.id && parts.length === 0 ? step : -1));
    values[node.id] = { node, step: Math.max(-1, ...inputs, ...copies) };
  }
  return values;
}

/** Shapes of all values: of nodes, and of copies, whose ids come after. */
function shapesOf(graph: Graph, drafts: readonly Draft[]): (id: NodeId) => Shape {
  const shapes = new Map(drafts.map(({ output, node }) => [output, node.shape]));
  for (const { id, shape } of graph.nodes) shapes.set(id, shape);
  return (id) => {
    const shape = shapes.get(id);
    if (!shape) throw new ResnetError('unsupported', `${graph.name}: expected a value for node ${id}, got none.`);
    return shape;
  };
}

function stepOf(graph: Graph, draft: Draft, view: (id: NodeId) => View, choose: Choose): PlanStep {
  const { kind, node, folded, preActivation, activation, slopes, residual } = draft;
  return {
    kind,
    node,
    folded,
    preActivation,
    activation,
    slopes,
    algorithm: kind !== 'copy' && multiplies(node) ? choose(node, inputShape(graph, node)) : 'gemm',
    input: view(draft.input),
    residual: residual === undefined ? undefined : view(residual),
    output: view(draft.output),
  };
}

/** Fuses the graph's operations and lays out its activations. */
export function makePlan(graph: Graph, choose: Choose = () => 'gemm', arrange: Arrange = asTheyAre): Plan {
  const drafts = fuse(graph);
  const places = new Places();
  placeConcats(graph, drafts, places);
  placeViews(graph, drafts, places);
  const shapeOf = shapesOf(graph, drafts);
  const elementsOf = (id: NodeId): number => elements(shapeOf(id));
  const lives = lifetimes(graph, drafts, places);
  placeSums(graph, drafts, places, lives, elementsOf);
  const buffers = placeBuffers(lives, elementsOf);

  const indices = new Map(buffers.map(({ root }, index) => [root, index]));
  const view = (id: NodeId): View => {
    const { root, offset, ld = shapeOf(root).c } = places.of(id);
    return { buffer: indices.get(root) ?? -1, offset, ld, shape: shapeOf(id) };
  };
  const [firstInput, ...inputs] = graph.inputs;
  const [firstOutput, ...outputs] = graph.outputs;
  const withView = (port: Port): PlanPort => ({ ...port, view: view(port.node) });
  const {
    steps,
    ranges,
    places: at,
  } = arrange(
    graph,
    drafts,
    drafts.map((draft) => stepOf(graph, draft, view, choose)),
  );
  return {
    graph,
    steps,
    buffers: buffers.map(({ offset, size }) => ({ offset, size })),
    inputs: [withView(firstInput), ...inputs.map(withView)],
    outputs: [withView(firstOutput), ...outputs.map(withView)],
    values: completions(graph, drafts).map(({ node, step }) => ({ node, step: at[step] ?? -1, view: view(node.id) })),
    ranges,
    arenaSize: buffers.reduce((end, { offset, size }) => Math.max(end, offset + size), 0),
  };
}
