/** Names of tensors in other worlds, which become those of torchvision's `state_dict`s: what a network's aliases say. */

import { ResnetError } from '../../models/errors.js';
import { kerasResnetModule } from '../../models/keras-names.js';
import type { Aliases } from '../../models/network.js';
import { label, shown } from '../util/messages.js';
import { size } from '../util/shape.js';
import type { TensorInfo } from './types.js';

type Named = Pick<TensorInfo, 'name' | 'shape'>;

/** Counters of PyTorch's batch norms, of AveragedModel and thop, which no inference needs; they may be of any type. */
export const COUNTER = /\.num_batches_tracked$|(^|\.)(n_averaged|total_ops|total_params)$/;

/** What wrappers put before every name: DataParallel, torch.compile, training frameworks. */
const WRAPPERS = ['module.', '_orig_mod.', 'model.', 'net.'];

/** Finds the prefix that all names have, with something after it; empty if there is none. */
function wrapperOf(names: readonly string[]): string {
  const [first] = names;
  if (first === undefined) return '';
  const wrapper = WRAPPERS.find((prefix) => first.startsWith(prefix)) ?? '';
  return names.every((name) => name.startsWith(wrapper) && name.length > wrapper.length) ? wrapper : '';
}

/** Cuts off the prefixes that wrappers put before all of a file's names. */
export function unwrapped(names: readonly string[]): readonly string[] {
  let rest = names;
  // Each wraps at most once.
  for (let i = 0; i < WRAPPERS.length; i++) {
    const { length } = wrapperOf(rest);
    if (length === 0) break;
    rest = rest.map((name) => name.slice(length));
  }
  return rest;
}

/** Translates one name, without a wrapper's prefix. */
function translated(name: string, { torch = [], keras }: Aliases): string {
  const end = name.lastIndexOf('.');
  const module = keras && kerasResnetModule(name.slice(0, end));
  const start = module === undefined ? name : module + name.slice(end);
  return torch.reduce((text, [pattern, with_]) => text.replace(pattern, with_), start);
}

/**
 * Gives each tensor, in order, torchvision's name and shape, as the aliases of its network say, without a wrapper's
 * prefix. Throws if two tensors come to have one name.
 */
export function torchvisionNames(tensors: readonly Named[], aliases: Aliases = {}): Named[] {
  const names = unwrapped(tensors.map(({ name }) => name));
  const named = tensors.map(({ shape }, i) => translatedTensor({ name: names[i] ?? '', shape }, aliases));
  const sources = new Map<string, string>();
  named.forEach(({ name }, i) => {
    const source = tensors[i]?.name ?? '';
    const other = sources.get(name);
    if (other !== undefined) {
      throw new ResnetError('weights', `${label(name)}: ${shown(other)} and ${shown(source)} are both this tensor.`);
    }
    sources.set(name, source);
  });
  return named;
}

/** Gives a tensor, whose name has no prefix, torchvision's name and shape. */
export function translatedTensor({ name: own, shape }: Named, aliases: Aliases): Named {
  const name = translated(own, aliases);
  const isFlattened = shape.length > 2 && aliases.flattened?.test(name);
  return { name, shape: isFlattened ? [shape[0] ?? 0, size(shape.slice(1))] : shape };
}
