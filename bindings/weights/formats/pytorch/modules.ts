/** Whole modules, pickled with their classes by name: the tensors that their state_dict() would give. */

import { ResnetError } from '../../../../models/errors.js';
import { label } from '../../../util/messages.js';
import { OpaqueTensor, View } from './checkpoint.js';
import { Dictionary, Opaque } from './values.js';

/** A module may be named again and again, and even be within itself. */
const MAX_DEPTH = 64;
const MAX_NAME = 1024;
/** Modules, tensors and what else they list, in all of a checkpoint. */
const MAX_ITEMS = 1_000_000;

/** How many items may still be looked at. */
export interface Budget {
  left: number;
}

export const newBudget = (): Budget => ({ left: MAX_ITEMS });

type Item = [unknown, unknown];

interface Module {
  readonly prefix: string;
  readonly value: unknown;
  readonly depth: number;
}

/**
 * Tensors of an nn.Module by their names, in the order of state_dict(): its parameters and buffers, then those of each
 * module in it. Undefined if the value is no module. Throws one sentence, `subject` first, if modules have no end.
 */
export function moduleTensors(
  subject: string,
  root: unknown,
  budget: Budget,
): [string, View | OpaqueTensor][] | undefined {
  if (!stateOf(root)) return undefined;
  const found: [string, View | OpaqueTensor][] = [];
  const waiting: Module[] = [{ prefix: '', value: root, depth: 0 }];
  for (let module = waiting.pop(); module; module = waiting.pop()) {
    const { prefix, depth } = module;
    const state = stateOf(module.value);
    if (!state) continue;
    const unsaved = new Set(takeItems(state.get('_non_persistent_buffers_set'), budget));
    const own = [...takeItems(state.get('_parameters'), budget), ...takeItems(state.get('_buffers'), budget)] as Item[];
    const inner = takeItems(state.get('_modules'), budget) as Item[];
    budget.left -= 1;
    if (budget.left < 0 || depth > MAX_DEPTH || prefix.length > MAX_NAME) {
      const expected = `modules of at most ${MAX_ITEMS} parts, ${MAX_DEPTH} in each other, names of ${MAX_NAME} letters`;
      throw new ResnetError('weights', `${subject}: expected ${expected}, got more at ${label(prefix)}.`);
    }
    for (const [name, tensor] of own) {
      if (typeof name !== 'string' || name.length > MAX_NAME || unsaved.has(name)) continue;
      if (tensor instanceof View || tensor instanceof OpaqueTensor) found.push([prefix + name, tensor]);
    }
    for (const [name, value] of inner.reverse()) {
      if (typeof name === 'string') waiting.push({ prefix: `${prefix}${name}.`, value, depth: depth + 1 });
    }
  }
  return found;
}

/** The attributes of a module; undefined for what is none. */
function stateOf(value: unknown): Dictionary | undefined {
  if (!(value instanceof Opaque && value.state instanceof Dictionary)) return undefined;
  const { state } = value;
  const isModule = ['_parameters', '_buffers', '_modules'].every((name) => state.get(name) instanceof Dictionary);
  return isModule ? state : undefined;
}

/** All that a list or dictionary holds, unless it is too much. */
function takeItems(list: unknown, budget: Budget): unknown[] {
  const size = Array.isArray(list) ? list.length : list instanceof Dictionary ? list.size : 0;
  budget.left -= size;
  if (budget.left < 0 || size === 0) return [];
  return Array.isArray(list) ? [...list] : [...(list as Dictionary).entries];
}
