/** Models that run beside each other, each in a worker of its own: what `serve` and `batch work` share. */

import type { Option } from 'commander';
import type { LoadOptions, Model } from '../bindings/index.node.js';
import { labelsOf, openModel } from './load-model.js';
import { type ClassFlags, loadOptions, type ModelFlags, modelOptions, type PictureFlags } from './options.js';

/** Makes the options of a network's models, which have one thread each by default. */
export function replicaOptions(): Option[] {
  const options = modelOptions();
  for (const option of options) {
    if (option.long !== '--threads') continue;
    option.default(1);
    option.description = 'threads of each worker';
  }
  return options;
}

/** Makes what opens one more model. Only the first shows its progress, and says which network the weights are of. */
export function replicaOpener(
  flags: ModelFlags & PictureFlags & ClassFlags,
  isGiven: boolean,
  signal: AbortSignal,
): () => Promise<Model> {
  let quiet = false;
  let labels: LoadOptions['labels'];
  return async () => {
    const options = { worker: true, ...(labels && { labels }), ...(await loadOptions(flags)) };
    const open = (): Promise<Model> => openModel(flags, isGiven, { signal, quiet, options });
    const model = await open();
    quiet = true;
    if (model.labels) return model;
    // Those of ImageNet, if it has as many classes.
    labels = await labelsOf(model);
    if (!labels || options.labels) return model;
    model.dispose();
    Object.assign(options, { labels });
    return open();
  };
}
