/**
 * Steps on whole numbers want to know how large their input is, image by image, before they begin. A step on whole numbers
 * finds the greatest magnitude of its output on the way; where another makes the value, a step of its own looks for it.
 */

import type { Activation, Graph, Node, NodeId } from '../../models/index.js';
import type { Draft } from './fuse.js';
import type { PlanStep } from './plan-step.js';

/** 7 bits, of which products of bytes are the same on every engine (assembly/int8/dot.ts). */
const GREATEST = 127;

/** Whether an activation gives nothing below zero. */
const isPositive = (activation: Activation): boolean =>
  ['relu', 'sigmoid', 'hardSigmoid'].includes(activation.kind) || (activation.kind === 'clip' && activation.low >= 0);

/** Whether a value is never negative, as far as the graph tells. */
export function isNonNegative({ nodes }: Graph, id: NodeId): boolean {
  const known = new Map<NodeId, boolean>();
  const visit = (at: NodeId): boolean => {
    const found = known.get(at);
    if (found !== undefined) return found;
    const node = nodes[at];
    const isSo =
      node?.kind === 'activation'
        ? isPositive(node.activation)
        : node !== undefined && PRESERVING.has(node.kind) && node.inputs.every(visit);
    known.set(at, isSo);
    return isSo;
  };
  return visit(id);
}

/** Operations that give nothing below zero of inputs that are not. */
const PRESERVING: ReadonlySet<string> = new Set([
  'maxPool',
  'avgPool',
  'dilatedPool',
  'adaptiveAvgPool',
  'reduce',
  'zeroPadShortcut',
  'concat',
  'reshape',
  'rearrange',
  'slice',
  'expand',
  'add',
  'mul',
]);

/** A plan's steps with what those on whole numbers need to know. */
export interface Ranged {
  readonly steps: readonly PlanStep[];
  /** How many ranges there are, each a word per image. */
  readonly ranges: number;
  /** The place among `steps` of each step that was given. */
  readonly places: readonly number[];
}

/** Makes the step that finds the range of what `reader` reads, the value of `node`. */
export const rangeStep = ({ input, preActivation }: PlanStep, node: Node, outRange: number): PlanStep => ({
  kind: 'range',
  node,
  folded: undefined,
  preActivation,
  activation: undefined,
  slopes: undefined,
  algorithm: 'gemm',
  input,
  residual: undefined,
  output: input,
  outRange,
});

/** Adds to the steps of `drafts` what those by the algorithm `int8` need, and steps before them that find ranges. */
export function withRanges(graph: Graph, drafts: readonly Draft[], steps: readonly PlanStep[]): Ranged {
  const makers = new Map(drafts.map(({ output }, i) => [output, i]));
  const ranges = new Map<string, number>();
  const outRanges = new Map<number, number>();
  const ranged: { step: PlanStep; given: number }[] = [];
  steps.forEach((step, given) => {
    const { input, preActivation } = drafts[given] as Draft;
    if (step.algorithm !== 'int8') {
      ranged.push({ step, given });
      return;
    }
    const key = `${input} ${preActivation?.id ?? ''}`;
    const range = ranges.get(key) ?? ranges.size;
    if (!ranges.has(key)) {
      ranges.set(key, range);
      const maker = makers.get(input) ?? -1;
      const isFound = steps[maker]?.algorithm === 'int8' && !preActivation;
      if (isFound) outRanges.set(maker, range);
      else ranged.push({ step: rangeStep(step, graph.nodes[input] as Node, range), given: -1 });
    }
    const low = preActivation || isNonNegative(graph, input) ? 0 : -GREATEST;
    ranged.push({ step: { ...step, quant: { low, high: GREATEST, range } }, given });
  });
  return {
    steps: ranged.map(({ step, given }) => {
      const outRange = outRanges.get(given);
      return outRange === undefined ? step : { ...step, outRange };
    }),
    ranges: ranges.size,
    places: steps.map((_, i) => ranged.findIndex(({ given }) => given === i)),
  };
}
