/** Patterns of nodes that are one operation, found by what they compute and not by their names. */

import { attribute, isClose, Pattern } from './pattern.js';
import type { Attribute, OnnxModel, OnnxNode } from './types.js';

/** What takes a node's place, if it is the last of a pattern. What nobody reads then goes. */
type Rule = (pattern: Pattern, node: OnnxNode) => OnnxNode | undefined;

const like = (
  node: OnnxNode,
  op: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Partial<Attribute>>> = {},
): OnnxNode => ({
  ...node,
  op,
  inputs,
  attributes: new Map(Object.entries(attributes).map(([name, value]) => [name, attribute(value)])),
});

const isSixth = (value: number | undefined): boolean => isClose(value, 1 / 6);

/** x · f(x): SiLU, hard swish, Mish. */
const gated: Rule = (pattern, node) => {
  if (node.op !== 'Mul') return undefined;
  const [a = '', b = ''] = node.inputs;
  for (const [x, gate] of [
    [a, b],
    [b, a],
  ] as const) {
    if (pattern.madeFor(gate, 'Sigmoid')?.inputs[0] === x) return like(node, 'Silu', [x]);
    const hard = pattern.madeFor(gate, 'HardSigmoid');
    const isSwish = isSixth(hard?.attributes.get('alpha')?.f) && (hard?.attributes.get('beta')?.f ?? 0.5) === 0.5;
    if (isSwish && hard?.inputs[0] === x) return like(node, 'HardSwish', [x]);
    const softplus = pattern.madeFor(pattern.madeFor(gate, 'Tanh')?.inputs[0], 'Softplus');
    if (softplus?.inputs[0] === x) return like(node, 'Mish', [x]);
  }
  return undefined;
};

/** clip(x + 3, 0, 6), of which one has x. */
function clippedAfterThree(pattern: Pattern, name: string | undefined): string | undefined {
  const clip = pattern.madeFor(name, 'Clip');
  const low = clip?.attributes.get('min')?.f ?? pattern.scalar(clip?.inputs[1]);
  const high = clip?.attributes.get('max')?.f ?? pattern.scalar(clip?.inputs[2]);
  return clip && low === 0 && high === 6 ? pattern.besides(pattern.madeFor(clip.inputs[0], 'Add'), 3) : undefined;
}

/** clip(x + 3, 0, 6) / 6, and x times that. */
const hardSigmoid: Rule = (pattern, node) => {
  const divided =
    node.op === 'Div' && isClose(pattern.scalar(node.inputs[1]), 6)
      ? node.inputs[0]
      : node.op === 'Mul'
        ? pattern.besides(node, 1 / 6)
        : undefined;
  if (divided === undefined) return undefined;
  const x = clippedAfterThree(pattern, divided);
  if (x !== undefined) return like(node, 'HardSigmoid', [x], { alpha: { f: 1 / 6 }, beta: { f: 0.5 } });
  const [a, b] = pattern.madeFor(divided, 'Mul')?.inputs ?? [];
  if (a !== undefined && clippedAfterThree(pattern, b) === a) return like(node, 'HardSwish', [a]);
  return b !== undefined && clippedAfterThree(pattern, a) === b ? like(node, 'HardSwish', [b]) : undefined;
};

/** x · (1 + erf(x / √2)) / 2, its factors in any order. */
const gelu: Rule = (pattern, node) => {
  if (node.op !== 'Mul') return undefined;
  const factors = node.inputs.flatMap((name) => pattern.factors(name));
  if (factors.length !== 3) return undefined;
  const rest = factors.filter((name) => !isClose(pattern.scalar(name), 0.5));
  const gate = rest.find((name) => pattern.besides(pattern.madeFor(name, 'Add'), 1) !== undefined);
  const [x] = rest.filter((name) => name !== gate);
  if (rest.length !== 2 || x === undefined || gate === undefined) return undefined;
  const erf = pattern.madeFor(pattern.besides(pattern.made(gate, 'Add'), 1), 'Erf');
  return erf && pattern.multiplied(erf.inputs[0], Math.SQRT1_2) === x ? like(node, 'Gelu', [x]) : undefined;
};

/** The axes of a reduction: an attribute or, since 18, an input. */
function axesOf(pattern: Pattern, node: OnnxNode | undefined): string | undefined {
  if (!node || (node.attributes.get('keepdims')?.i ?? 1) !== 1) return undefined;
  const axes = node.attributes.get('axes')?.ints ?? pattern.values(node.inputs[1]);
  return axes && Array.from(axes).join();
}

/** (x − mean) / √(mean((x − mean)²) + ε) over the last dimension, and a scale and shift after it. */
const layerNorm: Rule = (pattern, node) => {
  const product =
    node.op === 'Add' ? [...node.inputs].map((name) => pattern.madeFor(name, 'Mul')).find(Boolean) : undefined;
  const [scaled, scale] = splitConstant(pattern, product);
  const [, shift] = splitConstant(pattern, product ? node : undefined);
  const quotient = node.op === 'Div' ? node : pattern.madeFor(scaled, 'Div');
  if (!quotient || (node.op !== 'Div' && (!scale || !shift))) return undefined;
  // A quotient whose scale and shift follow is taken with them.
  if (node.op === 'Div' && isScaledAndShifted(pattern, node)) return undefined;
  const difference = pattern.made(quotient.inputs[0], 'Sub');
  const [x, mean] = difference?.inputs ?? [];
  const centre = pattern.madeFor(mean, 'ReduceMean');
  const sum = pattern.madeFor(pattern.madeFor(quotient.inputs[1], 'Sqrt')?.inputs[0], 'Add');
  const [variance, epsilon] = splitConstant(pattern, sum);
  const average = pattern.madeFor(variance, 'ReduceMean');
  const squared = average?.inputs[0];
  const power = pattern.madeFor(squared, 'Pow');
  const square = pattern.madeFor(squared, 'Mul');
  const [from, other] = power
    ? [pattern.scalar(power.inputs[1]) === 2 ? power.inputs[0] : undefined, power.inputs[0]]
    : (square?.inputs ?? []);
  const eps = pattern.scalar(epsilon);
  const isNorm = centre?.inputs[0] === x && from === quotient.inputs[0] && other === from && eps !== undefined;
  if (!isNorm || x === undefined || axesOf(pattern, centre) !== '-1' || axesOf(pattern, average) !== '-1')
    return undefined;
  const inputs = node.op === 'Div' ? [x] : [x, scale ?? '', shift ?? ''];
  return like(node, 'LayerNormalization', inputs, { axis: { i: -1 }, epsilon: { f: eps } });
};

