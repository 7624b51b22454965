/** Options that several commands share, and the parsers of their values. */

import { InvalidArgumentError, Option } from 'commander';
import { type Binary, networkNames, pretrained } from '../bindings/index.node.js';

/** Parses a whole number from 1. */
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

export const networkName = oneOf(networkNames());

export const pretrainedName = oneOf(pretrained.names());

const WEIGHTS_HELP = 'path or URL of weights: safetensors, PyTorch, Keras (.h5) or TensorFlow.js (model.json)';
/** Makes the option that chooses among the tensors of a weight file. */
export const prefixOption = (): Option =>
  new Option('--prefix <name>', 'what the names of the tensors to read begin with: student, state_dict_ema');

const BINARIES: readonly Binary[] = ['baseline', 'relaxed', 'wide'];

/** The options of a command that runs a network. */
export interface ModelFlags {
  readonly model: string;
  readonly weights?: string;
  readonly prefix?: string;
  readonly classes?: number;
  readonly binary?: Binary;
  readonly threads?: number | 'auto';
}

/** Makes the options of a command that runs a network, without `--model`. */
export const modelOptions = (): Option[] => [
  new Option('--weights <file>', WEIGHTS_HELP),
  prefixOption(),
  new Option(
    '--classes <n>',
    'number of classes of the weights (default: that of the network, 1000 for ImageNet)',
  ).argParser(positive),
  new Option('--binary <name>', 'WebAssembly binary to run (default: the fastest that works here)').choices(BINARIES),
  // Read by main.ts, before anything is compiled.
  new Option('--no-wide', 'use no vectors of 256 bits (Node 24 and later have them)'),
  new Option('--threads <n>', 'number of threads, or auto: one per core, up to 8')
    .default('auto')
    .argParser((text) => (text === 'auto' ? text : positive(text))),
];
