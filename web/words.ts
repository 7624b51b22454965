/** Layers and numbers in words, for the drawing of a network. */

import type { Node } from '../bindings/index.js';
import type { Part, ShortcutKind, Unit } from './structure.js';

const whole = new Intl.NumberFormat('en-US');

/** A whole number with commas between thousands. */
export const digits = (value: number): string => whole.format(value);

/** `118 M`, `4.09 G`, `9.4 k`. */
export function short(value: number): string {
  for (const [unit, name] of [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (value >= unit) return `${(value / unit).toPrecision(3)}${name}`;
  }
  return `${value}`;
}

/** `0.48 ms`, `12.3 ms`. */
export const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`;

/** `< 0.1 %`, `0.4 %`, `12 %`. */
export const share = (value: number): string =>
  value > 0 && value < 0.0005 ? '< 0.1 %' : `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;

/** Four digits at most, for values of a feature map. */
export const value = (number: number): string => `${Number(number.toPrecision(3))}`.replace('-', '−');

const NAMES: Readonly<Record<Node['kind'], string>> = {
  input: 'input',
  conv: 'conv',
  maxPool: 'max pool',
  avgPool: 'average pool',
  adaptiveAvgPool: 'average pool',
  globalAvgPool: 'global average pool',
  batchNorm: 'batch norm',
  linear: 'linear',
  relu: 'ReLU',
  add: 'sum',
  concat: 'concatenate',
  softmax: 'softmax',
  zeroPadShortcut: 'zero padding',
};

const size = ([h, w]: readonly [number, number]): string => `${h}×${w}`;
const once = ([a, b]: readonly [number, number]): string => (a === b ? `${a}` : `${a}×${b}`);

function operation(node: Node): string {
  const name = NAMES[node.kind];
  if (node.kind === 'conv') {
    return [
      `${name} ${size(node.kernel)}`,
      once(node.stride) !== '1' && `stride ${once(node.stride)}`,
      once(node.dilation) !== '1' && `dilation ${once(node.dilation)}`,
      node.groups > 1 && `${node.groups} groups`,
    ]
      .filter(Boolean)
      .join(', ');
  }
  if (node.kind === 'maxPool' || node.kind === 'avgPool')
    return `${name} ${size(node.kernel)}, stride ${once(node.stride)}`;
  if (node.kind === 'zeroPadShortcut') return `${name}, stride ${node.stride}`;
  return name;
}

/** `conv 3×3, stride 2`. */
export const unitOperation = ({ nodes: [first] }: Unit): string => operation(first);

/** `norm, ReLU`; empty where nothing follows. */
export const unitFollowers = ({ nodes: [, ...others] }: Unit): string =>
  others.map(({ kind }) => (kind === 'batchNorm' ? 'norm' : NAMES[kind])).join(', ');

const COUNTS = ['no', 'one', 'two', 'three', 'four', 'five', 'six'];

const WITH: Readonly<Record<ShortcutKind, string>> = {
  identity: 'an identity shortcut',
  projection: 'a projection shortcut',
  concat: 'a concatenation',
};

/** What becomes of the input of a block. */
export const SHORTCUTS: Readonly<Record<ShortcutKind, string>> = {
  identity: 'its input added as it is',
  projection: 'its input added in a new shape',
  concat: 'its channels set beside those of its input',
};

/** `three convolutions with an identity shortcut`; `conv 7×7, stride 2, then batch norm and ReLU`. */
export function description({ isBlock, units, shortcut }: Part): string {
  if (!isBlock) return unitDescription(units[0] as Unit);
  const count = units.filter(({ nodes }) => nodes[0].kind === 'conv').length;
  const convolutions = `${COUNTS[count] ?? count} convolution${count === 1 ? '' : 's'}`;
  return shortcut ? `${convolutions} with ${WITH[shortcut]}` : convolutions;
}

export function unitDescription(unit: Unit): string {
  const followers = unit.nodes.slice(1).map(({ kind }) => NAMES[kind]);
  return `${unitOperation(unit)}${followers.length ? `, then ${followers.join(' and ')}` : ''}`;
}
