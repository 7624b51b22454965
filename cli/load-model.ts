/** Loads the model that a command's options ask for, and shows the progress of what takes long. */

import type { Command } from 'commander';
import {
  imagenetLabels,
  type LoadOptions,
  load,
  type Model,
  type PretrainedWeights,
  pretrained,
} from '../bindings/index.node.js';
import type { ModelFlags } from './options.js';
import { hasBars, showBytes } from './progress.js';
import { isStdin, weightSource } from './stdin.js';

export interface OpenOptions {
  readonly signal: AbortSignal;
  /** True shows no progress. */
  readonly quiet?: boolean | undefined;
  /** Options of `load`, if they differ from its own. */
  readonly options?: LoadOptions;
}

/** Exits with a usage error if no weights are given, and the model has no pretrained ones. */
export function needWeights(command: Command, { model, weights }: ModelFlags): void {
  if (weights !== undefined || pretrained().includes(model)) return;
  command.error(`error: ${model} needs --weights, since none are published; resnet-wasm pull --help lists what is`, {
    exitCode: 2,
  });
}

/** Whether the user named a model. If not, the weights tell which they are of. */
export const isModelGiven = (command: Command): boolean => command.getOptionValueSource('model') !== 'default';

/** Weights that load within this time are loaded without a bar. */
const BAR_AFTER_MS = 700;

/** `isGiven`: whether `flags.model` counts for `flags.weights`, or those tell their network themselves. */
export async function openModel(
  flags: ModelFlags,
  isGiven: boolean,
  { signal, quiet, options = {} }: OpenOptions,
): Promise<Model> {
  const { model, binary, threads, classes, weights, prefix, quantize, memory } = flags;
  const own = classes === undefined ? {} : { classes };
  const fetched = weights === undefined ? await fetchPretrained(model, { signal, quiet }) : undefined;
  // Most loads take less than a second, which is not worth a line of a log.
  const silent = quiet || !hasBars();
  const what = isGiven || weights === undefined ? `${model} weights` : weights;
  const view = silent ? undefined : showBytes(`Loading ${what}`, { after: BAR_AFTER_MS });
  const how: LoadOptions = {
    ...options,
    ...own,
    prefix,
    binary,
    threads,
    quantize,
    memory,
    signal,
    onProgress: view?.update,
  };
  try {
    if (weights === undefined) return await load(model, { ...how, weights: fetched });
    if (isGiven) return await load(model, { ...how, weights: weightSource(weights) });
    const found = await load(located(weights), how);
    if (!quiet)
      process.stderr.write(
        `${isStdin(weights) ? 'stdin' : weights}: the network is ${found.name}, as the file tells\n`,
      );
    return found;
  } finally {
    view?.stop();
  }
}

/** Weights for `load` alone, which takes a text without a slash for a name of a network if it is one. */
function located(weights: string): ReturnType<typeof weightSource> {
  const isName = !/[\\/.:]/.test(weights) || pretrained().includes(weights);
  return weightSource(isName && !isStdin(weights) ? `./${weights}` : weights);
}

/** Pictures to give a model at once: one thread takes them one by one, several share those that wait. */
export const picturesAtOnce = (model: Model): number => {
  const { threads } = model.info();
  return threads > 1 ? 4 * threads : 1;
};

/** Labels of a model's classes: its own, or those of ImageNet if it has as many. */
export async function labelsOf({ labels, graph }: Model): Promise<readonly string[] | undefined> {
  const classes = graph.nodes[graph.outputs[0].node]?.shape.c;
  return labels ?? (classes === 1000 ? imagenetLabels() : undefined);
}

/** Finds pretrained weights in the cache, or else fetches them, with progress unless `quiet`. */
export async function fetchPretrained(
  name: string,
  { signal, quiet }: Omit<OpenOptions, 'options'>,
): Promise<PretrainedWeights> {
  let view: ReturnType<typeof showBytes> | undefined;
  try {
    return await pretrained.fetch(name, {
      signal,
      onProgress: (progress) => {
        // Not called if the cache has all.
        view ??= quiet ? undefined : showBytes(`Fetching ${name} weights`);
        view?.update(progress);
      },
    });
  } finally {
    view?.stop();
  }
}
