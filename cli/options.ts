/** Options that several commands share, and the parsers of their values. */

import { InvalidArgumentError, Option } from 'commander';
import type { Binary } from '../bindings/index.node.js';
import { hubSet, hubSets } from '../models/hub.js';
import { networks, weightSets } from '../models/index.js';

/** A whole number from 1. */
export function positive(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number from 1.');
  }
  return value;
}

const oneOf = (names: readonly string[]) => (text: string) => {
  if (!names.includes(text)) throw new InvalidArgumentError(`Expected one of ${names.join(', ')}.`);
  return text;
};

export const networkName = oneOf(Object.keys(networks));

/** Every weight set, and every network whose first set on the hub goes by its name. */
export const setNames = (): string[] => [
  ...Object.keys(weightSets),
  ...Object.keys(networks).filter((name) => !Object.hasOwn(weightSets, name) && hubSet(name)),
  ...Object.keys(hubSets),
];

export const weightSetName = oneOf(setNames());

const WEIGHTS_HELP = 'path or URL of weights: safetensors, PyTorch, Keras (.h5) or TensorFlow.js (model.json)';
const BINARIES: readonly Binary[] = ['baseline', 'relaxed'];

/** What a command that runs a network asks for, beside `--model`. */
export interface ModelFlags {
  readonly model: string;
  readonly weights?: string;
  readonly classes?: number;
  readonly binary?: Binary;
  readonly threads?: number | 'auto';
}

export const modelOptions = (): Option[] => [
  new Option('--weights <file>', WEIGHTS_HELP),
  new Option('--classes <n>', "outputs of the weights' classifier, if not the network's own number").argParser(
    positive,
  ),
  new Option('--binary <name>', 'force one of the wasm binaries (default: the fastest that runs here)').choices(
    BINARIES,
  ),
  new Option('--threads <n>', 'how many, or auto: one a core, up to 8')
    .default('auto')
    .argParser((text) => (text === 'auto' ? text : positive(text))),
];
