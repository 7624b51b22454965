/** Loads the model that a command's options ask for, and shows the progress of what takes long. */

import type { Command } from 'commander';
import {
  type Graph,
  imagenetLabels,
  type LoadOptions,
  load,
  type Model,
  type NetworkMatch,
  type NetworkOptions,
  networkIn,
  networks,
  openWeights,
  type PretrainedWeights,
  pretrained,
} from '../bindings/index.node.js';
import type { ModelFlags } from './options.js';
import { showProgress } from './progress.js';

export interface OpenOptions {
  readonly signal: AbortSignal;
  /** True shows no progress. */
  readonly quiet?: boolean | undefined;
  /** Options of the network, if they differ from its own. */
  readonly options?: NetworkOptions | undefined;
  /** The graph that the weights bring, if the network is that. */
  readonly graph?: Graph | undefined;
}

/** Exits with a usage error if no weights are given, and the model has no pretrained ones. */
export function needWeights(command: Command, { model, weights }: ModelFlags): void {
  const names = pretrained.names();
  if (weights !== undefined || names.includes(model)) return;
  command.error(`error: ${model} needs --weights; pretrained weights exist for ${names.join(', ')}`, { exitCode: 2 });
}

/**
 * Finds the network of a weight file: its own graph, or by its tensors. Says on stderr which it is, unless `quiet`.
 */
export async function identifyModel(
  weights: string,
  { signal, quiet, prefix }: Omit<OpenOptions, 'options'> & Pick<ModelFlags, 'prefix'>,
): Promise<NetworkMatch | Graph> {
  const file = await openWeights(weights, { signal, prefix });
  await file.close();
  if (file.graph) {
    if (!quiet) process.stderr.write(`${weights}: ${file.graph.name}, as the file says\n`);
    return file.graph;
  }
  const match = networkIn(file, weights);
  if (!quiet) process.stderr.write(`${weights}: ${match.network}, by its tensors\n`);
  return match;
}

/** Weights that load within this time are loaded without a bar. */
const BAR_AFTER_MS = 700;

export async function openModel(
  flags: ModelFlags,
  { signal, quiet, options = {}, graph }: OpenOptions,
): Promise<Model> {
  const { model, binary, threads, prefix } = flags;
  const classes = flags.classes ?? options.classes;
  const weights = flags.weights ?? (await fetchPretrained(model, { signal, quiet }));
  // Most loads take less than a second, which is not worth a line of a log.
  const silent = quiet || !process.stderr.isTTY;
  const view = silent ? undefined : showProgress(`Loading ${model} weights`, { after: BAR_AFTER_MS });
  const how: LoadOptions = { ...options, weights, prefix, classes, binary, threads, signal, onProgress: view?.update };
  try {
    if (flags.weights === undefined) return await load(model, how);
    const known = graph ? graph.nodes[graph.outputs[0].node]?.shape.c : networks[model]?.defaults.classes;
    const isImagenet = (classes ?? known) === 1000;
    const labelled = isImagenet ? { ...how, labels: await imagenetLabels() } : how;
    return await (graph ? load(flags.weights, { ...labelled, weights: undefined }) : load(model, labelled));
  } finally {
    view?.stop();
  }
}

/** Finds pretrained weights in the cache, or else fetches them, with progress unless `quiet`. */
export async function fetchPretrained(
  name: string,
  { signal, quiet }: Omit<OpenOptions, 'options'>,
): Promise<PretrainedWeights> {
  let view: ReturnType<typeof showProgress> | undefined;
  try {
    return await pretrained.fetch(name, {
      signal,
      onProgress: (progress) => {
        // Not called if the cache has all.
        view ??= quiet ? undefined : showProgress(`Fetching ${name} weights`);
        view?.update(progress);
      },
    });
  } finally {
    view?.stop();
  }
}
