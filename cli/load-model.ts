/** A model as the options of a command ask for it, with the progress of what takes long. */

import type { Command } from 'commander';
import {
  cached,
  cachedFromHub,
  guessNetwork,
  load,
  type Model,
  type NetworkGuess,
  type NetworkOptions,
  openWeights,
  pullAny,
} from '../bindings/index.node.js';
import { hubSet } from '../models/hub.js';
import { networks, weightSets } from '../models/index.js';
import { type ModelFlags, setNames } from './options.js';
import { showProgress } from './progress.js';

export interface OpenOptions {
  readonly signal: AbortSignal;
  readonly quiet?: boolean | undefined;
  /** Where they are not the network's own. */
  readonly options?: NetworkOptions;
}

/** A usage error where neither weights are given nor a weight set has the model's name. */
export function needWeights(command: Command, { model, weights }: ModelFlags): void {
  if (weights !== undefined || Object.hasOwn(weightSets, model) || hubSet(model)) return;
  const sets = setNames().join(', ');
  command.error(`error: ${model} needs --weights; ready-made weights exist for ${sets}`, { exitCode: 2 });
}

/** The network whose weights a file holds, and a line on stderr that says so, unless `quiet`. */
export async function guessModel(
  weights: string,
  { signal, quiet }: Omit<OpenOptions, 'options'>,
): Promise<NetworkGuess> {
  const file = await openWeights(weights, { signal });
  await file.close();
  const guess = guessNetwork(file.tensors);
  if (!guess) {
    throw new Error(
      `${weights}: expected the weights of a network that there is, got others; --model says which it is.`,
    );
  }
  if (!quiet) process.stderr.write(`${weights}: ${guess.network}, by its tensors\n`);
  return guess;
}

/** Weights that load within this time do it without a word. */
const PATIENCE_MS = 700;

export async function openModel(flags: ModelFlags, { signal, quiet, options = {} }: OpenOptions): Promise<Model> {
  const { model, weights, binary, threads } = flags;
  const classes = flags.classes ?? options.classes;
  if (weights === undefined) await pullWeights(model, { signal, quiet });
  // Most often a matter of a moment: no line of a log is worth it.
  const silent = quiet || !process.stderr.isTTY;
  const view = silent ? undefined : showProgress(`Loading ${model} weights`, { after: PATIENCE_MS });
  try {
    const onProgress = view?.update;
    const labels =
      weights === undefined ? undefined : await imagenetLabels(classes ?? networks[model]?.defaults.classes);
    return await load(model, { ...options, weights, classes, binary, threads, labels, signal, onProgress });
  } finally {
    view?.stop();
  }
}

/** Labels of ImageNet's 1000 classes, for weights of as many that bring none: those of the weight set, if it is there. */
async function imagenetLabels(classes: number | undefined): Promise<readonly string[] | undefined> {
  return classes === 1000 ? (await cached('resnet50'))?.labels : undefined;
}

/** Sees to it that a weight set is in the cache; gives the path of its file. */
export async function pullWeights(name: string, { signal, quiet }: Omit<OpenOptions, 'options'>): Promise<string> {
  const onHub = Object.hasOwn(weightSets, name) ? undefined : hubSet(name);
  const there = onHub ? await cachedFromHub(onHub) : (await cached(name))?.weights;
  if (there !== undefined) return there;
  const view = quiet ? undefined : showProgress(`Fetching ${name} weights`);
  try {
    return (await pullAny(name, { signal, onProgress: view?.update })).weights;
  } finally {
    view?.stop();
  }
}
