/** The `state_dict` among all else in a checkpoint. */

import { ResnetError } from '../../../../models/errors.js';
import { label, shown } from '../../../util/messages.js';
import { COUNTER } from '../../torch-names.js';
import { OpaqueTensor, View } from './checkpoint.js';
import { TORCHSCRIPT } from './impostors.js';
import { moduleTensors, newBudget } from './modules.js';
import { Dictionary, Opaque } from './values.js';

export interface NamedView {
  readonly name: string;
  readonly view: View;
}

export interface StateDict {
  readonly views: readonly NamedView[];
  /** Numbers and short texts in the dictionaries around it. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Where in the checkpoint it is, keys joined by dots; empty if it is the whole. */
  readonly key: string;
  /** Where others are that have at least half as many tensors. */
  readonly others: readonly string[];
  /** Names of its tensors that are no weights: counters, whole numbers, truth values, complex numbers. */
  readonly skipped: readonly string[];
}

/** Where checkpoints keep the state_dict that people mean, the likelier first. */
const KEYS = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'module',
  'net',
  'network',
  'weights',
  'params',
  'ema',
  'state_dict_ema',
  'model_ema',
  'ema_state_dict',
  'params_ema',
];

/** What training keeps of tensors besides the weights: taken only if there is nothing else. */
const TRAINING = /optim|sched|scaler|grad/i;

/** Dictionaries and lists in each other that are searched, and how many at most: from the outside in. */
const MAX_DEPTH = 8;
const MAX_PLACES = 200_000;
const MAX_OTHERS = 8;
/** Letters of a tensor's name, and of a text that is shown. */
const MAX_NAME = 1024;
const MAX_TEXT = 80;

type NamedTensor = readonly [name: string, tensor: View | OpaqueTensor];

/** A dictionary, list or object in the checkpoint. */
interface Place {
  readonly value: unknown;
  readonly parent: Place | undefined;
  readonly key: string;
  readonly depth: number;
}

interface Candidate {
  readonly path: readonly string[];
  /** All that it is in, from the whole checkpoint on. */
  readonly around: readonly unknown[];
  readonly tensors: readonly NamedTensor[];
  /** How many of its tensors may be weights, without those that cannot be read. */
  readonly size: number;
}

/**
 * The state_dict in a checkpoint. Of the sets of named tensors in it (dictionaries, pickled modules) that have at least
 * half as many as the largest, it is the one under the likeliest of the usual keys; `prefix` asks for another, by its key or
 * by what its names begin with. Throws one sentence, `subject` first, if there is none, if there are several under keys of
 * which none is usual, or if one of its tensors is of a kind that cannot be read.
 */
export function findStateDict(subject: string, value: unknown, prefix?: string): StateDict {
  if (value instanceof Opaque && value.what.startsWith('__torch__.')) {
    throw new ResnetError('weights', `${subject}: expected a state_dict, got ${TORCHSCRIPT}.`);
  }
  const all = candidatesOf(subject, value);
  const outside = all.filter((candidate) => !isOfTraining(candidate));
  const found = outside.length > 0 ? outside : all;
  const largest = found.reduce((most, { size }) => Math.max(most, size), 0);
  const fitting = found.filter(({ size }) => 2 * size >= largest);
  // Stable: among equals the outermost comes first.
  const sorted = fitting.toSorted((a, b) => rankOf(a) - rankOf(b) || b.size - a.size);
  const asked = prefix === undefined ? undefined : askedFor(prefix, sorted, all);
  const chosen = asked ?? sorted[0];
  const others = sorted.filter((other) => other !== chosen);
  if (chosen && !asked && isUnclear(chosen, others)) {
    const keys = sorted.slice(0, MAX_OTHERS).map((each) => shown(keyOf(each)));
    throw new ResnetError(
      'weights',
      `${subject}: expected one state_dict, got several, ${keys.join(', ')}; choose one by its prefix.`,
    );
  }
  if (!chosen) throw new ResnetError('weights', `${subject}: expected a state_dict, got ${withoutTensors(value)}.`);
  const views: NamedView[] = [];
  const skipped: string[] = [];
  for (const [name, tensor] of chosen.tensors) {
    if (!mayBeWeight(name, tensor)) skipped.push(name);
    else if (tensor instanceof View && tensor.type.dtype !== undefined) views.push({ name, view: tensor });
    else {
      const got = tensor instanceof View ? `values of ${label(tensor.type.name)}` : label(tensor.what);
      throw new ResnetError('weights', `${label(name)}: expected a plain tensor of floating point, got ${got}.`);
    }
  }
  const metadata = Object.fromEntries(chosen.around.flatMap(scalars));
  return { views, metadata, key: keyOf(chosen), others: others.slice(0, MAX_OTHERS).map(keyOf), skipped };
}

/** Whether nothing tells a set of tensors from others: where the ways to them part, no key is a usual one. */
function isUnclear(chosen: Candidate, others: readonly Candidate[]): boolean {
  return others.some(({ path }) => {
    const at = path.findIndex((key, i) => key !== chosen.path[i]);
    const keys = [chosen.path[at], path[at]];
    return keys.every((key) => key !== undefined && !KEYS.includes(key));
  });
}

