/** Which variable of which layer each tensor of a file is. */

import { ResnetError } from '../../../../models/errors.js';
import { label } from '../../../util/messages.js';
import type { StoredDtype } from '../../dtype.js';
import type { Variable } from './network.js';
import type { KerasLayer, KerasModel } from './topology.js';

/** A tensor as a file has it. */
export interface FileTensor {
  /** From the outermost group on; the last is the variable's. */
  readonly path: readonly string[];
  readonly shape: readonly number[];
  /** Undefined for numbers that are not of floating point: counters and seeds. */
  readonly dtype: StoredDtype | undefined;
  /** What Keras 3 says that the layer of a numbered variable is called. */
  readonly layer?: string | undefined;
}

/** A variable of a layer, by Keras's name. */
export interface Place {
  readonly layer: KerasLayer;
  readonly variable: string;
}

/** Finds a file's variable in a topology; undefined if no layer has it. */
export type Finder = (path: readonly string[]) => Place | undefined;

interface Candidate {
  readonly layer: KerasLayer;
  /** The models that it is in, the outermost first. */
  readonly above: readonly string[];
}

function candidates(model: KerasModel, above: readonly string[] = []): Candidate[] {
  return model.layers.flatMap((layer) =>
    layer.model ? candidates(layer.model, [...above, layer.name]) : [{ layer, above }],
  );
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** How many of `names` come in `path` in their order, if all do; otherwise −1. */
function commonCount(names: readonly string[], path: readonly string[]): number {
  let at = 0;
  for (const part of path) if (part === names[at]) at += 1;
  return at === names.length ? at : -1;
}

/** More characters than a name may count with, so that models before it count first. */
const LONGEST = 1e6;

/**
 * Finds variables by names: a path ends in the names of its layer and its variable (`conv1/kernel:0`), and has before
 * them the models that the layer is in, if the writer put them there. In an HDF5 file each layer of the outermost model
 * has a group, called as the layer is now: its variables may have kept an older name.
 */
export function byName(model: KerasModel, hasGroups: boolean): Finder {
  const byLast = new Map<string, Candidate[]>();
  for (const candidate of candidates(model)) {
    const last = lastPart(candidate.layer.name);
    byLast.set(last, [...(byLast.get(last) ?? []), candidate]);
  }
  return (path) => {
    const variable = (path.at(-1) ?? '').replace(/:0$/, '');
    const groups = path.slice(0, -1);
    const outer = hasGroups ? model.byName.get(groups[0] ?? '') : undefined;
    if (outer && !outer.model) return { layer: outer, variable };
    const joined = `/${groups.join('/')}`;
    const fitting = (byLast.get(groups.at(-1) ?? '') ?? []).filter(
      ({ layer, above }) => joined.endsWith(`/${layer.name}`) && (!outer || above[0] === outer.name),
    );
    // The more of a path is a candidate's own, the better: names of layers may have slashes in them.
    const shares = fitting.map(({ layer, above }) => commonCount(above, groups) * LONGEST + layer.name.length);
    const most = Math.max(...shares);
    const best = fitting.filter((_, i) => shares[i] === most);
    const [found] = best;
    if (best.length > 1)
      throw new ResnetError('weights', `${label(path.join('/'))}: two layers of the topology have this name.`);
    return found && { layer: found.layer, variable };
  };
}

/** A class's name as Keras 3 has it in paths: Conv2D is conv2d, BatchNormalization is batch_normalization. */
const snakeCase = (name: string): string =>
  name
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();

/** Where Keras 3 and, before it, Keras 2.13 keep a model's layers. */
export const NUMBERED_LAYERS = /^(layers|_layer_checkpoint_dependencies)$/;
/** The group of a layer's variables, which are numbered in it. */
export const VARIABLES = 'vars';

/**
 * Finds variables by numbers (`conv2d_1/vars/0`), in paths from the group of layers on: layers are counted by class in
 * the model's order, and models in the model have their own group of layers. `variables` are what the layers have, in
 * Keras's order.
 */
export function byNumber(model: KerasModel, variables: ReadonlyMap<KerasLayer, ReadonlyMap<string, Variable>>): Finder {
  const layers = new Map<string, KerasLayer>();
  const walk = ({ layers: list, isSequential }: KerasModel, above: string): void => {
    const counts = new Map<string, number>();
    for (const layer of list) {
      // A Sequential model does not count what it reads as a layer.
      if (isSequential && layer.kind === 'InputLayer') continue;
      const kind = snakeCase(layer.kind);
      const count = counts.get(kind) ?? 0;
      counts.set(kind, count + 1);
      const path = `${above}/${count > 0 ? `${kind}_${count}` : kind}`;
      if (layer.model) walk(layer.model, path);
      else layers.set(path, layer);
    }
  };
  walk(model, '');
  return (path) => {
    const groups = path.filter((part, i) => i === path.length - 2 || !NUMBERED_LAYERS.test(part));
    const layer = layers.get(`/${groups.slice(0, -2).join('/')}`);
    if (!layer || groups.at(-2) !== VARIABLES) return undefined;
    const names = [...(variables.get(layer)?.keys() ?? [])];
    const variable = names[Number(path.at(-1))];
    return variable === undefined ? undefined : { layer, variable };
  };
}
