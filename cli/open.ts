/** A model as the options of a command ask for it, with the progress of what takes long. */

import type { Command } from 'commander';
import { cached, load, type Model, type NetworkOptions, pull } from '../bindings/node.js';
import { weightSets } from '../models/index.js';
import type { ModelFlags } from './options.js';
import { showProgress } from './progress.js';

export interface OpenOptions {
  readonly signal: AbortSignal;
  readonly quiet?: boolean | undefined;
  /** Of the input, where it is not the network's own. */
  readonly size?: NetworkOptions['size'];
}

/** A usage error where neither weights are given nor a weight set has the model's name. */
export function needWeights(command: Command, { model, weights }: ModelFlags): void {
  if (weights !== undefined || Object.hasOwn(weightSets, model)) return;
  const sets = Object.keys(weightSets).join(', ');
  command.error(`error: ${model} needs --weights; ready-made weights exist for ${sets}`, { exitCode: 2 });
}

/** Weights that load within this time do it without a word. */
const PATIENCE_MS = 700;

export async function openModel(flags: ModelFlags, { signal, quiet, size }: OpenOptions): Promise<Model> {
  const { model, weights, classes, binary, threads } = flags;
  if (weights === undefined) await pullWeights(model, { signal, quiet });
  // Most often a matter of a moment: no line of a log is worth it.
  const silent = quiet || !process.stderr.isTTY;
  const view = silent ? undefined : showProgress(`Loading ${model} weights`, { after: PATIENCE_MS });
  try {
    return await load(model, { weights, classes, size, binary, threads, signal, onProgress: view?.update });
  } finally {
    view?.stop();
  }
}

/** Sees to it that a weight set is in the cache; gives the path of its file. */
export async function pullWeights(name: string, { signal, quiet }: Omit<OpenOptions, 'size'>): Promise<string> {
  const there = await cached(name);
  if (there) return there.weights;
  const view = quiet ? undefined : showProgress(`Fetching ${name} weights`);
  try {
    return (await pull(name, { signal, onProgress: view?.update })).weights;
  } finally {
    view?.stop();
  }
}