/** The inputs of a node of two: what is made, and a constant. */
function splitConstant(
  pattern: Pattern,
  node: OnnxNode | undefined,
): [made: string | undefined, constant: string | undefined] {
  const [a, b] = node?.inputs ?? [];
  if (pattern.isConstant(b)) return [a, b];
  return pattern.isConstant(a) ? [b, a] : [undefined, undefined];
}

function isScaledAndShifted(pattern: Pattern, { outputs }: OnnxNode): boolean {
  const product = pattern.onlyReader(outputs[0]);
  const sum = product?.op === 'Mul' ? pattern.onlyReader(product.outputs[0]) : undefined;
  const vectors = [product, sum].map((node) => splitConstant(pattern, node)[1]);
  return sum?.op === 'Add' && vectors.every((name) => (pattern.values(name)?.length ?? 0) > 1);
}

/** What is never below 0, beside which a max pool does not see zeros. */
const POSITIVE: ReadonlySet<string> = new Set(['Relu', 'Sigmoid', 'HardSigmoid', 'Softmax']);

/** Zeros around a map that only a window reads are the window's own. */
const padded: Rule = (pattern, node) => {
  if (!['Conv', 'AveragePool', 'MaxPool'].includes(node.op)) return undefined;
  const pad = pattern.madeFor(node.inputs[0], 'Pad');
  const [x = '', padsInput, fill, axes] = pad?.inputs ?? [];
  const { attributes } = node;
  const mode = attributes.get('auto_pad')?.s ?? 'NOTSET';
  const value = fill ? pattern.scalar(fill) : (pad?.attributes.get('value')?.f ?? 0);
  const list = pad?.attributes.get('pads')?.ints ?? pattern.values(padsInput);
  if (!pad || !list || axes || value !== 0 || (pad.attributes.get('mode')?.s ?? 'constant') !== 'constant')
    return undefined;
  const pads = Array.from(list);
  const rank = pads.length / 2 - 2;
  const [begin, end] = [pads.slice(0, rank + 2), pads.slice(rank + 2)];
  const outside = [...begin.slice(0, 2), ...end.slice(0, 2)];
  if (mode !== 'NOTSET' || rank < 1 || outside.some((n) => n !== 0) || pads.some((n) => n < 0)) return undefined;
  const own = attributes.get('pads')?.ints ?? Array.from({ length: 2 * rank }, () => 0);
  const hasOwn = own.some((n) => n !== 0);
  const counts = (attributes.get('count_include_pad')?.i ?? 0) === 1;
  if (node.op === 'AveragePool' && hasOwn && !counts) return undefined;
  const isPositive = [...POSITIVE].some((op) => pattern.made(x, op));
  if (node.op === 'MaxPool' && !isPositive) return undefined;
  const sums = own.map((n, i) => n + ([...begin.slice(2), ...end.slice(2)][i] ?? 0));
  const changed = new Map(attributes).set('pads', attribute({ ints: sums }));
  if (node.op === 'AveragePool') changed.set('count_include_pad', attribute({ i: 1 }));
  return { ...node, inputs: [x, ...node.inputs.slice(1)], attributes: changed };
};

const RULES: readonly Rule[] = [hardSigmoid, gated, gelu, layerNorm, padded];

/** The nodes with every pattern in the place of its last node. Nodes that nobody reads then are left out. */
export function rewritten(nodes: readonly OnnxNode[], model: OnnxModel): readonly OnnxNode[] {
  let now = withoutIdentities(nodes, model);
  for (const rule of RULES) {
    const pattern = new Pattern(model, now);
    now = now.map((node) => rule(pattern, node) ?? node);
  }
  return needed(
    now,
    model.outputs.map(({ name }) => name),
  );
}

/** The nodes with what Identity reads in the place of what it makes: exporters share equal tensors so. */
function withoutIdentities(nodes: readonly OnnxNode[], { outputs }: OnnxModel): readonly OnnxNode[] {
  const kept = new Set(outputs.map(({ name }) => name));
  const names = new Map<string, string>();
  const found = (name: string): string => names.get(name) ?? name;
  return nodes.flatMap((node) => {
    const inputs = node.inputs.map(found);
    const [input = '', made = ''] = [inputs[0], node.outputs[0]];
    if (node.op !== 'Identity' || node.domain !== '' || kept.has(made)) return [{ ...node, inputs }];
    names.set(made, input);
    return [];
  });
}

/** The nodes that outputs depend on, in their order, which has what a node reads before it. */
export function needed(nodes: readonly OnnxNode[], outputs: readonly string[]): OnnxNode[] {
  const wanted = new Set(outputs);
  const kept: OnnxNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => name !== '' && wanted.has(name))) continue;
    for (const name of node.inputs) wanted.add(name);
    kept.push(node);
  }
  return kept.reverse();
}