/** The candidate whose key `prefix` is, or begins with; else the first that has names that begin with it. */
function askedFor(prefix: string, sorted: readonly Candidate[], all: readonly Candidate[]): Candidate | undefined {
  const isKey = (each: Candidate): boolean => each.path.length > 0 && `${prefix}.`.startsWith(`${keyOf(each)}.`);
  const byKey = all.filter(isKey).toSorted((a, b) => b.path.length - a.path.length);
  const hasNames = ({ tensors }: Candidate): boolean => tensors.some(([name]) => name.startsWith(prefix));
  return byKey[0] ?? sorted.find(hasNames) ?? all.find(hasNames);
}

const keyOf = ({ path }: Candidate): string => path.join('.');

/** A counter or a tensor of whole numbers is none; one that cannot be read may be one. */
function mayBeWeight(name: string, tensor: View | OpaqueTensor): boolean {
  if (COUNTER.test(name)) return false;
  return tensor instanceof OpaqueTensor || tensor.type.dtype !== undefined || tensor.type.width === undefined;
}

const isOfTraining = ({ path, around }: Candidate): boolean =>
  path.some((key) => TRAINING.test(key)) ||
  around.some((value) => value instanceof Opaque && TRAINING.test(value.what.slice(0, MAX_NAME)));

/** The place of the first usual key in KEYS; then come the whole checkpoint, and other keys. */
function rankOf({ path }: Candidate): number {
  if (path.length === 0) return KEYS.length - 0.5;
  const known = path.find((key) => KEYS.includes(key));
  return known === undefined ? KEYS.length : KEYS.indexOf(known);
}

/** All sets of named tensors, the outer ones first. */
function candidatesOf(subject: string, root: unknown): Candidate[] {
  const found: Candidate[] = [];
  const budget = newBudget();
  const seen = new Set<unknown>([root]);
  const places: Place[] = [{ value: root, parent: undefined, key: '', depth: 0 }];
  for (const place of places) {
    const { value, depth } = place;
    const ofModule = moduleTensors(subject, value, budget);
    const tensors = ofModule ?? tensorsIn(value);
    const weights = tensors.filter(([name, tensor]) => mayBeWeight(name, tensor));
    const size = weights.filter(([, tensor]) => tensor instanceof View).length;
    if (weights.length > 0) found.push({ ...wayTo(place), tensors, size });
    if (ofModule || depth === MAX_DEPTH) continue;
    for (const [key, child] of childrenOf(value)) {
      const isPlace = child instanceof Dictionary || Array.isArray(child);
      if (!isPlace || seen.has(child) || places.length === MAX_PLACES) continue;
      seen.add(child);
      const name = typeof key === 'string' ? key.slice(0, MAX_TEXT) : shown(key);
      places.push({ value: child, parent: place, key: name, depth: depth + 1 });
    }
  }
  return found;
}

function wayTo(place: Place): Pick<Candidate, 'path' | 'around'> {
  const [path, around]: [string[], unknown[]] = [[], []];
  for (let at = place; at.parent; at = at.parent) {
    path.unshift(at.key);
    around.unshift(at.parent.value);
  }
  return { path, around };
}

/** Keys and values of a dictionary, places and items of a list, attributes of an object. */
function* childrenOf(value: unknown): Generator<[unknown, unknown], void, undefined> {
  if (Array.isArray(value)) yield* value.entries();
  if (value instanceof Dictionary) yield* value.entries;
  if (value instanceof Opaque && value.state instanceof Dictionary) yield* value.state.entries;
}

function tensorsIn(value: unknown): NamedTensor[] {
  const found: NamedTensor[] = [];
  for (const [name, tensor] of childrenOf(value)) {
    if (typeof name !== 'string' || name.length > MAX_NAME) continue;
    if (tensor instanceof View || tensor instanceof OpaqueTensor) found.push([name, tensor]);
  }
  return found;
}

function withoutTensors(value: unknown): string {
  if (value instanceof View || value instanceof OpaqueTensor) return 'a tensor alone';
  if (value instanceof Opaque) return `${label(value.what)} without tensors of floating point`;
  if (!(value instanceof Dictionary)) return 'no dictionary';
  const keys = [...value.entries].map(([key]) => key);
  return `a dictionary of ${shown(keys)} without tensors of floating point`;
}

/** Numbers and short texts beside a state_dict, such as `epoch` and `arch`. */
function scalars(around: unknown): [string, string][] {
  const found: [string, string][] = [];
  for (const [key, value] of childrenOf(around)) {
    const isShort = typeof value === 'string' && value.length <= MAX_TEXT;
    const isShown = isShort || typeof value === 'number' || typeof value === 'boolean';
    if (isShown && typeof key === 'string' && key.length <= MAX_TEXT) found.push([key, String(value)]);
  }
  return found;
}
