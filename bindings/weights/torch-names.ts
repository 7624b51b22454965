/** Names of tensors in PyTorch's world, which become those of torchvision's `state_dict`s. */

import { label, shown } from '../util/messages.js';
import type { Piece, TensorInfo, WeightFile } from './types.js';

type Named = Pick<TensorInfo, 'name' | 'shape'>;

/** Counters of PyTorch's batch norms, of AveragedModel and thop, which no inference needs; they may be of any type. */
export const COUNTER = /\.num_batches_tracked$|(^|\.)(n_averaged|total_ops|total_params)$/;

/** What wrappers put before every name: DataParallel, torch.compile, training frameworks. */
const WRAPPERS = ['module.', '_orig_mod.', 'model.', 'net.'];

/** What one kind of file calls a module, and what torchvision does. One line a difference. */
const RENAMES: readonly (readonly [pattern: RegExp, name: string])[] = [
  // timm's VGG.
  [/^pre_logits\.fc1\./, 'classifier.0.'],
  [/^pre_logits\.fc2\./, 'classifier.3.'],
  [/^head\.fc\./, 'classifier.6.'],
  // torchvision's own DenseNets of before PyTorch 0.4, which its published files still have.
  [/(\.denselayer\d+\.(?:norm|conv))\.([12])\./, '$1$2.'],
  // The usual implementations for CIFAR.
  [/^linear\./, 'fc.'],
  [/^(layer\d\.\d+\.)shortcut\./, '$1downsample.'],
];

/** timm's VGG has its fully connected layers as convolutions over the whole map: the same values in the same order. */
const FLATTENED = /^classifier\.[03]\.weight$/;

/**
 * torchvision's name and shape for each tensor, in order. All names lose a wrapper's prefix if all have it. Throws one
 * sentence where two tensors come to have one name.
 */
export function torchvisionNames(tensors: readonly Named[]): Named[] {
  let names = tensors.map(({ name }) => name);
  // Each wraps at most once.
  for (let i = 0; i < WRAPPERS.length; i++) {
    const { length } = wrapperOf(names);
    if (length > 0) names = names.map((name) => name.slice(length));
  }
  const sources = new Map<string, string>();
  return tensors.map(({ name: source, shape }, i) => {
    const name = RENAMES.reduce((text, [pattern, with_]) => text.replace(pattern, with_), names[i] ?? '');
    const other = sources.get(name);
    if (other !== undefined) {
      throw new Error(`${label(name)}: expected one tensor, got ${shown(other)} and ${shown(source)}.`);
    }
    sources.set(name, source);
    const isFlat = !(FLATTENED.test(name) && shape.length === 4);
    return { name, shape: isFlat ? shape : [shape[0] ?? 0, shape.slice(1).reduce((product, n) => product * n, 1)] };
  });
}

/** The file with torchvision's names and shapes; one that has them already is the same file. */
export function withTorchvisionNames(file: WeightFile): WeightFile {
  const named = torchvisionNames(file.tensors);
  if (named.every(({ name }, i) => name === file.tensors[i]?.name)) return file;
  const tensors = file.tensors.map((tensor, i) => ({ ...tensor, ...named[i] }));
  const renamed = new Map(file.tensors.map((tensor, i) => [tensor, tensors[i]]));
  async function* pieces(): AsyncGenerator<Piece, void, undefined> {
    for await (const { tensor, bytes } of file.pieces()) yield { tensor: renamed.get(tensor) ?? tensor, bytes };
  }
  return { ...file, tensors, pieces, close: () => file.close() };
}

/** The prefix that all names have and something follows; empty where there is none. */
function wrapperOf(names: readonly string[]): string {
  const [first] = names;
  if (first === undefined) return '';
  const wrapper = WRAPPERS.find((prefix) => first.startsWith(prefix)) ?? '';
  return names.every((name) => name.startsWith(wrapper) && name.length > wrapper.length) ? wrapper : '';
}
